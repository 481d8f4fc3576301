//! [`Live`]: what a reload of the config swaps. A request keeps the one that it began with.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use futures_util::{FutureExt as _, future::join};
use http::{HeaderMap, HeaderValue, header};
use pingora::connectors::TransportConnector;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    certificate::{self, CertificateError, ServerTls},
    exchange::Exchange,
    limits::Limits,
    metrics::Metrics,
    proxy::{
        ProxyError, ProxySettings,
        address::TellSettings,
        client::{ListenSettings, ListenerSettings},
        http::{LimitLog, RateLimit},
        policy::{Policy, Route, RouteSettings, RouteTable},
        serve::{access_log::AccessLog, pin_watch::PinWatch},
        upstream::{Backend, DrainError, SystemAuthorities, UpstreamView},
    },
};

/// How often the operator is told of a proxy that is not trusted.
const IGNORED_INTERVAL: Duration = Duration::from_secs(600);

/// Everything that depends on the config and can change under traffic.
#[derive(Debug)]
pub(in crate::proxy) struct Live {
    pub(in crate::proxy) listen: ListenSettings,
    pub(in crate::proxy) policy: Policy,
    pub(in crate::proxy) upstreams: Vec<Arc<Backend>>,
    /// One for each upstream.
    pub(super) pins: Vec<PinWatch>,
    pub(in crate::proxy) realm: String,
    /// What upstreams are told of clients.
    pub(super) tell: TellSettings,
    /// Whether a route is for a host, so that nothing else may name one.
    pub(super) has_hosts: bool,
    pub(in crate::proxy) access_log: Option<Arc<AccessLog>>,
    /// For preflights of pages that no route has `cors` for.
    pub(super) preflights: RateLimit,
    /// For what proxies say that are not trusted.
    pub(super) ignored: RateLimit,
    pub(super) limit_log: Arc<LimitLog>,
}

impl Live {
    /// Upstreams that are the same as in `old`, with the files that they name, keep their addresses.
    pub(in crate::proxy) fn new(
        settings: &ProxySettings,
        old: Option<&Self>,
        exchange: Arc<Exchange>,
        metrics: &Metrics,
        access_log: Option<Arc<AccessLog>>,
    ) -> Result<Self, ProxyError> {
        let known = |name: &str| old.and_then(|old| old.upstreams.iter().find(|upstream| upstream.name() == name));
        let system = SystemAuthorities::default();
        let upstreams = settings.upstreams.iter().map(|one| match known(&one.name) {
            Some(same) if same.is_by(one) => Ok(Arc::clone(same)),
            before => Backend::new(one.clone(), before.map(|before| &**before), &system).map(Arc::new),
        });
        let headers = settings.headers.for_hosts(settings.routes.iter().map(|route| &route.host)).into_owned();
        let headers = headers.with_client_field(&settings.listen.trust.client_field);
        let route = |one: &RouteSettings| {
            let prefix = settings.upstreams.get(one.upstream).map_or("", |upstream| &upstream.prefix);
            let route = Route::new(one, &headers, metrics.proxy.route(&one.name)).with_prefix(prefix);
            let route = route.with_endpoint(one.endpoint.as_ref());
            route.map(Arc::new).map_err(|source| ProxyError::Endpoint { route: one.name.clone(), source })
        };
        let routes = RouteTable::new(settings.routes.iter().map(route).collect::<Result<_, _>>()?);
        let pins = settings.upstreams.iter().map(|upstream| PinWatch::new(&upstream.name, Arc::clone(&exchange)));
        let limits = match old {
            Some(old) => old.policy.limits.reconfigured(settings.limits.clone()),
            None => Limits::new(settings.limits.clone(), settings.listen.max_connections),
        };
        let limits = Arc::new(limits);
        let log = || Arc::new(LimitLog::new(metrics.clients.limited.clone()));
        let limit_log = old.map_or_else(log, |old| Arc::clone(&old.limit_log));
        Ok(Self {
            listen: settings.listen.clone(),
            upstreams: upstreams.collect::<Result<_, _>>()?,
            pins: pins.collect(),
            policy: Policy { routes, exchange, limits },
            realm: settings.realm.clone(),
            tell: settings.tell,
            has_hosts: settings.routes.iter().any(|route| route.host.is_some()),
            access_log,
            preflights: RateLimit::every(Duration::from_secs(10)),
            ignored: RateLimit::every(IGNORED_INTERVAL),
            limit_log,
        })
    }

    /// Names the page whose preflight is refused: its developer sees no more than that something about CORS is wrong.
    pub(super) fn complain_of_preflight(&self, headers: &HeaderMap, route: &str) {
        /// More of an origin is not logged.
        const SHOWN: usize = 128;
        if self.preflights.is_due() {
            let origin = headers.get(header::ORIGIN).map(HeaderValue::as_bytes).unwrap_or_default();
            let origin = origin.get(..SHOWN).unwrap_or(origin).escape_ascii().to_string();
            tracing::warn!(route, origin, "a preflight from another origin is refused: the route has no cors");
        }
    }
}

/// Exchanges what a running edge serves by.
pub struct LiveProxy {
    pub(in crate::proxy) live: Arc<ArcSwap<Live>>,
    /// The part of it that says whose keys are trusted.
    pub(in crate::proxy) exchange: Arc<ArcSwap<Exchange>>,
    /// The part of it that connections need before their first request.
    pub(in crate::proxy) listen: Arc<ArcSwap<ListenSettings>>,
    /// And who gets one at all.
    pub(in crate::proxy) limits: Arc<ArcSwap<Limits>>,
    certificates: Vec<Option<Arc<ServerTls>>>,
    metrics: Arc<Metrics>,
    /// For those that ask the upstreams whether they are well.
    connector: Arc<TransportConnector>,
    resolvers: Mutex<Resolvers>,
}

/// Settings that can be used, not in use yet.
#[derive(Debug)]
pub struct Prepared {
    live: Arc<Live>,
    certificates: Vec<(Arc<ServerTls>, certificate::Prepared)>,
}

fn refused(listener: &ListenerSettings, source: CertificateError) -> ProxyError {
    ProxyError::Certificate { address: listener.address, source }
}

/// The tasks that resolve the names of upstreams, and ask their addresses whether they are well.
#[derive(Debug, Default)]
struct Resolvers {
    tasks: JoinSet<()>,
    running: Vec<(Arc<Backend>, AbortHandle)>,
    /// Set while the edge runs.
    stop: Option<CancellationToken>,
}

impl fmt::Debug for LiveProxy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("LiveProxy").field("live", &self.live).finish_non_exhaustive()
    }
}

impl LiveProxy {
    /// # Errors
    /// Certificates that cannot be used.
    pub(in crate::proxy) fn new(live: Live, metrics: Arc<Metrics>, connector: Arc<TransportConnector>) -> Result<Self, ProxyError> {
        let load = |listener: &ListenerSettings| {
            let load = |settings| ServerTls::load(settings, SystemTime::now()).map(Arc::new);
            listener.tls.as_ref().map(load).transpose().map_err(|source| refused(listener, source))
        };
        let certificates: Vec<_> = live.listen.listeners.iter().map(load).collect::<Result<_, _>>()?;
        for tls in certificates.iter().flatten() {
            tls.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
        }
        let listen = Arc::new(ArcSwap::from_pointee(live.listen.clone()));
        let exchange = Arc::new(ArcSwap::new(Arc::clone(&live.policy.exchange)));
        let limits = Arc::new(ArcSwap::new(Arc::clone(&live.policy.limits)));
        let live = Arc::new(ArcSwap::from_pointee(live));
        Ok(Self { live, exchange, listen, limits, certificates, metrics, connector, resolvers: Mutex::default() })
    }

    /// The exchange in use.
    pub fn exchange(&self) -> Arc<Exchange> {
        self.exchange.load_full()
    }

    /// The access log in use.
    pub fn access_log(&self) -> Option<Arc<AccessLog>> {
        self.live.load().access_log.clone()
    }

    /// Makes settings ready for use. Changes nothing yet.
    pub fn prepare(
        &self,
        settings: &ProxySettings,
        exchange: Arc<Exchange>,
        access_log: Option<Arc<AccessLog>>,
    ) -> Result<Prepared, ProxyError> {
        let live = Live::new(settings, Some(&self.live.load()), exchange, &self.metrics, access_log)?;
        // Elsewhere is only after a restart.
        let is_here = settings.listen.has_places_of(&self.listen.load());
        let listeners = settings.listen.listeners.iter().filter(|_| is_here).zip(&self.certificates);
        let prepare = |(listener, running): (&ListenerSettings, &Option<Arc<ServerTls>>)| {
            let (settings, running) = (listener.tls.as_ref()?, running.as_ref()?);
            let prepared = running.prepare(settings, SystemTime::now());
            Some(prepared.map(|prepared| (Arc::clone(running), prepared)).map_err(|source| refused(listener, source)))
        };
        let certificates = listeners.filter_map(prepare).collect::<Result<_, _>>()?;
        Ok(Prepared { live: Arc::new(live), certificates })
    }

    /// How handshakes are answered, for each listener in order.
    pub(in crate::proxy) fn certificates(&self) -> &[Option<Arc<ServerTls>>] {
        &self.certificates
    }

    /// From now on new requests are served by these settings; those in progress go on with theirs.
    pub fn replace(&self, Prepared { live, certificates }: Prepared) {
        certificates.into_iter().for_each(|(running, prepared)| running.adopt(prepared));
        self.listen.store(Arc::new(live.listen.clone()));
        self.limits.store(Arc::clone(&live.policy.limits));
        let exchange = Arc::clone(&live.policy.exchange);
        self.live.store(live);
        self.exchange.store(exchange);
        self.resolve();
        self.forget_series();
    }

    /// Ends the series of routes and upstreams that are no longer in use. A request that began before the last reload may bring one
    /// back, so this is to be done now and then.
    pub fn forget_series(&self) {
        let live = self.live.load();
        let upstreams: Vec<_> = live.upstreams.iter().map(|upstream| upstream.name()).collect();
        self.metrics.proxy.keep_only(&live.policy.routes.names().collect::<Vec<_>>(), &upstreams);
    }

    /// The upstreams in use, as operators see them.
    pub fn upstreams(&self) -> Vec<UpstreamView> {
        self.live.load().upstreams.iter().map(|upstream| upstream.view()).collect()
    }

    /// Has new requests pass an address by, and its WebSockets closed within `drain_spread`; or undoes that. Returns the upstream as it is
    /// then.
    ///
    /// # Errors
    /// There is no such upstream or address, or it is the last one that serves.
    pub fn drain(&self, upstream: &str, address: &str, is_to_drain: bool) -> Result<UpstreamView, DrainError> {
        let live = self.live.load();
        let upstream = live.upstreams.iter().find(|known| known.name() == upstream).ok_or(DrainError::NoUpstream)?;
        upstream.drain(address, is_to_drain)?;
        Ok(upstream.view())
    }

    pub(in crate::proxy) fn start_resolving(&self, stop: CancellationToken) {
        self.resolvers.lock().unwrap_or_else(PoisonError::into_inner).stop = Some(stop);
        self.resolve();
    }

    pub(in crate::proxy) async fn stop_resolving(&self) {
        let mut tasks = std::mem::take(&mut self.resolvers.lock().unwrap_or_else(PoisonError::into_inner).tasks);
        tasks.shutdown().await;
    }

    /// One task for each upstream in use, none for the others.
    fn resolve(&self) {
        let mut resolvers = self.resolvers.lock().unwrap_or_else(PoisonError::into_inner);
        let Resolvers { tasks, running, stop } = &mut *resolvers;
        let Some(stop) = stop else { return };
        let live = self.live.load();
        running.retain(|(upstream, task)| {
            let is_used = live.upstreams.iter().any(|used| Arc::ptr_eq(used, upstream));
            if !is_used {
                task.abort();
            }
            is_used
        });
        for upstream in &live.upstreams {
            if !running.iter().any(|(known, _)| Arc::ptr_eq(known, upstream)) {
                let resolving = Arc::clone(upstream).keep_resolved(stop.clone());
                let checking = Arc::clone(upstream).keep_checked(Arc::clone(&self.connector), stop.clone());
                let task = tasks.spawn(join(resolving, checking).map(drop));
                running.push((Arc::clone(upstream), task));
            }
        }
    }
}
