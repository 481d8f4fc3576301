//! The edge: connections, routes, where tokens sit, headers, answers, the access log. Built on Pingora.
//!
//! ```text
//! listener -> event loop -> connection (deadline) -> service (its requests) -> edge (decisions) -> relay -> upstream
//! ```
//!
//! [`Proxy`] is the door: made from settings and an exchange, run with a socket and a stop signal.

mod access_log;
mod addresses;
mod answer;
mod bare;
mod carriage;
mod clock_watch;
mod connect;
mod connection;
mod cors;
mod cut;
mod date;
mod decision;
mod direction;
mod duplex;
mod edge;
mod event_loops;
mod failure;
mod fields;
mod forward;
mod frames;
pub(crate) mod fuzzing;
mod held;
mod hop_by_hop;
mod hygiene;
mod inbound;
mod intake;
mod lifetime;
mod listener;
mod live;
mod log_time;
mod named_user;
mod occasionally;
mod origin;
mod patience;
mod pin_watch;
mod place;
mod pool;
mod relay;
mod request;
mod request_line;
mod route;
mod service;
mod session;
mod settings;
mod shape;
mod socket;
mod socket_end;
mod switch;
mod target;
mod transport;
mod trust;
mod tunnel;
mod unread;
mod unreadable;
mod upstream;
mod upstream_session;
mod whole_body;

use std::{sync::Arc, time::Duration};

pub use access_log::{AccessLog, AccessLogFormat};
#[doc(hidden)]
pub use bare::UnauthenticatedProxyForBenches;
pub use cors::{CorsSettings, PreflightRule};
pub use event_loops::EventLoops;
pub use live::{LiveProxy, Prepared};
pub use origin::AllowedOrigins;
use pingora::{
    connectors::{ConnectorOptions, TransportConnector},
    server::configuration::ServerConf,
};
pub use place::{BodyCondition, BodyPlace, ProtocolForm, TokenPlace};
pub use route::{Access, OnInvalid, RouteSettings};
pub use settings::{HeaderSettings, HostHeader, ListenSettings, ProxySettings, UpstreamSettings};
pub use shape::ErrorShape;
pub use socket_end::CloseCodes;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
pub use upstream::UpstreamError;

use crate::{exchange::Exchange, metrics::Metrics};

/// Why the edge cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// An upstream cannot be used.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// An https upstream needs the system's certificate authorities.
    #[error(
        "the system's certificate authorities cannot be loaded ({0}); install ca-certificates, or set ca_file for each https upstream"
    )]
    Authorities(String),
    /// The first https upstream of its kind in a reload.
    #[error(
        "an https upstream without ca_file needs the system's certificate authorities, which are loaded at the start only: restart, or \
         set its ca_file"
    )]
    NeedsRestart,
}

/// The edge, ready to serve.
pub struct Proxy {
    listener: Arc<listener::Listener<service::Service>>,
    live: Arc<LiveProxy>,
    trust: Arc<trust::Trust>,
    /// What connections are served on.
    _loops: EventLoops,
}

impl Proxy {
    /// Prepares routes, upstreams and headers. Resolves no name yet. Without an access log, requests are not logged. Connections are served
    /// on `loops`, which end with the edge.
    pub fn new(
        settings: &ProxySettings,
        exchange: Arc<Exchange>,
        metrics: Arc<Metrics>,
        access_log: Option<Arc<AccessLog>>,
        loops: EventLoops,
    ) -> Result<Self, ProxyError> {
        let live = live::Live::new(settings, None, exchange, &metrics, access_log)?;
        let system_authorities = live::needs_system_authorities(settings);
        if system_authorities {
            check_system_authorities()?;
        }
        let conf = server_conf(system_authorities);
        let live = Arc::new(LiveProxy::new(live, Arc::clone(&metrics), system_authorities));
        let trust = Arc::new(trust::Trust::new(Arc::clone(&live.live), Arc::clone(&metrics)));
        let edge = edge::Edge {
            live: Arc::clone(&live.live),
            trust: Arc::clone(&trust),
            stopping: CancellationToken::new(),
            connector: Arc::new(TransportConnector::new(Some(ConnectorOptions::from_server_conf(&conf)))),
            metrics: Arc::clone(&metrics),
            complaints: Arc::default(),
        };
        let service = || service::Service { edge: edge.clone(), pool: pool::Pool::default() };
        let listener = listener::Listener::new(service, Arc::clone(&live.listen), Arc::clone(&trust), metrics, &loops);
        Ok(Self { listener: Arc::new(listener), live, trust, _loops: loops })
    }

    /// What changes the settings of the running edge.
    pub fn live(&self) -> Arc<LiveProxy> {
        Arc::clone(&self.live)
    }

    /// Serves on `socket` until `stop`, then drains: returns as soon as nothing is under way, after `grace` at the latest. If it is dropped
    /// before, connections are cut.
    pub async fn run(self, socket: TcpListener, stop: CancellationToken, grace: Duration) {
        self.live.start_resolving(stop.clone());
        tokio::select! {
            () = self.listener.run(socket, stop.clone(), grace) => {}
            () = self.trust.watch() => {}
        }
        self.live.stop_resolving().await;
    }
}

/// `system_authorities`: whether the system's certificate authorities are needed at all.
fn server_conf(system_authorities: bool) -> ServerConf {
    ServerConf {
        // An empty file: nothing is loaded where nothing is needed.
        ca_file: (!system_authorities).then(|| "/dev/null".to_owned()),
        ..ServerConf::default()
    }
}

/// Pingora loads them when it is built, and panics where that fails.
fn check_system_authorities() -> Result<(), ProxyError> {
    let certificates = pingora::tls::load_native_certs().map_err(|error| ProxyError::Authorities(error.to_string()))?;
    let mut store = rustls::RootCertStore::empty();
    for certificate in certificates {
        store.add(certificate).map_err(|error| ProxyError::Authorities(error.to_string()))?;
    }
    if store.is_empty() { Err(ProxyError::Authorities("there are none".into())) } else { Ok(()) }
}
