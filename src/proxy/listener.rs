//! The accept loop, and the end of it.
//!
//! Pingora's own `Server` hides the port it bound, survives a bind that failed, has no deadline for a header and sleeps the whole grace at
//! shutdown even when idle. So connections are accepted here, spread over the [event loops](super::event_loops), and handed to Pingora's
//! `HttpProxy` one by one.

use std::{
    future::{Future as _, poll_fn},
    io,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use pingora::{
    apps::HttpServerApp,
    protocols::http::ServerSession,
    proxy::{HttpProxy, ProxyHttp, http_proxy},
    server::configuration::ServerConf,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    metrics::{IntGauge, Metrics},
    proxy::{
        ListenSettings,
        connection::{CONNECTION, Connection, Cut, DeadlineTimer},
        event_loops::{EventLoop, EventLoops},
        transport::{SharedTcp, Transport},
        trust::Trust,
    },
};

/// Accepts clients and serves them with the hooks of `P`.
pub(super) struct Listener<P> {
    workers: Vec<Worker<P>>,
    settings: Arc<ArcSwap<ListenSettings>>,
    trust: Arc<Trust>,
    metrics: Arc<Metrics>,
}

/// What serves on one event loop. Each has a pool of connections to the upstream of its own: one that was opened on another loop would
/// wake that loop's thread at each answer.
struct Worker<P> {
    proxy: Arc<HttpProxy<P>>,
    event_loop: EventLoop,
}

impl<P> Listener<P>
where
    P: ProxyHttp + Clone + Send + Sync + 'static,
    P::CTX: Send + Sync,
{
    pub(super) fn new(
        hooks: &P,
        settings: Arc<ArcSwap<ListenSettings>>,
        trust: Arc<Trust>,
        metrics: Arc<Metrics>,
        conf: ServerConf,
        loops: &EventLoops,
    ) -> Self {
        let conf = Arc::new(conf);
        let worker =
            |event_loop: &EventLoop| Worker { proxy: Arc::new(http_proxy(&conf, hooks.clone())), event_loop: event_loop.clone() };
        Self { workers: loops.iter().map(worker).collect(), settings, trust, metrics }
    }

    /// Serves until `stop`; then lets requests finish within the grace, cuts what is left, and returns as soon as nothing is under way.
    pub(super) async fn run(self: Arc<Self>, socket: TcpListener, stop: CancellationToken, grace: Duration) {
        let (stopping, shutdown) = watch::channel(false);
        let cut = CancellationToken::new();
        let connections = TaskTracker::new();
        let max_connections = self.settings.load().max_connections;
        let places = Arc::new(Semaphore::new(max_connections));
        let accept = async {
            let mut full = Occasionally::default();
            loop {
                if places.available_permits() == 0 && full.is_due() {
                    tracing::warn!(max_connections, "every connection is taken; clients wait");
                }
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                let (stream, peer) = accept(&socket).await;
                let Some(worker) = self.least_busy() else { return };
                let (taken_on, proxy) = (worker.event_loop.take_on(), Arc::clone(&worker.proxy));
                let (this, shutdown, cut) = (Arc::clone(&self), shutdown.clone(), cut.clone());
                let serving = async move {
                    this.serve(&proxy, stream, peer, &shutdown, &cut).await;
                    drop((place, taken_on));
                };
                connections.spawn_on(serving, worker.event_loop.handle());
            }
        };
        tokio::select! {
            () = accept => {}
            () = stop.cancelled() => {}
        }
        drop(socket);
        stopping.send_replace(true);
        // Ends the connections that wait for a next request.
        for worker in &self.workers {
            worker.proxy.http_cleanup().await;
        }
        connections.close();
        if tokio::time::timeout(grace, connections.wait()).await.is_err() {
            tracing::warn!(connections = connections.len(), "the grace is over; the remaining connections are cut");
            cut.cancel();
            connections.wait().await;
        }
    }

    /// The worker with the fewest connections. Sockets stay for hours, so taking turns would not do.
    fn least_busy(&self) -> Option<&Worker<P>> {
        self.workers.iter().min_by_key(|worker| worker.event_loop.connections())
    }

    async fn serve(
        &self,
        proxy: &Arc<HttpProxy<P>>,
        stream: std::net::TcpStream,
        peer: SocketAddr,
        shutdown: &watch::Receiver<bool>,
        cut: &CancellationToken,
    ) {
        self.metrics.proxy.connections_accepted.inc();
        let _counted = Counted::new(&self.metrics.proxy.connections);
        let stream = match TcpStream::from_std(stream) {
            Ok(stream) => SharedTcp::new(stream),
            Err(error) => return tracing::debug!(%error, "a connection cannot be watched"),
        };
        let (header_timeout, stream_grace) = {
            let listen = self.settings.load();
            (listen.header_timeout, listen.stream_grace)
        };
        let connection = Arc::new(Connection::new(peer, Some(stream.clone()), header_timeout));
        let transport = Transport::new(stream, Arc::clone(&connection));
        let unsent = transport.unsent();
        {
            let mut work = pin!(CONNECTION.scope(Arc::clone(&connection), self.requests(proxy, &connection, transport, shutdown)));
            let mut cancelled = pin!(cut.cancelled());
            let mut timer = DeadlineTimer::new(&connection, &self.trust, stream_grace);
            poll_fn(|task| {
                let is_done = work.as_mut().poll(task).is_ready();
                // The work pauses or has broken off: what it has said so far is for the client to know. A failure is met by the next write.
                let _ = unsent.poll_send(task);
                if is_done {
                    return Poll::Ready(());
                }
                let cause = match cancelled.as_mut().poll(task) {
                    Poll::Ready(()) => Poll::Ready(Cut::Shutdown),
                    Poll::Pending => timer.poll(task),
                };
                cause.map(|cause| {
                    connection.cut(cause);
                    self.metrics.proxy.connections_cut.with_label_values(&[cause.label()]).inc();
                })
            })
            .await;
        }
        // It holds the connection, which holds it: one of them has to let go.
        drop(connection.take_last_work());
        // Pingora answers what it cannot read by itself, with 400 or 405, and no hook of ours hears of it.
        if connection.was_cut().is_none() && connection.is_in_header() {
            self.metrics.proxy.unreadable.inc();
            tracing::debug!(client = %peer, "a request header that cannot be read");
        }
    }

    /// One request after another, as long as the connection can be used again; then what the last of them left to do.
    async fn requests(
        &self,
        proxy: &Arc<HttpProxy<P>>,
        connection: &Connection,
        transport: Transport,
        shutdown: &watch::Receiver<bool>,
    ) {
        let mut session = ServerSession::new_http1(Box::new(transport));
        session.set_keepalive(Some(self.settings.load().keepalive_timeout.as_secs().max(1)));
        while let Some(reused) = proxy.process_new_http(session, shutdown).await {
            let (stream, settings) = reused.consume();
            session = ServerSession::new_http1(stream);
            if let Some(settings) = settings {
                settings.apply_to_session(&mut session);
            }
        }
        if let Some(work) = connection.take_last_work() {
            work.await;
        }
    }
}

/// The next connection, watched by no event loop yet. Errors of `accept` concern one connection that is gone already, or a lack of
/// descriptors, which passes.
async fn accept(socket: &TcpListener) -> (std::net::TcpStream, SocketAddr) {
    const PAUSE: Duration = Duration::from_millis(50);
    let mut trouble = Occasionally::default();
    loop {
        match socket.accept().await.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
            Ok((stream, peer)) => {
                // Best effort: a stream that refuses is about to fail anyway.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                if trouble.is_due() {
                    tracing::warn!(%error, "cannot accept connections; trying again");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// For what is worth a log line, but not one for each time.
#[derive(Default)]
struct Occasionally(Option<Instant>);

impl Occasionally {
    const PAUSE: Duration = Duration::from_secs(30);

    fn is_due(&mut self) -> bool {
        let is_due = self.0.is_none_or(|last| last.elapsed() >= Self::PAUSE);
        if is_due {
            self.0 = Some(Instant::now());
        }
        is_due
    }
}

/// Counts one for as long as it lives.
struct Counted<'a>(&'a IntGauge);

impl<'a> Counted<'a> {
    fn new(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused)
}
