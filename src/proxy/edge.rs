//! The life of a request, as Pingora's hooks: route, token, identity, permission, admission; then forward.

use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use http::header;
use pingora::{
    Error, ErrorSource, ErrorType, Result,
    http::{RequestHeader, ResponseHeader},
    modules::http::HttpModules,
    proxy::{FailToProxy, ProxyHttp, Session},
    upstreams::peer::HttpPeer,
};

use crate::{
    exchange::{Admission, Exchange},
    metrics::Metrics,
    proxy::{
        ListenSettings,
        access_log::AccessLog,
        answer::{self, UpstreamFault},
        authorization::bearer_token,
        connection::{Connection, Cut},
        hygiene::StripList,
        request::{Outcome, RequestContext},
        route::{Route, RouteTable},
        target,
        upstream::Upstream,
    },
    token::{NonceRule, Rejection, Timestamp},
};

/// Everything that a request needs. Shared by all connections.
pub(super) struct Edge {
    pub(super) listen: ListenSettings,
    pub(super) routes: RouteTable,
    pub(super) upstreams: Vec<Arc<Upstream>>,
    pub(super) strip: StripList,
    pub(super) exchange: Arc<Exchange>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) realm: String,
    pub(super) access_log: Option<Arc<AccessLog>>,
}

/// The headers that the gateway writes towards an upstream.
pub(super) const WRITTEN_HEADERS: &[&str] = &["authorization"];

impl Edge {
    /// Decides about a request: the route, and the admission to forward it with.
    async fn admit(&self, request: &RequestHeader, context: &mut RequestContext) -> Result<Admission, Rejection> {
        target::check_target(&request.method, request.raw_path())?;
        let host = target::host(&request.headers)?;
        let route = Arc::clone(self.routes.find(host, request.uri.path())?);
        context.route = Some(Arc::clone(&route));

        let token = bearer_token(&request.headers)?;
        let now = Timestamp::from(SystemTime::now());
        let identity = self.exchange.identify(token, now).await?;
        route.permission.check(identity.verified(), nonce(&route, request))?;
        self.exchange.admit(&identity, route.profile, now).await
    }

    /// Bounds the connection by the end of the token that the request rests on.
    fn bound(&self, connection: &Connection, admission: &Admission) {
        let age_limit = self.listen.max_stream_age.map(|age| Timestamp::from(SystemTime::now()).plus(age));
        match age_limit {
            Some(limit) if limit < admission.end() => connection.set_deadline(limit, Cut::MaxAge),
            _ => connection.set_deadline(admission.end(), Cut::TokenEnd),
        }
    }

    fn upstream(&self, context: &RequestContext) -> Option<&Arc<Upstream>> {
        self.upstreams.get(context.route.as_ref()?.upstream)
    }
}

#[async_trait]
impl ProxyHttp for Edge {
    type CTX = RequestContext;

    fn new_ctx(&self) -> RequestContext {
        RequestContext::new(Connection::current(&self.listen), Arc::clone(&self.metrics), self.access_log.clone())
    }

    /// No modules: compression and the like cost each request, and the gateway changes no bodies.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, context: &mut RequestContext) -> Result<()> {
        begin(session, context, &self.listen);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, context: &mut RequestContext) -> Result<bool> {
        let header_bytes = session.as_downstream().as_http1().map_or(0, |http| http.get_headers_raw_bytes().len());
        let decision = if header_bytes > self.listen.header_bytes {
            Err(Rejection::HeadersTooLarge)
        } else {
            self.admit(session.req_header(), context).await
        };
        match decision {
            Ok(admission) => {
                self.bound(&context.connection, &admission);
                context.admission = Some(admission);
                Ok(false)
            }
            Err(rejection) => {
                context.outcome = Outcome::Refused(rejection);
                let scope = context.route.as_ref().and_then(|route| route.permission.challenge_scope());
                answer::refuse(session, rejection, &self.realm, scope).await?;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, _session: &mut Session, context: &mut RequestContext) -> Result<Box<HttpPeer>> {
        let peer = match self.upstream(context) {
            Some(upstream) => upstream.peer().await,
            None => None,
        };
        match peer {
            Some(peer) => Ok(Box::new(peer)),
            None => {
                context.outcome = Outcome::UpstreamFailed(UpstreamFault::NoAddress);
                Error::e_explain(ErrorType::ConnectNoRoute, "the upstream's name has not been resolved")
            }
        }
    }

    /// Runs again on each retry, on a fresh copy of the client's header: so it takes nothing out of the context.
    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        request: &mut RequestHeader,
        context: &mut RequestContext,
    ) -> Result<()> {
        let (Some(admission), Some(upstream)) = (&context.admission, self.upstream(context)) else {
            return Error::e_explain(ErrorType::InternalError, "a request without an admission is not forwarded");
        };
        self.strip.apply(request);
        request.insert_header(header::AUTHORIZATION, admission.authorization())?;
        if let Some(host) = upstream.host_value() {
            request.insert_header(header::HOST, host)?;
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut RequestContext,
    ) -> Result<()> {
        context.outcome = Outcome::Upstream(response.status.as_u16());
        if response.status == http::StatusCode::SWITCHING_PROTOCOLS {
            context.became_websocket();
            let idle = self.upstream(context).map(|upstream| upstream.read_timeout());
            session.as_downstream_mut().set_read_timeout(idle);
        }
        Ok(())
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        _context: &mut RequestContext,
        mut error: Box<Error>,
    ) -> Box<Error> {
        // Nothing has been sent yet, so another address may be tried whatever the method.
        error.set_retry(true);
        error
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, context: &mut RequestContext) -> FailToProxy {
        let done = |error_code| FailToProxy { error_code, can_reuse_downstream: false };
        if session.response_written().is_some() {
            context.broke_off = true;
            return done(0);
        }
        let written = match failure(error) {
            Failure::Upstream(fault) => {
                if context.outcome != Outcome::UpstreamFailed(UpstreamFault::NoAddress) {
                    context.outcome = Outcome::UpstreamFailed(fault);
                }
                if let Some(upstream) = self.upstream(context) {
                    self.metrics.proxy.upstream_errors.with_label_values(&[upstream.name(), fault.label()]).inc();
                }
                answer::upstream_failed(session, fault).await
            }
            Failure::ClientGone => return done(0),
            Failure::Client(status) => {
                context.outcome = Outcome::Client(status);
                answer::plain(session, status, "invalid_request", "the request cannot be read").await
            }
            Failure::Internal => {
                context.outcome = Outcome::Internal;
                tracing::error!(%error, "request failed inside the gateway");
                answer::plain(session, 500, "internal_error", "the gateway failed").await
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
}

/// What every request begins with: it is noted for the log, and the client's connection gets its limits.
pub(super) fn begin(session: &mut Session, context: &mut RequestContext, listen: &ListenSettings) {
    let header = session.req_header();
    context.request = Some((header.method.clone(), header.uri.clone()));
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
}

fn nonce<'a>(route: &Route, request: &'a RequestHeader) -> Option<&'a [u8]> {
    let NonceRule::EqualsHeader(name) = &route.permission.settings().nonce else { return None };
    let mut values = request.headers.get_all(name.as_str()).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}

enum Failure {
    Upstream(UpstreamFault),
    ClientGone,
    Client(u16),
    Internal,
}

/// Whose fault it is, and what to answer.
fn failure(error: &Error) -> Failure {
    use ErrorType::{
        ConnectNoRoute, ConnectTimedout, ConnectionClosed, HTTPStatus, ReadError, ReadTimedout, TLSHandshakeTimedout, WriteError,
        WriteTimedout,
    };
    match (error.esource(), error.etype()) {
        (ErrorSource::Downstream, ReadError | WriteError | ConnectionClosed | WriteTimedout) => Failure::ClientGone,
        (ErrorSource::Downstream, ReadTimedout) => Failure::Client(408),
        (ErrorSource::Downstream, HTTPStatus(status)) => Failure::Client(*status),
        (ErrorSource::Downstream, _) => Failure::Client(400),
        (_, ConnectTimedout | TLSHandshakeTimedout) => Failure::Upstream(UpstreamFault::ConnectTimeout),
        (_, ConnectNoRoute) if *error.esource() != ErrorSource::Upstream => Failure::Upstream(UpstreamFault::NoAddress),
        (ErrorSource::Upstream, ReadTimedout | WriteTimedout) => Failure::Upstream(UpstreamFault::Timeout),
        (ErrorSource::Upstream, kind) if is_connecting(kind) => Failure::Upstream(UpstreamFault::Connect),
        (ErrorSource::Upstream, _) => Failure::Upstream(UpstreamFault::Broken),
        _ => Failure::Internal,
    }
}

fn is_connecting(kind: &ErrorType) -> bool {
    use ErrorType::{
        BindError, ConnectError, ConnectNoRoute, ConnectRefused, HandshakeError, InvalidCert, SocketError, TLSHandshakeFailure,
    };
    matches!(
        kind,
        ConnectRefused
            | ConnectNoRoute
            | ConnectError
            | TLSHandshakeFailure
            | HandshakeError
            | InvalidCert
            | SocketError
            | BindError
    )
}
