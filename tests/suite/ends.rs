//! How requests end whose token, or its key, ends before they do.

use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    kit::{Kit, UPGRADE, handshake},
    recorder::gateway_of,
};

/// A gateway for CouchDB's clients and one page, in front of a backend that takes connections and never answers.
async fn before_silence() -> (Kit, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let route = json!({ "preset": "couchdb", "allowed_origins": ["https://app.contoso.com"], "cors": {} });
    (gateway_of(listener.local_addr().unwrap(), json!({ "routes": [route] })).await, listener)
}

#[tokio::test]
async fn a_request_whose_token_ends_before_it_is_answered_is_refused() {
    let (kit, _listener) = before_silence().await;
    let token = kit.issuer.token("alice").expires_in(2).sign();
    let head = |line: &str, more: &str| {
        format!(
            "{line} HTTP/1.1\r\nHost: gateway\r\nOrigin: https://app.contoso.com\r\nAuthorization: Bearer {token}\r\n{more}\r\n"
        )
    };
    // Nothing to send; a body that was sent; uploads that are in progress.
    let mut clients = Vec::new();
    for request in [
        head("GET /db/_changes", ""),
        head("POST /order", "Content-Length: 2\r\n") + "{}",
        head("PUT /db/doc", "Content-Length: 1000000\r\n") + "{\"some\":",
        head("PUT /db/doc", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n",
    ] {
        let mut client = kit.connect().await;
        client.write(request.as_bytes()).await;
        clients.push(client);
    }
    kit.eventually(|| kit.metric("syncgate_requests_in_flight", &[]) == 4.0).await;
    for client in &mut clients {
        let answer = kit.within(client.answer()).await.expect("no answer");
        assert_eq!(answer.status, 401, "{}", answer.text());
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.contains(r#"error="invalid_token""#), "{challenge}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.contoso.com"));
        assert_eq!(serde_json::from_slice::<Value>(&answer.body).unwrap()["error"], "token_expired");
        assert_eq!(answer.header("connection"), Some("close"));
    }
    // Whoever still sends is heard out, and then the connection is closed.
    for mut client in clients {
        client.try_write(b"more of it").await;
        kit.within(client.read_to_end()).await;
    }
    kit.assert_metric("syncgate_requests_in_flight", &[], 0.0).await;
    kit.assert_metric("syncgate_connections_cut_total", &[("cause", "token_end")], 4.0).await;
    kit.assert_metric("syncgate_requests_total", &[("code", "401"), ("source", "gateway")], 4.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_handshake_whose_token_ends_is_refused() {
    let (kit, _listener) = before_silence().await;
    let token = kit.issuer.token("alice").expires_in(2).sign();
    let answer = kit.raw(handshake(&token).as_bytes()).await;
    assert_eq!(answer.status, 401, "{}", answer.text());
    kit.stop().await;
}

#[tokio::test]
async fn a_request_whose_key_is_purged_before_it_is_answered_is_refused() {
    let kit = Kit::start().await;
    let old = kit.issuer.signing_key();
    let new = kit.issuer.rotate().await.unwrap();
    kit.assert_serves_key(&new).await;
    let token = kit.issuer.token("alice").header("kid", old.kid()).signed_by(&old).sign();
    let mut client = kit.connect().await;
    client
        .write(format!("GET /silent?ms=60000 HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes())
        .await;
    kit.eventually(|| kit.metric("syncgate_requests_in_flight", &[]) == 1.0).await;
    let mut config = kit.gateway.config();
    config.issuers[0].jwks.deny_kids = vec![old.kid().to_owned()];
    kit.gateway.reload(Ok(config)).unwrap();
    let answer = kit.within(client.answer()).await.expect("no answer");
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert!(answer.header("www-authenticate").unwrap().contains("invalid_token"));
    kit.assert_metric("syncgate_connections_cut_total", &[("cause", "key_untrusted")], 1.0).await;
    kit.stop().await;
}

/// The code and the reason of the Close that a socket with this subprotocol ends with, and why it did by the log's own count.
async fn close_of(kit: &Kit, protocol: Option<&str>, token: &str) -> (u16, String) {
    use futures_util::StreamExt as _;
    use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};
    let mut request = kit.socket_url("/live").into_client_request().unwrap();
    request.headers_mut().insert("Authorization", format!("Bearer {token}").parse().unwrap());
    if let Some(protocol) = protocol {
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol.parse().unwrap());
    }
    let (mut socket, _) = kit.within(tokio_tungstenite::connect_async(request)).await.unwrap();
    loop {
        if let Message::Close(close) = kit.within(socket.next()).await.unwrap().unwrap() {
            let close = close.expect("a Close without a code");
            return (close.code.into(), close.reason.to_string());
        }
    }
}

/// Chooses the first subprotocol, and leaves the socket open.
async fn sockets() -> crate::recorder::Recorder {
    crate::recorder::Recorder::socket(|request| Some(request.header("sec-websocket-protocol")?.split(',').next()?.to_owned())).await
}

#[tokio::test]
async fn a_socket_is_closed_with_the_code_that_its_client_comes_back_from() {
    let recorder = sockets().await;
    let routes = json!([{ "name": "live" }]);
    let own = json!([{ "name": "live", "close_codes": { "token_end": 4001, "max_age": "1012" } }]);
    for (routes, max_age, expected) in [
        (&routes, None, [(1008, "token expired"), (4403, "token expired")]),
        (&routes, Some(1), [(1001, "connected for too long"); 2]),
        (&own, None, [(4001, "token expired"); 2]),
        (&own, Some(1), [(1012, "connected for too long"); 2]),
    ] {
        let routes = crate::recorder::routes(routes.clone());
        let kit = crate::kit::gateway_before(recorder.address, move |config| {
            config.proxy.routes = routes;
            config.proxy.listen.max_stream_age = max_age.map(std::time::Duration::from_secs);
            config.issuers[0].rules.leeway = std::time::Duration::ZERO;
        })
        .await;
        let protocols = [Some("v1.contoso"), Some("graphql-transport-ws, v2")];
        for (protocol, (code, reason)) in protocols.into_iter().zip(expected) {
            let token = kit.issuer.token("alice").expires_in(3).sign();
            assert_eq!(close_of(&kit, protocol, &token).await, (code, reason.to_owned()), "{protocol:?}");
        }
        let cause = if max_age.is_some() { "max_age" } else { "token_end" };
        kit.assert_metric("syncgate_websockets_ended_total", &[("cause", cause)], 2.0).await;
        kit.stop().await;
    }
}

#[tokio::test]
async fn a_client_hears_at_once_that_its_backend_broke_off() {
    for (protocol, code) in [(None, 1011), (Some("graphql-transport-ws"), 1014)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let kit = gateway_of(listener.local_addr().unwrap(), json!({ "routes": [{ "name": "live" }] })).await;
        let backend = tokio::spawn(async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let chosen = protocol.map(|protocol| format!("Sec-WebSocket-Protocol: {protocol}\r\n")).unwrap_or_default();
            let head = String::from_utf8(head).unwrap();
            stream.write_all(crate::recorder::switch(&head, &chosen).as_bytes()).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
            std::time::Instant::now()
        });
        let token = kit.issuer.token("alice").sign();
        let mut client = kit.connect().await;
        let offered = protocol.map(|protocol| format!("Sec-WebSocket-Protocol: {protocol}\r\n")).unwrap_or_default();
        let head = format!("GET /live HTTP/1.1\r\nHost: gateway\r\n{UPGRADE}\r\n{offered}Authorization: Bearer {token}\r\n\r\n");
        client.write(head.as_bytes()).await;
        kit.within(client.read_until("101 Switching")).await;
        kit.within(client.read_until("\r\n\r\n")).await;
        let heard = kit.within(client.read_to_end()).await;
        let broke_off = backend.await.unwrap();
        assert!(broke_off.elapsed() < std::time::Duration::from_secs(1), "{:?}", broke_off.elapsed());
        assert_eq!((heard[0], u16::from_be_bytes([heard[2], heard[3]])), (0x88, code), "{heard:?}");
        drop(client);
        kit.assert_metric("syncgate_websockets_ended_total", &[("cause", "upstream_reset")], 1.0).await;
        kit.stop().await;
    }
}

#[tokio::test]
async fn each_end_of_a_socket_has_a_cause() {
    let ended = async |kit: &Kit, cause: &str| kit.assert_metric("syncgate_websockets_ended_total", &[("cause", cause)], 1.0).await;
    let kit = Kit::start().await;
    let token = kit.issuer.token("alice").sign();
    // A Close of the client's, which the backend answers; no Close; a reset.
    let mut client = kit.socket(&token).await;
    client.write(&[0x88, 0x82, 0, 0, 0, 0, 3, 0xe8]).await;
    kit.within(client.read_to_end()).await;
    ended(&kit, "client_closed").await;
    drop(kit.socket(&token).await);
    ended(&kit, "client_ended").await;
    kit.assert_metric("syncgate_websockets_ended_total", &[], 2.0).await;
    assert_eq!(kit.metric("syncgate_connections_cut_total", &[]), 0.0);
    kit.stop().await;
}
