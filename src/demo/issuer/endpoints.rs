//! The issuer's HTTP side: its endpoints, the demo's controls, and every kind of misbehaviour.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Form, Path, State as From},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Behaviour, Endpoint, State,
    documents::{Discovery, KeySet},
};
use crate::token::Timestamp;

/// Longest user name.
const USER_NAME: usize = 64;

pub(super) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/{tenant}/{policy}/v2.0/.well-known/openid-configuration", get(discovery))
        .route("/{tenant}/{policy}/discovery/v2.0/keys", get(keys))
        .route("/{tenant}/{policy}/oauth2/v2.0/token", post(token))
        .route("/demo/announce", post(announce))
        .route("/demo/rotate", post(rotate))
        .route("/demo/retire", post(retire))
        .with_state(state)
}

async fn discovery(From(state): From<Arc<State>>, Path(place): Path<Place>) -> Response {
    let document = async { json_document(&Discovery::of(&state)) };
    answer(&state, Endpoint::Discovery, &place, document).await
}

async fn keys(From(state): From<Arc<State>>, Path(place): Path<Place>) -> Response {
    let document = async {
        match **state.behaviours[Endpoint::Keys as usize].load() {
            Behaviour::X5cOnly => match KeySet::of_certificates(&state.keys.load()) {
                Ok(set) => json_document(&set),
                Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
            },
            _ => json_document(&KeySet::of(&state.keys.load())),
        }
    };
    answer(&state, Endpoint::Keys, &place, document).await
}

async fn token(From(state): From<Arc<State>>, Path(place): Path<Place>, Form(request): Form<TokenRequest>) -> Response {
    answer(&state, Endpoint::Token, &place, grant(&state, &request)).await
}

/// What the resource owner password grant asks for (RFC 6749 section 4.3.2). Any password will do.
#[derive(Deserialize)]
struct TokenRequest {
    grant_type: String,
    username: Option<String>,
}

async fn grant(state: &State, request: &TokenRequest) -> Response {
    let refuse = |error: &str, description: &str| {
        (StatusCode::BAD_REQUEST, Json(json!({"error": error, "error_description": description}))).into_response()
    };
    if request.grant_type != "password" {
        return refuse("unsupported_grant_type", "this issuer knows grant_type=password only");
    }
    let Some(user) = request.username.as_deref().filter(|user| (1..=USER_NAME).contains(&user.len())) else {
        return refuse("invalid_request", "username is missing or longer than 64 bytes");
    };
    let lifetime = state.options.token_lifetime;
    let mut token = state.token(user);
    if let Some(calls) = state.sign_in.load_full()
        && let Some((claim, value)) = calls.claim_for(&state.user_id(user), user).await
    {
        token = token.claim(claim, value);
    }
    let now = Timestamp::from(std::time::SystemTime::now());
    Json(json!({
        "access_token": token.sign(),
        "token_type": "Bearer",
        "not_before": now.as_seconds(),
        "expires_in": lifetime.as_secs(),
        "expires_on": now.plus(lifetime).as_seconds(),
        "resource": state.options.audience,
        "scope": state.options.scope,
    }))
    .into_response()
}

async fn announce(From(state): From<Arc<State>>) -> Response {
    match state.announce().await {
        Ok(_) => show_keys(&state),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn rotate(From(state): From<Arc<State>>) -> Response {
    match state.rotate().await {
        Ok(_) => show_keys(&state),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn retire(From(state): From<Arc<State>>) -> Response {
    state.retire();
    show_keys(&state)
}

fn show_keys(state: &State) -> Response {
    let keys = state.keys.load();
    let published: Vec<&str> = keys.published.iter().map(|key| key.kid()).collect();
    Json(json!({"signing": keys.signing.kid(), "published": published})).into_response()
}

/// Tenant and policy of a URL.
#[derive(Deserialize)]
struct Place {
    tenant: String,
    policy: String,
}

impl Place {
    fn is_of(&self, state: &State) -> bool {
        let options = &state.options;
        let tenant = self.tenant.strip_suffix(".onmicrosoft.com").is_some_and(|name| name.eq_ignore_ascii_case(&options.tenant))
            || self.tenant.eq_ignore_ascii_case(&options.tenant_id);
        tenant && self.policy.eq_ignore_ascii_case(&options.policy)
    }
}

/// Counts the request and answers it the way the endpoint has been told to.
async fn answer(state: &State, endpoint: Endpoint, place: &Place, normal: impl Future<Output = Response>) -> Response {
    if !place.is_of(state) {
        return StatusCode::NOT_FOUND.into_response();
    }
    state.fetches[endpoint as usize].fetch_add(1, Ordering::SeqCst);
    let behaviour = state.behaviours[endpoint as usize].load_full();
    match &*behaviour {
        Behaviour::Normal | Behaviour::X5cOnly => normal.await,
        Behaviour::Status(code) => StatusCode::from_u16(*code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response(),
        Behaviour::Slow(delay) => {
            tokio::time::sleep(*delay).await;
            normal.await
        }
        Behaviour::Silent => std::future::pending().await,
        Behaviour::Document(text) => json_text(text.clone()),
        Behaviour::InvalidJson => json_text(r#"{"keys":["#.into()),
        Behaviour::EmptySet => json_text(r#"{"keys":[]}"#.into()),
        Behaviour::Oversized(bytes) => padded(normal.await, *bytes),
        Behaviour::Redirect(url) => match HeaderValue::from_str(url) {
            Ok(url) => (StatusCode::FOUND, [(header::LOCATION, url)]).into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        },
    }
}

fn json_document(document: &impl Serialize) -> Response {
    match serde_json::to_string(document) {
        Ok(text) => json_text(text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn json_text(text: String) -> Response {
    ([(header::CACHE_CONTROL, "private"), (header::CONTENT_TYPE, "application/json; charset=utf-8")], text).into_response()
}

fn padded(document: Response, bytes: usize) -> Response {
    const CHUNK: Bytes = Bytes::from_static(&[b' '; 16 * 1024]);
    let chunks = (0..bytes).step_by(CHUNK.len()).map(move |sent| CHUNK.slice(..CHUNK.len().min(bytes - sent)));
    let padding = stream::iter(chunks.map(Ok::<_, axum::Error>));
    let (head, body) = document.into_parts();
    let mut answer = Response::from_parts(head, Body::from_stream(stream::StreamExt::chain(body.into_data_stream(), padding)));
    answer.headers_mut().remove(header::CONTENT_LENGTH);
    answer
}
