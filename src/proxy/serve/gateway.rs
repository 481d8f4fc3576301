//! What every request needs from the gateway, and the path of a request from its header to its permit, or to a response of the
//! gateway's own.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use pingora::{Result, connectors::TransportConnector};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    certificate::ServerTls,
    endpoint::Endpoint,
    metrics::Metrics,
    proxy::{
        address::Client,
        client::{ClientSession, Complaints, Connection, Cut, KeyWatch, ListenSettings},
        policy::{Asked, Decided, Decision, Permit},
        serve::{
            answer,
            door::{self, AtDoor},
            endpoint::{self, Heard, Stopped},
            live::{Live, LiveProxy},
            record::{Outcome, RequestRecord},
            whole_body::{self, Stop},
        },
    },
    token::{Rejection, Timestamp},
};

/// How long the unwanted rest of a body is read.
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than anything lasts.
const UNLIMITED: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);
/// How long a WebSocket may live whose token the backend is to refuse.
const LEFT_TO_BACKEND_TIMEOUT: Duration = Duration::from_secs(30);

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

/// What every request needs. Shared by all connections.
#[derive(Clone)]
pub(in crate::proxy) struct Gateway {
    /// What depends on the config; loaded once for each request.
    pub(super) live: Arc<ArcSwap<Live>>,
    pub(super) key_watch: Arc<KeyWatch>,
    pub(super) connector: Arc<TransportConnector>,
    /// Cancelled when the gateway stops: sockets then say goodbye.
    pub(super) stopping: CancellationToken,
    pub(super) metrics: Arc<Metrics>,
    pub(super) complaints: Arc<Complaints>,
    /// How the listeners with TLS answer handshakes.
    certificates: Arc<[Arc<ServerTls>]>,
}

/// One request while it lasts.
#[derive(Debug)]
pub(super) struct RequestContext {
    /// What is counted and logged of it.
    pub(super) record: RequestRecord,
    /// The settings that it began with.
    pub(super) live: Arc<Live>,
    /// How many changes of keys there had been when it began.
    began_after_changes: u64,
}

impl RequestContext {
    /// The same request, which continues when this is dropped.
    pub(super) fn take(&mut self) -> Self {
        Self { record: self.record.take(), live: Arc::clone(&self.live), began_after_changes: self.began_after_changes }
    }

    /// Notes what the upstream has answered. A backend that refuses a token of ours may pin another key.
    pub(super) fn answered(&mut self, status: u16) {
        self.record.outcome = Outcome::Upstream(status);
        let route = self.record.route.as_ref();
        if status == 401
            && self.record.permit.as_ref().is_some_and(Permit::is_admitted)
            && let Some(route) = route
        {
            route.metrics.upstream_unauthorized.inc();
            if let Some(pin) = self.live.pins.get(route.upstream) {
                pin.refused(&route.name);
            }
        }
    }
}

impl Gateway {
    pub(in crate::proxy) fn new(
        live: &LiveProxy,
        key_watch: Arc<KeyWatch>,
        connector: Arc<TransportConnector>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (live, certificates) = (Arc::clone(&live.live), live.certificates().iter().flatten().cloned().collect());
        Self { live, key_watch, connector, stopping: CancellationToken::new(), metrics, complaints: Arc::default(), certificates }
    }

    /// Begins with a request whose header has been read: it is counted, and the client's connection gets its limits.
    pub(super) fn begin(&self, client: &mut ClientSession, connection: &Arc<Connection>) -> RequestContext {
        // Counted before the settings are loaded: a change between the two is found out.
        let changes = self.key_watch.count();
        let mut context = self.begin_unread(connection);
        context.began_after_changes = changes;
        let header = client.req_header();
        context.record.request = Some((header.method.clone(), header.uri.clone()));
        context.record.client = Client::told(connection.peer(), &header.headers, &context.live.listen.trust);
        limit(client, connection, &context.live.listen);
        self.end_when_stopping(client);
        context
    }

    /// Begins with something that is not a request, to be refused.
    pub(super) fn begin_unread(&self, connection: &Arc<Connection>) -> RequestContext {
        let live = self.live.load_full();
        let access_log = live.access_log.clone();
        let record = RequestRecord::new(Arc::clone(connection), Arc::clone(&self.metrics), access_log);
        RequestContext { record, live, began_after_changes: 0 }
    }

    /// Decides about a request, and answers it unless it is to go upstream.
    pub(super) async fn admit(&self, client: &mut ClientSession, context: &mut RequestContext) -> Result<Admitted> {
        if let Some(met) = door::met(client, context.record.connection.arrival(), &self.certificates) {
            return Box::pin(self.turn_away(met, client, context)).await;
        }
        let decided = match decide(client, context, None).await {
            // Boxed, so that the rare case does not make every request's future large.
            Ok(Decision::NeedsBody) => Box::pin(decide_by_body(client, context)).await,
            decided => decided.map_err(Stop::Refused),
        };
        match decided {
            // The change was told before there was an identity that it could end; or the settings of the request are older than it.
            Ok(Decision::Forward(_) | Decision::OpenWebSocket(_)) if self.has_lost_trust(context) => {
                self.refuse(client, context, Rejection::UnknownKey).await
            }
            Ok(Decision::Forward(permit)) => {
                self.let_pass(permit, context);
                Ok(Admitted::Forward)
            }
            Ok(Decision::OpenWebSocket(permit)) => {
                self.let_pass(permit, context);
                Ok(Admitted::WebSocket)
            }
            Ok(Decision::Answer(preflight)) => {
                context.record.outcome = Outcome::Preflight;
                if let Some(cors) = context.record.route.as_ref().and_then(|route| route.cors.as_ref()) {
                    Box::pin(answer::preflight(client, cors, &preflight)).await?;
                }
                Ok(Admitted::Answered)
            }
            // Boxed, so that the rare case does not make every request's future large.
            Ok(Decision::Call(endpoint)) => Box::pin(self.call(client, context, endpoint)).await,
            // It has been asked for and given.
            Ok(Decision::NeedsBody) => self.refuse(client, context, Rejection::MissingToken).await,
            Err(Stop::Refused(rejection)) => self.refuse(client, context, rejection).await,
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// Answers a request that goes no further than its listener.
    async fn turn_away(&self, met: AtDoor, client: &mut ClientSession, context: &mut RequestContext) -> Result<Admitted> {
        match door::reply(met, client, &self.certificates) {
            Err(rejection) => self.refuse(client, context, rejection).await,
            Ok(reply) => endpoint::reply_with(client, &mut context.record, reply).await.map(|()| Admitted::Answered),
        }
    }

    /// Has an endpoint answer a request. If the settings have changed while its body came, it is decided about again: what it rests on may be
    /// gone.
    async fn call(&self, client: &mut ClientSession, context: &mut RequestContext, endpoint: Arc<Endpoint>) -> Result<Admitted> {
        let came = Instant::now();
        let body = match endpoint::hear(client, &context.record, &context.live, &endpoint, came).await {
            Heard::Whole(body) => body,
            Heard::Stopped(Stopped::Failed(error)) => return Err(error),
            Heard::Stopped(Stopped::Replied(reply)) => {
                return endpoint::reply_with(client, &mut context.record, reply).await.map(|()| Admitted::Answered);
            }
        };
        let (live, mut endpoint) = (self.live.load_full(), endpoint);
        if !Arc::ptr_eq(&live, &context.live) {
            context.live = live;
            endpoint = match decide(client, context, None).await {
                Ok(Decision::Call(endpoint)) => endpoint,
                Ok(_) => return self.refuse(client, context, Rejection::NoRoute).await,
                Err(rejection) => return self.refuse(client, context, rejection).await,
            };
        }
        let RequestContext { record, live, .. } = context;
        endpoint::answer(client, record, live, &endpoint, body, came).await.map(|()| Admitted::Answered)
    }

    /// Whether keys have changed since the request began, and its own is no longer trusted.
    fn has_lost_trust(&self, context: &RequestContext) -> bool {
        context.began_after_changes != self.key_watch.count()
            && !context.record.state.identity_is(|identity| self.key_watch.holds(identity))
    }

    /// Notes by what right a request goes upstream, and ends its connection with that.
    fn let_pass(&self, permit: Permit, context: &mut RequestContext) {
        if let Some(rejection) = permit.left_for() {
            self.metrics.proxy.left_to_backend.with_label_values(&[rejection.label()]).inc();
        }
        context.record.permit = Some(permit);
        let (end, why) = self.end(context);
        context.record.state.set_deadline(end, why);
    }

    /// Refuses a request. Boxed, so that the rare case does not make every request's future large.
    pub(super) fn refuse<'a>(
        &'a self,
        client: &'a mut ClientSession,
        context: &'a mut RequestContext,
        rejection: Rejection,
    ) -> BoxFuture<'a, Result<Admitted>> {
        Box::pin(async move {
            context.record.outcome = Outcome::Refused(rejection);
            let (route, retry_after) = (context.record.route.as_deref(), context.record.retry_after);
            answer::refuse(client, rejection, route, &context.live.realm, retry_after).await?;
            Ok(Admitted::Answered)
        })
    }

    pub(super) fn end_when_stopping(&self, client: &mut ClientSession) {
        if self.stopping.is_cancelled() {
            client.close_after();
        }
    }

    /// When the request's connection ends, and why then: with what the request rests on, or at the greatest age of a stream.
    pub(super) fn end(&self, context: &RequestContext) -> (Timestamp, Cut) {
        let permit = context.record.permit.as_ref();
        let certificate_end = context.record.connection.arrival().certificate_end();
        let token_end = permit.and_then(Permit::end);
        let token_end = token_end.map(|end| certificate_end.map_or(end, |certificate| end.min(certificate)));
        let token_end = token_end.or(certificate_end.filter(|_| permit.is_some()));
        let age_limit = match permit.and_then(Permit::left_for) {
            Some(_) => Some(LEFT_TO_BACKEND_TIMEOUT),
            None => context.live.listen.max_stream_age,
        };
        // The common case needs no clock.
        if let (Some(end), None) = (token_end, age_limit) {
            return (end, Cut::TokenEnd);
        }
        let now = Timestamp::from(SystemTime::now());
        // Without a token and without a limit, a connection lives as long as both sides want.
        let end = permit.map_or(now, |_| token_end.unwrap_or(now.plus(UNLIMITED)));
        match age_limit.map(|age| now.plus(age)) {
            Some(limit) if limit < end => (limit, Cut::MaxAge),
            _ => (end, Cut::TokenEnd),
        }
    }
}

/// Decides about a request by its header, and by its body once that has been read.
async fn decide(client: &mut ClientSession, context: &mut RequestContext, body: Option<Bytes>) -> Result<Decision, Rejection> {
    let RequestContext { record, live, .. } = context;
    let raw_header = client.raw_header();
    let is_first = body.is_none();
    let now = if is_first { record.began } else { SystemTime::now() };
    let exceeded = OnceLock::new();
    let asked = Asked {
        raw_header: &raw_header,
        is_too_large: raw_header.len() > live.listen.header_bytes,
        has_body: !client.is_body_empty(),
        request: client.req_header(),
        body,
        last_token: record.state.last_token(),
        certificate: record.connection.arrival().certificate(now),
        client: record.client_address(),
        exceeded: &exceeded,
        now: Timestamp::from(now),
    };
    let Decided { route, identity, closes, tells_client, outcome } = live.policy.decide(asked).await;
    record.route = route;
    if let Some(exceeded) = exceeded.get() {
        record.limited(*exceeded, &live.limit_log);
    }
    if tells_client && is_first && record.client.is_none() {
        record.forwarded_ignored(&live.ignored);
    }
    if identity.is_some() {
        record.state.rests_on(identity);
    }
    if closes {
        client.close_after();
    }
    if let (Err(Rejection::PreflightNotConfigured), Some(route)) = (&outcome, &record.route) {
        live.complain_of_preflight(&client.req_header().headers, &route.name);
    }
    outcome
}

/// Reads the body of a request and decides by that.
async fn decide_by_body(client: &mut ClientSession, context: &mut RequestContext) -> Result<Decision, Stop> {
    let body = whole_body::read(client, context.live.listen.body_timeout).await?;
    Ok(decide(client, context, Some(body)).await?)
}

/// Gives the client's connection the limits of its request.
fn limit(client: &mut ClientSession, connection: &Connection, listen: &ListenSettings) {
    client.limit(listen.body_timeout, DRAIN_TIMEOUT);
    connection.request().bound_writes(listen.write_timeout);
}
