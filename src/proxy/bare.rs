//! The edge without authentication: the yardstick of the benches. No config leads here.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::{
    Error, ErrorType, Result,
    http::{RequestHeader, ResponseHeader},
    modules::http::HttpModules,
    proxy::{ProxyHttp, Session},
    upstreams::peer::HttpPeer,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    metrics::Metrics,
    proxy::{
        AccessLog, EventLoops, HeaderSettings, ListenSettings, ProxyError, RouteSettings, UpstreamSettings,
        connection::Connection,
        edge,
        hygiene::StripList,
        listener::Listener,
        request::{Outcome, RequestContext},
        route::Route,
        server_conf,
        trust::Trust,
        upstream::Upstream,
    },
};

/// A plain Pingora proxy to one upstream, on the accept loop, transport, timeouts, counters and access log of [`Proxy`](super::Proxy).
/// It forwards whatever it gets.
#[doc(hidden)]
pub struct UnauthenticatedProxyForBenches {
    listener: Arc<Listener<Hooks>>,
    upstream: Arc<Upstream>,
    _loops: EventLoops,
}

impl UnauthenticatedProxyForBenches {
    /// Forwards everything to `upstream`, on `loops`. Of `route` only the name is used, for counters and log.
    pub fn new(
        listen: &ListenSettings,
        upstream: UpstreamSettings,
        route: &RouteSettings,
        metrics: Arc<Metrics>,
        access_log: Option<Arc<AccessLog>>,
        loops: EventLoops,
    ) -> Result<Self, ProxyError> {
        let upstream = Arc::new(Upstream::new(upstream)?);
        let route = Arc::new(Route::new(route, &HeaderSettings::default(), metrics.proxy.route(&route.name)));
        let strip = Arc::new(StripList::new(&HeaderSettings { strip: Vec::new() }, &[]));
        let hooks = Hooks {
            listen: listen.clone(),
            route,
            strip,
            upstream: Arc::clone(&upstream),
            metrics: Arc::clone(&metrics),
            access_log,
        };
        let listen_settings = Arc::new(ArcSwap::from_pointee(listen.clone()));
        Ok(Self {
            listener: Arc::new(Listener::new(
                &hooks,
                listen_settings,
                Arc::new(Trust::without_keys()),
                metrics,
                server_conf(false),
                &loops,
            )),
            upstream,
            _loops: loops,
        })
    }

    /// Serves until `stop`, as [`Proxy::run`](super::Proxy::run) does.
    pub async fn run(self, socket: TcpListener, stop: CancellationToken, grace: Duration) {
        let resolver = tokio::spawn(self.upstream.keep_resolved(stop.clone()));
        self.listener.run(socket, stop, grace).await;
        resolver.abort();
    }
}

#[derive(Clone)]
struct Hooks {
    listen: ListenSettings,
    route: Arc<Route>,
    /// What is hop-by-hop, no more.
    strip: Arc<StripList>,
    upstream: Arc<Upstream>,
    metrics: Arc<Metrics>,
    access_log: Option<Arc<AccessLog>>,
}

#[async_trait]
impl ProxyHttp for Hooks {
    type CTX = RequestContext<()>;

    fn new_ctx(&self) -> RequestContext<()> {
        RequestContext::new(Connection::current(&self.listen), (), Arc::clone(&self.metrics), self.access_log.clone())
    }

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, context: &mut RequestContext<()>) -> Result<()> {
        edge::begin(session, &mut context.request, &self.listen);
        context.route = Some(Arc::clone(&self.route));
        Ok(())
    }

    async fn upstream_peer(&self, _session: &mut Session, _context: &mut RequestContext<()>) -> Result<Box<HttpPeer>> {
        match self.upstream.peer().await {
            Some(peer) => Ok(peer),
            None => Error::e_explain(ErrorType::ConnectNoRoute, "the upstream's name has not been resolved"),
        }
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        request: &mut RequestHeader,
        _context: &mut RequestContext<()>,
    ) -> Result<()> {
        self.strip.apply(request, |_| false)
    }

    async fn response_filter(
        &self,
        _session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut RequestContext<()>,
    ) -> Result<()> {
        context.outcome = Outcome::Upstream(response.status.as_u16());
        Ok(())
    }

    fn suppress_error_log(&self, _session: &Session, _context: &RequestContext<()>, _error: &Error) -> bool {
        true
    }
}
