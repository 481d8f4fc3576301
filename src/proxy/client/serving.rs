//! One connection on its event loop, under its deadline.

use std::{
    future::{Future as _, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Poll, ready},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio_util::sync::CancellationToken;

use crate::{
    metrics::Metrics,
    proxy::client::{
        connection::{Arrival, Connection},
        cut::Cut,
        displacing::OpenConnections,
        http2::{self, Opened},
        intake::Intake,
        key_watch::KeyWatch,
        request_state::{DeadlineTimer, RequestState},
        session::ClientSession,
        settings::ListenSettings,
        stream::ClientStream,
        transport::{Transport, Unsent},
        unreadable::Unreadable,
    },
    token::Timestamp,
};

/// What is left to do with a connection whose requests are over.
pub(in crate::proxy) type LastWork = BoxFuture<'static, ()>;

/// What is done with the connections of one event loop.
pub(in crate::proxy) trait Serve: Send + Sync + 'static {
    /// Serves the requests of one connection, one after another. What is left to do with it then is returned, and done when all memory of
    /// its requests is free: a socket may be idle for hours.
    fn serve(&self, connection: &Arc<Connection>, transport: Transport) -> impl Future<Output = Option<LastWork>> + Send;

    /// Serves one stream of a connection of HTTP/2. Where it is not a request, `unreadable` says why.
    fn serve_stream(
        &self,
        session: ClientSession,
        connection: &Arc<Connection>,
        unreadable: Option<Unreadable>,
    ) -> impl Future<Output = ()> + Send;

    /// Looks after what the connections share. Runs on their event loop for as long as they are served.
    fn tend(&self) -> impl Future<Output = ()> + Send;

    /// Ends the connections that wait for a next request. Called once, when the gateway stops.
    fn stop(&self) -> impl Future<Output = ()> + Send;
}

/// What the connections of all event loops need.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) settings: Arc<ArcSwap<ListenSettings>>,
    pub(super) trust: Arc<KeyWatch>,
    pub(super) metrics: Arc<Metrics>,
}

impl Serving {
    /// Serves a connection to its end, or until its run cuts it.
    pub(super) async fn serve(
        &self,
        service: &impl Serve,
        stream: ClientStream,
        arrival: Arrival,
        open: &Arc<OpenConnections>,
        ending: &Ending,
    ) {
        let is_http2 = arrival.tls.as_ref().is_some_and(|tls| tls.is_http2);
        let (connection, stream_grace) = {
            let listen = self.settings.load();
            let intake = Intake::new(listen.header_bytes, self.metrics.proxy.unfinished_header_bytes.clone());
            let left = listen.header_timeout.saturating_sub(arrival.waited);
            let connection = Connection::new(arrival, Some(stream.clone()), listen.header_timeout, intake);
            if left < listen.header_timeout {
                connection.request().set_deadline(Timestamp::from(SystemTime::now()).plus(left), Cut::HeaderTimeout);
            }
            connection.request().bound_writes(listen.write_timeout);
            (Arc::new(connection), listen.stream_grace)
        };
        let _kept = open.keep(&connection);
        if is_http2 {
            let work = self.serve_http2(service, stream, &connection, ending).map(|()| None).boxed();
            return self.until_cut(work, None, connection.request(), ending, stream_grace).await;
        }
        let transport = Transport::new(stream, Arc::clone(&connection));
        let unsent = transport.unsent();
        let work = service.serve(&connection, transport).boxed();
        self.until_cut(work, Some(&unsent), connection.request(), ending, stream_grace).await;
    }

    async fn serve_http2(&self, service: &impl Serve, stream: ClientStream, connection: &Arc<Connection>, ending: &Ending) {
        let listen = self.settings.load_full();
        let stream_grace = listen.stream_grace;
        let serve_stream = |(session, connection, unreadable): Opened| async move {
            let connection: Arc<Connection> = connection;
            let work = service.serve_stream(ClientSession::Http2(Box::new(session)), &connection, unreadable);
            self.until_cut(work.map(|()| None).boxed(), None, connection.request(), ending, stream_grace).await;
        };
        let ended = http2::drive(stream, connection, &listen, &ending.stopping, serve_stream).await;
        self.metrics.secure.http2_ended.with_label_values(&[ended]).inc();
    }

    /// Does the work on a request, or on one request after another, until its deadline cuts it, or the end of the run.
    async fn until_cut<'w>(
        &'w self,
        mut work: BoxFuture<'w, Option<LastWork>>,
        unsent: Option<&Unsent>,
        request: &RequestState,
        ending: &Ending,
        stream_grace: Duration,
    ) {
        let mut cancelled = pin!(ending.cut.cancelled());
        let mut timer = DeadlineTimer::new(request, &self.trust, stream_grace);
        poll_fn(|task| {
            loop {
                let is_done = loop {
                    match work.as_mut().poll(task) {
                        Poll::Pending => break false,
                        Poll::Ready(None) => break true,
                        Poll::Ready(Some(last)) => work = last.map(|()| None).boxed(),
                    }
                };
                // The work pauses or has broken off: what it has said so far is for the client to know. A failure is met by the
                // next write.
                if let Some(unsent) = unsent {
                    let _ = unsent.poll_send(task);
                }
                if is_done {
                    return Poll::Ready(());
                }
                let cause = match cancelled.as_mut().poll(task) {
                    Poll::Ready(()) => Poll::Ready(Cut::Shutdown),
                    Poll::Pending => timer.poll(task),
                };
                let cause = ready!(cause);
                if !request.tell_end(cause) {
                    request.cut(cause);
                    self.metrics.proxy.connections_cut.with_label_values(&[cause.label()]).inc();
                    return Poll::Ready(());
                }
            }
        })
        .await;
    }
}

/// How the connections of a run end.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// Cancelled when no further request is taken.
    pub(super) stopping: CancellationToken,
    /// Cancelled when the grace is over.
    pub(super) cut: CancellationToken,
}
