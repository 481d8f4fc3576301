//! `/keys`: the keys of each issuer and the state of their sources, as JSON or as a page.

use std::{sync::Arc, time::SystemTime};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{Html, IntoResponse, Response},
};

use super::{
    Admin,
    key_list::{IssuerKeys, Keys, shown},
    keys_page,
};
use crate::token::Timestamp;

/// `GET /keys`: a page for browsers, JSON for everything else.
pub(super) async fn show(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Response {
    let now = Timestamp::from(SystemTime::now());
    let issuers = admin.shown.load().issuers.iter().map(|issuer| IssuerKeys::of(&issuer.name, &issuer.keys, now)).collect();
    let keys = Keys { now: shown(now), issuers };
    let accepts_pages =
        headers.get_all(header::ACCEPT).iter().any(|value| value.to_str().is_ok_and(|list| list.contains("text/html")));
    let common = [(header::CACHE_CONTROL, "no-store"), (header::VARY, "Accept"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    if accepts_pages {
        // Everything on the page is in it, and nothing of it runs.
        let policy = [(header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")];
        (common, policy, Html(keys_page::render(&keys))).into_response()
    } else {
        (common, Json(keys)).into_response()
    }
}
