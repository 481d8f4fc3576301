//! The composition root: a [`Config`] to running services, and back to silence.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    admin::Admin,
    config::{Config, LogFormat, LogLevel, LogSettings},
    exchange::{Exchange, IssuerKeys, SigningPool},
    jwks::{JwksError, Refresher},
    metrics::{Metrics, MetricsError},
    proxy::{AccessLog, AccessLogFormat, Proxy, ProxyError},
    signing::{SigningError, SigningKey},
    token::TrustedIssuer,
};

/// Why the gateway does not start, in words an operator can act on.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be bound.
    #[error("cannot listen on {address} ({what}): {source}")]
    Bind {
        /// The config section: `listen` or `admin`.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The threads that sign, or the one that writes the access log, cannot be started.
    #[error("cannot start threads: {0}")]
    Threads(std::io::Error),
    /// The signing key cannot be used.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// An issuer's key source cannot be used.
    #[error(transparent)]
    Jwks(#[from] JwksError),
    /// The edge cannot be built.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// A series cannot be declared.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

/// A running gateway. Dropped without [`stop`](Self::stop), it ends at once.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    admin_address: SocketAddr,
    public_key_pem: Option<String>,
    metrics: Arc<Metrics>,
    /// From here on `/readyz` says no.
    draining: CancellationToken,
    shutdown_delay: Duration,
    /// Ends the edge; the rest goes on until the edge has drained.
    stop_edge: CancellationToken,
    stop_rest: CancellationToken,
    edge: JoinSet<()>,
    rest: JoinSet<()>,
}

/// Makes aws-lc-rs the cryptography of every TLS connection in the process. Pingora would otherwise choose another.
///
/// The first caller decides for the process, so this comes before anything that speaks TLS. [`Gateway::start`] calls it.
pub fn install_crypto() {
    // An error means that a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

impl Gateway {
    /// Loads the key, binds both listeners and starts to serve. Does not wait for an issuer or for DNS.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        install_crypto();
        let metrics = Arc::new(Metrics::new()?);
        let signing_key = SigningKey::load(&config.signing)?;
        let public_key_pem = signing_key.public().map(|public| public.pem().to_owned());
        let pool =
            SigningPool::new(config.signing.threads, config.signing.queue, Arc::clone(&metrics)).map_err(StartError::Threads)?;

        let mut refreshers = Vec::new();
        let mut issuers = Vec::new();
        let mut stores = Vec::new();
        for issuer in config.issuers {
            let refresher = Refresher::new(&issuer.rules.name, &issuer.jwks, Arc::clone(&metrics))?;
            stores.push((issuer.rules.name.clone(), refresher.store()));
            issuers.push(IssuerKeys { issuer: TrustedIssuer::new(issuer.rules), keys: refresher.store() });
            refreshers.push(refresher);
        }
        let exchange = Arc::new(Exchange::new(
            issuers,
            config.token_limits,
            config.profiles,
            signing_key,
            pool,
            &config.cache,
            Arc::clone(&metrics),
        ));
        let access_log = access_log(&config.log, &metrics)?;
        let proxy = Proxy::new(&config.proxy, Arc::clone(&exchange), Arc::clone(&metrics), access_log)?;
        let draining = CancellationToken::new();
        let admin = Admin::new(Arc::clone(&metrics), exchange, stores, draining.clone());

        let (socket, address) = bind("listen", config.proxy.listen.address).await?;
        let (admin_socket, admin_address) = bind("admin", config.admin.address).await?;
        let (stop_edge, stop_rest) = (CancellationToken::new(), CancellationToken::new());
        let mut rest = JoinSet::new();
        for refresher in refreshers {
            rest.spawn(refresher.run(stop_rest.clone()));
        }
        rest.spawn(admin.run(admin_socket, stop_rest.clone()));
        let mut edge = JoinSet::new();
        edge.spawn(proxy.run(socket, stop_edge.clone(), config.shutdown_grace));
        tracing::info!(%address, %admin_address, version = env!("CARGO_PKG_VERSION"), "serving");
        Ok(Self {
            address,
            admin_address,
            public_key_pem,
            metrics,
            draining,
            shutdown_delay: config.shutdown_delay,
            stop_edge,
            stop_rest,
            edge,
            rest,
        })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where operators connect.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// The public key for the backend to pin. None where both share a secret.
    pub fn public_key_pem(&self) -> Option<&str> {
        self.public_key_pem.as_deref()
    }

    /// The series, for tests.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Says that it is not ready and waits for the configured delay, so that load balancers hear of it. Then stops accepting, lets requests
    /// finish within the grace and cuts the rest. Returns as soon as nothing is under way.
    ///
    /// The admin listener and the key refresh go on while requests finish.
    pub async fn stop(mut self) {
        /// An operator's scrape may finish; it must not hold up the exit.
        const ADMIN_GRACE: Duration = Duration::from_secs(1);
        self.draining.cancel();
        tokio::time::sleep(self.shutdown_delay).await;
        self.stop_edge.cancel();
        while self.edge.join_next().await.is_some() {}
        self.stop_rest.cancel();
        let rest = async { while self.rest.join_next().await.is_some() {} };
        // Whatever is left is aborted when the set is dropped.
        let _ = tokio::time::timeout(ADMIN_GRACE, rest).await;
    }
}

/// The access log has level info.
fn access_log(settings: &LogSettings, metrics: &Metrics) -> Result<Option<Arc<AccessLog>>, StartError> {
    if !settings.requests || matches!(settings.level, LogLevel::Error | LogLevel::Warn) {
        return Ok(None);
    }
    let format = match settings.format {
        LogFormat::Text => AccessLogFormat::Text,
        LogFormat::Json => AccessLogFormat::Json,
    };
    AccessLog::start(format, metrics.proxy.access_log_dropped.clone()).map(Some).map_err(StartError::Threads)
}

async fn bind(what: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let error = |source| StartError::Bind { what, address, source };
    let socket = TcpListener::bind(address).await.map_err(error)?;
    let bound = socket.local_addr().map_err(error)?;
    Ok((socket, bound))
}
