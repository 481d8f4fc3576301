//! [`PinWatch`]: detects a backend that refuses the tokens signed for it.
//!
//! A backend that pins another key answers 401 to everyone. Clients take that as a response to their own token and log their
//! users out, so the operator must be warned.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::exchange::Exchange;

/// Time between two complaints of one route.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The refusals of one route's backend.
#[derive(Debug)]
pub(super) struct PinWatch {
    upstream: String,
    exchange: Arc<Exchange>,
    start: Instant,
    /// Milliseconds since the start.
    complains_after: AtomicU64,
    /// Refusals since the last complaint.
    refused: AtomicU64,
}

impl PinWatch {
    /// Over the backend of this name, which gets tokens of this exchange.
    pub(in crate::proxy) fn new(upstream: &str, exchange: Arc<Exchange>) -> Self {
        Self {
            upstream: upstream.to_owned(),
            exchange,
            start: Instant::now(),
            complains_after: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// The backend has answered 401 to a request with a token of ours. Tells the operator, once in a while.
    pub(in crate::proxy) fn refused(&self, route: &str) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        if !self.may_complain(self.start.elapsed()) {
            return;
        }
        let (upstream, times) = (&self.upstream, self.refused.swap(0, Ordering::Relaxed));
        match self.exchange.signing_thumbprint() {
            Some(thumbprint) => tracing::warn!(
                route,
                upstream,
                times,
                thumbprint,
                "the backend answers 401 to tokens that the gateway signed, and clients take that as their own failure. Does it pin another \
                 key? It needs the one with this thumbprint: syncgate keys public --config FILE"
            ),
            None => tracing::warn!(
                route,
                upstream,
                times,
                "the backend answers 401 to tokens that the gateway signed, and clients take that as their own failure. Does it have another \
                 secret than signing.secret_file or signing.secret_env?"
            ),
        }
    }

    /// Once in each span, for one of those that ask.
    fn may_complain(&self, now: Duration) -> bool {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let (now, not_before) = (millis(now), self.complains_after.load(Ordering::Relaxed));
        let next = now.saturating_add(millis(LOG_INTERVAL));
        now >= not_before && self.complains_after.compare_exchange(not_before, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
