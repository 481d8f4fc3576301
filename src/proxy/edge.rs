//! The life of a request: route, token, identity, permission, admission; then forward, or an answer of our own.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use http::{StatusCode, header};
use pingora::{
    Error, ErrorType, Result, connectors::TransportConnector, http::ResponseHeader, protocols::Stream, upstreams::peer::HttpPeer,
};
use tokio_util::sync::CancellationToken;

use crate::{
    metrics::Metrics,
    proxy::{
        ListenSettings,
        addresses::Place,
        answer::{self, UpstreamFault},
        connect::connect,
        connection::Connection,
        cut::Cut,
        decision::{self, Decision},
        failure::{Failure, failure, is_write_timeout},
        forward::Forward,
        live::Live,
        request::{self, BreakOff, Outcome},
        session::ClientSession,
        shape::Fault,
        trust::Trust,
        unreadable::Complaints,
        upstream::Upstream,
        upstream_session::{Changes, Malformed, UpstreamRequest},
        whole_body::Stop,
    },
    token::{Rejection, Timestamp},
};

/// What is left to do with a request that was decided about.
#[derive(Debug)]
pub(super) enum Admitted {
    /// It goes upstream.
    Forward,
    /// It goes upstream and asks for a WebSocket.
    WebSocket,
    /// Nothing: the gateway has answered it, with a refusal or otherwise.
    Answered,
}

/// Everything that a request needs. Shared by all connections.
#[derive(Clone)]
pub(super) struct Edge {
    /// What depends on the config; loaded once for each request.
    pub(super) live: Arc<ArcSwap<Live>>,
    pub(super) trust: Arc<Trust>,
    pub(super) connector: Arc<TransportConnector>,
    /// Cancelled when the gateway stops: sockets then say goodbye.
    pub(super) stopping: CancellationToken,
    pub(super) metrics: Arc<Metrics>,
    pub(super) complaints: Arc<Complaints>,
}

pub(super) type RequestContext = request::RequestContext<Arc<Live>>;

/// How long the rest of a body is read that nobody wants.
const DRAIN: Duration = Duration::from_secs(10);
/// Longer than anything lasts.
const UNLIMITED: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);
/// How long a WebSocket may live whose token the backend is to refuse.
const LEFT_TO_BACKEND: Duration = Duration::from_secs(30);

impl Edge {
    /// Begins with a request whose header has been read: it is counted, and the client's connection gets its limits.
    pub(super) fn begin(&self, client: &mut ClientSession, connection: &Arc<Connection>) -> RequestContext {
        // Counted before the settings are loaded: a change between the two is found out.
        let changes = self.trust.count();
        let live = self.live.load_full();
        let access_log = live.access_log.clone();
        let mut context =
            RequestContext::new(Arc::clone(connection), live, Arc::clone(&self.metrics), access_log).began_after(changes);
        let header = client.req_header();
        context.request = Some((header.method.clone(), header.uri.clone()));
        limit(client, connection, &context.live.listen);
        self.end_when_stopping(client);
        context
    }

    /// Begins with something that is no request, to be refused.
    pub(super) fn begin_unread(&self, connection: &Arc<Connection>) -> RequestContext {
        let live = self.live.load_full();
        let access_log = live.access_log.clone();
        RequestContext::new(Arc::clone(connection), live, Arc::clone(&self.metrics), access_log)
    }

    /// Decides about a request, and answers it unless it is to go upstream.
    pub(super) async fn admit(&self, client: &mut ClientSession, context: &mut RequestContext) -> Result<Admitted> {
        match decision::decide(client, context).await {
            Ok(Decision::Answer(preflight)) => {
                context.outcome = Outcome::Preflight;
                if let Some(cors) = context.route.as_ref().and_then(|route| route.cors.as_ref()) {
                    Box::pin(answer::preflight(client, cors, &preflight)).await?;
                }
                Ok(Admitted::Answered)
            }
            // The change was told before there was an identity that it could end; or the settings of the request are older than it.
            Ok(Decision::Forward(_) | Decision::OpenWebSocket(_)) if self.has_lost_trust(context) => {
                self.refuse(client, context, Rejection::UnknownKey).await
            }
            Ok(Decision::Forward(forward)) => {
                self.let_pass(forward, context);
                Ok(Admitted::Forward)
            }
            Ok(Decision::OpenWebSocket(forward)) => {
                self.let_pass(forward, context);
                Ok(Admitted::WebSocket)
            }
            Err(Stop::Refused(rejection)) => self.refuse(client, context, rejection).await,
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// Notes an answer of the upstream, and makes it one for the client.
    pub(super) fn prepare_answer(
        &self,
        client: &mut ClientSession,
        answer: &mut ResponseHeader,
        context: &mut RequestContext,
    ) -> Result<()> {
        if answer.status == StatusCode::SWITCHING_PROTOCOLS {
            // Sockets have a tunnel of their own; nobody asked for this.
            return Err(Error::explain(ErrorType::InvalidHTTPHeader, "the upstream switched protocols unasked").into_up());
        }
        hide_token(answer, context)?;
        if !answer.status.is_informational() {
            context.outcome = Outcome::Upstream(answer.status.as_u16());
            show(client, answer, context)?;
            if context.forward.as_ref().is_some_and(Forward::is_preflight) {
                leave_out_body(answer)?;
            }
        }
        // The connection ends with this answer, which must say so.
        self.end_when_stopping(client);
        Ok(())
    }

    /// Ends a request whose token, or its key, has. While no answer has begun it is a refusal, and the client knows what to do; else the
    /// answer breaks off, and shows that it is not complete.
    pub(super) async fn answer_end(&self, client: &mut ClientSession, context: &mut RequestContext, cause: Cut) -> Result<()> {
        let connection = Arc::clone(&context.connection);
        connection.cut(cause);
        self.metrics.proxy.connections_cut.with_label_values(&[cause.label()]).inc();
        let has_begun = client.response_written().is_some_and(|answer| !is_interim(answer.status));
        if has_begun || context.outcome != Outcome::Unanswered {
            return Err(Error::explain(ErrorType::ConnectionClosed, "the token has ended").into_down());
        }
        // The refusal, and the rest of an upload that nobody reads any more, have a time of their own.
        connection.rests_on(None);
        connection.set_deadline(Timestamp::from(SystemTime::now()).plus(DRAIN), cause);
        client.set_server_keepalive(None);
        context.outcome = Outcome::Ended(cause);
        answer::refuse(client, cause.rejection(), context.route.as_deref(), &context.live.realm).await
    }

    /// Answers a request that could not be forwarded, unless an answer has begun, or nobody is left to hear one. Says whether it was
    /// answered; its connection is of no further use either way.
    pub(super) async fn fail(&self, client: &mut ClientSession, error: &Error, context: &mut RequestContext) -> bool {
        let failure = failure(error);
        if let (Failure::Upstream(fault), Some(upstream)) = (&failure, upstream(context)) {
            upstream.complain(*fault, error);
        }
        if is_write_timeout(error) {
            context.connection.cut(Cut::WriteTimeout);
            self.metrics.proxy.connections_cut.with_label_values(&[Cut::WriteTimeout.label()]).inc();
        }
        if client.response_written().is_some_and(|answer| !is_interim(answer.status)) {
            if let Failure::Upstream(fault) = failure {
                self.count_fault(context, fault.label());
            }
            context.broke_off = Some(match failure {
                Failure::Upstream(_) => BreakOff::Upstream,
                Failure::ClientGone | Failure::Client(_) => BreakOff::Client,
                Failure::Internal => BreakOff::Internal,
            });
            return false;
        }
        let route = context.route.clone();
        let route = route.as_deref();
        // The answer must say what is about to happen.
        client.set_server_keepalive(None);
        let written = match failure {
            Failure::Upstream(fault) => {
                if context.outcome != Outcome::UpstreamFailed(UpstreamFault::NoAddress) {
                    context.outcome = Outcome::UpstreamFailed(fault);
                }
                self.count_fault(context, fault.label());
                answer::upstream_failed(client, fault, route).await
            }
            Failure::ClientGone => return false,
            Failure::Client(status) => {
                context.outcome = Outcome::Client(status);
                let fault = Fault::new(status, "invalid_request", "the request cannot be read");
                answer::plain(client, fault, route).await
            }
            Failure::Internal => {
                context.outcome = Outcome::Internal;
                tracing::error!(%error, "request failed inside the gateway");
                answer::plain(client, Fault::new(500, "internal_error", "the gateway failed"), route).await
            }
        };
        // The client may be gone by now; the outcome is counted either way.
        written.is_ok()
    }

    /// Notes that an upstream has said that all is well and has not taken the whole body.
    pub(super) fn note_cut_upload(&self, context: &mut RequestContext) {
        context.broke_off = Some(BreakOff::Upload);
        self.count_fault(context, BreakOff::Upload.label());
    }

    fn count_fault(&self, context: &RequestContext, kind: &str) {
        if let Some(upstream) = upstream(context) {
            self.metrics.proxy.upstream_errors.with_label_values(&[upstream.name(), kind]).inc();
        }
    }

    /// The request as the upstream sees it. `change` has the last word.
    pub(super) fn upstream_request(
        &self,
        client: &ClientSession,
        context: &RequestContext,
        change: impl FnOnce(&mut Changes<'_>),
    ) -> Result<UpstreamRequest> {
        let (Some(forward), Some(route), Some(upstream)) = (&context.forward, &context.route, upstream(context)) else {
            return Error::e_explain(ErrorType::InternalError, "a request without a right to be is not forwarded");
        };
        let client = client.req_header();
        let is_unwanted = route.strip.unwanted_in(&client.headers)?;
        let mut changes = forward.changes();
        if let Some(host) = upstream.host_value() {
            changes.set(header::HOST, host.clone());
        }
        change(&mut changes);
        UpstreamRequest::new(client, changes, is_unwanted).map_err(|Malformed(what)| {
            Error::explain(ErrorType::InternalError, format!("a request that cannot be written: {what}"))
        })
    }

    /// A new connection to the upstream of a request: to this address, or to another if that does not accept.
    pub(super) async fn connect(&self, context: &RequestContext, first: Arc<Place>) -> Result<(Stream, Arc<HttpPeer>)> {
        match upstream(context) {
            Some(upstream) => connect(&self.connector, upstream, first).await,
            None => Error::e_explain(ErrorType::InternalError, "a request without an upstream"),
        }
    }

    pub(super) async fn next_place(&self, context: &mut RequestContext) -> Result<Arc<Place>> {
        let place = match upstream(context) {
            Some(upstream) => upstream.place().await,
            None => None,
        };
        place.ok_or_else(|| {
            context.outcome = Outcome::UpstreamFailed(UpstreamFault::NoAddress);
            Error::explain(ErrorType::ConnectNoRoute, "the upstream's name has not been resolved")
        })
    }

    /// Whether keys have changed since the request began, and its own is trusted no longer.
    fn has_lost_trust(&self, context: &RequestContext) -> bool {
        context.began_after_changes != self.trust.count() && !context.connection.identity_is(|identity| self.trust.holds(identity))
    }

    /// Notes by what right a request goes upstream, and ends its connection with that.
    fn let_pass(&self, forward: Forward, context: &mut RequestContext) {
        if let Some(rejection) = forward.left_for() {
            self.metrics.proxy.left_to_backend.with_label_values(&[rejection.label()]).inc();
        }
        context.forward = Some(forward);
        let (end, why) = self.end(context);
        context.connection.set_deadline(end, why);
    }

    /// Refuses a request. Boxed, so that the rare case does not make every request's future large.
    pub(super) fn refuse<'a>(
        &'a self,
        client: &'a mut ClientSession,
        context: &'a mut RequestContext,
        rejection: Rejection,
    ) -> BoxFuture<'a, Result<Admitted>> {
        Box::pin(async move {
            context.outcome = Outcome::Refused(rejection);
            answer::refuse(client, rejection, context.route.as_deref(), &context.live.realm).await?;
            Ok(Admitted::Answered)
        })
    }

    fn end_when_stopping(&self, client: &mut ClientSession) {
        if self.stopping.is_cancelled() {
            client.set_server_keepalive(None);
        }
    }

    /// When the request's connection ends, and why then: with what the request rests on, or at the greatest age of a stream.
    pub(super) fn end(&self, context: &RequestContext) -> (Timestamp, Cut) {
        let forward = context.forward.as_ref();
        let token_end = forward.and_then(Forward::end);
        let age_limit = match forward.and_then(Forward::left_for) {
            Some(_) => Some(LEFT_TO_BACKEND),
            None => context.live.listen.max_stream_age,
        };
        // The common case needs no clock.
        if let (Some(end), None) = (token_end, age_limit) {
            return (end, Cut::TokenEnd);
        }
        let now = Timestamp::from(SystemTime::now());
        // Without a token and without a limit, a connection lives as long as both sides want.
        let end = forward.map_or(now, |_| token_end.unwrap_or(now.plus(UNLIMITED)));
        match age_limit.map(|age| now.plus(age)) {
            Some(limit) if limit < end => (limit, Cut::MaxAge),
            _ => (end, Cut::TokenEnd),
        }
    }
}

fn upstream(context: &RequestContext) -> Option<&Arc<Upstream>> {
    context.live.upstreams.get(context.route.as_ref()?.upstream)
}

/// Takes the gateway's token out of what the upstream says.
pub(super) fn hide_token(answer: &mut ResponseHeader, context: &RequestContext) -> Result<()> {
    context.forward.as_ref().map_or(Ok(()), |forward| forward.hide_token(answer))
}

/// Makes an answer one without a body. What comes of it all the same, the client's session leaves out.
fn leave_out_body(answer: &mut ResponseHeader) -> Result<()> {
    answer.remove_header(&header::TRANSFER_ENCODING);
    if matches!(answer.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        answer.remove_header(&header::CONTENT_LENGTH);
        return Ok(());
    }
    answer.insert_header(header::CONTENT_LENGTH, 0)
}

/// Lets the page that asked see an answer of the upstream, where the gateway does that.
pub(super) fn show(client: &ClientSession, answer: &mut ResponseHeader, context: &RequestContext) -> Result<()> {
    match context.route.as_ref().and_then(|route| route.cors.as_ref()) {
        Some(cors) => cors.write_relayed(client.req_header(), answer),
        None => Ok(()),
    }
}

/// Gives the client's connection the limits of its request.
pub(super) fn limit(client: &mut ClientSession, connection: &Connection, listen: &ListenSettings) {
    // Without this, a client that sends its next request early has the one under way aborted.
    client.set_pipelining_enabled(true);
    client.set_read_timeout(Some(listen.body_timeout));
    connection.bound_writes(listen.write_timeout);
    // What is left of a refused request's body is read for so long, so that the client hears the refusal.
    client.set_total_drain_timeout(Some(DRAIN));
}

/// Whether an answer is followed by another one: 1xx, but not the switch to another protocol.
fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}
