//! TLS with clients: handshakes, plain HTTP on the port, connections that say nothing, WebSockets.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::{client_async, tungstenite::client::IntoClientRequest as _};

use syncgate::{
    certificate::{ClientMode, ClientRules},
    proxy::ListenerSettings,
};

use crate::{
    http2::client::{connect, trusting, world},
    kit::{Kit, Raw},
};

async fn secure(kit: &Kit) -> Raw {
    Raw::over(connect(kit.tls_address().unwrap(), trusting(kit, &[b"http/1.1"])).await)
}

fn get(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn requests_follow_each_other_on_one_connection() {
    let kit = world(|_| {}).await;
    let token = kit.issuer.token("alice").sign();
    let mut client = secure(&kit).await;
    for _ in 0..3 {
        client.write(&get("/echo", &token)).await;
        assert_eq!(kit.within(client.answer()).await.unwrap().status, 200);
    }
    // Two at once.
    client.write(&[get("/echo", &token), get("/status/418", &token)].concat()).await;
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 200);
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 418);
    // And a header in three pieces.
    let request = get("/echo", &token);
    for piece in request.chunks(request.len() / 3 + 1) {
        client.write(piece).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 200);
    kit.assert_metric("syncgate_tls_handshakes_total", &[("version", "1.3"), ("kind", "full")], 1.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_websocket_goes_both_ways_and_says_goodbye() {
    let kit = world(|config| config.issuers[0].rules.leeway = Duration::ZERO).await;
    let token = kit.issuer.token("alice").expires_in(3).sign();
    let stream = connect(kit.tls_address().unwrap(), trusting(&kit, &[b"http/1.1"])).await;
    let mut request = "wss://localhost/live".into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let (mut socket, answer) = kit.within(client_async(request, stream)).await.unwrap();
    assert_eq!(answer.status(), 101);
    socket.send(tokio_tungstenite::tungstenite::Message::Ping("alive".into())).await.unwrap();
    let pong = async {
        while let Some(message) = socket.next().await {
            if message.unwrap().is_pong() {
                return true;
            }
        }
        false
    };
    assert!(kit.within(pong).await);
    // Its token ends.
    let closed = async {
        while let Some(message) = socket.next().await {
            if let Ok(tokio_tungstenite::tungstenite::Message::Close(close)) = message {
                return close.map(|close| u16::from(close.code));
            }
        }
        None
    };
    assert!(kit.within(closed).await.is_some());
    kit.stop().await;
}

#[tokio::test]
async fn plain_http_is_told_that_the_port_speaks_https() {
    let kit = world(|_| {}).await;
    let token = kit.issuer.token("alice").sign();
    let mut client = Raw::connect(kit.tls_address().unwrap()).await;
    client.write(&get("/echo", &token)).await;
    let answer = kit.within(client.answer()).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (400, &b"This port speaks HTTPS, not HTTP.\n"[..]));
    assert_eq!(kit.within(client.read_to_end()).await, b"");
    let mut client = Raw::connect(kit.tls_address().unwrap()).await;
    client.write(b"\x00\x01\x02\x03").await;
    assert_eq!(kit.within(client.read_to_end()).await, b"");
    kit.assert_metric("syncgate_tls_handshake_failures_total", &[("reason", "plain_http")], 1.0).await;
    kit.assert_metric("syncgate_tls_handshake_failures_total", &[("reason", "malformed")], 1.0).await;
    // What was refused reached nobody.
    kit.assert_metric("syncgate_requests_total", &[], 0.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn who_does_not_begin_or_leaves_in_the_middle_costs_nothing_for_long() {
    let kit = world(|config| {
        config.proxy.listen.listeners[1].tls.as_mut().unwrap().handshake_timeout = Duration::from_secs(1);
    })
    .await;
    let address = kit.tls_address().unwrap();
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(Raw::connect(address).await);
    }
    let mut half = Raw::connect(address).await;
    half.write(&[22, 3, 1, 2, 0, 1, 0, 1]).await;
    kit.eventually(|| kit.metric("syncgate_tls_unfinished_handshakes", &[]) == 51.0).await;
    drop(TcpStream::connect(address).await.unwrap());
    let mut client = secure(&kit).await;
    client.write(&get("/echo", &kit.issuer.token("alice").sign())).await;
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 200);
    for mut client in silent.into_iter().chain([half]) {
        kit.within(client.read_to_end()).await;
    }
    kit.assert_metric("syncgate_tls_handshake_failures_total", &[("reason", "timeout")], 51.0).await;
    kit.assert_metric("syncgate_tls_handshake_failures_total", &[("reason", "closed")], 1.0).await;
    kit.assert_metric("syncgate_tls_unfinished_handshakes", &[], 0.0).await;
    kit.assert_metric("syncgate_connections", &[], 1.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_thousand_that_say_nothing_keep_nobody_out() {
    let kit = world(|_| {}).await;
    let address = kit.tls_address().unwrap();
    let mut silent = Vec::new();
    for _ in 0..1_050 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    kit.assert_metric("syncgate_tls_handshake_failures_total", &[("reason", "displaced")], 50.0).await;
    let mut client = secure(&kit).await;
    client.write(&get("/echo", &kit.issuer.token("alice").sign())).await;
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 200);
    kit.assert_metric("syncgate_tls_unfinished_handshakes", &[], 999.0).await;
    drop(silent);
    kit.assert_metric("syncgate_tls_unfinished_handshakes", &[], 0.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_client_that_says_goodbye_in_the_middle_of_a_request_has_left() {
    use tokio::io::AsyncWriteExt as _;
    let kit = world(|_| {}).await;
    let token = kit.issuer.token("alice").sign();
    for path in ["/silent?ms=600000", "/changes?feed=continuous"] {
        let mut stream = connect(kit.tls_address().unwrap(), trusting(&kit, &[b"http/1.1"])).await;
        stream.write_all(&get(path, &token)).await.unwrap();
        stream.flush().await.unwrap();
        kit.eventually(|| kit.metric("syncgate_requests_in_flight", &[]) == 1.0).await;
        stream.shutdown().await.unwrap();
        kit.assert_metric("syncgate_requests_in_flight", &[], 0.0).await;
    }
    kit.stop().await;
}

#[tokio::test]
async fn an_idle_connection_gives_way() {
    let kit = world(|config| config.proxy.listen.max_connections = 3).await;
    let token = kit.issuer.token("alice").sign();
    let mut clients = Vec::new();
    for _ in 0..6 {
        let mut client = secure(&kit).await;
        client.write(&get("/echo", &token)).await;
        assert_eq!(kit.within(client.answer()).await.unwrap().status, 200);
        clients.push(client);
    }
    kit.within(clients[0].read_to_end()).await;
    kit.assert_metric("syncgate_connections_cut_total", &[("cause", "displaced")], 3.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_body_of_any_length_comes_whole() {
    let kit = world(|_| {}).await;
    let token = kit.issuer.token("alice").sign();
    for length in [0, 1, 4_095, 4_096, 16_384, 1_000_000] {
        let mut client = secure(&kit).await;
        let body: Vec<u8> = (0..length).map(|number: u32| number.to_le_bytes()[0]).collect();
        let head = format!(
            "POST /echo-body HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        client.write(&[head.as_bytes(), &body].concat()).await;
        let answer = kit.within(client.read_to_end()).await;
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(200)]).into_owned();
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{shown}");
        assert!(answer.len() >= body.len(), "{length}: {shown}");
    }
    kit.stop().await;
}

/// A third listener, which sends clients on, and what it answers.
async fn sent_on(kit: &Kit, request: &str) -> crate::kit::Answer {
    let mut client = Raw::connect(kit.gateway.addresses()[2]).await;
    client.write(request.as_bytes()).await;
    kit.within(client.answer()).await.unwrap()
}

#[tokio::test]
async fn a_listener_that_redirects_sends_on_to_hosts_with_a_certificate_and_forwards_nothing() {
    for (port, shown) in [(443, ""), (8443, ":8443")] {
        let kit = world(move |config| {
            let address = "127.0.0.1:0".parse().unwrap();
            let listener = ListenerSettings { redirect_port: Some(port), ..ListenerSettings::at(address) };
            config.proxy.listen.listeners.push(listener);
        })
        .await;
        let token = kit.issuer.token("alice").sign();
        let ask = |method: &str, target: &str, host: &str| {
            format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n")
        };
        for (target, host, location) in [
            ("/echo?a=%20b", "localhost", format!("https://localhost{shown}/echo?a=%20b")),
            ("/", "LOCALHOST:8080", format!("https://localhost{shown}/")),
            ("//other.contoso.com/", "localhost.", format!("https://localhost{shown}//other.contoso.com/")),
            ("/a", "127.0.0.1:1", format!("https://127.0.0.1{shown}/a")),
            ("/a", "[::1]", format!("https://[::1]{shown}/a")),
        ] {
            let answer = sent_on(&kit, &ask("GET", target, host)).await;
            assert_eq!((answer.status, answer.header("location")), (308, Some(location.as_str())), "{host}{target}");
        }
        for (target, host, status) in [("/", "contoso.com", 421), ("/", "localhost@contoso.com", 400), ("x", "localhost", 400)] {
            let answer = sent_on(&kit, &ask("GET", target, host)).await;
            assert_eq!((answer.status, answer.header("location")), (status, None), "{host}{target}");
        }
        assert_eq!(kit.backend.received_count(), 0);
        kit.stop().await;
    }
}

#[tokio::test]
async fn a_host_with_other_rules_for_client_certificates_needs_a_connection_of_its_own() {
    let kit = world(|config| {
        let tls = config.proxy.listen.listeners[1].tls.as_mut().unwrap();
        let ca_file = Some(tls.certificates[0].chain.with_file_name("authority.pem"));
        let strict = ClientRules { mode: ClientMode::Required, ca_file, ..ClientRules::default() };
        tls.client_certificates.names = vec![("strict.contoso.com".to_owned(), strict)];
    })
    .await;
    let token = kit.issuer.token("alice").sign();
    for (host, status) in [("localhost", 200), ("LOCALHOST:1", 200), ("contoso.com", 200), ("strict.contoso.com", 421)] {
        let mut client = secure(&kit).await;
        client.write(format!("GET /echo HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes()).await;
        assert_eq!(kit.within(client.answer()).await.unwrap().status, status, "{host}");
    }
    kit.assert_metric("syncgate_rejections_total", &[("reason", "misdirected")], 1.0).await;
    kit.stop().await;
}
