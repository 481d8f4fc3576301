//! Header fields that are between a client and the gateway, and go no further.

use crate::{
    kit::{Kit, SOCKET_KEY, gateway_before},
    recorder::Recorder,
};

/// The beginning of a request of alice.
fn head(kit: &Kit, request: &str) -> String {
    let token = kit.issuer.token("alice").sign();
    format!("{request} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\nX-Custom: kept\r\n")
}

#[tokio::test]
async fn what_is_hop_by_hop_goes_no_further() {
    let kit = Kit::start().await;
    let head = head(&kit, "POST /echo-body");
    let fields = "X-Private: gone\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nTrailer: x-checksum\r\nUpgrade: h2c\r\nHTTP2-Settings: gone\r\n\
                  Proxy-Authorization: Basic gone\r\nProxy_Authorization: gone\r\nProxy-Authenticate: gone\r\nProxy-Connection: keep-alive\r\n\
                  Transfer-Encoding: chunked\r\n";
    let answer = kit.raw(format!("{head}Connection: X-Private\r\n{fields}\r\n3\r\nabc\r\n0\r\n\r\n").as_bytes()).await;
    assert_eq!(answer.status, 200);
    let received = kit.backend.received().pop().unwrap();
    assert!(!received.contains("gone"), "{received:?}");
    for name in ["connection", "keep-alive", "te", "trailer", "upgrade", "proxy-connection"] {
        assert_eq!(received.header(name), None, "{name}");
    }
    // How the body is framed is said again.
    assert_eq!((received.header("transfer-encoding"), received.header("x-custom")), (Some("chunked"), Some("kept")));
    kit.stop().await;
}

#[tokio::test]
async fn a_connection_header_takes_away_only_what_is_its_own() {
    let kit = Kit::start().await;
    let head = head(&kit, "POST /echo-body");
    // With the length a body would be lost, with the others what a proxy in front has written, or what a page may not leave out.
    for malformed in [
        "content-length",
        "authorization",
        "X-Real-IP",
        "close, Forwarded",
        "x-request-id",
        "origin",
        "cookie",
        "sec-websocket-key",
    ] {
        let fields = format!("{malformed}: 3\r\n").replace("close, ", "");
        let fields = if fields.starts_with("auth") { String::new() } else { fields };
        let answer = kit.raw(format!("{head}Connection: {malformed}\r\n{fields}\r\nabc").as_bytes()).await;
        assert_eq!(answer.status, 400, "{malformed}");
    }
    for malformed in ["host", "x-forwarded-for", "\"x-private\"", ":authority", "a b", "a,b,c,d,e,f,g,h,i,j"] {
        let answer = kit.raw(format!("{head}Connection: {malformed}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
        assert_eq!(answer.status, 400, "{malformed}");
    }
    assert_eq!(kit.backend.received().len(), 0);
    kit.stop().await;
}

#[tokio::test]
async fn an_upgrade_with_a_body_is_an_ordinary_request() {
    let recorder = Recorder::silent().await;
    let kit = gateway_before(recorder.address, |_| {}).await;
    let head = head(&kit, "GET /live");
    let request = format!("{head}Connection: Upgrade\r\nUpgrade: websocket\r\n{SOCKET_KEY}\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(kit.raw(request.as_bytes()).await.status, 204);
    let received = recorder.last();
    assert_eq!((received.header("upgrade"), received.header("connection")), (None, None));
    assert_eq!((received.header("content-length"), received.body.as_str()), (Some("3"), "abc"));
    kit.stop().await;
}

#[tokio::test]
async fn of_a_handshake_only_the_upgrade_goes_on() {
    let recorder = Recorder::socket(|_| None).await;
    let kit = gateway_before(recorder.address, |_| {}).await;
    let head = head(&kit, "GET /live");
    let fields =
        "TE: trailers\r\nKeep-Alive: timeout=5\r\nProxy-Authorization: Basic gone\r\nX-Private: gone\r\nContent-Length: 0\r\n";
    let mut client = kit.connect().await;
    let request = format!("{head}Connection: keep-alive, Upgrade, X-Private\r\nUpgrade: WebSocket\r\n{SOCKET_KEY}\r\n{fields}\r\n");
    client.write(request.as_bytes()).await;
    kit.within(client.read_until("101 Switching Protocols")).await;
    let received = recorder.last();
    assert_eq!((received.header("connection"), received.header("upgrade")), (Some("Upgrade"), Some("websocket")));
    assert!(!received.contains("gone"), "{received:?}");
    for name in ["te", "keep-alive", "content-length"] {
        assert_eq!(received.header(name), None, "{name}");
    }
    assert!(received.header("sec-websocket-key").is_some() && received.header("x-custom") == Some("kept"), "{received:?}");

    let request = format!("{head}Connection: Upgrade, host\r\nUpgrade: websocket\r\n{SOCKET_KEY}\r\n\r\n");
    assert_eq!(kit.raw(request.as_bytes()).await.status, 400);
    assert_eq!(recorder.count(), 1);
    drop(client);
    kit.stop().await;
}
