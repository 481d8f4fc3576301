//! [`RateLimit`]: at most one log line per interval, for events that may come in floods.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Due once in each span.
#[derive(Debug)]
pub(in crate::proxy) struct RateLimit {
    span: Duration,
    last: Mutex<Option<Instant>>,
}

impl RateLimit {
    pub(in crate::proxy) const fn every(span: Duration) -> Self {
        Self { span, last: Mutex::new(None) }
    }

    /// Whether it is time again; then it is not for the span that begins now.
    pub(in crate::proxy) fn is_due(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| last.elapsed() >= self.span);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_at_once_and_then_not_for_the_span() {
        let hourly = RateLimit::every(Duration::from_secs(3_600));
        assert_eq!([(); 3].map(|()| hourly.is_due()), [true, false, false]);
        let always = RateLimit::every(Duration::ZERO);
        assert_eq!([(); 3].map(|()| always.is_due()), [true; 3]);
    }
}
