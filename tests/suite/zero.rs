//! Rocicorp Zero: a token in the encoded subprotocol, and a user in the query that must be the token's.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    kit::{Answer, Kit, UPGRADE, send},
    recorder::{Recorder, Request, claims_of, gateway_of},
};

/// What Zero's client offers as subprotocol.
pub fn zero(token: &str) -> String {
    let json = format!("{{\"initConnectionMessage\":[\"initConnection\",{{\"x\":\"\u{e9}~\"}}],\"authToken\":\"{token}\"}}");
    STANDARD.encode(json).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

/// The token that Zero's server finds.
pub fn zero_token(request: &Request) -> String {
    let value = request.header("sec-websocket-protocol").unwrap();
    let base64 = value.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
    let json: Value = serde_json::from_slice(&STANDARD.decode(base64).unwrap()).unwrap();
    assert_eq!(json["initConnectionMessage"][1]["x"], "\u{e9}~");
    json["authToken"].as_str().unwrap().to_owned()
}

/// Opens a socket as Zero's client does, with this query.
async fn connect(kit: &Kit, query: &str, offered: &str) -> Answer {
    send(kit, "GET", &format!("/sync/v28/connect?{query}"), &[UPGRADE, &format!("Sec-WebSocket-Protocol: {offered}")]).await
}

#[tokio::test]
async fn the_client_gets_back_what_it_offered() {
    let recorder = Recorder::socket(|request| request.header("sec-websocket-protocol").map(str::to_owned)).await;
    let kit = gateway_of(recorder.address, json!({ "routes": { "preset": "zero" } })).await;
    let offered = zero(&kit.issuer.token("alice").sign());
    let query = format!("clientGroupID=g&userID={}&wsid=w", kit.issuer.user_id("alice"));
    let answer = connect(&kit, &query, &offered).await;
    assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, Some(offered.as_str())));
    let received = recorder.last();
    assert_eq!(received.target(), format!("/sync/v28/connect?{query}"));
    assert_eq!(claims_of(&kit, &zero_token(&received))["sub"], kit.issuer.user_id("alice"));
    kit.stop().await;
}

#[tokio::test]
async fn a_socket_for_another_user_is_refused() {
    let recorder = Recorder::socket(|request| request.header("sec-websocket-protocol").map(str::to_owned)).await;
    // The user is compared with what is minted, not with what the client's token says.
    let file = json!({
        "routes": { "preset": "zero" },
        "mint": { "preset": "zero", "claims": { "sub": "contoso|${user_id}" } },
    });
    let kit = gateway_of(recorder.address, file).await;
    let (alice, bob) = (kit.issuer.user_id("alice"), kit.issuer.user_id("bob"));
    let offered = zero(&kit.issuer.token("alice").sign());
    for query in [
        format!("userID=contoso|{bob}"),
        format!("userID={alice}"),
        format!("userID=contoso|{alice}&userID=contoso|{bob}"),
        format!("userID=contoso|{alice}&userid=contoso|{bob}"),
        "userID=".to_owned(),
        "clientID=c".to_owned(),
    ] {
        let answer = connect(&kit, &query, &offered).await;
        assert_eq!(answer.status, 403, "{query}");
        assert!(answer.text().contains("\"error\":\"wrong_user\""), "{}", answer.text());
        assert!(answer.header("www-authenticate").is_none(), "another token would change nothing");
    }
    assert_eq!(recorder.count(), 0);
    kit.assert_metric("syncgate_rejections_total", &[("reason", "wrong_user")], 6.0).await;
    assert_eq!(connect(&kit, &format!("userID=contoso%7C{alice}"), &offered).await.status, 101);
    // A token that is invalid is the backend's to refuse, whoever is named.
    assert_eq!(connect(&kit, "userID=bob", &zero("a.b.c")).await.status, 101);
    kit.stop().await;
}
