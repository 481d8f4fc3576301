//! Sync backends and their clients, from npm.

use serde_json::json;

use super::{Meeting, node};

#[tokio::test]
async fn pouchdb_replicates_live_and_outlives_its_token() {
    if !node().await {
        return;
    }
    let file = json!({ "routes": { "preset": "couchdb" } });
    let Meeting { found, kit, .. } = Meeting::hold(file, "couchdb-server.mjs", "pouchdb-client.mjs").await;
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
    if !node().await {
        return;
    }
    let file = json!({ "routes": { "preset": "triplit" } });
    let Meeting { found, kit, .. } = Meeting::hold(file, "triplit-server.mjs", "triplit-client.mjs").await;
    assert_eq!(found["errors"], json!([]), "{found}");
    assert!(found["live"].as_u64().unwrap() < 5_000, "{found}");
    assert_eq!((&found["missed"], &found["toldAfterExpiry"]), (&json!(true), &json!(true)), "{found}");
    assert_eq!(found["expired"], json!(["UNAUTHORIZED"]), "{found}");
    assert_eq!(found["stranger"], json!(["UNAUTHORIZED"]), "{found}");
    assert!(kit.metric("syncgate_left_to_backend_total", &[("reason", "expired")]) >= 1.0);
    assert!(kit.metric("syncgate_left_to_backend_total", &[("reason", "bad_signature")]) >= 1.0);
    kit.stop().await;
}
