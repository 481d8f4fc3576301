//! [`KeyWatch`]: ends a WebSocket or feed when the key that verified its token is no longer trusted: purged by an operator,
//! denied or dropped by a reload, or expired. It also notices changes of the system clock, so that deadlines at a time of day
//! still apply.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use tokio::{sync::watch, time::MissedTickBehavior};

use crate::{
    exchange::{Exchange, Identity},
    metrics::Metrics,
    proxy::client::clock_watch::{ClockWatch, Step},
    token::Timestamp,
};

/// How often the keys are checked. What rests on a key that is gone goes on for so long at most.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Whether keys are still trusted, by the settings in use.
#[derive(Debug)]
pub(in crate::proxy) struct KeyWatch {
    /// None: there are no keys, and nothing rests on any.
    exchange: Option<Arc<ArcSwap<Exchange>>>,
    metrics: Option<Arc<Metrics>>,
    changed: watch::Sender<()>,
    changes: AtomicU64,
}

impl KeyWatch {
    pub(in crate::proxy) fn new(exchange: Arc<ArcSwap<Exchange>>, metrics: Arc<Metrics>) -> Self {
        for direction in Step::DIRECTIONS {
            metrics.proxy.clock_steps.with_label_values(&[direction]);
        }
        Self { exchange: Some(exchange), metrics: Some(metrics), changed: watch::Sender::default(), changes: AtomicU64::new(0) }
    }

    /// For a proxy that verifies nothing.
    #[cfg(any(test, feature = "bench"))]
    pub(in crate::proxy) fn without_keys() -> Self {
        Self { exchange: None, metrics: None, changed: watch::Sender::default(), changes: AtomicU64::new(0) }
    }

    /// Looks for changes, forever. One task does so for all connections.
    pub(in crate::proxy) async fn watch(&self) {
        let Some(exchange) = &self.exchange else { return std::future::pending().await };
        let generations = || exchange.load().key_generations(now());
        let mut known = generations();
        let mut clock = ClockWatch::start();
        let mut ticks = tokio::time::interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let step = clock.look();
            if let (Some(step), Some(metrics)) = (step, &self.metrics) {
                step.tell(metrics);
            }
            let found = generations();
            if step.is_some() || found != known {
                known = found;
                self.tell();
            }
        }
    }

    /// How many changes there have been.
    pub(in crate::proxy) fn count(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Counted first: whoever counts none yet will be told.
    fn tell(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.changed.send_replace(());
    }

    /// Whether the key behind an identity is trusted.
    pub(in crate::proxy) fn holds(&self, identity: &Identity) -> bool {
        self.exchange.as_ref().is_none_or(|exchange| exchange.load().trusts(identity, now()))
    }

    /// Waits until the key behind an identity is no longer trusted.
    pub(in crate::proxy) async fn is_lost(&self, identity: &Identity) {
        let mut changes = self.changed.subscribe();
        while self.holds(identity) {
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// To be told of changes from now on, in a task of one's own.
    pub(in crate::proxy) fn changes(&self) -> Changes {
        let changes = self.changed.subscribe();
        Changes { next: next_change(changes.clone()), changes, is_registered: false }
    }
}

type NextChange = Pin<Box<dyn Future<Output = watch::Receiver<()>> + Send>>;

/// The changes of trust, as one connection hears of them.
pub(in crate::proxy) struct Changes {
    changes: watch::Receiver<()>,
    next: NextChange,
    is_registered: bool,
}

impl Changes {
    /// Whether something has changed since the last call; if not, the task is woken when it does.
    ///
    /// To be polled by one task alone: its waker stays the same, so it is left behind once, not at each of the polls of a request.
    pub(in crate::proxy) fn poll(&mut self, task: &mut Context<'_>) -> Poll<()> {
        if self.is_registered && !self.changes.has_changed().unwrap_or(false) {
            return Poll::Pending;
        }
        let mut outcome = Poll::Pending;
        while let Poll::Ready(changes) = self.next.as_mut().poll(task) {
            self.changes.mark_unchanged();
            self.next = next_change(changes);
            outcome = Poll::Ready(());
        }
        self.is_registered = true;
        outcome
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Changes").finish_non_exhaustive()
    }
}

fn next_change(mut changes: watch::Receiver<()>) -> NextChange {
    Box::pin(async move {
        match changes.changed().await {
            Ok(()) => changes,
            Err(_) => std::future::pending().await,
        }
    })
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn each_change_wakes_the_task_that_waits() {
        let trust = Arc::new(KeyWatch::without_keys());
        let mut changes = trust.changes();
        let (heard, mut counts) = tokio::sync::mpsc::unbounded_channel();
        let listening = tokio::spawn(async move {
            for count in 1..=3 {
                // Polled more often than it changes, as a connection is.
                assert!(poll_fn(|task| Poll::Ready(changes.poll(task))).await.is_pending());
                heard.send(0).unwrap();
                poll_fn(|task| changes.poll(task)).await;
                heard.send(count).unwrap();
            }
        });
        let changing = async {
            for count in 1..=3 {
                assert_eq!(counts.recv().await, Some(0));
                trust.tell();
                assert_eq!(counts.recv().await, Some(count));
            }
        };
        tokio::time::timeout(Duration::from_secs(5), changing).await.unwrap();
        listening.await.unwrap();
    }
}
