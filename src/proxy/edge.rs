//! The life of a request, as Pingora's hooks: route, token, identity, permission, admission; then forward.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Method, StatusCode, Uri, header};
use pingora::{
    Error, ErrorType, Result,
    connectors::TransportConnector,
    http::{RequestHeader, ResponseHeader},
    modules::http::HttpModules,
    proxy::{FailToProxy, ProxyHttp, Session},
    upstreams::peer::{HttpPeer, Peer as _},
};

use tokio_util::sync::CancellationToken;

use crate::{
    metrics::Metrics,
    proxy::{
        ListenSettings,
        answer::{self, UpstreamFault},
        connection::{Connection, Cut},
        decision::{self, Decision},
        failure::{Failure, failure},
        forward::Forward,
        live::Live,
        request::{self, Outcome},
        shape::Fault,
        trust::Trust,
        upstream::Upstream,
        whole_body::Stop,
    },
    token::{Rejection, Timestamp},
};

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
}

pub(super) type RequestContext = request::RequestContext<Arc<Live>>;

/// How long the rest of a body is read that nobody wants.
const DRAIN: Duration = Duration::from_secs(10);
/// Longer than anything lasts.
const UNLIMITED: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);
/// How long a WebSocket may live whose token the backend is to refuse.
const LEFT_TO_BACKEND: Duration = Duration::from_secs(30);

impl Edge {
    /// Writes what the upstream sees in place of what the client said. Running it again on a retry changes nothing more.
    pub(super) fn write_upstream_header(&self, request: &mut RequestHeader, context: &RequestContext) -> Result<()> {
        let (Some(forward), Some(route), Some(upstream)) = (&context.forward, &context.route, upstream(context)) else {
            return Error::e_explain(ErrorType::InternalError, "a request without a right to be is not forwarded");
        };
        forward.write(request, &route.strip)?;
        match upstream.host_value() {
            Some(host) => request.insert_header(header::HOST, host),
            None => Ok(()),
        }
    }

    pub(super) fn avoid(&self, context: &RequestContext, peer: &HttpPeer) {
        if let Some(upstream) = upstream(context) {
            upstream.avoid(peer.address());
        }
    }

    pub(super) async fn next_peer(&self, context: &mut RequestContext) -> Result<Box<HttpPeer>> {
        let peer = match upstream(context) {
            Some(upstream) => upstream.peer().await,
            None => None,
        };
        peer.ok_or_else(|| {
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
    fn refuse<'a>(
        &'a self,
        session: &'a mut Session,
        context: &'a mut RequestContext,
        rejection: Rejection,
    ) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            context.outcome = Outcome::Refused(rejection);
            answer::refuse(session, rejection, context.route.as_deref(), &context.live.realm).await?;
            Ok(true)
        })
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

/// Lets the page that asked see an answer of the upstream, where the gateway does that.
pub(super) fn show(session: &Session, answer: &mut ResponseHeader, context: &RequestContext) -> Result<()> {
    match context.route.as_ref().and_then(|route| route.cors.as_ref()) {
        Some(cors) => cors.write_relayed(session.req_header(), answer),
        None => Ok(()),
    }
}

#[async_trait]
impl ProxyHttp for Edge {
    type CTX = RequestContext;

    fn new_ctx(&self) -> RequestContext {
        // Counted before the settings are loaded: a change between the two is found out.
        let changes = self.trust.count();
        let live = self.live.load_full();
        let (connection, access_log) = (Connection::current(&live.listen), live.access_log.clone());
        RequestContext::new(connection, live, Arc::clone(&self.metrics), access_log).began_after(changes)
    }

    /// No modules: compression and the like cost each request, and the gateway changes no bodies.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, context: &mut RequestContext) -> Result<()> {
        begin(session, &mut context.request, &context.live.listen);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, context: &mut RequestContext) -> Result<bool> {
        match decision::decide(session, context).await {
            Ok(Decision::Answer(preflight)) => {
                context.outcome = Outcome::Preflight;
                if let Some(cors) = context.route.as_ref().and_then(|route| route.cors.as_ref()) {
                    Box::pin(answer::preflight(session, cors, &preflight)).await?;
                }
                Ok(true)
            }
            // The change was told before there was an identity that it could end; or the settings of the request are older than it.
            Ok(Decision::Forward(_) | Decision::OpenWebSocket(_)) if self.has_lost_trust(context) => {
                self.refuse(session, context, Rejection::UnknownKey).await
            }
            Ok(Decision::Forward(forward)) => {
                self.let_pass(forward, context);
                Ok(false)
            }
            Ok(Decision::OpenWebSocket(forward)) => {
                self.let_pass(forward, context);
                // Boxed, so that it does not make every request's future large.
                Box::pin(self.tunnel(session, context)).await?;
                Ok(true)
            }
            Err(Stop::Refused(rejection)) => self.refuse(session, context, rejection).await,
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    async fn upstream_peer(&self, _session: &mut Session, context: &mut RequestContext) -> Result<Box<HttpPeer>> {
        self.next_peer(context).await
    }

    /// Runs again on each retry, on a fresh copy of the client's header: so it takes nothing out of the context.
    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        request: &mut RequestHeader,
        context: &mut RequestContext,
    ) -> Result<()> {
        self.write_upstream_header(request, context)
    }

    /// A body that was read whole goes out as it was rewritten. It comes here again on a retry.
    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        _end_of_stream: bool,
        context: &mut RequestContext,
    ) -> Result<()> {
        if let Some(rewritten) = context.forward.as_ref().and_then(Forward::body) {
            *body = Some(rewritten.clone());
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut RequestContext,
    ) -> Result<()> {
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            // Sockets have a tunnel of their own; nobody asked for this.
            return Err(Error::explain(ErrorType::InvalidHTTPHeader, "the upstream switched protocols unasked").into_up());
        }
        if !is_interim(response.status) {
            context.outcome = Outcome::Upstream(response.status.as_u16());
            show(session, response, context)?;
        }
        // The connection ends with this answer, which must say so.
        if self.stopping.is_cancelled() {
            session.set_keepalive(None);
        }
        Ok(())
    }

    /// A request may have reached the upstream before its connection broke. Only one that changes nothing is sent again.
    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        _context: &mut RequestContext,
        reused: bool,
    ) -> Box<Error> {
        if session.req_header().method.is_safe() && !session.as_downstream().retry_buffer_truncated() {
            error.retry.decide_reuse(reused);
        } else {
            error.set_retry(false);
        }
        error
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        peer: &HttpPeer,
        context: &mut RequestContext,
        mut error: Box<Error>,
    ) -> Box<Error> {
        self.avoid(context, peer);
        // Nothing has been sent yet, so another address may be tried whatever the method.
        error.set_retry(true);
        error
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, context: &mut RequestContext) -> FailToProxy {
        let done = |error_code| FailToProxy { error_code, can_reuse_downstream: false };
        if session.response_written().is_some_and(|answer| !is_interim(answer.status)) {
            context.broke_off = true;
            return done(0);
        }
        let route = context.route.clone();
        let route = route.as_deref();
        // The answer must say what is about to happen.
        session.set_keepalive(None);
        let written = match failure(error) {
            Failure::Upstream(fault) => {
                if context.outcome != Outcome::UpstreamFailed(UpstreamFault::NoAddress) {
                    context.outcome = Outcome::UpstreamFailed(fault);
                }
                if let Some(upstream) = upstream(context) {
                    self.metrics.proxy.upstream_errors.with_label_values(&[upstream.name(), fault.label()]).inc();
                }
                answer::upstream_failed(session, fault, route).await
            }
            Failure::ClientGone => return done(0),
            Failure::Client(status) => {
                context.outcome = Outcome::Client(status);
                let fault = Fault::new(status, "invalid_request", "the request cannot be read");
                answer::plain(session, fault, route).await
            }
            Failure::Internal => {
                context.outcome = Outcome::Internal;
                tracing::error!(%error, "request failed inside the gateway");
                answer::plain(session, Fault::new(500, "internal_error", "the gateway failed"), route).await
            }
        };
        // The client may be gone by now; the outcome is counted either way.
        drop(written);
        done(context.status())
    }

    /// Pingora's own error lines carry the client's path and query. The access log says what happened.
    fn suppress_error_log(&self, _session: &Session, _context: &RequestContext, _error: &Error) -> bool {
        true
    }

    /// What Pingora would otherwise say of a request where it logs one after all: path and query.
    fn request_summary(&self, session: &Session, _context: &RequestContext) -> String {
        session.req_header().method.to_string()
    }
}

/// What every request begins with: it is noted for the log, and the client's connection gets its limits.
pub(super) fn begin(session: &mut Session, request: &mut Option<(Method, Uri)>, listen: &ListenSettings) {
    let header = session.req_header();
    *request = Some((header.method.clone(), header.uri.clone()));
    let http = session.as_downstream_mut();
    // Pingora waits for ever between two requests unless told otherwise. Only that default is replaced: what it has switched off
    // for this connection (`Connection: close`, doubtful framing, shutdown) stays off.
    if http.get_keepalive() == Some(0) {
        http.set_keepalive(Some(listen.keepalive_timeout.as_secs().max(1)));
    }
    // Without this, a client that sends its next request early has the one under way aborted.
    http.set_pipelining_enabled(true);
    http.set_read_timeout(Some(listen.body_timeout));
    http.set_write_timeout(Some(listen.write_timeout));
    // What is left of a refused request's body is read for so long, so that the client hears the refusal.
    http.set_total_drain_timeout(Some(DRAIN));
}

/// Whether an answer is followed by another one: 1xx, but not the switch to another protocol.
fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}
