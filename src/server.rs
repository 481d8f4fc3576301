//! The composition root: from a [`Config`] to running services, and their orderly shutdown.

mod purged;
mod reload;
mod sweep;
mod upstreams;

use self::purged::Purged;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use reload::ReloadError;

use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{Admin, Upstreams},
    config::{Config, IssuerConfig, LogFormat, LogLevel, LogSettings},
    exchange::{Exchange, IssuerKeys, SigningPool},
    jwks::{JwksError, JwksSettings, KeyStore, Refresher},
    metrics::{Metrics, MetricsError},
    proxy::{AccessLog, AccessLogFormat, EventLoops, LiveProxy, Proxy, ProxyError},
    signing::{SigningError, SigningKey},
    token::TrustedIssuer,
};

/// Why the gateway does not start, with a message that an operator can act on.
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
    /// The threads that serve or sign, or the one that writes the access log, cannot be started.
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
    /// One for each listener.
    addresses: Vec<SocketAddr>,
    admin_address: SocketAddr,
    metrics: Arc<Metrics>,
    admin: Arc<Admin>,
    proxy: Arc<LiveProxy>,
    running: Mutex<Running>,
    /// From here on `/readyz` says no.
    draining: CancellationToken,
    shutdown_delay: Duration,
    /// Stops the edge; the rest continues until the edge has drained.
    stop_edge: CancellationToken,
    stop_rest: CancellationToken,
    edge: JoinSet<()>,
}

/// What a reload exchanges.
#[derive(Debug)]
struct Running {
    config: Config,
    signing_key: SigningKey,
    exchange: Arc<Exchange>,
    issuers: Vec<RunningIssuer>,
    purged: Purged,
    /// The admin listener, and the task of each issuer.
    tasks: JoinSet<()>,
}

/// One issuer whose keys are kept fresh.
#[derive(Clone, Debug)]
struct RunningIssuer {
    name: String,
    jwks: JwksSettings,
    keys: Arc<KeyStore>,
    /// Ends the task that fetches.
    stop: CancellationToken,
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
        let pool =
            SigningPool::new(config.signing.threads, config.signing.queue, Arc::clone(&metrics)).map_err(StartError::Threads)?;

        let (stop_edge, stop_rest) = (CancellationToken::new(), CancellationToken::new());
        let mut purged = Purged::default();
        let issuers = issuers(&config, &[], &mut purged, &metrics, &stop_rest)?;
        let exchange = Arc::new(Exchange::new(
            issuer_keys(&config, &issuers),
            config.token_limits.clone(),
            config.profiles.clone(),
            signing_key.clone(),
            pool,
            &config.cache,
            Arc::clone(&metrics),
        ));
        let access_log = access_log(&config.log, &metrics)?;
        let loops = EventLoops::start(config.threads).map_err(StartError::Threads)?;
        let proxy = Proxy::new(&config.proxy, Arc::clone(&exchange), Arc::clone(&metrics), access_log, loops)?;
        let shown = issuers.iter().map(|(issuer, _)| (issuer.name.clone(), Arc::clone(&issuer.keys)));
        let draining = CancellationToken::new();
        let credential_file = config.admin.credential_file.clone();
        let live = proxy.live();
        let admin = Admin::new(
            Arc::clone(&metrics),
            Arc::clone(&live) as Arc<dyn Upstreams>,
            Arc::clone(&exchange),
            shown,
            credential_file,
            draining.clone(),
        );
        let admin = Arc::new(admin);

        let (mut sockets, mut addresses) = (Vec::new(), Vec::new());
        for address in config.proxy.listen.addresses() {
            let (socket, address) = bind("listen", address)?;
            sockets.push(socket);
            addresses.push(address);
        }
        let (admin_socket, admin_address) = bind("admin", config.admin.address)?;
        let mut tasks = JoinSet::new();
        expect_names(&config, &issuers);
        let issuers = spawn(issuers, &mut tasks);
        tasks.spawn(Arc::clone(&admin).run(admin_socket, stop_rest.clone()));
        tasks.spawn(sweep::keep_swept(Arc::clone(&live), stop_rest.clone()));
        let mut edge = JoinSet::new();
        edge.spawn(proxy.run(sockets, stop_edge.clone(), config.shutdown_grace));
        reload::note_success(&metrics);
        let shown = addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ");
        tracing::info!(address = shown, %admin_address, version = env!("CARGO_PKG_VERSION"), "serving");
        let shutdown_delay = config.shutdown_delay;
        let running = Mutex::new(Running { config, signing_key, exchange, issuers, purged, tasks });
        Ok(Self {
            addresses,
            admin_address,
            metrics,
            admin,
            proxy: live,
            running,
            draining,
            shutdown_delay,
            stop_edge,
            stop_rest,
            edge,
        })
    }

    /// Where clients connect: the first listener.
    pub fn address(&self) -> SocketAddr {
        self.addresses.first().copied().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// Where clients connect, one address for each listener.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where operators connect.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// The public key for the backend to pin. None where both share a secret.
    pub fn public_key_pem(&self) -> Option<String> {
        self.running().signing_key.public().map(|public| public.pem().to_owned())
    }

    /// The config in use.
    pub fn config(&self) -> Config {
        self.running().config.clone()
    }

    /// The series, for tests.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Reports not ready and waits for the configured delay, so that load balancers notice. Then stops accepting, lets requests
    /// finish within the grace and cuts the rest. Returns as soon as nothing is in progress.
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
        let mut tasks = std::mem::take(&mut self.running().tasks);
        let rest = async { while tasks.join_next().await.is_some() {} };
        // Whatever is left is aborted when the set is dropped.
        let _ = tokio::time::timeout(ADMIN_GRACE, rest).await;
        if let Some(log) = self.proxy.access_log() {
            // A panic in there loses lines, which nobody can be told of.
            let _ = tokio::task::spawn_blocking(move || log.finish()).await;
        }
    }

    /// Nothing is left half done under this lock, so one that a panic left behind is as good as any.
    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The issuers of a config, each with the task that is still to be started. Where the config says of an issuer's keys what it said
/// before, its task goes on; else the new one takes over the known keys.
fn issuers(
    config: &Config,
    before: &[RunningIssuer],
    purged: &mut Purged,
    metrics: &Arc<Metrics>,
    stop: &CancellationToken,
) -> Result<Vec<(RunningIssuer, Option<Refresher>)>, JwksError> {
    let prepare = |IssuerConfig { rules, jwks }: &IssuerConfig| {
        let old = before.iter().find(|issuer| issuer.name == rules.name);
        if let Some(same) = old.filter(|issuer| issuer.jwks == *jwks) {
            return Ok((same.clone(), None));
        }
        let purges = purged.of(&rules.name, &jwks.sources);
        let refresher = Refresher::new(&rules.name, jwks, &purges, Arc::clone(metrics))?;
        if let Some(old) = old {
            refresher.inherit(&old.keys);
        }
        let keys = refresher.store();
        let issuer = RunningIssuer { name: rules.name.clone(), jwks: jwks.clone(), keys, stop: stop.child_token() };
        Ok((issuer, Some(refresher)))
    };
    config.issuers.iter().map(prepare).collect()
}

fn issuer_keys(config: &Config, issuers: &[(RunningIssuer, Option<Refresher>)]) -> Vec<IssuerKeys> {
    let trusted = config.issuers.iter().map(|issuer| TrustedIssuer::new(issuer.rules.clone()));
    trusted.zip(issuers).map(|(issuer, (running, _))| IssuerKeys { issuer, keys: Arc::clone(&running.keys) }).collect()
}

/// Says which issuer each one's discovery documents ought to name.
fn expect_names(config: &Config, issuers: &[(RunningIssuer, Option<Refresher>)]) {
    for (IssuerConfig { rules, .. }, (running, _)) in config.issuers.iter().zip(issuers) {
        running.keys.expect_issuer(&rules.name, rules.issuer.clone());
    }
}

/// Starts the tasks that are to be started.
fn spawn(issuers: Vec<(RunningIssuer, Option<Refresher>)>, tasks: &mut JoinSet<()>) -> Vec<RunningIssuer> {
    let start = |(issuer, refresher): (RunningIssuer, Option<Refresher>)| {
        if let Some(refresher) = refresher {
            tasks.spawn(refresher.run(issuer.stop.clone()));
        }
        issuer
    };
    issuers.into_iter().map(start).collect()
}

/// The access log has level info.
fn is_access_logged(settings: &LogSettings) -> bool {
    settings.requests && !matches!(settings.level, LogLevel::Error | LogLevel::Warn)
}

fn access_log(settings: &LogSettings, metrics: &Metrics) -> Result<Option<Arc<AccessLog>>, StartError> {
    if !is_access_logged(settings) {
        return Ok(None);
    }
    let format = match settings.format {
        LogFormat::Text => AccessLogFormat::Text,
        LogFormat::Json => AccessLogFormat::Json,
    };
    AccessLog::start(format, settings.refusals_per_second, &metrics.proxy).map(Some).map_err(StartError::Threads)
}

/// Connections that wait to be accepted, if the system allows so many (`net.core.somaxconn`): with the usual 128, devices that come back at
/// once would wait for seconds until they try again.
const BACKLOG: u32 = 4_096;

fn bind(what: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let error = |source| StartError::Bind { what, address, source };
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let listen = |socket: TcpSocket| {
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    let socket = socket.and_then(listen).map_err(error)?;
    let bound = socket.local_addr().map_err(error)?;
    Ok((socket, bound))
}
