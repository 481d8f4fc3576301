//! What flows: bodies in both directions, long-polls, feeds and sockets. Nothing is held back, and nothing outlives its token.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};

use crate::kit::Kit;

#[tokio::test]
async fn bodies_flow_in_both_directions_at_once() {
    let kit = Kit::start().await;
    let token = kit.issuer.token("alice").sign();
    let mut client = kit.connect().await;
    let head =
        format!("POST /echo-body HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.write(head.as_bytes()).await;
    // Each piece comes back before the next one is sent: nothing is buffered on the way.
    for piece in ["one", "two", "three"] {
        client.write(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await;
        kit.within(client.read_until(piece)).await;
    }
    client.write(b"0\r\n\r\n").await;
    kit.within(client.read_until("0\r\n\r\n")).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_long_poll_may_be_silent_for_longer_than_the_body_timeout() {
    let kit = Kit::start_with(|config| {
        config.proxy.listen.body_timeout = Duration::from_millis(200);
        config.proxy.listen.write_timeout = Duration::from_millis(200);
        config.proxy.listen.header_timeout = Duration::from_millis(200);
    })
    .await;
    let token = kit.issuer.token("alice").sign();
    let answer = kit.within(kit.get("/silent?ms=1500", &token)).await;
    assert_eq!(answer.status(), 204);
    kit.stop().await;
}

#[tokio::test]
async fn percent_encoding_and_unknown_headers_arrive_as_sent() {
    let kit = Kit::start().await;
    let token = kit.issuer.token("alice").sign();
    let target = "/echo/%2Fuser%2Fdocs/a%20b/%C3%A9/_local/x%3D%3D?q=%2F&r=a+b&&s";
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: gateway:1234\r\nAuthorization: Bearer {token}\r\nx-Odd_Name: v\u{e4}lue\r\nCookie: a=b\r\n\r\n"
    );
    kit.raw(request.as_bytes()).await;
    let received = kit.backend.received().pop().unwrap();
    assert_eq!(received.target, target);
    assert_eq!(received.header("host"), Some("gateway:1234"));
    assert_eq!(received.header("cookie"), Some("a=b"));
    assert_eq!(received.headers["x-odd_name"].as_bytes(), "v\u{e4}lue".as_bytes());
    kit.stop().await;
}

#[tokio::test]
async fn a_feed_ends_with_its_token_and_without_a_last_chunk() {
    let kit = Kit::start_with(|config| config.issuers[0].rules.leeway = Duration::ZERO).await;
    let token = kit.issuer.token("alice").expires_in(2).sign();
    let mut client = kit.connect().await;
    let request = format!("GET /changes?feed=continuous HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n");
    client.write(request.as_bytes()).await;
    kit.within(client.read_until("200 OK")).await;
    let rest = kit.within(client.read_to_end()).await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "the feed looks complete: {:?}", String::from_utf8_lossy(&rest));
    kit.eventually(|| kit.metric("syncgate_connections_cut_total", &[("cause", "token_end")]) == 1.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_socket_carries_the_exchanged_token_and_ends_with_the_clients() {
    let kit = Kit::start_with(|config| config.issuers[0].rules.leeway = Duration::ZERO).await;
    let token = kit.issuer.token("alice").expires_in(3).sign();
    let mut request = kit.socket_url("/live").into_client_request().unwrap();
    request.headers_mut().insert("Authorization", format!("Bearer {token}").parse().unwrap());
    let (mut socket, _) = kit.within(tokio_tungstenite::connect_async(request)).await.unwrap();

    let received = kit.backend.received().pop().unwrap();
    assert_eq!(received.target, "/live");
    assert!(!received.contains(&token), "{received:?}");
    assert_eq!(received.token.as_ref().unwrap().user_id(), kit.issuer.user_id("alice"));
    kit.assert_metric("syncgate_websocket_connections", &[], 1.0).await;

    socket.send(Message::text(r#"{"id":"a","doc":{"n":1}}"#)).await.unwrap();
    let first = kit.within(socket.next()).await.unwrap().unwrap();
    assert!(first.into_text().unwrap().contains("\"a\""));
    // Then silence until the token ends.
    let end = kit.within(async { while let Some(Ok(_)) = socket.next().await {} });
    end.await;
    kit.eventually(|| kit.metric("syncgate_websocket_connections", &[]) == 0.0).await;
    kit.assert_metric("syncgate_connections_cut_total", &[("cause", "token_end")], 1.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_socket_is_one_request_which_lasts_as_long_as_it_does() {
    let kit = Kit::start().await;
    let token = kit.issuer.token("alice").sign();
    let switched = || kit.metric("syncgate_requests_total", &[("code", "101")]);
    let socket = kit.socket(&token).await;
    kit.assert_metric("syncgate_websocket_connections", &[], 1.0).await;
    assert_eq!((kit.metric("syncgate_requests_in_flight", &[]), switched()), (1.0, 0.0));
    drop(socket);
    // The duration is noted last.
    kit.assert_metric("syncgate_request_duration_seconds_count", &[], 1.0).await;
    let counts = || {
        let open = kit.metric("syncgate_requests_in_flight", &[]) + kit.metric("syncgate_websocket_connections", &[]);
        (switched(), open)
    };
    assert_eq!(counts(), (1.0, 0.0));
    // Others follow, so what would be counted twice would have been by then.
    for noted in 2..=4 {
        assert_eq!(kit.get("/echo", &token).await.status(), 200);
        kit.assert_metric("syncgate_request_duration_seconds_count", &[], f64::from(noted)).await;
    }
    assert_eq!(counts(), (1.0, 0.0));
    kit.stop().await;
}

#[tokio::test]
async fn a_socket_whose_client_reads_nothing_ends_too() {
    let kit = Kit::start_with(|config| {
        config.issuers[0].rules.leeway = Duration::ZERO;
        config.proxy.listen.max_stream_age = Some(Duration::from_secs(1));
    })
    .await;
    let token = kit.issuer.token("alice").sign();
    let mut client = kit.connect().await;
    // An endless echo that nobody reads fills every buffer on the way.
    let head =
        format!("POST /echo-body HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.write(head.as_bytes()).await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let flooding = async { while client.try_write(chunk.as_bytes()).await {} };
    kit.within(flooding).await;
    kit.eventually(|| kit.metric("syncgate_connections_cut_total", &[("cause", "max_age")]) == 1.0).await;
    kit.assert_serves().await;
    kit.stop().await;
}

#[tokio::test]
async fn a_refused_upgrade_never_reaches_the_upstream() {
    let kit = Kit::start().await;
    let before = kit.backend.received_count();
    let mut request = kit.socket_url("/live").into_client_request().unwrap();
    request.headers_mut().insert("Authorization", "Bearer a.b.c".parse().unwrap());
    let refused = kit.within(tokio_tungstenite::connect_async(request)).await.unwrap_err();
    let tokio_tungstenite::tungstenite::Error::Http(answer) = refused else { panic!("{refused}") };
    assert_eq!(answer.status(), 401);
    assert_eq!(kit.backend.received_count(), before);
    kit.stop().await;
}

#[tokio::test]
async fn no_socket_is_lost_to_an_upstream_that_answers_at_once() {
    let kit = Kit::start().await;
    let token = kit.issuer.token("alice").sign();
    for _ in 0..10 {
        let open = |_| async {
            let mut request = kit.socket_url("/live").into_client_request().unwrap();
            request.headers_mut().insert("Authorization", format!("Bearer {token}").parse().unwrap());
            let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
            socket.send(Message::Ping("alive".into())).await.unwrap();
            let pong = socket.next().await.unwrap().unwrap();
            assert_eq!(pong, Message::Pong("alive".into()));
        };
        kit.within(futures_util::future::join_all((0..100).map(open))).await;
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_its_body_is_told_to_go_on() {
    let kit = Kit::start().await;
    let token = kit.issuer.token("alice").sign();
    let mut client = kit.connect().await;
    let head = format!(
        "PUT /docs/note HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    );
    client.write(head.as_bytes()).await;
    kit.within(client.read_until("HTTP/1.1 100")).await;
    client.write(b"{}").await;
    kit.within(client.read_until("HTTP/1.1 20")).await;
    kit.stop().await;
}

/// A socket of Alice's, open.
async fn socket(
    kit: &Kit,
    token: &str,
) -> tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>> {
    let mut request = kit.socket_url("/live").into_client_request().unwrap();
    request.headers_mut().insert("Authorization", format!("Bearer {token}").parse().unwrap());
    kit.within(tokio_tungstenite::connect_async(request)).await.unwrap().0
}

#[tokio::test]
async fn a_socket_is_told_why_it_ends() {
    let kit = Kit::start_with(|config| config.issuers[0].rules.leeway = Duration::ZERO).await;
    let mut ending = socket(&kit, &kit.issuer.token("alice").expires_in(2).sign()).await;
    let Message::Close(Some(close)) = kit.within(ending.next()).await.unwrap().unwrap() else { panic!("no Close") };
    assert_eq!((u16::from(close.code), close.reason.as_str()), (1008, "token expired"));

    let mut staying = socket(&kit, &kit.issuer.token("bob").sign()).await;
    let (last, ()) = tokio::join!(staying.next(), kit.stop());
    let Message::Close(Some(close)) = last.unwrap().unwrap() else { panic!("no Close") };
    assert_eq!((u16::from(close.code), close.reason.as_str()), (1001, "going away"));
}

#[tokio::test]
async fn a_socket_whose_client_stops_reading_ends_with_its_token() {
    let kit = Kit::start_with(|config| {
        config.issuers[0].rules.leeway = Duration::ZERO;
        config.proxy.listen.stream_grace = Duration::from_secs(1);
    })
    .await;
    let mut stuck = socket(&kit, &kit.issuer.token("alice").expires_in(3).sign()).await;
    // The backend tells each change to this very socket, which takes none of it, until nothing moves any more.
    let change = Message::text(format!(r#"{{"id":"a","doc":"{}"}}"#, "x".repeat(0x8000)));
    while let Ok(Ok(())) = tokio::time::timeout(Duration::from_millis(500), stuck.send(change.clone())).await {}
    kit.eventually(|| kit.metric("syncgate_websocket_connections", &[]) == 0.0).await;
    kit.assert_metric("syncgate_connections_cut_total", &[("cause", "token_end")], 1.0).await;
    kit.assert_serves().await;
    kit.stop().await;
}

#[tokio::test]
async fn both_sides_of_a_silent_socket_are_pinged() {
    let kit = Kit::start_with(|config| config.proxy.listen.ping_every = Some(Duration::from_millis(100))).await;
    let mut silent = socket(&kit, &kit.issuer.token("alice").sign()).await;
    let mut pings = 0;
    while pings < 3 {
        match kit.within(silent.next()).await.unwrap().unwrap() {
            Message::Ping(_) => pings += 1,
            // The other side's answer to a ping of the gateway; either side may send one unasked (RFC 6455 section 5.5.3).
            Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
    silent.send(Message::text(r#"{"id":"a","doc":1}"#)).await.unwrap();
    let answer = async {
        loop {
            if let Message::Text(text) = silent.next().await.unwrap().unwrap() {
                return text;
            }
        }
    };
    assert!(kit.within(answer).await.contains("\"a\""));
    kit.stop().await;
}

#[tokio::test]
async fn a_socket_on_which_nothing_happens_is_ended() {
    let kit = Kit::start_with(|config| config.proxy.upstreams[0].read_timeout = Duration::from_millis(300)).await;
    let mut idle = socket(&kit, &kit.issuer.token("alice").sign()).await;
    let Message::Close(Some(close)) = kit.within(idle.next()).await.unwrap().unwrap() else { panic!("no Close") };
    assert_eq!((u16::from(close.code), close.reason.as_str()), (1001, "idle"));
    kit.stop().await;
}
