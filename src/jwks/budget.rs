//! How many refreshes unknown `kid`s may cause. Pure: time is an argument.

use std::time::Duration;

use crate::token::Timestamp;

/// A token bucket: full at first, refilled one at a time.
#[derive(Debug)]
pub(super) struct Budget {
    most: u32,
    refill: Duration,
    left: u32,
    /// Since when the next one is being refilled.
    since: Timestamp,
}

impl Budget {
    /// `most` refreshes at once, and one more for each `refill`.
    pub(super) fn new(most: u32, refill: Duration) -> Self {
        Self { most, refill: refill.max(Duration::from_millis(1)), left: most, since: Timestamp::MIN }
    }

    /// Takes one, if one is left, whatever the result of the refresh.
    pub(super) fn claim(&mut self, now: Timestamp) -> bool {
        // A clock that was set back must not stop the refill until it has caught up.
        self.since = self.since.min(now);
        let refills = now.since(self.since).as_millis() / self.refill.as_millis().max(1);
        match u32::try_from(refills).ok().filter(|refills| *refills < self.most.saturating_sub(self.left)) {
            Some(refills) => {
                self.left += refills;
                self.since = self.since.plus(self.refill.saturating_mul(refills));
            }
            None => {
                self.left = self.most;
                self.since = now;
            }
        }
        let claimed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        claimed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFILL: Duration = Duration::from_secs(300);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000).plus(Duration::from_secs(seconds))
    }

    /// How many of the claims at these seconds are granted.
    fn granted(budget: &mut Budget, seconds: impl IntoIterator<Item = u64>) -> usize {
        seconds.into_iter().filter(|second| budget.claim(at(*second))).count()
    }

    #[test]
    fn two_at_once_and_one_more_in_each_five_minutes() {
        let mut budget = Budget::new(2, REFILL);
        assert_eq!(granted(&mut budget, 0..300), 2);
        assert_eq!(granted(&mut budget, 300..600), 1);
        assert_eq!(granted(&mut budget, 600..3_600), 10);
    }

    #[test]
    fn what_is_not_used_adds_up_to_a_full_bucket_and_no_more() {
        let mut budget = Budget::new(2, REFILL);
        assert_eq!(granted(&mut budget, [0, 0, 0]), 2);
        assert_eq!(granted(&mut budget, [100_000, 100_000, 100_000]), 2);
        assert_eq!(granted(&mut budget, [100_299]), 0);
        assert_eq!(granted(&mut budget, [100_300]), 1);
    }

    #[test]
    fn a_refill_begins_with_the_claim_that_opened_the_bucket() {
        let mut budget = Budget::new(2, REFILL);
        assert_eq!(granted(&mut budget, [0, 200]), 2);
        assert_eq!(granted(&mut budget, [299]), 0);
        assert_eq!(granted(&mut budget, [300, 301]), 1);
        assert_eq!(granted(&mut budget, [599]), 0);
        assert_eq!(granted(&mut budget, [600]), 1);
    }

    #[test]
    fn a_bucket_that_is_full_again_begins_anew() {
        let mut budget = Budget::new(2, REFILL);
        assert_eq!(granted(&mut budget, [0, 0]), 2);
        assert_eq!(granted(&mut budget, [700, 700]), 2);
        assert_eq!(granted(&mut budget, [900, 999]), 0);
        assert_eq!(granted(&mut budget, [1_000]), 1);
    }

    #[test]
    fn a_clock_that_is_set_back_neither_fills_it_nor_stops_it() {
        let mut budget = Budget::new(2, REFILL);
        assert_eq!(granted(&mut budget, [1_000_000, 1_000_000]), 2);
        assert_eq!(granted(&mut budget, [0, 1, 299]), 0);
        assert_eq!(granted(&mut budget, [300]), 1);
    }

    #[test]
    fn without_a_budget_nothing_is_granted() {
        assert_eq!(granted(&mut Budget::new(0, REFILL), 0..10_000), 0);
    }
}
