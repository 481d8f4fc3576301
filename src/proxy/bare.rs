//! The edge without authentication: the baseline of the benches. Not reachable from any config.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::{
    Error, ErrorType, Result,
    apps::HttpServerApp,
    http::{RequestHeader, ResponseHeader},
    modules::http::HttpModules,
    protocols::http::ServerSession,
    proxy::{HttpProxy, ProxyHttp, Session, http_proxy},
    server::configuration::ServerConf,
    upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy},
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::{
    limits::{LimitSettings, Limits},
    metrics::Metrics,
    proxy::{
        AccessLog, EventLoops, HeaderSettings, ListenSettings, ProxyError, RouteSettings, UpstreamSettings,
        client::{
            Arrival, ClientSession, Connection, Gate, Intake, KeyWatch, LastWork, Listener, Port, Serve, Transport, Unreadable,
        },
        policy::{Route, StripList},
        serve::{Outcome, RequestRecord},
        server_conf,
        upstream::{Backend, MAX_IDLE_CONNECTIONS, SystemAuthorities},
    },
};

/// A plain Pingora proxy to one upstream, on the accept loop, transport, timeouts, counters and access log of [`Proxy`](super::Proxy).
/// It forwards whatever it gets, without TLS.
#[doc(hidden)]
pub struct UnauthenticatedProxyForBenches {
    listener: Arc<Listener<BarePingora>>,
    upstream: Arc<Backend>,
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
        let upstream = Arc::new(Backend::new(upstream, None, &SystemAuthorities::default())?);
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
        let conf = ServerConf { max_retries: 2, upstream_keepalive_pool_size: MAX_IDLE_CONNECTIONS, ..server_conf() };
        let conf = Arc::new(conf);
        let limits = Arc::new(ArcSwap::from_pointee(Limits::new(LimitSettings::none(), listen.max_connections)));
        let listen_settings = Arc::new(ArcSwap::from_pointee(listen.clone()));
        let gate = Gate::new(limits, Arc::clone(&listen_settings), &metrics);
        Ok(Self {
            listener: Arc::new(Listener::new(
                || BarePingora { proxy: Arc::new(http_proxy(&conf, hooks.clone())), listen: listen.clone() },
                listen_settings,
                Arc::new(KeyWatch::without_keys()),
                metrics,
                &loops,
                gate,
                false,
            )?),
            upstream,
            _loops: loops,
        })
    }

    /// Serves until `stop`, as [`Proxy::run`](super::Proxy::run) does.
    pub async fn run(self, socket: TcpListener, stop: CancellationToken, grace: Duration) {
        let resolver = tokio::spawn(self.upstream.keep_resolved(stop.clone()));
        let port = Port { socket, proxy_protocol: false, tls: None, redirect_port: None };
        self.listener.run(vec![port], stop, grace).await;
        resolver.abort();
    }
}

tokio::task_local! {
    /// The connection that the current task serves. Pingora makes a request's context without arguments; this is how it learns.
    static CONNECTION: Arc<Connection>;
}

/// Pingora's own proxy, on one event loop.
struct BarePingora {
    proxy: Arc<HttpProxy<Hooks>>,
    listen: ListenSettings,
}

impl Serve for BarePingora {
    async fn serve(&self, connection: &Arc<Connection>, transport: Transport) -> Option<LastWork> {
        let (_stopping, shutdown) = watch::channel(false);
        let requests = async {
            let mut session = ServerSession::new_http1(Box::new(transport));
            session.set_keepalive(Some(self.listen.keepalive_timeout.as_secs().max(1)));
            while let Some(reused) = self.proxy.process_new_http(session, &shutdown).await {
                let (stream, settings) = reused.consume();
                session = ServerSession::new_http1(stream);
                if let Some(settings) = settings {
                    settings.apply_to_session(&mut session);
                }
            }
        };
        CONNECTION.scope(Arc::clone(connection), requests).await;
        None
    }

    /// No listener of this one offers HTTP/2.
    async fn serve_stream(&self, _session: ClientSession, _connection: &Arc<Connection>, _unreadable: Option<Unreadable>) {}

    async fn tend(&self) {}

    async fn stop(&self) {
        self.proxy.http_cleanup().await;
    }
}

#[derive(Clone)]
struct Hooks {
    listen: ListenSettings,
    route: Arc<Route>,
    /// What is hop-by-hop, no more.
    strip: Arc<StripList>,
    upstream: Arc<Backend>,
    metrics: Arc<Metrics>,
    access_log: Option<Arc<AccessLog>>,
}

#[async_trait]
impl ProxyHttp for Hooks {
    type CTX = RequestRecord;

    fn new_ctx(&self) -> RequestRecord {
        let nobody = || {
            let intake = Intake::new(self.listen.header_bytes, self.metrics.proxy.unfinished_header_bytes.clone());
            Arc::new(Connection::new(Arrival::new(SocketAddr::from(([0, 0, 0, 0], 0))), None, self.listen.header_timeout, intake))
        };
        let connection = CONNECTION.try_with(Arc::clone).unwrap_or_else(|_| nobody());
        RequestRecord::new(connection, Arc::clone(&self.metrics), self.access_log.clone())
    }

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, context: &mut RequestRecord) -> Result<()> {
        let header = session.req_header();
        context.request = Some((header.method.clone(), header.uri.clone()));
        if let ServerSession::H1(client) = session.as_downstream_mut() {
            // Pingora waits forever between two requests unless told otherwise.
            if client.get_keepalive_timeout() == Some(0) {
                client.set_server_keepalive(Some(self.listen.keepalive_timeout.as_secs().max(1)));
            }
            client.set_pipelining_enabled(true);
            client.set_read_timeout(Some(self.listen.body_timeout));
            context.connection.request().bound_writes(self.listen.write_timeout);
        }
        context.route = Some(Arc::clone(&self.route));
        Ok(())
    }

    async fn upstream_peer(&self, _session: &mut Session, _context: &mut RequestRecord) -> Result<Box<HttpPeer>> {
        match self.upstream.place(None).await {
            Some(request) => {
                let mut peer = Box::new(HttpPeer::clone(&request.place().peer));
                // The strip list takes out what is hop-by-hop, as it does in the gateway.
                peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::preserve();
                Ok(peer)
            }
            None => Error::e_explain(ErrorType::ConnectNoRoute, "the upstream's name has not been resolved"),
        }
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        request: &mut RequestHeader,
        _context: &mut RequestRecord,
    ) -> Result<()> {
        let is_unwanted = self.strip.unwanted_in(&request.headers)?;
        let unwanted: Vec<_> = request.headers.keys().filter(|name| is_unwanted(name)).cloned().collect();
        for name in unwanted {
            request.remove_header(&name);
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        _session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut RequestRecord,
    ) -> Result<()> {
        context.outcome = Outcome::Upstream(response.status.as_u16());
        Ok(())
    }

    fn suppress_error_log(&self, _session: &Session, _context: &RequestRecord, _error: &Error) -> bool {
        true
    }
}
