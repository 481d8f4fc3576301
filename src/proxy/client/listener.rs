//! The accept loop, and its shutdown.
//!
//! Pingora's own `Server` hides the port it bound, survives a failed bind, has no deadline for a header and sleeps the whole
//! grace period at shutdown even when idle. So connections are accepted here, spread over the [event
//! loops](super::event_loops), and each is served under its deadline.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError},
    task::JoinSet,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    certificate::ServerTls,
    metrics::{IntGauge, Listening, Metrics},
    proxy::{
        client::{
            announced::Announcements,
            connection::{Arrival, Secure},
            cut::Cut,
            displacing::{self, OpenConnections},
            event_loops::{EventLoop, EventLoops},
            gate::{Gate, Place},
            handshakes::Handshakes,
            key_watch::KeyWatch,
            serving::{Ending, Serve, Serving},
            settings::ListenSettings,
            stream::ClientStream,
        },
        http::RateLimit,
    },
};

/// How often the operator is told that nobody can be accepted.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// Accepts clients and has them served.
pub(in crate::proxy) struct Listener<S> {
    workers: Vec<Worker<S>>,
    serving: Serving,
    announcements: Announcements,
    gate: Gate,
    /// None where no port has TLS.
    handshakes: Option<Handshakes>,
}

/// A socket that clients connect to.
pub(in crate::proxy) struct Port {
    pub(in crate::proxy) socket: TcpListener,
    /// Whether each connection begins with a header of the PROXY protocol.
    pub(in crate::proxy) proxy_protocol: bool,
    /// How handshakes are answered; none: the port is for plain HTTP.
    pub(in crate::proxy) tls: Option<Arc<ServerTls>>,
    /// Where clients are sent on, if nothing else is done for them: to https, at this port.
    pub(in crate::proxy) redirect_port: Option<u16>,
}

/// What all connections of one run share.
struct Run {
    connections: TaskTracker,
    ending: Ending,
    max_connections: usize,
    places: Arc<Semaphore>,
    full: RateLimit,
}

/// A connection that has come, and what it has taken up.
struct Newcomer<T> {
    /// Watched by no event loop yet.
    stream: T,
    arrival: Arrival,
    place: OwnedSemaphorePermit,
    /// Among those of its address.
    own: Place,
    counted: Counted,
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
    ///
    /// # Errors
    /// Threads for handshakes, if there `is_tls`, cannot be started.
    pub(in crate::proxy) fn new(
        service: impl Fn() -> S,
        settings: Arc<ArcSwap<ListenSettings>>,
        trust: Arc<KeyWatch>,
        metrics: Arc<Metrics>,
        loops: &EventLoops,
        gate: Gate,
        is_tls: bool,
    ) -> io::Result<Self> {
        let worker =
            |event_loop: &EventLoop| Worker { service: Arc::new(service()), event_loop: event_loop.clone(), open: Arc::default() };
        let workers = loops.iter().map(worker).collect();
        let handshakes = is_tls.then(Handshakes::start).transpose()?;
        let announcements = Announcements::new(Arc::clone(&settings), Arc::clone(&metrics));
        Ok(Self { workers, serving: Serving { settings, trust, metrics }, announcements, gate, handshakes })
    }

    /// Serves until `stop`; then lets requests finish within the grace, cuts what is left, and returns as soon as nothing is in progress.
    pub(in crate::proxy) async fn run(self: Arc<Self>, ports: Vec<Port>, stop: CancellationToken, grace: Duration) {
        let mut tending = JoinSet::new();
        for worker in &self.workers {
            let service = Arc::clone(&worker.service);
            tending.spawn_on(async move { service.tend().await }, worker.event_loop.handle());
        }
        let max_connections = self.serving.settings.load().max_connections;
        self.metrics().proxy.connections_limit.set(i64::try_from(max_connections).unwrap_or(i64::MAX));
        let run = Arc::new(Run {
            connections: TaskTracker::new(),
            ending: Ending::default(),
            max_connections,
            places: Arc::new(Semaphore::new(max_connections)),
            full: RateLimit::every(LOG_INTERVAL),
        });
        tokio::select! {
            _ = join_all(ports.iter().map(|port| self.accept_at(port, &run))) => {}
            () = stop.cancelled() => {}
        }
        drop(ports);
        run.ending.stopping.cancel();
        for worker in &self.workers {
            worker.service.stop().await;
        }
        run.connections.close();
        if tokio::time::timeout(grace, run.connections.wait()).await.is_err() {
            let connections = run.connections.len();
            tracing::warn!(connections, "the grace period is over; the remaining connections are closed");
            run.ending.cut.cancel();
            run.connections.wait().await;
        }
    }

    /// Takes the connections that come to one port.
    async fn accept_at(self: &Arc<Self>, port: &Port, run: &Arc<Run>) {
        let trouble = RateLimit::every(LOG_INTERVAL);
        loop {
            let (stream, peer) = self.accept(&port.socket, &trouble).await;
            let arrival = Arrival { redirect_port: port.redirect_port, ..Arrival::new(peer) };
            // Whom a proxy speaks for is not known yet.
            let own = if port.proxy_protocol { Some(None) } else { self.gate.let_in(&arrival.peer) };
            let Some(own) = own else { continue };
            let Some(place) = self.place(run).await else { return };
            self.metrics().proxy.connections_accepted.inc();
            let counted = Counted::new(&self.metrics().proxy.connections);
            let newcomer = Newcomer { stream, arrival, place, own, counted };
            match port.proxy_protocol {
                false => self.receive(newcomer, port.tls.clone(), run),
                true => self.hear(newcomer, port.tls.clone(), run),
            }
        }
    }

    /// Hears from a proxy whom a connection is from, and what comes then.
    fn hear(self: &Arc<Self>, newcomer: Newcomer<std::net::TcpStream>, tls: Option<Arc<ServerTls>>, run: &Arc<Run>) {
        let (this, within) = (Arc::clone(self), Arc::clone(run));
        run.connections.spawn(async move {
            let Newcomer { stream, arrival, place, counted, .. } = newcomer;
            let Ok(mut stream) = TcpStream::from_std(stream) else { return };
            if let Some(arrival) = this.announcements.hear(&mut stream, arrival, &within.ending.stopping).await
                && let Some(own) = this.gate.let_in(&arrival.peer)
                && let Ok(stream) = stream.into_std()
            {
                this.receive(Newcomer { stream, arrival, place, own, counted }, tls, &within);
            }
        });
    }

    /// Serves a connection, after its handshake if its port has TLS.
    fn receive(self: &Arc<Self>, newcomer: Newcomer<std::net::TcpStream>, tls: Option<Arc<ServerTls>>, run: &Arc<Run>) {
        match tls {
            None => self.hand_over(newcomer, run, |stream| TcpStream::from_std(stream).map(ClientStream::from)),
            Some(tls) => self.shake_hands(newcomer, tls, run),
        }
    }

    /// Has the handshake of a connection done, and what comes then.
    fn shake_hands(self: &Arc<Self>, newcomer: Newcomer<std::net::TcpStream>, tls: Arc<ServerTls>, run: &Arc<Run>) {
        let Some(thread) = self.handshakes.as_ref().and_then(Handshakes::next_thread) else { return };
        let (this, within) = (Arc::clone(self), Arc::clone(run));
        let shaking = async move {
            let Newcomer { stream, arrival, place, own, counted } = newcomer;
            let Some(handshakes) = &this.handshakes else { return };
            let Some(shaking) = this.gate.shake_hands(&arrival.peer) else { return };
            let shaken = tokio::select! {
                shaken = handshakes.shake_hands(stream, &tls, this.metrics()) => shaken,
                () = within.ending.cut.cancelled() => None,
            };
            if let Some(secured) = shaken {
                let arrival = arrival.secured(Secure::of(secured.session(), tls));
                drop(shaking);
                let newcomer = Newcomer { stream: secured, arrival, place, own, counted };
                this.hand_over(newcomer, &within, |secured| secured.into_stream().map(ClientStream::from));
            }
        };
        run.connections.spawn_on(shaking, thread);
    }

    /// Has a connection served on the event loop that has the fewest.
    fn hand_over<T: Send + 'static>(
        self: &Arc<Self>,
        newcomer: Newcomer<T>,
        run: &Arc<Run>,
        into_stream: fn(T) -> io::Result<ClientStream>,
    ) {
        let Some(worker) = self.least_busy() else { return };
        let (taken_on, service, open) = (worker.event_loop.take_on(), Arc::clone(&worker.service), Arc::clone(&worker.open));
        let (this, run_of_it) = (Arc::clone(self), Arc::clone(run));
        let serving = async move {
            let Newcomer { stream, arrival, place, own, counted } = newcomer;
            match into_stream(stream) {
                Ok(stream) => this.serving.serve(&*service, stream, arrival, &open, &run_of_it.ending).await,
                Err(error) => tracing::debug!(%error, "a connection cannot be registered for polling"),
            }
            drop((place, own, counted, taken_on));
        };
        run.connections.spawn_on(serving, worker.event_loop.handle());
    }

    /// A place for a connection that has come. Where all are taken, those that have been idle the longest give way, as at nginx; nobody is
    /// kept out by connections that ask for nothing.
    async fn place(&self, run: &Run) -> Option<OwnedSemaphorePermit> {
        /// Until then one may have become idle.
        const RETRY_INTERVAL: Duration = Duration::from_millis(50);
        /// Until then one that was idle is closed, unless it is idle no longer.
        const CLOSE_TIMEOUT: Duration = Duration::from_millis(250);
        match Arc::clone(&run.places).try_acquire_owned() {
            Err(TryAcquireError::NoPermits) => {}
            place => return place.ok(),
        }
        self.metrics().proxy.connections_full.inc();
        if run.full.is_due() {
            tracing::warn!(
                max_connections = run.max_connections,
                "the connection limit is reached; the longest idle connections are closed, or clients wait"
            );
        }
        loop {
            let wait = if self.displace(displacing::at_once(run.max_connections)) { CLOSE_TIMEOUT } else { RETRY_INTERVAL };
            if let Ok(place) = tokio::time::timeout(wait, Arc::clone(&run.places).acquire_owned()).await {
                return place.ok();
            }
        }
    }

    /// Has so many connections closed that are idle, each on its event loop. Says whether there are such.
    fn displace(&self, most: usize) -> bool {
        let mut some_are = false;
        let chosen = displacing::idle_longest(self.workers.iter().map(|worker| &*worker.open), most);
        for (worker, connections) in self.workers.iter().zip(chosen).filter(|(_, connections)| !connections.is_empty()) {
            let cut = self.metrics().proxy.connections_cut.with_label_values(&[Cut::Displaced.label()]);
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
                    self.metrics().accept_failed(Listening::Clients, &error);
                    if trouble.is_due() {
                        tracing::warn!(%error, "cannot accept connections; retrying");
                    }
                    tokio::time::sleep(RETRY_INTERVAL).await;
                }
            }
        }
    }

    fn metrics(&self) -> &Metrics {
        &self.serving.metrics
    }

    /// The worker with the fewest connections. Sockets stay for hours, so taking turns would not do.
    fn least_busy(&self) -> Option<&Worker<S>> {
        self.workers.iter().min_by_key(|worker| worker.event_loop.connections())
    }
}

/// Counts one for as long as it lives.
struct Counted(IntGauge);

impl Counted {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused)
}
