//! When a certificate is renewed, and when a failure is tried again. Pure: time and chance are arguments.

use std::time::{Duration, SystemTime};

use super::super::life::Life;

/// After the first failure. Authorities count failures for each name: five in an hour, at Let's Encrypt.
const FIRST_RETRY: Duration = Duration::from_secs(5 * 60);
/// After many.
const LAST_RETRY: Duration = Duration::from_secs(6 * 3_600);

/// When a certificate is to be renewed that is valid for so long: at two thirds of its life, or up to a twentieth of it earlier, so that
/// machines that were started together do not come together. `chance` is from 0 to 1.
pub(super) fn renewal(life: &Life, chance: f64) -> SystemTime {
    let whole = life.not_after.duration_since(life.not_before).unwrap_or_default();
    life.not_before + (whole * 2 / 3).saturating_sub((whole / 20).mul_f64(chance.clamp(0.0, 1.0)))
}

/// When it is to be renewed by a window that its authority suggests (RFC 9773 section 4.2).
pub(super) fn suggested(start: SystemTime, end: SystemTime, chance: f64) -> SystemTime {
    start + end.duration_since(start).unwrap_or_default().mul_f64(chance.clamp(0.0, 1.0))
}

/// How long to wait after so many failures: twice as long after each, and up to a quarter longer by chance.
pub(super) fn retry_in(failures: u32, chance: f64) -> Duration {
    let doubled = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(LAST_RETRY);
    doubled + (doubled / 4).mul_f64(chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn two_thirds_of_a_life_is_when_it_is_renewed() {
        let start = SystemTime::UNIX_EPOCH + DAY * 20_000;
        for days in [6, 45, 90, 365] {
            let life = Life { not_before: start, not_after: start + DAY * days };
            assert_eq!(renewal(&life, 0.0), start + DAY * days * 2 / 3);
            assert_eq!(renewal(&life, 1.0), start + DAY * days * 2 / 3 - DAY * days / 20);
        }
        // What makes no sense is renewed at once.
        let backwards = Life { not_before: start, not_after: start - DAY };
        assert_eq!(renewal(&backwards, 1.0), start);
    }

    #[test]
    fn a_window_is_used_as_a_whole() {
        let start = SystemTime::UNIX_EPOCH + DAY * 20_000;
        assert_eq!(suggested(start, start + DAY, 0.0), start);
        assert_eq!(suggested(start, start + DAY, 0.5), start + DAY / 2);
        assert_eq!(suggested(start, start + DAY, 7.0), start + DAY);
        assert_eq!(suggested(start, start - DAY, 0.5), start);
    }

    #[test]
    fn failures_are_tried_again_ever_more_rarely() {
        let minutes = |failures| retry_in(failures, 0.0).as_secs() / 60;
        assert_eq!((1..=8).map(minutes).collect::<Vec<_>>(), [5, 10, 20, 40, 80, 160, 320, 360]);
        assert_eq!(retry_in(u32::MAX, 1.0), LAST_RETRY + LAST_RETRY / 4);
        // Let's Encrypt refuses after five failures in an hour.
        assert!((1..=5).map(|failures| retry_in(failures, 0.0)).sum::<Duration>() > Duration::from_secs(3_600));
    }
}
