//! When a source of keys is fetched next. Pure: the random number is an argument.

use std::{ops::RangeInclusive, time::Duration};

/// The intervals that are used, whatever the settings say. The config is stricter.
const REFRESH: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(24 * 3600);
/// A shorter `max-age` counts as this.
const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(300);
/// Seconds that the shortest and the longest back-off start from; jitter at most doubles them.
const BACK_OFF: RangeInclusive<u64> = 1..=30;

/// How long to wait for the next fetch after `failures` in a row; `random` is in `0.0..=1.0`.
///
/// After a success: the interval, 10 % more or less, so that gateways started together drift apart. After a failure: from 1 s, doubling,
/// never above 60 s, so that service resumes at most a minute after the provider does.
pub(super) fn pause(refresh: Duration, failures: u32, random: f64) -> Duration {
    let random = random.clamp(0.0, 1.0);
    match failures.checked_sub(1) {
        None => refresh.clamp(*REFRESH.start(), *REFRESH.end()).mul_f64(0.9 + 0.2 * random),
        Some(doublings) => {
            let seconds = BACK_OFF.start().checked_shl(doublings.min(16)).unwrap_or(u64::MAX).min(*BACK_OFF.end());
            Duration::from_secs(seconds).mul_f64(1.0 + random)
        }
    }
}

/// The interval that `refresh` comes down to for keys that are kept for `keep`: a key must be seen twice within its time, else one
/// late fetch would cost it.
pub(super) fn interval(refresh: Duration, keep: Duration) -> Duration {
    refresh.min(keep / 2)
}

/// The interval after an answer that says how long it stays fresh. It may be shorter than the usual one, down to 5 min, and never
/// longer: a provider that says 44 days does not mean that a withdrawn key is to be trusted for so long.
pub(super) fn honouring(max_age: Option<Duration>, refresh: Duration) -> Duration {
    max_age.map_or(refresh, |max_age| max_age.max(MIN_REFRESH_INTERVAL).min(refresh))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_success_is_followed_by_the_interval_with_a_tenth_of_jitter() {
        assert_eq!(pause(HOUR, 0, 0.0), Duration::from_secs(3240));
        assert_eq!(pause(HOUR, 0, 0.5), HOUR);
        assert_eq!(pause(HOUR, 0, 1.0), Duration::from_secs(3960));
    }

    #[test]
    fn failures_back_off_from_a_second_to_a_minute() {
        let shortest: Vec<u64> = (1..=8).map(|failures| pause(HOUR, failures, 0.0).as_secs()).collect();
        let longest: Vec<u64> = (1..=8).map(|failures| pause(HOUR, failures, 1.0).as_secs()).collect();
        assert_eq!(shortest, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(longest, [2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(pause(HOUR, u32::MAX, 1.0), Duration::from_secs(60));
    }

    #[test]
    fn no_setting_and_no_random_number_overflows_or_makes_it_run_hot() {
        assert_eq!(pause(Duration::MAX, 0, 1.0), REFRESH.end().mul_f64(1.1));
        assert_eq!(pause(Duration::ZERO, 0, 0.5), *REFRESH.start());
        assert_eq!(pause(HOUR, 0, f64::INFINITY), Duration::from_secs(3960));
    }

    #[test]
    fn keys_that_are_kept_briefly_are_fetched_more_often() {
        assert_eq!(interval(HOUR, 26 * HOUR), HOUR);
        assert_eq!(interval(HOUR, HOUR), HOUR / 2);
    }

    #[test]
    fn a_max_age_counts_between_five_minutes_and_the_interval() {
        let minutes = |number: u64| Duration::from_secs(number * 60);
        assert_eq!(honouring(None, HOUR), HOUR);
        assert_eq!(honouring(Some(Duration::ZERO), HOUR), minutes(5));
        assert_eq!(honouring(Some(minutes(20)), HOUR), minutes(20));
        assert_eq!(honouring(Some(44 * 24 * HOUR), HOUR), HOUR);
        assert_eq!(honouring(Some(44 * 24 * HOUR), minutes(5)), minutes(5));
        assert_eq!(honouring(Some(minutes(1)), Duration::from_secs(1)), Duration::from_secs(1));
    }
}
