//! Sync backends and their clients, from npm.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{Script, node};
use crate::{
    kit::{Kit, gateway_before},
    recorder::config,
};

/// Runs a client against a backend through a gateway with this preset. What the client found.
async fn meet(preset: &'static str, server: &str, client: &str) -> (Value, Kit) {
    let mut server = Script::node(server);
    let port = u16::try_from(server.hears("port").await.as_u64().unwrap()).unwrap();
    let settings = config(json!({ "routes": { "preset": preset } }));
    let kit = gateway_before(([127, 0, 0, 1], port).into(), move |config| {
        config.proxy.routes = settings.proxy.routes;
        config.profiles = settings.profiles;
        config.issuers[0].rules.leeway = Duration::ZERO;
    })
    .await;
    server.tell(&json!({ "key": kit.pinned_key_pem })).await;
    server.hears("ready").await;
    let mut client = Script::node(client);
    // Its life begins when the client has loaded.
    client.hears("ready").await;
    let life = 10;
    let expires_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(life);
    let token = |user: &str| kit.issuer.token(user);
    client
        .tell(&json!({
            "gateway": kit.url(""),
            "good": token("alice").sign(),
            "another": token("alice").expires_in(1_800).sign(),
            "short": token("alice").expires_in(i64::try_from(life).unwrap()).sign(),
            "forged": token("alice").signature([1; 256]).sign(),
            "expiresAt": u64::try_from(expires_at.as_millis()).unwrap(),
        }))
        .await;
    let found = client.hears("result").await;
    (found, kit)
}

#[tokio::test]
async fn pouchdb_replicates_live_and_outlives_its_token() {
    if !node().await {
        return;
    }
    let (found, kit) = meet("couchdb", "couchdb-server.mjs", "pouchdb-client.mjs").await;
    assert_eq!(found["errors"], json!([]), "{found}");
    assert!(found["live"].as_u64().unwrap() < 5_000, "{found}");
    // The feed ended with the token; the client waited, and went on with the next one.
    assert_eq!(
        (&found["expired"], &found["errorsOfExpired"], &found["missed"]),
        (&json!(["token_expired"]), &json!([]), &json!(true))
    );
    // What was never good ends a replication.
    assert_eq!(found["refusedStranger"], json!(["unauthorized"]), "{found}");
    assert_eq!(found["stranger"].as_array().unwrap().len(), 1, "{found}");
    assert!(kit.metric("syncgate_connections_cut_total", &[("cause", "token_end")]) >= 1.0);
    assert_eq!(kit.metric("syncgate_upstream_unauthorized_total", &[]), 0.0);
    kit.stop().await;
}

#[tokio::test]
async fn triplit_syncs_live_and_is_told_in_its_socket_that_a_token_is_invalid() {
    if !node().await {
        return;
    }
    let (found, kit) = meet("triplit", "triplit-server.mjs", "triplit-client.mjs").await;
    assert_eq!(found["errors"], json!([]), "{found}");
    assert!(found["live"].as_u64().unwrap() < 5_000, "{found}");
    assert_eq!((&found["missed"], &found["toldAfterExpiry"]), (&json!(true), &json!(true)), "{found}");
    assert_eq!(found["expired"], json!(["UNAUTHORIZED"]), "{found}");
    assert_eq!(found["stranger"], json!(["UNAUTHORIZED"]), "{found}");
    assert!(kit.metric("syncgate_left_to_backend_total", &[("reason", "expired")]) >= 1.0);
    assert!(kit.metric("syncgate_left_to_backend_total", &[("reason", "bad_signature")]) >= 1.0);
    kit.stop().await;
}
