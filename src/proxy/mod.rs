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
mod upstream_tls;
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
        let live = Arc::new(LiveProxy::new(live, Arc::clone(&metrics)));
        let trust = Arc::new(trust::Trust::new(Arc::clone(&live.live), Arc::clone(&metrics)));
        let edge = edge::Edge {
            live: Arc::clone(&live.live),
            trust: Arc::clone(&trust),
            stopping: CancellationToken::new(),
            connector: Arc::new(TransportConnector::new(Some(ConnectorOptions::from_server_conf(&server_conf())))),
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

/// Pingora makes TCP connections alone, and so needs no authorities: it is given an empty file in place of the system's, which it would load.
fn server_conf() -> ServerConf {
    ServerConf { ca_file: Some("/dev/null".to_owned()), ..ServerConf::default() }
}
