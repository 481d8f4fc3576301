//! How requests end whose token, or its key, ends before they do.

use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{kit::Kit, recorder::gateway_of};

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
    // Nothing to send; a body that was sent; uploads that are under way.
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
    let answer = kit
        .raw(
            format!("GET /live HTTP/1.1\r\nHost: gateway\r\n{}\r\nAuthorization: Bearer {token}\r\n\r\n", crate::places::UPGRADE)
                .as_bytes(),
        )
        .await;
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
