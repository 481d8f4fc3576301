//! Connections to upstreams that speak HTTP/2. Each event loop has its own: one for each address, and the next when the upstream
//! takes no more streams on it.

use std::{
    future::{Future as _, poll_fn},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use pingora::{Error, ErrorType, Result, connectors::TransportConnector, protocols::Stream};
use tokio::{sync::oneshot, time::Instant};

use crate::proxy::upstream::{
    backend::{Backend, Protocol},
    connect::connect,
    place::{InFlight, Place},
    session::{Http2Request, Http2Session, Sender, UpstreamSession},
};

/// What is read of a response before the client has taken it: of a stream, and of all streams of a connection. Bytes.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// What of a request's body waits to be written. Bytes.
const MAX_SEND_BUFFER: usize = 64 * 1024;
/// As of HTTP/1.1. Bytes.
const MAX_HEADER_LIST: u32 = 256 * 1024;

/// Stands for how many streams an upstream takes that has not said so yet: more than it can say, and less than "without limit".
const UNKNOWN: usize = 1 << 40;

/// The connections of one event loop.
#[derive(Default)]
pub(in crate::proxy) struct Http2Pool {
    known: Mutex<Vec<Known>>,
}

struct Known {
    place: Arc<Place>,
    /// Held by the request that connects, so that others do not do so too.
    turn: Arc<tokio::sync::Mutex<()>>,
    connections: Vec<Connection>,
}

struct Connection {
    requests: SendRequest<Bytes>,
    streams: Arc<AtomicUsize>,
    /// When it was seen with streams last.
    used: Instant,
}

impl Http2Pool {
    /// Begins a request: on a connection to this address, or on a new one, to another if this does not accept. Says whether the connection
    /// had been used before.
    ///
    /// # Errors
    /// Those of connecting. All are the upstream's.
    pub(in crate::proxy) async fn begin(
        &self,
        connector: &TransportConnector,
        upstream: &Backend,
        first: InFlight,
        user: Option<u64>,
        request: &Http2Request,
    ) -> Result<(UpstreamSession, InFlight, bool)> {
        let session = |sender| UpstreamSession::Http2(Box::new(Http2Session::new(sender, request)));
        if let Some(sender) = self.take(first.place()) {
            return Ok((session(sender), first, true));
        }
        let limit = upstream.settings().connect_timeout;
        let turn = self.turn(first.place());
        // One that takes so long keeps nobody from trying.
        let _turn = tokio::time::timeout(limit, turn.lock()).await;
        if let Some(sender) = self.take(first.place()) {
            return Ok((session(sender), first, true));
        }
        let (stream, at) = connect(connector, upstream, first, user, Protocol::Http2).await?;
        let late = || Error::explain(ErrorType::ConnectTimedout, "the upstream did not begin HTTP/2 in time").into_up();
        let requests = tokio::time::timeout(limit, shake_hands(stream)).await.map_err(|_| late())??;
        Ok((session(self.keep(at.place(), requests)), at, false))
    }

    /// Closes connections that have had no streams for their upstream's idle timeout, and those to addresses that are no longer used.
    pub(in crate::proxy) fn close_spent(&self) {
        let now = Instant::now();
        let mut known = self.known();
        for Known { place, connections, .. } in known.iter_mut() {
            let idle_timeout = place.peer.options.idle_timeout.unwrap_or(Duration::MAX);
            let is_left = place.standing.is_left();
            connections.retain_mut(|connection| {
                if connection.streams.load(Relaxed) > 0 {
                    connection.used = now;
                }
                // Streams in progress go on without it.
                !is_left && connection.is_open() && now.duration_since(connection.used) < idle_timeout
            });
        }
        known.retain(|known| !known.connections.is_empty() || Arc::strong_count(&known.turn) > 1);
    }

    /// A stream of a connection that takes one more.
    fn take(&self, place: &Arc<Place>) -> Option<Sender> {
        let mut known = self.known();
        let connections = &mut known.iter_mut().find(|known| Arc::ptr_eq(&known.place, place))?.connections;
        connections.retain_mut(Connection::is_open);
        let has_room = |connection: &&Connection| connection.streams.load(Relaxed) < connection.requests.current_max_send_streams();
        let connection = connections.iter().find(has_room)?;
        Some(Sender::new(connection.requests.clone(), &connection.streams))
    }

    fn keep(&self, place: &Arc<Place>, requests: SendRequest<Bytes>) -> Sender {
        let streams = Arc::default();
        let sender = Sender::new(requests.clone(), &streams);
        let connection = Connection { requests, streams, used: Instant::now() };
        self.of(place, |known| known.connections.push(connection));
        sender
    }

    fn turn(&self, place: &Arc<Place>) -> Arc<tokio::sync::Mutex<()>> {
        self.of(place, |known| Arc::clone(&known.turn))
    }

    fn of<T>(&self, place: &Arc<Place>, act: impl FnOnce(&mut Known) -> T) -> T {
        let mut all = self.known();
        if let Some(known) = all.iter_mut().find(|known| Arc::ptr_eq(&known.place, place)) {
            return act(known);
        }
        let mut known = Known { place: Arc::clone(place), turn: Arc::default(), connections: Vec::new() };
        let done = act(&mut known);
        all.push(known);
        done
    }

    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// Whether it takes requests, as far as is known: it has not failed, and the upstream has not said GOAWAY.
    fn is_open(&mut self) -> bool {
        !matches!(self.requests.poll_ready(&mut Context::from_waker(Waker::noop())), Poll::Ready(Err(_)))
    }
}

/// A connection whose upstream has told its settings, driven by a task of its own on this event loop. It ends with its last stream, when
/// nobody keeps the handle.
pub(super) async fn shake_hands(stream: Stream) -> Result<SendRequest<Bytes>> {
    let shaken = Builder::new()
        .enable_push(false)
        .initial_max_send_streams(UNKNOWN)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(MAX_SEND_BUFFER)
        .max_header_list_size(MAX_HEADER_LIST)
        .handshake(stream)
        .await;
    let failed = |error| Error::because(ErrorType::ConnectError, "beginning HTTP/2", error).into_up();
    let (requests, mut connection) = shaken.map_err(failed)?;
    let (begun, beginning) = oneshot::channel();
    let mut begun = Some(begun);
    tokio::spawn(poll_fn(move |task| {
        let driven = Pin::new(&mut connection).poll(task);
        if connection.max_concurrent_send_streams() != UNKNOWN
            && let Some(begun) = begun.take()
        {
            // Whoever waited for it may have given up.
            let _ = begun.send(());
        }
        // What is wrong with it, each of its streams is told.
        driven.map(drop)
    }));
    let none = |what: &'static str| Error::explain(ErrorType::ConnectError, what).into_up();
    beginning.await.map_err(|_| none("the upstream ended the connection before its settings of HTTP/2"))?;
    if requests.current_max_send_streams() == 0 {
        return Err(none("the upstream takes no streams"));
    }
    Ok(requests)
}

/// One request on a connection of its own.
pub(super) async fn alone(stream: Stream, request: &Http2Request) -> Result<UpstreamSession> {
    let sender = Sender::new(shake_hands(stream).await?, &Arc::default());
    Ok(UpstreamSession::Http2(Box::new(Http2Session::new(sender, request))))
}
