//! The accept loop, and its shutdown.
//!
//! Pingora's own `Server` hides the port it bound, survives a failed bind, has no deadline for a header and sleeps the whole
//! grace period at shutdown even when idle. So connections are accepted here, spread over the [event
//! loops](super::event_loops), and each is served under its deadline.

use std::{
    future::{Future as _, poll_fn},
    io,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError},
    task::JoinSet,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    metrics::{IntGauge, Listening, Metrics},
    proxy::{
        address::{Peer, Scheme},
        client::{
            connection::Connection,
            cut::Cut,
            displacing::{self, OpenConnections},
            event_loops::{EventLoop, EventLoops},
            intake::Intake,
            key_watch::KeyWatch,
            request_state::DeadlineTimer,
            settings::ListenSettings,
            stream::ClientStream,
            transport::Transport,
        },
        http::RateLimit,
    },
};

/// How often the operator is told that nobody can be accepted.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// What is left to do with a connection whose requests are over.
pub(in crate::proxy) type LastWork = BoxFuture<'static, ()>;

/// What is done with the connections of one event loop.
pub(in crate::proxy) trait Serve: Send + Sync + 'static {
    /// Serves the requests of one connection, one after another. What is left to do with it then is returned, and done when all memory of
    /// its requests is free: a socket may be idle for hours.
    fn serve(&self, connection: &Arc<Connection>, transport: Transport) -> impl Future<Output = Option<LastWork>> + Send;

    /// Looks after what the connections share. Runs on their event loop for as long as they are served.
    fn tend(&self) -> impl Future<Output = ()> + Send;

    /// Ends the connections that wait for a next request. Called once, when the gateway stops.
    fn stop(&self) -> impl Future<Output = ()> + Send;
}

/// Accepts clients and has them served.
pub(in crate::proxy) struct Listener<S> {
    workers: Vec<Worker<S>>,
    settings: Arc<ArcSwap<ListenSettings>>,
    trust: Arc<KeyWatch>,
    metrics: Arc<Metrics>,
}

/// What serves on one event loop. Each has a pool of connections to the upstream of its own: one that was opened on another loop would
/// wake that loop's thread at each answer.
struct Worker<S> {
    service: Arc<S>,
    event_loop: EventLoop,
    open: Arc<OpenConnections>,
}

impl<S: Serve> Listener<S> {
    /// `service` is called for each event loop.
    pub(in crate::proxy) fn new(
        service: impl Fn() -> S,
        settings: Arc<ArcSwap<ListenSettings>>,
        trust: Arc<KeyWatch>,
        metrics: Arc<Metrics>,
        loops: &EventLoops,
    ) -> Self {
        let worker =
            |event_loop: &EventLoop| Worker { service: Arc::new(service()), event_loop: event_loop.clone(), open: Arc::default() };
        Self { workers: loops.iter().map(worker).collect(), settings, trust, metrics }
    }

    /// Serves until `stop`; then lets requests finish within the grace, cuts what is left, and returns as soon as nothing is in progress.
    pub(in crate::proxy) async fn run(self: Arc<Self>, socket: TcpListener, stop: CancellationToken, grace: Duration) {
        let cut = CancellationToken::new();
        let connections = TaskTracker::new();
        let mut tending = JoinSet::new();
        for worker in &self.workers {
            let service = Arc::clone(&worker.service);
            tending.spawn_on(async move { service.tend().await }, worker.event_loop.handle());
        }
        let max_connections = self.settings.load().max_connections;
        self.metrics.proxy.connections_limit.set(i64::try_from(max_connections).unwrap_or(i64::MAX));
        let places = Arc::new(Semaphore::new(max_connections));
        let accept = async {
            let full = RateLimit::every(LOG_INTERVAL);
            let trouble = RateLimit::every(LOG_INTERVAL);
            loop {
                let (stream, peer) = self.accept(&socket, &trouble).await;
                let Some(place) = self.place(&places, max_connections, &full).await else { return };
                let Some(worker) = self.least_busy() else { return };
                let (taken_on, service, open) =
                    (worker.event_loop.take_on(), Arc::clone(&worker.service), Arc::clone(&worker.open));
                let (this, cut) = (Arc::clone(&self), cut.clone());
                let serving = async move {
                    this.serve(&*service, stream, peer, &open, &cut).await;
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
        for worker in &self.workers {
            worker.service.stop().await;
        }
        connections.close();
        if tokio::time::timeout(grace, connections.wait()).await.is_err() {
            tracing::warn!(connections = connections.len(), "the grace period is over; the remaining connections are closed");
            cut.cancel();
            connections.wait().await;
        }
    }

    /// A place for a connection that has come. Where all are taken, those that have been idle the longest give way, as at nginx; nobody is
    /// kept out by connections that ask for nothing.
    async fn place(&self, places: &Arc<Semaphore>, max_connections: usize, full: &RateLimit) -> Option<OwnedSemaphorePermit> {
        /// Until then one may have become idle.
        const RETRY_INTERVAL: Duration = Duration::from_millis(50);
        /// Until then one that was idle is closed, unless it is idle no longer.
        const CLOSE_TIMEOUT: Duration = Duration::from_millis(250);
        match Arc::clone(places).try_acquire_owned() {
            Err(TryAcquireError::NoPermits) => {}
            place => return place.ok(),
        }
        self.metrics.proxy.connections_full.inc();
        if full.is_due() {
            tracing::warn!(
                max_connections,
                "the connection limit is reached; the longest idle connections are closed, or clients wait"
            );
        }
        loop {
            let wait = if self.displace(displacing::at_once(max_connections)) { CLOSE_TIMEOUT } else { RETRY_INTERVAL };
            if let Ok(place) = tokio::time::timeout(wait, Arc::clone(places).acquire_owned()).await {
                return place.ok();
            }
        }
    }

    /// Has so many connections closed that are idle, each on its event loop. Says whether there are such.
    fn displace(&self, most: usize) -> bool {
        let mut some_are = false;
        let chosen = displacing::idle_longest(self.workers.iter().map(|worker| &*worker.open), most);
        for (worker, connections) in self.workers.iter().zip(chosen).filter(|(_, connections)| !connections.is_empty()) {
            let cut = self.metrics.proxy.connections_cut.with_label_values(&[Cut::Displaced.label()]);
            some_are = true;
            worker.event_loop.handle().spawn(async move {
                let closed = connections.iter().filter(|connection| connection.displace()).count();
                cut.inc_by(u64::try_from(closed).unwrap_or(u64::MAX));
            });
        }
        some_are
    }

    /// The next connection, watched by no event loop yet. Errors of `accept` concern one connection that is gone already, or a lack of
    /// descriptors, which passes.
    async fn accept(&self, socket: &TcpListener, trouble: &RateLimit) -> (std::net::TcpStream, SocketAddr) {
        const RETRY_INTERVAL: Duration = Duration::from_millis(50);
        loop {
            match socket.accept().await.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
                Ok((stream, peer)) => {
                    // Best effort: a stream that refuses is about to fail anyway.
                    let _ = stream.set_nodelay(true);
                    return (stream, peer);
                }
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    self.metrics.accept_failed(Listening::Clients, &error);
                    if trouble.is_due() {
                        tracing::warn!(%error, "cannot accept connections; retrying");
                    }
                    tokio::time::sleep(RETRY_INTERVAL).await;
                }
            }
        }
    }

    /// The worker with the fewest connections. Sockets stay for hours, so taking turns would not do.
    fn least_busy(&self) -> Option<&Worker<S>> {
        self.workers.iter().min_by_key(|worker| worker.event_loop.connections())
    }

    async fn serve(
        &self,
        service: &S,
        stream: std::net::TcpStream,
        peer: SocketAddr,
        open: &Arc<OpenConnections>,
        cut: &CancellationToken,
    ) {
        self.metrics.proxy.connections_accepted.inc();
        let _counted = Counted::new(&self.metrics.proxy.connections);
        let stream = match TcpStream::from_std(stream) {
            Ok(stream) => ClientStream::from(stream),
            Err(error) => return tracing::debug!(%error, "a connection cannot be registered for polling"),
        };
        let (connection, stream_grace) = {
            let listen = self.settings.load();
            let intake = Intake::new(listen.header_bytes, self.metrics.proxy.unfinished_header_bytes.clone());
            let connection = Connection::new(Peer::new(peer, Scheme::Http), Some(stream.clone()), listen.header_timeout, intake);
            connection.request().bound_writes(listen.write_timeout);
            (Arc::new(connection), listen.stream_grace)
        };
        let _kept = open.keep(&connection);
        let transport = Transport::new(stream, Arc::clone(&connection));
        let unsent = transport.unsent();
        {
            let mut work: BoxFuture<'_, Option<LastWork>> = Box::pin(service.serve(&connection, transport));
            let mut cancelled = pin!(cut.cancelled());
            let mut timer = DeadlineTimer::new(connection.request(), &self.trust, stream_grace);
            poll_fn(|task| {
                loop {
                    let is_done = loop {
                        match work.as_mut().poll(task) {
                            Poll::Pending => break false,
                            Poll::Ready(None) => break true,
                            Poll::Ready(Some(last)) => work = Box::pin(last.map(|()| None)),
                        }
                    };
                    // The work pauses or has broken off: what it has said so far is for the client to know. A failure is met by the
                    // next write.
                    let _ = unsent.poll_send(task);
                    if is_done {
                        return Poll::Ready(());
                    }
                    let cause = match cancelled.as_mut().poll(task) {
                        Poll::Ready(()) => Poll::Ready(Cut::Shutdown),
                        Poll::Pending => timer.poll(task),
                    };
                    let cause = ready!(cause);
                    if !connection.request().tell_end(cause) {
                        connection.request().cut(cause);
                        self.metrics.proxy.connections_cut.with_label_values(&[cause.label()]).inc();
                        return Poll::Ready(());
                    }
                }
            })
            .await;
        }
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
