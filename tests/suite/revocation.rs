//! A key that is no longer trusted takes with it what it has let in: sockets and feeds, whatever their token says.

use futures_util::StreamExt as _;
use serde_json::json;
use syncgate::{demo::DemoKey, jwks::KeySource};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};

use crate::{
    key_admin::{calm, purge},
    kit::{Kit, Raw},
    recorder::{Recorder, gateway_with},
};

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// A token that this key signed.
fn token(kit: &Kit, key: &DemoKey) -> String {
    kit.issuer.token("alice").header("kid", key.kid()).signed_by(key).sign()
}

async fn socket(kit: &Kit, token: &str) -> Socket {
    let mut request = kit.socket_url("/live").into_client_request().unwrap();
    request.headers_mut().insert("Authorization", format!("Bearer {token}").parse().unwrap());
    kit.within(tokio_tungstenite::connect_async(request)).await.unwrap().0
}

async fn feed(kit: &Kit, token: &str) -> Raw {
    let mut client = kit.connect().await;
    let request = format!("GET /changes?feed=continuous HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n");
    client.write(request.as_bytes()).await;
    kit.within(client.read_until("200 OK")).await;
    client
}

async fn assert_told(kit: &Kit, socket: &mut Socket) {
    let Message::Close(Some(close)) = kit.within(socket.next()).await.unwrap().unwrap() else { panic!("no Close") };
    assert_eq!((u16::from(close.code), close.reason.as_str()), (1008, "key no longer trusted"));
}

#[tokio::test]
async fn sockets_and_feeds_end_with_the_key_behind_them_and_others_stay() {
    let kit = calm().await;
    let (old, new) = (kit.issuer.signing_key(), kit.issuer.rotate().await.unwrap());
    kit.assert_serves_key(&new).await;
    let (mut ending, mut ending_feed) = (socket(&kit, &token(&kit, &old)).await, feed(&kit, &token(&kit, &old)).await);
    let (mut staying, mut staying_feed) = (socket(&kit, &token(&kit, &new)).await, feed(&kit, &token(&kit, &new)).await);

    purge(&kit, old.kid()).await;
    assert_told(&kit, &mut ending).await;
    let rest = kit.within(ending_feed.read_to_end()).await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "the feed looks complete");
    kit.eventually(|| kit.metric("syncgate_connections_cut_total", &[("cause", "key_untrusted")]) == 2.0).await;

    // The others carry on, and end with their own key.
    kit.assert_metric("syncgate_websocket_connections", &[], 1.0).await;
    let mut writer = kit.connect().await;
    let document = format!(
        "PUT /docs/after HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}",
        token(&kit, &new)
    );
    writer.write(document.as_bytes()).await;
    kit.within(staying_feed.read_until("after")).await;
    kit.within(async { while !matches!(staying.next().await, Some(Ok(Message::Text(_)))) {} }).await;
    purge(&kit, new.kid()).await;
    assert_told(&kit, &mut staying).await;
    assert!(!kit.within(staying_feed.read_to_end()).await.ends_with(b"0\r\n\r\n"));
    kit.eventually(|| kit.metric("syncgate_connections_cut_total", &[("cause", "key_untrusted")]) == 4.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_connection_that_serves_on_is_not_cut_for_what_it_served_before() {
    let kit = calm().await;
    let (old, new) = (kit.issuer.signing_key(), kit.issuer.rotate().await.unwrap());
    let mut client = kit.connect().await;
    let request = |token: &str| format!("GET /echo HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n");
    client.write(request(&token(&kit, &old)).as_bytes()).await;
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 200);
    let mut watched = socket(&kit, &token(&kit, &old)).await;
    purge(&kit, old.kid()).await;
    assert_told(&kit, &mut watched).await;
    client.write(request(&token(&kit, &new)).as_bytes()).await;
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 200);
    kit.stop().await;
}

#[tokio::test]
async fn a_reload_that_denies_a_key_ends_its_sockets_and_no_others() {
    let kit = calm().await;
    let (old, new) = (kit.issuer.signing_key(), kit.issuer.rotate().await.unwrap());
    kit.assert_serves_key(&new).await;
    let mut ending = socket(&kit, &token(&kit, &old)).await;
    let mut staying = socket(&kit, &token(&kit, &new)).await;
    let mut config = kit.gateway.config();
    config.issuers[0].jwks.deny_kids = vec![old.kid().to_owned()];
    // Another rule changes as well: what was let in under the old one stays.
    config.issuers[0].rules.leeway += std::time::Duration::from_secs(1);
    kit.gateway.reload(Ok(config)).unwrap();
    assert_told(&kit, &mut ending).await;
    assert!(tokio::time::timeout(std::time::Duration::from_secs(1), staying.next()).await.is_err());
    kit.stop().await;
}

#[tokio::test]
async fn a_key_that_is_denied_by_its_thumbprint_is_refused_for_good() {
    let key = DemoKey::shared(3).unwrap();
    let jwk = json!({ "kty": "RSA", "use": "sig", "kid": "contoso-1", "n": key.modulus(), "e": key.exponent() });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    std::fs::write(&file, json!({ "keys": [jwk] }).to_string()).unwrap();
    let kit = Kit::start_with(move |config| config.issuers[0].jwks.sources.push(KeySource::File(file))).await;
    let token = |user: &str| kit.issuer.token(user).header("kid", "contoso-1").signed_by(&key).sign();
    assert_eq!(kit.get("/echo", &token("alice")).await.status(), 200);

    let mut config = kit.gateway.config();
    // The name of a demo key is its thumbprint.
    config.issuers[0].jwks.deny_kids = vec![key.kid().to_owned()];
    config.issuers[0].jwks.refresh = std::time::Duration::from_secs(3_600);
    kit.gateway.reload(Ok(config)).unwrap();
    for user in ["alice", "bob"] {
        assert_eq!(kit.get("/echo", &token(user)).await.status(), 401, "the key is there, so nothing is waited for");
    }
    kit.assert_metric("syncgate_rejections_total", &[("reason", "unknown_key")], 2.0).await;
    assert_eq!(kit.metric("syncgate_jwks_refresh_total", &[("trigger", "unknown_kid")]), 0.0);
    // Whoever only says that it is this key proves nothing: the provider may have another one of that name by now.
    let made_up = kit.issuer.token("mallory").header("kid", "contoso-1").signature([1; 256]).sign();
    assert_eq!(kit.get("/echo", &made_up).await.status(), 503);
    kit.stop().await;
}

#[tokio::test]
async fn no_feed_outlives_a_purge_however_it_began() {
    let kit = calm().await;
    let (old, new) = (kit.issuer.signing_key(), kit.issuer.rotate().await.unwrap());
    kit.assert_serves_key(&new).await;
    // Each has a user token of its own minted, so that some wait for their signature when the key goes.
    let feed = async |number: usize| {
        let token = kit.issuer.token(&format!("user {number}")).header("kid", old.kid()).signed_by(&old).sign();
        let mut client = kit.connect().await;
        let request = format!("GET /changes?feed=continuous HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n");
        client.write(request.as_bytes()).await;
        tokio::time::timeout(std::time::Duration::from_secs(15), client.read_until_ended_or("HTTP/1.1 401")).await.is_ok()
    };
    let purging = async {
        kit.eventually(|| kit.metric("syncgate_requests_in_flight", &[]) >= 20.0).await;
        purge(&kit, old.kid()).await;
    };
    let (ended, ()) = tokio::join!(futures_util::future::join_all((0..100).map(feed)), purging);
    assert_eq!(ended.iter().filter(|ended| **ended).count(), 100, "feeds live on");
    kit.stop().await;
}

#[tokio::test]
async fn a_request_that_waits_through_a_reload_is_judged_by_its_outcome() {
    let recorder = Recorder::socket(|_| None).await;
    let body = json!({ "in": { "body": "data", "member": "provider", "exchange": ["jwt"] } });
    let kit = gateway_with(&recorder, json!([{ "name": "login", "path": "/auth", "token": body }, { "name": "live" }])).await;
    let key = kit.issuer.signing_key();
    let mut watched = kit.socket(&token(&kit, &key)).await;
    let login = json!({ "provider": "jwt", "data": token(&kit, &key) }).to_string();
    let mut client = kit.connect().await;
    let head = format!(
        "POST /auth HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        login.len()
    );
    client.write(head.as_bytes()).await;
    kit.eventually(|| kit.metric("syncgate_requests_in_flight", &[]) == 2.0).await;

    let mut config = kit.gateway.config();
    config.issuers[0].jwks.deny_kids = vec![key.kid().to_owned()];
    kit.gateway.reload(Ok(config)).unwrap();
    // By now every connection was told.
    kit.within(watched.read_until("key no longer trusted")).await;
    client.write(login.as_bytes()).await;
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 401);
    assert_eq!(recorder.count(), 1, "the socket alone was forwarded");
    kit.stop().await;
}
