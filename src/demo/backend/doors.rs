//! Endpoints for tests, without a token check.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, Request},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use serde::Deserialize;
use serde_json::json;

use super::State;

pub(super) fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/echo", any(echo))
        .route("/echo/{*rest}", any(echo))
        .route("/echo-body", post(echo_body))
        .route("/silent", get(silent))
        .route("/status/{code}", any(status))
}

async fn echo(request: Request) -> Response {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: Vec<_> = request.headers().iter().map(|(name, value)| (name.as_str(), text(value.as_bytes()))).collect();
    Json(json!({
        "method": request.method().as_str(),
        "target": request.uri().to_string(),
        "headers": headers,
    }))
    .into_response()
}

/// Each piece of the body goes back as it comes.
async fn echo_body(request: Request) -> Response {
    let media_type = request.headers().get(header::CONTENT_TYPE).cloned();
    let mut answer = Response::new(Body::from_stream(request.into_body().into_data_stream()));
    if let Some(media_type) = media_type {
        answer.headers_mut().insert(header::CONTENT_TYPE, media_type);
    }
    answer
}

#[derive(Deserialize)]
struct Silence {
    /// Milliseconds.
    ms: u64,
}

async fn silent(Query(silence): Query<Silence>) -> StatusCode {
    tokio::time::sleep(Duration::from_millis(silence.ms)).await;
    StatusCode::NO_CONTENT
}

async fn status(Path(code): Path<u16>) -> StatusCode {
    StatusCode::from_u16(code).ok().filter(|status| !status.is_informational()).unwrap_or(StatusCode::BAD_REQUEST)
}
