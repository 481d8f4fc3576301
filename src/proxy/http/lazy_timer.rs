//! [`LazyTimer`]: a timeout that costs almost nothing while it is moved and not exceeded.

use std::{
    future::{Future as _, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    task::unconstrained,
    time::{Instant, Sleep},
};

/// An idle timeout. Each event moves the time at which it is due; the runtime's timer, set for an earlier one, is set again only when it
/// goes off.
///
/// To be polled always by the same task.
#[derive(Debug)]
pub(in crate::proxy) struct LazyTimer {
    /// Made when it is first needed.
    timer: Option<Pin<Box<Sleep>>>,
    /// When the timer goes off; none if it has.
    set_for: Option<Instant>,
    /// Whether the timer wakes the task.
    is_awaited: bool,
    /// When it is exceeded; none: never.
    due: Option<Instant>,
}

impl LazyTimer {
    /// Without a limit.
    pub(in crate::proxy) fn unlimited() -> Self {
        Self { timer: None, set_for: None, is_awaited: false, due: None }
    }

    /// Counts from now, for so long; without a limit forever.
    pub(in crate::proxy) fn restart(&mut self, limit: Option<Duration>) {
        self.due = limit.and_then(|limit| Instant::now().checked_add(limit));
    }

    /// Ready once the limit is exceeded, counted from the first poll: who is answered at once costs no look at the clock.
    pub(in crate::proxy) fn exceeded(&mut self, limit: Option<Duration>) -> impl Future<Output = ()> {
        let mut is_counting = false;
        poll_fn(move |task| {
            if !std::mem::replace(&mut is_counting, true) {
                self.restart(limit);
            }
            self.poll_exceeded(task)
        })
    }

    /// The same for a limit that there is. Tells from when it counts.
    pub(in crate::proxy) fn exceeded_from(
        &mut self,
        limit: Duration,
        counts_from: impl FnOnce(Instant),
    ) -> impl Future<Output = ()> {
        let mut counts_from = Some(counts_from);
        poll_fn(move |task| {
            if let Some(counts_from) = counts_from.take() {
                let now = Instant::now();
                self.due = now.checked_add(limit);
                counts_from(now);
            }
            self.poll_exceeded(task)
        })
    }

    /// Ready once the limit is exceeded.
    pub(in crate::proxy) fn poll_exceeded(&mut self, task: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.due else { return Poll::Pending };
        // The common case: the timer is set, and will wake the task.
        if self.is_awaited
            && self.timer.as_ref().is_some_and(|timer| !timer.is_elapsed())
            && self.set_for.is_some_and(|set_for| set_for <= due)
        {
            return Poll::Pending;
        }
        // Not limited by the task's share of time: a timer that is polled when that is used up wakes nobody.
        pin!(unconstrained(poll_fn(|task| self.poll_timer(task, due)))).poll(task)
    }

    fn poll_timer(&mut self, task: &mut Context<'_>, due: Instant) -> Poll<()> {
        loop {
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
            if self.set_for.is_none_or(|set_for| due < set_for) {
                timer.as_mut().reset(due);
                self.set_for = Some(due);
            }
            self.is_awaited = true;
            ready!(timer.as_mut().poll(task));
            self.set_for = None;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::coop;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    async fn exceeded(timer: &mut LazyTimer) -> Duration {
        let started = Instant::now();
        poll_fn(|task| timer.poll_exceeded(task)).await;
        started.elapsed()
    }

    async fn is_exceeded(timer: &mut LazyTimer) -> bool {
        poll_fn(|task| Poll::Ready(timer.poll_exceeded(task))).await.is_ready()
    }

    fn is_about(actual: Duration, expected: u64) -> bool {
        actual.abs_diff(Duration::from_secs(expected)) < Duration::from_millis(10)
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_counted_from_the_last_word() {
        let mut timer = LazyTimer::unlimited();
        timer.restart(Some(LIMIT));
        for _ in 0..5 {
            assert!(!is_exceeded(&mut timer).await);
            tokio::time::sleep(Duration::from_secs(8)).await;
            timer.restart(Some(LIMIT));
        }
        let waited = exceeded(&mut timer).await;
        assert!(is_about(waited, 10), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_counted_from_its_first_poll() {
        let mut timer = LazyTimer::unlimited();
        for _ in 0..2 {
            let wait = timer.exceeded(Some(LIMIT));
            tokio::time::sleep(Duration::from_secs(8)).await;
            let started = Instant::now();
            wait.await;
            assert!(is_about(started.elapsed(), 10), "{:?}", started.elapsed());
        }
        timer.restart(Some(LIMIT));
        let unlimited = tokio::time::timeout(LIMIT * 2, timer.exceeded(None));
        assert!(unlimited.await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_limit_holds_at_once_and_a_longer_one_too() {
        let mut timer = LazyTimer::unlimited();
        timer.restart(Some(LIMIT));
        assert!(!is_exceeded(&mut timer).await);
        timer.restart(Some(Duration::from_secs(2)));
        let waited = exceeded(&mut timer).await;
        assert!(is_about(waited, 2), "{waited:?}");
        timer.restart(Some(Duration::from_secs(20)));
        let waited = exceeded(&mut timer).await;
        assert!(is_about(waited, 20), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_has_used_up_its_share_of_time_is_woken_all_the_same() {
        let mut timer = LazyTimer::unlimited();
        timer.restart(Some(LIMIT));
        let mut is_first = true;
        let exceeded = poll_fn(|task| {
            while std::mem::take(&mut is_first) && coop::has_budget_remaining() {
                is_first = true;
                if let Poll::Ready(turn) = coop::poll_proceed(task) {
                    turn.made_progress();
                }
            }
            timer.poll_exceeded(task)
        });
        let started = Instant::now();
        // Whoever else wakes the task, it finds out; nobody does before then.
        tokio::time::timeout(LIMIT * 2, exceeded).await.unwrap();
        assert!(is_about(started.elapsed(), 10), "{:?}", started.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_it_is_never_exceeded() {
        let mut timer = LazyTimer::unlimited();
        assert!(!is_exceeded(&mut timer).await);
        timer.restart(Some(LIMIT));
        assert!(!is_exceeded(&mut timer).await);
        timer.restart(None);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!is_exceeded(&mut timer).await);
        timer.restart(Some(Duration::MAX));
        assert!(!is_exceeded(&mut timer).await);
    }
}
