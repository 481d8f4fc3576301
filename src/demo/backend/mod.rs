//! A small sync backend: documents per user over HTTP, change feeds, live changes over WebSocket.
//!
//! It knows nothing about Microsoft. It pins one public key and verifies the token of each request with its own check, which
//! shares no code with the gateway. It records what it received, so that a test can check what the upstream saw.

mod check;
mod documents;
mod doors;
mod live;
mod received;
mod sync;

use std::{io, net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;
use axum::{
    Json, Router,
    extract::{Request, State as From},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;

use self::{check::PinnedKey, documents::Documents, received::Log};
pub use self::{check::UserClaims, received::Received};
use crate::demo::{
    FREE_PORT,
    http::{HttpServer, Port},
};

#[derive(Debug)]
struct State {
    pinned: ArcSwap<PinnedKey>,
    documents: Documents,
    log: Log,
}

/// A running backend. Dropping it stops it.
///
/// ```text
/// PUT, GET, DELETE /docs/{id}   one document of the user, any JSON
/// GET /docs                     all of them
/// GET /changes                  ?since=N&feed=normal|longpoll|continuous&timeout=MS&heartbeat=MS
/// GET /live                     WebSocket: changes out, documents in, as JSON text frames
/// GET /whoami                   the claims of the user's token
///
/// any /echo                     method, target and headers as received
/// POST /echo-body               the body, streamed back
/// GET /silent?ms=N              nothing for a while, then 204
/// GET /status/{code}            this status
/// ```
///
/// The first five answer 401 without a good token. The doors below them answer anybody, and what the check found of the token is
/// in [`received`](Self::received) like that of every request.
#[derive(Debug)]
pub struct DemoBackend {
    state: Arc<State>,
    server: HttpServer,
}

impl DemoBackend {
    /// Starts a backend on a free port that pins this key: SubjectPublicKeyInfo in PEM.
    pub async fn start(pinned_key_pem: &str) -> io::Result<Self> {
        Self::start_at(FREE_PORT, pinned_key_pem).await
    }

    /// Starts a backend. Fails where the address is taken.
    pub async fn start_at(address: SocketAddr, pinned_key_pem: &str) -> io::Result<Self> {
        let pinned = ArcSwap::from_pointee(PinnedKey::from_pem(pinned_key_pem)?);
        let state = Arc::new(State { pinned, documents: Documents::default(), log: Log::default() });
        let server = HttpServer::start(Port::bind(address)?, router(&state))?;
        Ok(Self { state, server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Pins another key instead of the one it has.
    pub fn pin(&self, public_key_pem: &str) -> io::Result<()> {
        self.state.pinned.store(Arc::new(PinnedKey::from_pem(public_key_pem)?));
        Ok(())
    }

    /// The last requests, oldest first; at most [`Received::KEPT`].
    pub fn received(&self) -> Vec<Received> {
        self.state.log.all()
    }

    /// How many requests there were, ever.
    pub fn received_count(&self) -> u64 {
        self.state.log.count()
    }

    /// Goes away: open connections are cut, new ones refused.
    pub async fn stop(&self) {
        self.server.stop().await;
    }

    /// Comes back, on the same port and with the documents it had.
    pub async fn resume(&self) -> io::Result<()> {
        self.server.resume().await
    }
}

fn router(state: &Arc<State>) -> Router {
    let guarded = Router::new()
        .route("/docs", get(sync::list))
        .route("/docs/{id}", get(sync::read).put(sync::write).delete(sync::delete))
        .route("/changes", get(sync::changes))
        .route("/live", get(live::open))
        .route("/whoami", get(who_am_i))
        .route_layer(middleware::from_fn(require_user));
    guarded.merge(doors::router()).layer(middleware::from_fn_with_state(state.clone(), receive)).with_state(state.clone())
}

/// Every request comes through here first: its token is checked and what came is written down.
async fn receive(From(state): From<Arc<State>>, mut request: Request, next: Next) -> Response {
    let token = state.pinned.load().check(request.headers());
    state.log.push(Received::of(&request, token.clone()));
    request.extensions_mut().insert(token);
    next.run(request).await
}

/// Lets verified users pass, and tells the handlers who it is.
async fn require_user(mut request: Request, next: Next) -> Response {
    match request.extensions().get::<Result<UserClaims, String>>() {
        Some(Ok(claims)) => {
            let user = User(claims.user_id().into());
            request.extensions_mut().insert(user);
            next.run(request).await
        }
        Some(Err(problem)) => unauthorized(problem),
        None => unauthorized("the token was not checked"),
    }
}

/// What the token says, decoded.
async fn who_am_i(request: Request) -> Response {
    match request.extensions().get::<Result<UserClaims, String>>() {
        Some(Ok(claims)) => Json(claims.all()).into_response(),
        _ => unauthorized("the token was not checked"),
    }
}

fn unauthorized(problem: &str) -> Response {
    let challenge = [(header::WWW_AUTHENTICATE, r#"Bearer realm="demo-backend""#)];
    (StatusCode::UNAUTHORIZED, challenge, Json(json!({"error": "unauthorized", "reason": problem}))).into_response()
}

/// The user of a request.
#[derive(Clone, Debug)]
struct User(Arc<str>);
