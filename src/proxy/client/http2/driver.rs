//! A connection of HTTP/2 and its streams, all driven by the connection's one task: what several streams write leaves together.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use h2::{
    Reason, RecvStream,
    server::{self, SendResponse},
};
use pingora::http::RequestHeader;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::proxy::{
    client::{
        connection::Connection,
        http2::{request, stream::StreamSession},
        settings::{Http2Settings, ListenSettings},
        stream::ClientStream,
        unreadable::Unreadable,
    },
    http::LazyTimer,
};

/// How long a client may take to hear that its connection ends, once nothing is in progress.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(5);
/// Resets that are remembered, and for how long: frames may still come for those streams.
const MAX_RESET_STREAMS: usize = 50;
const RESET_MEMORY: Duration = Duration::from_secs(1);
/// Streams that the client resets before they are served, and that break the rules, in the life of a connection.
const MAX_PENDING_RESETS: usize = 20;
const MAX_LOCAL_RESETS: usize = 256;
/// What may wait to be sent on one stream, and to be read by the gateway on one and on all. Bytes.
const SEND_BUFFER: usize = 32 * 1024;
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// A stream that has been opened: its session, its connection as seen from it, and why it is not a request if it is none.
pub(in crate::proxy) type Opened = (StreamSession, Arc<Connection>, Option<Unreadable>);

/// How a connection ended, as the label `reason` has it.
pub(in crate::proxy) type Ended = &'static str;

/// Serves a connection to its end. Each stream is what `open` makes of it. When it is `stopping`, at its greatest age, and when it has
/// been idle for long, the client is told to open no more streams; those that are open end by themselves.
pub(in crate::proxy) async fn drive<W: Future<Output = ()>>(
    stream: ClientStream,
    connection: &Arc<Connection>,
    listen: &ListenSettings,
    stopping: &CancellationToken,
    open: impl Fn(Opened) -> W,
) -> Ended {
    // A client that does not begin is met by the connection's deadline.
    let http2 = match builder(listen).handshake(stream).await {
        Ok(http2) => http2,
        Err(error) => return reason(&error),
    };
    connection.request().request_ended();
    let mut driver = Driver {
        http2,
        connection,
        streams: FuturesUnordered::new(),
        idle_timer: LazyTimer::unlimited(),
        age_timer: LazyTimer::unlimited(),
        is_ending: false,
    };
    driver.age_timer.restart(listen.http2.max_age);
    let mut stopping = pin!(stopping.cancelled());
    loop {
        if driver.streams.is_empty() {
            let timeout = if driver.is_ending { GOODBYE_TIMEOUT } else { listen.keepalive_timeout };
            driver.idle_timer.restart(Some(timeout));
            connection.request().waits_from(Instant::now());
        }
        match poll_fn(|task| driver.poll(task, stopping.as_mut())).await {
            Event::Opened(request, respond) => {
                if driver.streams.is_empty() {
                    connection.request().request_began();
                }
                driver.streams.push(open(opened(request, respond, connection)));
            }
            Event::Finished => {
                if driver.streams.is_empty() {
                    connection.request().request_ended();
                }
            }
            // The client has had its time to hear it.
            Event::Ending if driver.is_ending => return "no_error",
            Event::Ending => {
                driver.is_ending = true;
                driver.http2.graceful_shutdown();
            }
            Event::Ended(ended) => return ended,
        }
    }
}

struct Driver<'a, W> {
    http2: server::Connection<ClientStream, Bytes>,
    connection: &'a Arc<Connection>,
    streams: FuturesUnordered<W>,
    /// Without streams.
    idle_timer: LazyTimer,
    age_timer: LazyTimer,
    /// Whether the client has been told.
    is_ending: bool,
}

/// What has happened on a connection.
enum Event {
    Opened(Box<http::Request<RecvStream>>, SendResponse<Bytes>),
    /// A stream has.
    Finished,
    /// It is to end.
    Ending,
    Ended(Ended),
}

impl<W: Future<Output = ()>> Driver<'_, W> {
    fn poll(&mut self, task: &mut Context<'_>, stopping: Pin<&mut impl Future<Output = ()>>) -> Poll<Event> {
        // Before the connection, which then sends what they have written.
        if let Poll::Ready(Some(())) = self.streams.poll_next_unpin(task) {
            return Poll::Ready(Event::Finished);
        }
        if self.connection.request().is_displaced() {
            return Poll::Ready(Event::Ended("no_error"));
        }
        match self.http2.poll_accept(task) {
            Poll::Ready(Some(Ok((request, respond)))) => return Poll::Ready(Event::Opened(Box::new(request), respond)),
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Event::Ended(reason(&error))),
            Poll::Ready(None) => return Poll::Ready(Event::Ended("no_error")),
            Poll::Pending => {}
        }
        let is_silent = self.streams.is_empty() && self.idle_timer.poll_exceeded(task).is_ready();
        let is_due = !self.is_ending && (stopping.poll(task).is_ready() || self.age_timer.poll_exceeded(task).is_ready());
        if is_silent || is_due { Poll::Ready(Event::Ending) } else { Poll::Pending }
    }
}

fn opened(request: Box<http::Request<RecvStream>>, respond: SendResponse<Bytes>, connection: &Arc<Connection>) -> Opened {
    let (parts, body) = request.into_parts();
    let connection = Arc::new(connection.of_stream());
    let (header, unreadable) = match request::header(parts) {
        Ok(header) => (header, None),
        // Nothing of it is used.
        Err(kind) => (RequestHeader::from(http::Request::new(()).into_parts().0), Some(kind)),
    };
    (StreamSession::new(header, body, respond, Arc::clone(connection.request())), connection, unreadable)
}

/// Every limit is set: the defaults of some are none, or far more than a gateway wants to hold for strangers.
fn builder(listen: &ListenSettings) -> server::Builder {
    let Http2Settings { max_streams, .. } = listen.http2;
    let mut builder = server::Builder::new();
    builder
        .max_concurrent_streams(u32::try_from(max_streams).unwrap_or(u32::MAX))
        .max_header_list_size(u32::try_from(listen.header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_reset_streams(MAX_RESET_STREAMS)
        .reset_stream_duration(RESET_MEMORY)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(Some(MAX_LOCAL_RESETS))
        .max_send_buffer_size(SEND_BUFFER)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    builder
}

/// Why a connection ended, from a closed list.
fn reason(error: &h2::Error) -> Ended {
    match error.reason() {
        Some(Reason::NO_ERROR) => "no_error",
        Some(Reason::PROTOCOL_ERROR) => "protocol_error",
        Some(Reason::FLOW_CONTROL_ERROR) => "flow_control_error",
        Some(Reason::FRAME_SIZE_ERROR) => "frame_size_error",
        Some(Reason::COMPRESSION_ERROR) => "compression_error",
        Some(Reason::ENHANCE_YOUR_CALM) => "enhance_your_calm",
        Some(_) => "other_error",
        // The client's connection broke.
        None => "disconnected",
    }
}
