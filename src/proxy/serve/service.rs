//! The requests of one connection, one after another: each is read, decided, relayed or answered, and finished.

use std::{
    future::{Future as _, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::Method;
use pingora::{
    Error, Result, RetryType,
    protocols::{Stream, http::v1::server::HttpSession},
};

use crate::proxy::{
    client::{ClientSession, Connection, LastWork, Serve, Transport, Unreadable},
    http::LazyTimer,
    policy::Permit,
    relay::{Body, Relayed, Waiting, relay},
    serve::{
        attempt::{Outgoing, note_answer, note_error, upstream},
        gateway::{Admitted, Gateway, RequestContext},
        live::Live,
    },
    upstream::{Http2Pool, Pool, UpstreamSession},
};

/// What serves on one event loop.
pub(in crate::proxy) struct Service {
    gateway: Gateway,
    /// The loop's own connections to upstreams.
    pool: Pool,
    http2: Http2Pool,
}

impl Service {
    pub(in crate::proxy) fn new(gateway: Gateway) -> Self {
        Self { gateway, pool: Pool::default(), http2: Http2Pool::default() }
    }
}

/// The timeouts of one connection.
struct Timers {
    /// The client, between two requests.
    idle: LazyTimer,
    keepalive: Duration,
    /// The upstream.
    upstream: LazyTimer,
}

/// What becomes of a connection after a request.
enum Next {
    /// Another request, if its client wants that; the settings of the one before it.
    Request(Arc<Live>),
    /// A WebSocket, to be carried to its end.
    Socket(LastWork),
    /// Its client is still sending what nobody reads: the request, which is counted, lasts until that is over.
    Linger(Box<RequestContext>),
    Close,
}

impl Serve for Service {
    async fn serve(&self, connection: &Arc<Connection>, transport: Transport) -> Option<LastWork> {
        let mut stopping = pin!(self.gateway.stopping.cancelled());
        let keepalive = self.gateway.live.load().listen.keepalive_timeout;
        let mut timers = Timers { idle: LazyTimer::unlimited(), keepalive, upstream: LazyTimer::unlimited() };
        let mut client = ClientSession::Http1(session(Box::new(transport)));
        loop {
            let ClientSession::Http1(reading) = &mut client else { return None };
            let read = {
                let mut idle = pin!(timers.idle.exceeded_from(timers.keepalive, |now| connection.request().waits_from(now)));
                tokio::select! {
                    biased;
                    read = reading.read_request() => read,
                    // A header that has begun has a deadline of its own, and at the end of the gateway its grace.
                    () = poll_fn(|task| if connection.request().is_in_header() { Poll::Pending } else { stopping.as_mut().poll(task) }) => return None,
                    () = poll_fn(|task| if connection.request().is_in_header() { Poll::Pending } else { idle.as_mut().poll(task) }) => return None,
                }
            };
            match read {
                Ok(Some(_)) if connection.request().is_displaced() => return None,
                Ok(Some(_)) if connection.request().is_header_cut() => {
                    Box::pin(self.gateway.refuse_cut(client, connection)).await;
                    return None;
                }
                Ok(Some(_)) if client.req_header().method != Method::CONNECT => {}
                unreadable => {
                    if let Some(kind) = why_unreadable(connection, &unreadable) {
                        Box::pin(self.gateway.refuse_unread(client, connection, kind)).await;
                    }
                    return None;
                }
            }
            match self.request(&mut client, connection, &mut timers.upstream).await {
                Next::Request(live) => timers.keepalive = live.listen.keepalive_timeout,
                Next::Socket(carried) => return Some(carried),
                Next::Linger(_request) => {
                    Box::pin(linger(client)).await;
                    return None;
                }
                Next::Close => return None,
            }
            let ClientSession::Http1(served) = client else { return None };
            let Ok(Some(stream)) = served.reuse().await else { return None };
            let (stream, read_already) = stream.into_parts();
            client = ClientSession::Http1(session(stream));
            if let Some(bytes) = read_already {
                connection.put_back(bytes);
            }
        }
    }

    async fn serve_stream(&self, mut client: ClientSession, connection: &Arc<Connection>, unreadable: Option<Unreadable>) {
        match unreadable {
            Some(kind) => self.gateway.refuse_stream(client, connection, kind).await,
            // Whatever becomes of it, the stream ends when it is dropped.
            None => drop(self.request(&mut client, connection, &mut LazyTimer::unlimited()).await),
        }
    }

    async fn tend(&self) {
        self.pool.tend(|| self.http2.close_spent()).await;
    }

    async fn stop(&self) {
        self.gateway.stopping.cancel();
    }
}

impl Service {
    async fn request(&self, client: &mut ClientSession, connection: &Arc<Connection>, upstream_timer: &mut LazyTimer) -> Next {
        let mut context = self.gateway.begin(client, connection);
        let outcome = {
            let mut work = pin!(self.carry_out(client, &mut context, upstream_timer));
            poll_fn(|task| match connection.request().told_end() {
                Some(cause) => Poll::Ready(Err(cause)),
                None => work.as_mut().poll(task).map(Ok),
            })
            .await
        };
        let outcome = match outcome {
            Ok(Ok(Some(carried))) => return Next::Socket(carried),
            Ok(outcome) => outcome.map(drop),
            Err(cause) => Box::pin(self.gateway.answer_end(client, &mut context, cause)).await,
        };
        let is_answered = match outcome {
            Ok(()) => true,
            Err(error) => Box::pin(self.gateway.fail(client, &error, &mut context)).await,
        };
        if !is_answered || client.finish_body().await.is_err() {
            return Next::Close;
        }
        if !client.is_body_done() {
            context.record.conclude();
            return Next::Linger(Box::new(context));
        }
        Next::Request(Arc::clone(&context.live))
    }

    /// Decides about a request, and forwards it if it may. What is returned carries a WebSocket to its end.
    async fn carry_out(
        &self,
        client: &mut ClientSession,
        context: &mut RequestContext,
        idle_timer: &mut LazyTimer,
    ) -> Result<Option<LastWork>> {
        match self.gateway.admit(client, context).await? {
            Admitted::Forward => self.forward(client, context, idle_timer).await.map(|()| None),
            Admitted::Answered => Ok(None),
            // Boxed, so that it does not make every request's future large.
            Admitted::WebSocket => Box::pin(self.gateway.open_socket(client, context)).await,
        }
    }

    /// Sends a request upstream and relays the answer.
    async fn forward(&self, client: &mut ClientSession, context: &mut RequestContext, idle_timer: &mut LazyTimer) -> Result<()> {
        let body = context.record.permit.as_ref().and_then(Permit::body).cloned();
        let is_empty = client.is_body_empty();
        let request = Outgoing::new(client, context, |changes| {
            if !is_empty {
                changes.announce_body();
            }
        })?;
        let outcome = match self.attempt(client, context, idle_timer, &request, body.as_ref(), Source::Pool).await {
            Err(failed) if failed.may_retry => match upstream(context).and_then(|upstream| upstream.retry()) {
                // Boxed, so that the rarer case does not make every request's future large.
                Some(_retry) => Box::pin(self.attempt(client, context, idle_timer, &request, body.as_ref(), Source::New)).await,
                None => Err(failed),
            },
            outcome => outcome,
        };
        outcome.map_err(|failed| failed.error)
    }

    async fn attempt(
        &self,
        client: &mut ClientSession,
        context: &mut RequestContext,
        idle_timer: &mut LazyTimer,
        request: &Outgoing,
        body: Option<&Bytes>,
        source: Source,
    ) -> Result<(), Failed> {
        let for_good = |error| Failed { error, may_retry: false };
        let place = self.gateway.next_place(context).await.map_err(for_good)?;
        let (mut upstream, place, is_reused) = match request {
            Outgoing::Http1(request) => {
                let kept = match source {
                    Source::Pool => self.pool.take(place.place()),
                    Source::New => None,
                };
                let is_reused = kept.is_some();
                let (stream, place) = match kept {
                    Some(stream) => (stream, place),
                    // Boxed, so that the rarer case does not make every request's future large.
                    None => Box::pin(self.gateway.connect(context, place)).await.map_err(for_good)?,
                };
                (UpstreamSession::new(stream, request), place, is_reused)
            }
            Outgoing::Http2(request) => {
                Box::pin(self.gateway.begin_stream(&self.http2, context, place, request)).await.map_err(for_good)?
            }
        };
        // What means the same twice (RFC 9110 section 9.2.2) is sent again if the upstream has closed a connection that had waited
        // at the same moment. One that is new was not closed for having waited.
        let again = is_reused && client.req_header().method.is_idempotent();
        // A stream may be refused, whatever the request.
        let keeps_body = again || matches!(request, Outgoing::Http2(_));
        let body = body.map_or(Body::Client { again: keeps_body }, Body::Whole);
        let options = &place.place().peer.options;
        let waiting = Waiting { idle_timer, silence: options.read_timeout, write: options.write_timeout };
        let relayed = relay(client, &mut upstream, body, waiting, |client, answer| {
            note_answer(context, &place, answer.status);
            self.gateway.prepare_answer(client, answer, context)
        });
        let relayed = relayed.await;
        match relayed {
            Ok(Relayed::Whole) => {
                self.pool.keep(place.place(), upstream);
                Ok(())
            }
            Ok(Relayed::Answered) => Ok(()),
            Ok(Relayed::UploadCut) => {
                self.gateway.note_cut_upload(context);
                Ok(())
            }
            Err(mut error) => {
                // One that had waited may have been closed for that; and a stream may be refused for good reasons.
                let is_no_fault =
                    is_reused && matches!(error.retry, RetryType::ReusedOnly) || matches!(error.retry, RetryType::Decided(true));
                if !is_no_fault {
                    note_error(context, &place, &error);
                }
                error.retry.decide_reuse(again);
                let may_retry = error.retry() && !client.retry_buffer_truncated();
                Err(Failed { error, may_retry })
            }
        }
    }
}

/// A session for the next request. Keep-alive is enabled; the timeout is not Pingora's.
fn session(stream: Stream) -> HttpSession {
    const WITHOUT_TIMEOUT: Option<u64> = Some(0);
    let mut session = HttpSession::new(stream);
    session.set_server_keepalive(WITHOUT_TIMEOUT);
    session
}

/// Where an attempt may get its connection from.
#[derive(Clone, Copy)]
enum Source {
    Pool,
    New,
}

/// An attempt that failed.
struct Failed {
    error: Box<Error>,
    may_retry: bool,
}

/// Ends a connection whose client is still sending what nobody reads. It is read for some time, and thrown away: a connection that
/// is closed with something unread is reset, and with it goes an answer that the client has not read yet.
async fn linger(client: ClientSession) {
    let ClientSession::Http1(mut client) = client else { return };
    client.shutdown().await;
    // However it ends, the connection is closed.
    let _ = client.drain_request_body().await;
}

/// Why what came in is not a request that anybody could forward. None: nothing came, or the client has left.
fn why_unreadable(connection: &Connection, read: &Result<Option<usize>>) -> Option<Unreadable> {
    match read {
        Ok(Some(_)) => Some(Unreadable::Connect),
        Ok(None) => connection.inbound().unreadable(),
        Err(error) => match Unreadable::of(error) {
            Some(_) if connection.request().is_header_cut() => Some(Unreadable::TooLarge),
            // Told by Pingora's session, or found before anything was given to it.
            kind => kind.or(connection.inbound().unreadable()),
        },
    }
}
