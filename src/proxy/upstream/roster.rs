//! [`Roster`]: what is known of the addresses of an upstream, whatever settings it has: a reload keeps it.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::proxy::upstream::standing::Standing;

/// Of the requests in flight, one in so many may be a second attempt.
const RETRIED_PART: usize = 5;
/// So many may, however few are in flight.
const MIN_RETRIES: usize = 3;

/// What is known of the addresses of one upstream.
#[derive(Debug)]
pub(super) struct Roster {
    start: Instant,
    known: Mutex<Known>,
    retries: Arc<AtomicUsize>,
    pub(super) counts: Counts,
}

/// What has happened since the start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) taken_out: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) retries_refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    /// Those in use, and others while something is in progress there.
    standings: Vec<Weak<Standing>>,
    /// The addresses that an operator drains, in use or not.
    drained: BTreeSet<String>,
}

/// The right to try once more. It is taken while this lives.
#[derive(Debug)]
pub(in crate::proxy) struct Retry(Arc<AtomicUsize>);

impl Drop for Retry {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Default for Roster {
    fn default() -> Self {
        Self { start: Instant::now(), known: Mutex::default(), retries: Arc::default(), counts: Counts::default() }
    }
}

impl Roster {
    /// Milliseconds since it was made.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// What is known of an address, now in use.
    pub(super) fn standing(&self, address: String, is_fresh: bool) -> Arc<Standing> {
        let now = self.now();
        let mut known = self.known();
        known.standings.retain(|standing| standing.strong_count() > 0);
        let same = known.standings.iter().filter_map(Weak::upgrade).find(|standing| standing.address() == address);
        let standing = same.unwrap_or_else(|| {
            let standing = Arc::new(Standing::new(address));
            if is_fresh {
                standing.begin_fresh(now);
            }
            if known.drained.contains(standing.address()) {
                standing.drain(Duration::ZERO);
            }
            known.standings.push(Arc::downgrade(&standing));
            standing
        });
        standing.resolved();
        standing
    }

    /// All addresses in use, and those where something is in progress.
    pub(super) fn standings(&self) -> Vec<Arc<Standing>> {
        self.known().standings.iter().filter_map(Weak::upgrade).collect()
    }

    /// Has an address passed by, and its sockets closed within this time.
    pub(super) fn drain(&self, standing: &Standing, spread: Duration) {
        self.known().drained.insert(standing.address().to_owned());
        standing.drain(spread);
    }

    /// Has an address chosen again.
    pub(super) fn undrain(&self, standing: &Standing) {
        self.known().drained.remove(standing.address());
        standing.undrain(self.now());
    }

    /// The right to try once more, if not too many do of so many requests in flight.
    pub(super) fn retry(&self, in_flight: usize) -> Option<Retry> {
        let limit = (in_flight / RETRIED_PART).max(MIN_RETRIES);
        let more = |retries: usize| (retries < limit).then_some(retries + 1);
        let retry = self.retries.fetch_update(Relaxed, Relaxed, more).ok().map(|_| Retry(Arc::clone(&self.retries)));
        let count = if retry.is_some() { &self.counts.retries } else { &self.counts.retries_refused };
        count.fetch_add(1, Relaxed);
        retry
    }

    /// Nothing is left half done under this lock.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_five_may_be_a_second_attempt_and_three_always() {
        let roster = Roster::default();
        let count = |in_flight| std::iter::from_fn(|| roster.retry(in_flight)).collect::<Vec<_>>().len();
        assert_eq!([0, 1, 15, 19, 20, 100].map(count), [3, 3, 3, 3, 4, 20]);
        let held: Vec<_> = (0..3).map(|_| roster.retry(0).unwrap()).collect();
        assert!(roster.retry(0).is_none() && roster.retry(19).is_none() && roster.retry(20).is_some());
        drop(held);
        assert!(roster.retry(0).is_some());
    }

    #[test]
    fn an_address_that_returns_is_known_as_long_as_something_is_in_progress_there() {
        let roster = Roster::default();
        let standing = roster.standing("a".to_owned(), false);
        standing.begin();
        standing.left();
        assert!(Arc::ptr_eq(&standing, &roster.standing("a".to_owned(), false)));
        drop(standing);
        assert_eq!(roster.standing("a".to_owned(), false).in_flight(), 0);
    }

    #[test]
    fn one_that_is_drained_stays_so_when_it_returns() {
        let roster = Roster::default();
        let standing = roster.standing("a".to_owned(), false);
        roster.drain(&standing, Duration::ZERO);
        drop(standing);
        let standing = roster.standing("a".to_owned(), true);
        assert!(standing.is_draining());
        roster.undrain(&standing);
        drop(standing);
        assert!(!roster.standing("a".to_owned(), false).is_draining());
    }
}
