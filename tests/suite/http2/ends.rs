//! How streams and connections of HTTP/2 end.

use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use tokio::net::TcpListener;

use super::client::{Http2, field, request, world};
use crate::kit::Kit;

/// Reads a body until it ends, and tells how: nothing where it ended whole.
async fn end_of(mut body: h2::RecvStream) -> Option<Reason> {
    while let Some(piece) = body.data().await {
        match piece {
            Ok(piece) => body.flow_control().release_capacity(piece.len()).unwrap(),
            Err(error) => return Some(error.reason().expect("a reset")),
        }
    }
    None
}

/// A world in which a token ends when it says so.
async fn exact() -> Kit {
    world(|config| config.issuers[0].rules.leeway = Duration::ZERO).await
}

#[tokio::test]
async fn a_feed_ends_with_its_token_as_a_reset_and_other_streams_go_on() {
    let kit = exact().await;
    let client = Http2::connect(&kit).await;
    let (short, long) = (kit.issuer.token("alice").expires_in(2).sign(), kit.issuer.token("bob").sign());
    let path = "/changes?feed=continuous";
    let ending = kit.within(client.send(request("GET", path, &short), "")).await.unwrap();
    let lasting = kit.within(client.send(request("GET", path, &long), "")).await.unwrap();
    assert_eq!((ending.status().as_u16(), lasting.status().as_u16()), (200, 200));
    assert_eq!(kit.within(end_of(ending.into_body())).await, Some(Reason::CANCEL));
    kit.assert_metric("syncgate_connections_cut_total", &[("cause", "token_end")], 1.0).await;
    assert_eq!(kit.within(client.ask(request("GET", "/echo", &long), "")).await.unwrap().0.status(), 200);
    drop(lasting);
    kit.assert_metric("syncgate_requests_in_flight", &[], 0.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_request_whose_token_ends_before_its_answer_is_refused() {
    let kit = exact().await;
    let client = Http2::connect(&kit).await;
    let token = kit.issuer.token("alice").expires_in(2).sign();
    let (answer, _) = kit.within(client.ask(request("GET", "/silent?ms=60000", &token), "")).await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(field(answer.headers(), "www-authenticate").contains("error=\"invalid_token\""));
    kit.stop().await;
}

#[tokio::test]
async fn a_client_that_gives_up_a_stream_ends_its_request() {
    let kit = world(|_| {}).await;
    let client = Http2::connect(&kit).await;
    let token = kit.issuer.token("alice").sign();
    let mut requests = client.requests.clone().ready().await.unwrap();
    let (answer, _) = requests.send_request(request("GET", "/silent?ms=600000", &token), true).unwrap();
    kit.eventually(|| kit.metric("syncgate_requests_in_flight", &[]) == 1.0).await;
    drop(answer);
    kit.assert_metric("syncgate_requests_in_flight", &[], 0.0).await;
    assert_eq!(kit.within(client.ask(request("GET", "/echo", &token), "")).await.unwrap().0.status(), 200);
    kit.stop().await;
}

#[tokio::test]
async fn a_stop_lets_streams_finish_and_takes_no_further_ones() {
    let kit = world(|_| {}).await;
    let client = Http2::connect(&kit).await;
    let token = kit.issuer.token("alice").sign();
    let mut requests = client.requests.clone().ready().await.unwrap();
    let (asking, _) = requests.send_request(request("GET", "/silent?ms=1500", &token), true).unwrap();
    kit.eventually(|| kit.metric("syncgate_requests_in_flight", &[]) == 1.0).await;
    let stopped = tokio::spawn(kit.stop());
    let answer = tokio::time::timeout(Duration::from_secs(20), asking).await.unwrap().unwrap();
    assert_eq!(answer.status(), 204);
    drop((answer, requests));
    // The connection has been told, and ends without an error.
    client.ended().await.unwrap();
    stopped.await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_and_others_are_served() {
    let kit = world(|config| config.proxy.listen.write_timeout = Duration::from_secs(1)).await;
    let client = Http2::connect(&kit).await;
    let token = kit.issuer.token("alice").sign();
    let mut asked = request("POST", "/echo-body", &token);
    asked.headers_mut().insert("content-type", "application/octet-stream".parse().unwrap());
    let mut requests = client.requests.clone().ready().await.unwrap();
    let (answer, mut sending) = requests.send_request(asked, false).unwrap();
    // More than its window, which the client never enlarges.
    tokio::spawn(async move {
        let mut rest = Bytes::from(vec![0; 1_000_000]);
        while !rest.is_empty() {
            sending.reserve_capacity(rest.len());
            let Some(Ok(capacity)) = std::future::poll_fn(|task| sending.poll_capacity(task)).await else { return };
            let part = rest.split_to(capacity.min(rest.len()));
            if sending.send_data(part, rest.is_empty()).is_err() {
                return;
            }
        }
    });
    let answer = kit.within(answer).await.unwrap();
    kit.assert_metric("syncgate_connections_cut_total", &[("cause", "write_timeout")], 1.0).await;
    // On another connection: the window of this one is used up.
    let bystander = Http2::connect(&kit).await;
    assert_eq!(kit.within(bystander.ask(request("GET", "/echo", &token), "")).await.unwrap().0.status(), 200);
    let mut body = answer.into_body();
    let ended = async {
        while let Some(piece) = body.data().await {
            if let Err(error) = piece {
                return error.reason();
            }
        }
        None
    };
    assert_eq!(kit.within(ended).await, Some(Reason::CANCEL));
    kit.stop().await;
}

/// A gateway with TLS in front of something that is not the demo's backend.
async fn before(listener: &TcpListener) -> Kit {
    let port = listener.local_addr().unwrap().port();
    world(move |config| config.proxy.upstreams[0].targets = vec![syncgate::proxy::Target::new("127.0.0.1", port)]).await
}

#[tokio::test]
async fn an_upload_that_the_upstream_does_not_read_is_not_buffered() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let kit = before(&listener).await;
    let client = Http2::connect(&kit).await;
    let token = kit.issuer.token("alice").sign();
    let mut requests = client.requests.clone().ready().await.unwrap();
    let (_answer, mut sending) = requests.send_request(request("PUT", "/doc", &token), false).unwrap();
    let mut sent = 0;
    // Until nothing has moved for half a second.
    loop {
        sending.reserve_capacity(64 * 1024);
        let capacity = std::future::poll_fn(|task| sending.poll_capacity(task));
        match tokio::time::timeout(Duration::from_millis(500), capacity).await {
            Ok(capacity) => {
                let capacity = capacity.unwrap().unwrap();
                sending.send_data(Bytes::from(vec![0; capacity]), false).unwrap();
                sent += capacity;
            }
            Err(_) => break,
        }
        assert!(sent < 20_000_000, "{sent} bytes were taken for an upstream that reads nothing");
    }
    // Two windows, and what the system buffers on the way to an upstream.
    assert!(sent < 8_000_000, "{sent}");
    kit.stop().await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kit = before(&listener).await;
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await;
        }
    });
    let client = Http2::connect(&kit).await;
    let token = kit.issuer.token("alice").sign();
    let answer = kit.within(client.send(request("GET", "/doc", &token), "")).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(kit.within(end_of(answer.into_body())).await, Some(Reason::CANCEL));
    kit.assert_metric("syncgate_upstream_errors_total", &[], 1.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_connection_ends_after_its_greatest_age_and_when_it_is_idle() {
    let kit = world(|config| config.proxy.listen.http2.max_age = Some(Duration::from_secs(1))).await;
    let client = Http2::connect(&kit).await;
    let token = kit.issuer.token("alice").sign();
    assert_eq!(kit.within(client.ask(request("GET", "/echo", &token), "")).await.unwrap().0.status(), 200);
    tokio::time::timeout(Duration::from_secs(20), client.ended()).await.unwrap().unwrap();
    kit.stop().await;

    let kit = world(|config| config.proxy.listen.keepalive_timeout = Duration::from_secs(1)).await;
    let client = Http2::connect(&kit).await;
    // A handle that asks for nothing keeps it open from this side.
    let _idle = client.requests.clone();
    let ended = tokio::time::timeout(Duration::from_secs(20), client.ended()).await.unwrap();
    // Nothing is wrong but that there is nobody any more.
    assert!(ended.is_ok() || ended.as_ref().is_err_and(h2::Error::is_io), "{ended:?}");
    kit.assert_metric("syncgate_connections", &[], 0.0).await;
    kit.stop().await;
}
