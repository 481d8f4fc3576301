//! One connection on its event loop, under its deadline.

use std::{
    future::{Future as _, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Poll, ready},
    time::SystemTime,
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
        intake::Intake,
        key_watch::KeyWatch,
        request_state::DeadlineTimer,
        settings::ListenSettings,
        stream::ClientStream,
        transport::Transport,
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
    /// Serves a connection to its end, or until it is `cut`.
    pub(super) async fn serve(
        &self,
        service: &impl Serve,
        stream: ClientStream,
        arrival: Arrival,
        open: &Arc<OpenConnections>,
        cut: &CancellationToken,
    ) {
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
