//! What is known about one request while it lasts, and the one place that counts and logs it.

use std::{
    borrow::Cow,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use http::{Method, Uri};
use percent_encoding::{CONTROLS, utf8_percent_encode};

use crate::{
    limits::Exceeded,
    metrics::Metrics,
    proxy::{
        address::Client,
        client::{Connection, Cut, RequestState},
        http::{LimitLog, RateLimit},
        policy::{Permit, Route},
        serve::access_log::{AccessLog, Line},
        upstream::UpstreamFault,
        websocket::{Side, SocketEnd},
    },
    token::Rejection,
};

/// How a request ended, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Outcome {
    /// Nothing was answered: the client left, or the connection was cut.
    Unanswered,
    /// Refused by the gateway.
    Refused(Rejection),
    /// Refused by the gateway when what it rests on ended before an answer began.
    Ended(Cut),
    /// A preflight, answered by the gateway.
    Preflight,
    /// Answered by an endpoint with this status, and why nothing was minted where something should have been.
    Endpoint(u16, Option<Rejection>),
    /// The upstream answered with this status.
    Upstream(u16),
    /// The upstream did not answer.
    UpstreamFailed(UpstreamFault),
    /// The client sent something that cannot be forwarded, or stopped in the middle; answered with this status.
    Client(u16),
    /// Our own trouble.
    Internal,
}

/// Why a request that the upstream has answered did not end well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BreakOff {
    /// The upstream broke its answer off.
    Upstream,
    /// The client left in the middle of it.
    Client,
    /// The upstream responded with a success, but did not read the whole body.
    Upload,
    /// Our own trouble.
    Internal,
}

impl BreakOff {
    pub(in crate::proxy) const fn label(self) -> &'static str {
        match self {
            Self::Upstream => "upstream_broke_off",
            Self::Client => "client_left",
            Self::Upload => "upload_cut",
            Self::Internal => "internal",
        }
    }
}

/// One request. Dropped when it is over, in whatever way; that is when it is counted and logged.
#[derive(Debug)]
pub(in crate::proxy) struct RequestRecord {
    pub(in crate::proxy) connection: Arc<Connection>,
    pub(in crate::proxy) state: Arc<RequestState>,
    /// Who the client is, where a trusted proxy has said so. Else it is the connection's peer.
    pub(in crate::proxy) client: Option<Box<Client>>,
    pub(in crate::proxy) route: Option<Arc<Route>>,
    pub(in crate::proxy) permit: Option<Permit>,
    pub(in crate::proxy) outcome: Outcome,
    pub(in crate::proxy) request: Option<(Method, Uri)>,
    pub(in crate::proxy) is_websocket: bool,
    /// After how many seconds it makes sense to try again, where that is known.
    pub(super) retry_after: Option<u32>,
    pub(super) broke_off: Option<BreakOff>,
    /// Why a WebSocket ended, once it has.
    pub(super) socket_end: Option<SocketEnd>,
    /// When it began.
    pub(in crate::proxy) began: SystemTime,
    metrics: Arc<Metrics>,
    started: Instant,
    access_log: Option<Arc<AccessLog>>,
    /// Whether it has been counted and logged, or another one continues it.
    is_recorded: bool,
}

impl RequestRecord {
    pub(in crate::proxy) fn new(connection: Arc<Connection>, metrics: Arc<Metrics>, access_log: Option<Arc<AccessLog>>) -> Self {
        let state = Arc::clone(connection.request());
        state.request_began();
        metrics.proxy.in_flight.inc();
        Self {
            connection,
            state,
            client: None,
            route: None,
            permit: None,
            outcome: Outcome::Unanswered,
            request: None,
            is_websocket: false,
            retry_after: None,
            broke_off: None,
            socket_end: None,
            began: SystemTime::now(),
            metrics,
            started: Instant::now(),
            access_log,
            is_recorded: false,
        }
    }

    /// The same request, which continues when this is dropped.
    pub(in crate::proxy) fn take(&mut self) -> Self {
        self.is_recorded = true;
        Self {
            connection: Arc::clone(&self.connection),
            state: Arc::clone(&self.state),
            client: self.client.take(),
            route: self.route.take(),
            permit: self.permit.take(),
            request: self.request.take(),
            metrics: Arc::clone(&self.metrics),
            access_log: self.access_log.take(),
            is_recorded: false,
            ..*self
        }
    }

    /// The upstream switched to a WebSocket.
    pub(super) fn became_websocket(&mut self) {
        if !std::mem::replace(&mut self.is_websocket, true) {
            self.metrics.proxy.websockets.inc();
        }
    }

    /// Counts and logs the request, which is over though this is not dropped yet. Its connection serves no other.
    pub(super) fn conclude(&mut self) {
        self.is_recorded = true;
        let took = self.started.elapsed();
        self.metrics.proxy.in_flight.dec();
        if self.is_websocket {
            self.metrics.proxy.websockets.dec();
            self.metrics.proxy.websockets_ended.with_label_values(&[self.socket_end().label()]).inc();
        }
        self.count(took);
        if let Some(log) = &self.access_log {
            self.log(log, took);
        }
    }

    /// The address of the client, and its port where that is known.
    pub(in crate::proxy) fn client_text(&self) -> &str {
        self.client.as_ref().map_or(self.connection.peer().text(), |client| client.text())
    }

    /// Notes that what the request says of its client does not count. From this machine or a private network, a proxy has said it that an
    /// operator may have forgotten to name.
    pub(super) fn forwarded_ignored(&self, complaint: &RateLimit) {
        self.metrics.clients.forwarded_ignored.inc();
        let peer = self.connection.peer();
        if peer.is_near() && complaint.is_due() {
            tracing::warn!(
                peer = peer.text(),
                "X-Forwarded-For and similar fields are ignored and replaced, because this peer is not a trusted proxy; if it is the \
                 proxy in front, name it in listen.trusted_proxies"
            );
        }
    }

    /// The address of the client.
    pub(super) fn client_address(&self) -> IpAddr {
        self.client.as_ref().map_or(self.connection.peer().address(), |client| client.address())
    }

    /// Notes that the request is refused by a limit.
    pub(super) fn limited(&mut self, exceeded: Exceeded, log: &LimitLog) {
        self.retry_after = Some(exceeded.retry_after);
        log.tell(exceeded.limit, self.client_text());
    }

    /// The status that was answered; 0 for none.
    pub(in crate::proxy) fn status(&self) -> u16 {
        match self.outcome {
            Outcome::Unanswered => 0,
            Outcome::Refused(rejection) => rejection.status(),
            Outcome::Ended(cause) => cause.rejection().status(),
            Outcome::Preflight => 204,
            Outcome::Upstream(status) | Outcome::Client(status) | Outcome::Endpoint(status, _) => status,
            Outcome::UpstreamFailed(fault) => fault.status(),
            Outcome::Internal => 500,
        }
    }

    /// Why the request did not end as its client wished; empty if it did.
    fn reason(&self) -> &'static str {
        if let Some(rejection) = self.permit.as_ref().and_then(Permit::left_for) {
            return rejection.label();
        }
        match (self.state.was_cut(), self.outcome) {
            (_, Outcome::Refused(rejection) | Outcome::Endpoint(_, Some(rejection))) => rejection.label(),
            (_, Outcome::Upstream(_)) if self.is_websocket => self.socket_end().label(),
            (_, Outcome::UpstreamFailed(fault)) => fault.label(),
            (_, Outcome::Ended(cause)) => cause.label(),
            (Some(cut), _) => cut.label(),
            (None, Outcome::Unanswered) => "client_left",
            (None, Outcome::Client(_)) => "client_error",
            (None, Outcome::Preflight) => "preflight",
            (None, Outcome::Endpoint(_, None)) => "",
            (None, Outcome::Internal) => "internal",
            (None, Outcome::Upstream(_)) => self.broke_off.map_or("", BreakOff::label),
        }
    }

    /// Why the WebSocket ended. Without an answer of its own it was cut in its grace, or its client left before it was carried.
    fn socket_end(&self) -> SocketEnd {
        let cut = self.state.was_cut().map(SocketEnd::Cut);
        self.socket_end.or(cut).unwrap_or(SocketEnd::Reset(Side::Client))
    }

    fn count(&self, took: Duration) {
        let proxy = &self.metrics.proxy;
        let method = self.request.as_ref().map_or("other", |(method, _)| method.as_str());
        let route = self.route.as_deref();
        match (self.outcome, route) {
            (Outcome::Unanswered, _) => {}
            (Outcome::Upstream(status), Some(route)) => route.metrics.answered_by_upstream(method, status),
            _ => proxy.answered_by_gateway(route.map_or("none", |route| route.name.as_str()), method, self.status()),
        }
        if let Outcome::Refused(rejection) | Outcome::Endpoint(_, Some(rejection)) = self.outcome {
            proxy.rejections.with_label_values(&[rejection.label()]).inc();
        }
        if let Some(route) = route {
            route.metrics.duration.observe(took.as_secs_f64());
        }
    }

    /// The clock is checked again only after a time in which it may have been set, or stood still.
    fn ended(&self, took: Duration) -> SystemTime {
        const SHORT: Duration = Duration::from_secs(1);
        self.began.checked_add(took).filter(|_| took < SHORT).unwrap_or_else(SystemTime::now)
    }

    fn log(&self, log: &AccessLog, took: Duration) {
        /// Longer paths are cut in the log.
        const LOGGED_PATH: usize = 256;
        let (method, path) = self.request.as_ref().map_or(("", ""), |(method, uri)| (method.as_str(), uri.path()));
        // What a terminal could take for a command, and what is not ASCII, is escaped as a URL would.
        let path: Cow<'_, str> = utf8_percent_encode(path, CONTROLS).into();
        log.write(&Line {
            route: self.route.as_deref().map_or("none", |route| route.name.as_str()),
            method: method.get(..method.len().min(16)).unwrap_or_default(),
            path: path.get(..path.len().min(LOGGED_PATH)).unwrap_or_default(),
            at: self.ended(took),
            status: self.status(),
            reason: self.reason(),
            is_refusal: matches!(self.outcome, Outcome::Refused(_) | Outcome::Endpoint(_, Some(_))),
            websocket: self.is_websocket,
            duration: took,
            client: self.client_text(),
        });
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        if !self.is_recorded {
            self.conclude();
            self.state.request_ended();
        }
    }
}
