//! Sync backends and their clients, from npm.

use serde_json::json;

use super::{INTEROP, Meeting};

#[tokio::test]
async fn pouchdb_replicates_live_and_outlives_its_token() {
    if !INTEROP.node().await {
        return;
    }
    tokio::join!(pouchdb_over("http"), pouchdb_over("https"));
}

async fn pouchdb_over(scheme: &str) {
    let file = json!({ "routes": { "preset": "couchdb" } });
    let Meeting { found, kit, .. } = Meeting::hold_over(scheme, file, "couchdb-server.mjs", "pouchdb-client.mjs").await;
    assert_eq!(found["errors"], json!([]), "{found}");
    assert!(found["live"].as_u64().unwrap() < 5_000, "{found}");
    // The feed ended with the token; the client waited, and went on with the next one.
    assert_eq!(
        (&found["expired"], &found["errorsOfExpired"], &found["missed"]),
        (&json!(["token_expired"]), &json!([]), &json!(true))
    );
    // An open request broke off; it was not taken for an answer without changes.
    let broken = found["brokenOff"].as_array().unwrap();
    assert!(!broken.is_empty() && broken.iter().all(|why| why.as_str().unwrap().ends_with("Premature close")), "{found}");
    // What was never good ends a replication.
    assert_eq!(found["refusedStranger"], json!(["unauthorized"]), "{found}");
    assert_eq!(found["stranger"].as_array().unwrap().len(), 1, "{found}");
    kit.eventually(|| kit.metric("syncgate_connections_cut_total", &[("cause", "token_end")]) >= 1.0).await;
    assert_eq!(kit.metric("syncgate_upstream_unauthorized_total", &[]), 0.0);
    kit.stop().await;
}

#[tokio::test]
async fn triplit_syncs_live_and_is_told_in_its_socket_that_a_token_is_invalid() {
    if !INTEROP.node().await {
        return;
    }
    tokio::join!(triplit_over("http"), triplit_over("https"));
}

async fn triplit_over(scheme: &str) {
    let file = json!({ "routes": { "preset": "triplit" } });
    let Meeting { found, kit, .. } = Meeting::hold_over(scheme, file, "triplit-server.mjs", "triplit-client.mjs").await;
    assert_eq!(found["errors"], json!([]), "{found}");
    assert!(found["live"].as_u64().unwrap() < 5_000, "{found}");
    assert_eq!((&found["missed"], &found["toldAfterExpiry"]), (&json!(true), &json!(true)), "{found}");
    assert_eq!(found["expired"], json!(["UNAUTHORIZED"]), "{found}");
    assert_eq!(found["stranger"], json!(["UNAUTHORIZED"]), "{found}");
    assert!(kit.metric("syncgate_left_to_backend_total", &[("reason", "expired")]) >= 1.0);
    assert!(kit.metric("syncgate_left_to_backend_total", &[("reason", "bad_signature")]) >= 1.0);
    kit.stop().await;
}

#[tokio::test]
async fn pouchdb_comes_back_after_its_key_was_purged() {
    if !INTEROP.node().await {
        return;
    }
    let file = json!({ "routes": { "preset": "couchdb" } });
    let (kit, _server, mut client) = Meeting::begin(file, "couchdb-server.mjs", "pouchdb-purge-client.mjs").await;
    client.hears("synced").await;
    let old = kit.issuer.signing_key();
    let new = kit.issuer.rotate().await.unwrap();
    let mut config = kit.gateway.config();
    config.issuers[0].jwks.deny_kids = vec![old.kid().to_owned()];
    kit.gateway.reload(Ok(config)).unwrap();
    assert_eq!(client.hears("refused").await, json!(["unknown_key"]));
    let token = kit.issuer.token("alice").header("kid", new.kid()).signed_by(&new).sign();
    client.tell(&json!({ "token": token })).await;
    assert_eq!(client.hears("result").await["errors"], json!([]));
    kit.stop().await;
}

#[tokio::test]
async fn graphql_subscriptions_go_on_over_the_end_of_a_token_and_of_a_sockets_age() {
    if !INTEROP.node().await {
        return;
    }
    let place = json!({ "in": { "query": "access_token" }, "out": { "header": "authorization", "scheme": "Bearer" } });
    let routes = json!([{ "name": "graphql", "path": "/graphql", "token": place }]);
    for (file, code, reason) in [
        (json!({ "routes": routes }), 4403, "token expired"),
        (json!({ "routes": routes, "listen": { "max_stream_age": "3s" } }), 1001, "connected for too long"),
    ] {
        let Meeting { found, kit, .. } = Meeting::hold(file, "graphql-server.mjs", "graphql-client.mjs").await;
        assert_eq!(found["errors"], json!([]), "{found}");
        assert_eq!(found["closes"][0], json!({ "code": code, "reason": reason }), "{found}");
        assert!(found["connections"].as_u64().unwrap() >= 2, "{found}");
        kit.stop().await;
    }
}
