//! Documents and change feeds over HTTP.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    body::Body,
    extract::{Path, Query, State as From},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    State, User,
    documents::{Change, Full},
};

pub(super) async fn list(From(state): From<Arc<State>>, Extension(user): Extension<User>) -> Response {
    let documents: Vec<_> = state.documents.since(&user.0, 0).into_iter().filter(|change| !change.deleted).collect();
    Json(json!({ "documents": documents })).into_response()
}

pub(super) async fn read(From(state): From<Arc<State>>, Extension(user): Extension<User>, Path(id): Path<String>) -> Response {
    match state.documents.read(&user.0, &id) {
        Some(change) => Json(change).into_response(),
        None => not_found(),
    }
}

pub(super) async fn write(
    From(state): From<Arc<State>>,
    Extension(user): Extension<User>,
    Path(id): Path<String>,
    Json(doc): Json<Value>,
) -> Response {
    match state.documents.write(&user.0, &id, Some(doc)) {
        Ok(seq) => (StatusCode::CREATED, Json(json!({"id": id, "seq": seq}))).into_response(),
        Err(Full) => StatusCode::INSUFFICIENT_STORAGE.into_response(),
    }
}

pub(super) async fn delete(From(state): From<Arc<State>>, Extension(user): Extension<User>, Path(id): Path<String>) -> Response {
    if state.documents.read(&user.0, &id).is_none() {
        return not_found();
    }
    match state.documents.write(&user.0, &id, None) {
        Ok(seq) => Json(json!({"id": id, "seq": seq})).into_response(),
        Err(Full) => StatusCode::INSUFFICIENT_STORAGE.into_response(),
    }
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({"error": "not_found"}))).into_response()
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Feed {
    /// What there is.
    #[default]
    Normal,
    /// What there is, or else the next change.
    LongPoll,
    /// What there is and all that comes, one line each.
    Continuous,
}

#[derive(Deserialize)]
pub(super) struct Changes {
    #[serde(default)]
    since: u64,
    #[serde(default)]
    feed: Feed,
    /// How long a long-poll waits, in milliseconds.
    #[serde(default = "default_timeout")]
    timeout: u64,
    /// Time between the line breaks of a quiet continuous feed, in milliseconds; at least 10.
    #[serde(default = "default_heartbeat")]
    heartbeat: u64,
}

const fn default_timeout() -> u64 {
    60_000
}

const fn default_heartbeat() -> u64 {
    10_000
}

pub(super) async fn changes(
    From(state): From<Arc<State>>,
    Extension(user): Extension<User>,
    Query(query): Query<Changes>,
) -> Response {
    match query.feed {
        Feed::Normal => results(query.since, &state.documents.since(&user.0, query.since)),
        Feed::LongPoll => {
            let wait = state.documents.wait(&user.0, query.since);
            results(query.since, &timeout(Duration::from_millis(query.timeout), wait).await.unwrap_or_default())
        }
        Feed::Continuous => continuous(state, user, query.since, Duration::from_millis(query.heartbeat.max(10))),
    }
}

fn results(since: u64, changes: &[Change]) -> Response {
    let last = changes.last().map_or(since, |change| change.seq);
    Json(json!({"results": changes, "last_seq": last})).into_response()
}

fn continuous(state: Arc<State>, user: User, since: u64, heartbeat: Duration) -> Response {
    let lines = stream::unfold(since, move |since| {
        let (state, user) = (state.clone(), user.clone());
        async move {
            let changes = timeout(heartbeat, state.documents.wait(&user.0, since)).await.unwrap_or_default();
            let last = changes.last().map_or(since, |change| change.seq);
            let mut text: String = changes.iter().map(|change| format!("{}\n", json!(change))).collect();
            if text.is_empty() {
                text.push('\n');
            }
            Some((Ok::<_, axum::Error>(text), last))
        }
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}
