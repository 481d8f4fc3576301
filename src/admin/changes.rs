//! What an operator can change: refresh the keys of an issuer, purge a key. Each call is logged.

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

use super::{
    Admin,
    guard::Operator,
    key_list::{IssuerKeys, state},
};
use crate::{
    jwks::{KeyState, KeyStore, KeyView, KeysView},
    token::Timestamp,
};

/// Maximum wait for a refresh. A single fetch takes 5 s at most unless the config says otherwise.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum length of a key's name: that of the longest `kid` a token may have.
const MAX_NAME_BYTES: usize = 4_096;

#[derive(Debug, Deserialize)]
pub(super) struct Purge {
    /// A `kid`, or the RFC 7638 thumbprint of a key.
    kid: String,
    /// Whether to deny it also where no key has this name, or several have it.
    #[serde(default)]
    force: bool,
}

/// `POST /keys/{issuer}/refresh`: fetches the keys of an issuer now, and returns the result.
pub(super) async fn refresh(State(admin): State<Arc<Admin>>, operator: Operator, Path(name): Path<String>) -> Response {
    let Some(keys) = find(&admin, &name) else { return no_issuer(&admin) };
    tracing::info!(peer = %operator.peer, issuer = name, "an operator requested a fetch of the keys");
    keys.refresh(REFRESH_TIMEOUT).await;
    answer(StatusCode::OK, json!(IssuerKeys::of(&name, &keys, Timestamp::from(SystemTime::now()))))
}

/// `POST /keys/{issuer}/purge?kid=...`: denies a key until the process ends, also for what it verified before.
///
/// What names no key, or more than one, is answered 404 or 409 and changes nothing, unless `force=true` is beside it.
pub(super) async fn purge(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Path(name): Path<String>,
    Query(Purge { kid, force }): Query<Purge>,
) -> Response {
    let now = Timestamp::from(SystemTime::now());
    let Some(keys) = find(&admin, &name) else { return no_issuer(&admin) };
    if kid.is_empty() || kid.len() > MAX_NAME_BYTES {
        return answer(StatusCode::BAD_REQUEST, json!({ "error": "kid", "error_description": "kid is empty or too long" }));
    }
    let named = Named::among(keys.view(now), &kid);
    if let Some((status, error, text)) = named.objection(&name, &kid).filter(|_| !force) {
        tracing::warn!(peer = %operator.peer, issuer = name, kid = %kid.escape_default(), error, "a key could not be denied");
        return answer(status, json!({ "error": error, "error_description": text, "keys": named.shown() }));
    }
    let Some(dropped) = keys.purge(&kid, now) else {
        let text = "too many keys are denied in memory: add them to the config and restart";
        return answer(StatusCode::CONFLICT, json!({ "error": "too_many", "error_description": text }));
    };
    tracing::warn!(
        peer = %operator.peer, issuer = name, kid = %kid.escape_default(), dropped,
        "an operator denied a key until the process ends"
    );
    let body = json!({
        "issuer": name,
        "denied": kid,
        "keys_dropped": dropped,
        "keys": named.shown(),
        "lasts": "until the process ends; a reload keeps it, a restart does not",
        // JSON is YAML, so whatever the kid holds it can be pasted.
        "config": format!("deny_kids: {}", json!([kid])),
        "config_place": format!("issuers, the element with name: {name}"),
    });
    answer(StatusCode::OK, body)
}

/// The keys that a name stands for, or all of them if none match.
struct Named {
    keys: Vec<KeyView>,
    is_known: bool,
}

impl Named {
    fn among(view: KeysView, name: &str) -> Self {
        let is_named = |view: &KeyView| view.key.kid() == Some(name) || view.key.id().to_string() == name;
        let is_denied = view.denied.iter().chain(&view.purged).any(|denied| denied == name);
        let is_known = is_denied || view.keys.iter().any(is_named);
        Self { keys: view.keys.into_iter().filter(|key| !is_known || is_named(key)).collect(), is_known }
    }

    /// Why it is not to be denied without more ado: status, error, words.
    fn objection(&self, issuer: &str, name: &str) -> Option<(StatusCode, &'static str, String)> {
        let mut ids: Vec<_> =
            self.keys.iter().filter(|view| view.state != KeyState::Denied).map(|view| view.key.id().to_string()).collect();
        ids.sort();
        ids.dedup();
        let list = self.keys.iter().map(words).collect::<Vec<_>>().join("; ");
        if !self.is_known {
            let list = if list.is_empty() { "none".to_owned() } else { list };
            let text = format!(
                "no key of {issuer} has the kid or thumbprint {}, so nothing was denied. Its keys: {list}. To deny it anyway, for a key \
                 published later: --force (force=true)",
                name.escape_default()
            );
            return Some((StatusCode::NOT_FOUND, "unknown_kid", text));
        }
        let text = format!(
            "several keys have the kid {}, so nothing was denied. Use a thumbprint to select one: {list}. To deny all of them: --force \
             (force=true)",
            name.escape_default()
        );
        (ids.len() > 1).then_some((StatusCode::CONFLICT, "several_keys", text))
    }

    fn shown(&self) -> Value {
        let shown =
            |view: &KeyView| json!({ "kid": view.key.kid(), "thumbprint": view.key.id().to_string(), "state": state(view.state) });
        self.keys.iter().map(shown).collect()
    }
}

/// A key as one readable line. A provider chooses its `kid`s.
fn words(view: &KeyView) -> String {
    let kid = view.key.kid().map_or_else(|| "no kid".to_owned(), |kid| kid.escape_default().to_string());
    format!("{kid} (thumbprint {}, {})", view.key.id(), state(view.state))
}

fn find(admin: &Admin, name: &str) -> Option<Arc<KeyStore>> {
    admin.shown.load().issuers.iter().find(|issuer| issuer.name == name).map(|issuer| Arc::clone(&issuer.keys))
}

fn no_issuer(admin: &Admin) -> Response {
    let names: Vec<_> = admin.shown.load().issuers.iter().map(|issuer| issuer.name.clone()).collect();
    let text = format!("unknown issuer; known: {}", names.join(", "));
    answer(StatusCode::NOT_FOUND, json!({ "error": "issuer", "error_description": text }))
}

fn answer(status: StatusCode, body: Value) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
