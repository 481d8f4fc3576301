//! The edge: connections, routes, token places, headers, responses, the access log. Built on Pingora.
//!
//! ```text
//! client     a connection, on an event loop; the request in progress and its deadline
//! serve      one request after another: begun, decided about, carried, answered, logged
//!   policy     the decision, without a socket
//!   relay      to the upstream and back, both ways at once; or websocket
//!     upstream   an address, a connection, a session
//! address    who the client is, by its connection and by what trusted proxies say
//! http       what HTTP says of single fields; the ground of all
//! ```
//!
//! [`Proxy`] is the entry point: made from settings and an exchange, run with a socket and a stop signal.

mod address;
#[cfg(feature = "bench")]
mod bare;
mod client;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod http;
mod policy;
mod relay;
mod serve;
mod settings;
mod upstream;
mod websocket;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use pingora::{
    connectors::{ConnectorOptions, TransportConnector},
    server::configuration::ServerConf,
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

#[cfg(feature = "bench")]
#[doc(hidden)]
pub use self::bare::UnauthenticatedProxyForBenches;
pub use self::{
    address::{ClientField, ForwardedFor, TellSettings, TrustSettings, TrustedProxies},
    client::{EventLoops, Http2Settings, ListenSettings, ListenerSettings},
    policy::{
        Access, AllowedOrigins, BodyCondition, BodyPlace, CloseCodes, CorsSettings, ErrorShape, ForwardCertificate, HeaderSettings,
        OnInvalid, PreflightRule, ProtocolForm, ResourceSettings, RouteSettings, TokenPlace,
    },
    serve::{AccessLog, AccessLogFormat, LiveProxy, Prepared},
    settings::ProxySettings,
    upstream::{
        AddressView, CertificateFiles, DrainError, HealthSettings, HostHeader, OwnCertificateError, Target, UpstreamError,
        UpstreamSettings, UpstreamView, load_certificate,
    },
};
use self::{
    client::{Gate, KeyWatch, Listener, Port},
    serve::{Gateway, Live, Service},
};
use crate::{
    certificate::{CertificateError, ServerTls},
    exchange::Exchange,
    metrics::Metrics,
    private_file::SecretError,
};

/// Why the edge cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// An upstream cannot be used.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// Certificates of a listener cannot be used.
    #[error("{address}: {source}")]
    Certificate {
        /// The listener's address.
        address: SocketAddr,
        /// Why.
        source: CertificateError,
    },
    /// Threads for TLS handshakes cannot be started.
    #[error("cannot start threads: {0}")]
    Threads(#[from] std::io::Error),
    /// A secret of an endpoint cannot be used.
    #[error("route {route}: {source}")]
    Endpoint {
        /// The route's name.
        route: String,
        /// Why.
        source: SecretError,
    },
}

/// The edge, ready to serve.
pub struct Proxy {
    listener: Arc<Listener<Service>>,
    live: Arc<LiveProxy>,
    key_watch: Arc<KeyWatch>,
    metrics: Arc<Metrics>,
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
        let live = Live::new(settings, None, exchange, &metrics, access_log)?;
        let connector = Arc::new(TransportConnector::new(Some(ConnectorOptions::from_server_conf(&server_conf()))));
        let live = Arc::new(LiveProxy::new(live, Arc::clone(&metrics), Arc::clone(&connector))?);
        let key_watch = Arc::new(KeyWatch::new(Arc::clone(&live.exchange), Arc::clone(&metrics)));
        let gateway = Gateway::new(&live, Arc::clone(&key_watch), connector, Arc::clone(&metrics));
        let service = || Service::new(gateway.clone());
        let is_tls = live.certificates().iter().any(Option::is_some);
        let gate = Gate::new(Arc::clone(&live.limits), Arc::clone(&live.listen), &metrics);
        let listener =
            Listener::new(service, Arc::clone(&live.listen), Arc::clone(&key_watch), Arc::clone(&metrics), &loops, gate, is_tls)?;
        Ok(Self { listener: Arc::new(listener), live, key_watch, metrics, _loops: loops })
    }

    /// What changes the settings of the running edge.
    pub fn live(&self) -> Arc<LiveProxy> {
        Arc::clone(&self.live)
    }

    /// Serves on these sockets, one for each listener in order, until `stop`, then drains: returns as soon as nothing is in progress, after
    /// `grace` at the latest. If it is dropped before, connections are cut.
    pub async fn run(self, sockets: Vec<TcpListener>, stop: CancellationToken, grace: Duration) {
        let listen = self.live.listen.load_full();
        let port = |((socket, tls), settings): ((TcpListener, &Option<Arc<ServerTls>>), &ListenerSettings)| {
            let (proxy_protocol, redirect_port) = (settings.proxy_protocol, settings.redirect_port);
            Port { socket, proxy_protocol, tls: tls.clone(), redirect_port }
        };
        let ports = sockets.into_iter().zip(self.live.certificates()).zip(&listen.listeners).map(port).collect();
        self.live.start_resolving(stop.clone());
        let mut watching = JoinSet::new();
        for tls in self.live.certificates().iter().flatten() {
            watching.spawn(Arc::clone(tls).watch(Arc::clone(&self.metrics), stop.clone()));
        }
        tokio::select! {
            () = self.listener.run(ports, stop.clone(), grace) => {}
            () = self.key_watch.watch() => {}
        }
        self.live.stop_resolving().await;
    }
}

/// Pingora makes TCP connections alone, and so needs no authorities: it is given an empty file instead of the system's, which it
/// would load.
fn server_conf() -> ServerConf {
    ServerConf { ca_file: Some("/dev/null".to_owned()), ..ServerConf::default() }
}
