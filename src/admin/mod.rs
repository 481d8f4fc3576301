//! The operators' listener: `/metrics`, `/livez`, `/readyz`. Plain HTTP, loopback by default; nothing here changes anything.

mod readiness;

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{Html, IntoResponse},
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::readiness::Readiness;
use crate::{exchange::Exchange, jwks::KeyStore, metrics::Metrics, token::Timestamp};

/// The listener for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// Address and port; port 0 takes a free one. Default `127.0.0.1:9090`: loopback only.
    pub address: SocketAddr,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 9090)) }
    }
}

/// What the listener shows.
#[derive(Debug)]
pub struct Admin {
    metrics: Arc<Metrics>,
    exchange: Arc<Exchange>,
    issuers: Vec<Issuer>,
    /// Cancelled when the gateway stops: it is not to be sent new users then.
    draining: CancellationToken,
}

/// One issuer, by its name in the config.
#[derive(Debug)]
struct Issuer {
    name: String,
    keys: Arc<KeyStore>,
}

impl Admin {
    /// `issuers`: name in the config and key store of each. `draining` is cancelled when the gateway is to be sent no more users.
    pub fn new(
        metrics: Arc<Metrics>,
        exchange: Arc<Exchange>,
        issuers: impl IntoIterator<Item = (String, Arc<KeyStore>)>,
        draining: CancellationToken,
    ) -> Self {
        let issuers = issuers.into_iter().map(|(name, keys)| Issuer { name, keys }).collect();
        Self { metrics, exchange, issuers, draining }
    }

    /// Serves on `socket` until `stop`; answers under way are finished.
    pub async fn run(self, socket: TcpListener, stop: CancellationToken) {
        let router = Router::new()
            .route("/", get(index))
            .route("/livez", get(|| async { "alive\n" }))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(Arc::new(self));
        if let Err(error) = axum::serve(socket, router).with_graceful_shutdown(stop.cancelled_owned()).await {
            tracing::error!(%error, "the admin listener ended");
        }
    }

    /// Brings the series up to date that are read rather than counted.
    fn refresh(&self) {
        let now = Timestamp::from(SystemTime::now());
        let cached = i64::try_from(self.exchange.cached_identities()).unwrap_or(i64::MAX);
        self.metrics.exchange.cache_entries.set(cached);
        for issuer in &self.issuers {
            let name = [issuer.name.as_str()];
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
        "</h1><ul><li><a href=\"/metrics\">/metrics</a>: Prometheus series<li><a href=\"/readyz\">/readyz</a>: ready to admit users, and \
         each issuer<li><a href=\"/livez\">/livez</a>: the process runs</ul>"
    ))
}

async fn ready(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let readiness = Readiness::of(&admin.issuers, admin.draining.is_cancelled(), Timestamp::from(SystemTime::now()));
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
