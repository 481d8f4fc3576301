//! The admin listener: `/metrics`, `/livez`, `/readyz`, `/keys`, `/upstreams`. Plain HTTP, loopback by default.
//!
//! Reading needs no credential. Changes do, wherever the listener is: loopback is not a boundary, since every user of the
//! machine and every page in its browsers can reach it.

mod changes;
pub mod client;
pub mod credential;
mod guard;
mod key_list;
mod keys;
mod keys_page;
mod readiness;
mod serve;
mod upstreams;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use arc_swap::ArcSwap;
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    middleware,
    response::{Html, IntoResponse},
    routing::{get, post},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::readiness::Readiness;
pub use self::upstreams::{Address, NotDrained, Upstream, Upstreams};
use crate::{exchange::Exchange, jwks::KeyStore, metrics::Metrics, token::Timestamp};

/// The listener for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// Address and port; port 0 chooses a free one. Default `127.0.0.1:9090`: loopback only.
    pub address: SocketAddr,
    /// The file with the credential for what changes something. Without it such calls are refused.
    pub credential_file: Option<PathBuf>,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 9090)), credential_file: None }
    }
}

/// What the listener shows, and what can be changed through it.
#[derive(Debug)]
pub struct Admin {
    metrics: Arc<Metrics>,
    upstreams: Arc<dyn Upstreams>,
    shown: ArcSwap<Shown>,
    /// Whether it was ready before. From then on an issuer that was never tried, as after a reload, does not take users away.
    was_ready: AtomicBool,
    /// Cancelled when the gateway stops: it is not to be sent new users then.
    draining: CancellationToken,
}

/// What a reload of the config exchanges.
#[derive(Debug)]
struct Shown {
    exchange: Arc<Exchange>,
    issuers: Vec<Issuer>,
    credential_file: Option<PathBuf>,
}

/// One issuer, by its name in the config.
#[derive(Debug)]
struct Issuer {
    name: String,
    keys: Arc<KeyStore>,
}

impl Shown {
    fn new(
        exchange: Arc<Exchange>,
        issuers: impl IntoIterator<Item = (String, Arc<KeyStore>)>,
        credential_file: Option<PathBuf>,
    ) -> Arc<Self> {
        let issuers = issuers.into_iter().map(|(name, keys)| Issuer { name, keys }).collect();
        Arc::new(Self { exchange, issuers, credential_file })
    }
}

impl Admin {
    /// `issuers`: name in the config and key store of each. `draining` is cancelled when the gateway is to be sent no more users.
    pub fn new(
        metrics: Arc<Metrics>,
        upstreams: Arc<dyn Upstreams>,
        exchange: Arc<Exchange>,
        issuers: impl IntoIterator<Item = (String, Arc<KeyStore>)>,
        credential_file: Option<PathBuf>,
        draining: CancellationToken,
    ) -> Self {
        let shown = Shown::new(exchange, issuers, credential_file);
        Self { metrics, upstreams, shown: ArcSwap::new(shown), was_ready: AtomicBool::new(false), draining }
    }

    /// Shows this from now on.
    pub fn replace(
        &self,
        exchange: Arc<Exchange>,
        issuers: impl IntoIterator<Item = (String, Arc<KeyStore>)>,
        credential_file: Option<PathBuf>,
    ) {
        // Whether or not anybody has asked yet.
        self.readiness();
        self.shown.store(Shown::new(exchange, issuers, credential_file));
    }

    /// Whether users should be sent here, and that it was so.
    fn readiness(&self) -> Readiness {
        let was_ready = self.was_ready.load(Ordering::Relaxed);
        let draining = self.draining.is_cancelled();
        let readiness = Readiness::of(&self.shown.load().issuers, was_ready, draining, Timestamp::from(SystemTime::now()));
        self.was_ready.store(readiness.ready, Ordering::Relaxed);
        readiness
    }

    /// Serves on `socket` until `stop`; answers in progress are finished. At most 64 connections at a time: the next one takes the place of
    /// another. One whose header is not whole after 10 s is closed, and so is one that is idle for so long.
    pub async fn run(self: Arc<Self>, socket: TcpListener, stop: CancellationToken) {
        let metrics_of_listener = Arc::clone(&self.metrics);
        let router = Router::new()
            .route("/", get(index))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .route("/keys", get(keys::show))
            .route("/keys/{issuer}/refresh", post(changes::refresh))
            .route("/keys/{issuer}/purge", post(changes::purge))
            .route("/upstreams", get(upstreams::show))
            .route("/upstreams/{name}/drain", post(upstreams::drain))
            .route("/upstreams/{name}/undrain", post(upstreams::undrain))
            .layer(middleware::from_fn(guard::show_to_no_page))
            .route("/livez", get(|| async { "alive\n" }))
            .with_state(self);
        serve::serve(socket, router, metrics_of_listener, stop).await;
    }

    /// Brings the series up to date that are read rather than counted.
    fn refresh(&self) {
        let samples: Vec<_> = self.upstreams.list().into_iter().map(Upstream::sample).collect();
        self.metrics.upstreams.show(&samples);
        let now = Timestamp::from(SystemTime::now());
        let shown = self.shown.load();
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.exchange.cache_entries.set(number(shown.exchange.cached_identities()));
        self.metrics.exchange.cache_bytes.set(i64::try_from(shown.exchange.cached_bytes()).unwrap_or(i64::MAX));
        for issuer in &shown.issuers {
            let name = [issuer.name.as_str()];
            self.metrics.jwks.keys.with_label_values(&name).set(number(issuer.keys.load(now).distinct()));
            self.metrics.jwks.issuer_mismatch.with_label_values(&name).set(i64::from(!issuer.keys.misnamed().is_empty()));
            if let Some(age) = issuer.keys.age(now) {
                self.metrics.jwks.age.with_label_values(&name).set(age.as_secs_f64());
            }
        }
    }
}

async fn index() -> Html<&'static str> {
    Html(concat!(
        "<!doctype html><meta charset=\"utf-8\"><title>syncgate</title><h1>syncgate ",
        env!("CARGO_PKG_VERSION"),
        "</h1><ul><li><a href=\"/metrics\">/metrics</a>: Prometheus metrics<li><a href=\"/readyz\">/readyz</a>: readiness, with each \
         issuer<li><a href=\"/keys\">/keys</a>: the keys of each issuer and the state of their sources<li><a \
         href=\"/upstreams\">/upstreams</a>: the addresses of each upstream<li><a href=\"/livez\">/livez</a>: liveness of \
         the process</ul>"
    ))
}

async fn ready(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let readiness = admin.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(readiness))
}

async fn metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    admin.refresh();
    match admin.metrics.render() {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{error}\n"))
        }
    }
}
