//! What an operator can change: refresh the keys of an issuer, purge one of them. Each call is logged.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admin, guard::Operator, keys::IssuerKeys};
use crate::{jwks::KeyStore, token::Timestamp};

/// Longest wait for a refresh. A single fetch takes 5 s at most unless the config says otherwise.
const REFRESH: Duration = Duration::from_secs(10);
/// Longest name of a key: that of the longest `kid` a token may have.
const LONGEST_NAME: usize = 4_096;

#[derive(Debug, Deserialize)]
pub(super) struct Purge {
    /// A `kid`, or the RFC 7638 thumbprint of a key.
    kid: String,
}

/// `POST /keys/{issuer}/refresh`: fetches the keys of an issuer now, and says what came of it.
pub(super) async fn refresh(State(admin): State<Arc<Admin>>, operator: Operator, Path(name): Path<String>) -> Response {
    let Some(keys) = find(&admin, &name) else { return no_issuer(&admin) };
    tracing::info!(peer = %operator.peer, issuer = name, "an operator has the keys fetched");
    keys.refresh(REFRESH).await;
    answer(StatusCode::OK, json!(IssuerKeys::of(&name, &keys, Timestamp::from(SystemTime::now()))))
}

/// `POST /keys/{issuer}/purge?kid=...`: denies a key until the process ends, also for what it verified before.
pub(super) async fn purge(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Path(name): Path<String>,
    Query(Purge { kid }): Query<Purge>,
) -> Response {
    let Some(keys) = find(&admin, &name) else { return no_issuer(&admin) };
    if kid.is_empty() || kid.len() > LONGEST_NAME {
        return answer(StatusCode::BAD_REQUEST, json!({ "error": "kid", "error_description": "kid is empty or too long" }));
    }
    let Some(dropped) = keys.purge(&kid, Timestamp::from(SystemTime::now())) else {
        let text = "too many keys are denied in memory: write them into the config and restart";
        return answer(StatusCode::CONFLICT, json!({ "error": "too_many", "error_description": text }));
    };
    tracing::warn!(
        peer = %operator.peer, issuer = name, kid = %kid.escape_default(), dropped,
        "an operator denies a key until the process ends"
    );
    let body = json!({
        "issuer": name,
        "denied": kid,
        "keys_dropped": dropped,
        "lasts": "until the process ends; a reload keeps it, a restart does not",
        // JSON is YAML, so whatever the kid holds it can be pasted.
        "config": format!("deny_kids: {}", json!([kid])),
        "config_place": format!("issuers, the element with name: {name}"),
    });
    answer(StatusCode::OK, body)
}

fn find(admin: &Admin, name: &str) -> Option<Arc<KeyStore>> {
    admin.shown.load().issuers.iter().find(|issuer| issuer.name == name).map(|issuer| Arc::clone(&issuer.keys))
}

fn no_issuer(admin: &Admin) -> Response {
    let names: Vec<_> = admin.shown.load().issuers.iter().map(|issuer| issuer.name.clone()).collect();
    let text = format!("there is no such issuer; there are: {}", names.join(", "));
    answer(StatusCode::NOT_FOUND, json!({ "error": "issuer", "error_description": text }))
}

fn answer(status: StatusCode, body: Value) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
