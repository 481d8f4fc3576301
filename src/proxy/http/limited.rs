//! [`LimitLog`]: how operators learn of limits that are reached.

use std::time::Duration;

use crate::{limits::Limit, metrics::IntCounterVec, proxy::http::RateLimit};

/// Counts what is limited, and tells of each limit once in a while.
#[derive(Debug)]
pub(in crate::proxy) struct LimitLog {
    limited: IntCounterVec,
    lines: [RateLimit; Limit::ALL.len()],
}

impl LimitLog {
    pub(in crate::proxy) fn new(limited: IntCounterVec) -> Self {
        const LOG_INTERVAL: Duration = Duration::from_secs(10);
        Self { limited, lines: std::array::from_fn(|_| RateLimit::every(LOG_INTERVAL)) }
    }

    /// `client`: the address.
    pub(in crate::proxy) fn tell(&self, limit: Limit, client: &str) {
        self.limited.with_label_values(&[limit.label()]).inc();
        if self.lines.get(limit as usize).is_some_and(RateLimit::is_due) {
            let (limit, setting) = (limit.label(), limit.setting());
            tracing::warn!(client, limit, setting, "a limit is reached; more is refused");
        }
    }
}
