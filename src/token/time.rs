//! A point in time, as tokens use it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch, before or after it.
///
/// RFC 7519 section 2 allows fractional dates, so seconds would lose something. All arithmetic saturates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The first point in time there is.
    pub const MIN: Self = Self(i64::MIN);
    /// The last point in time there is.
    pub const MAX: Self = Self(i64::MAX);

    /// From whole seconds since the epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From a NumericDate (RFC 7519 section 2): seconds, fractions allowed and rounded down to a millisecond.
    ///
    /// None beyond the year 9999 on either side of the epoch: no honest issuer writes that.
    pub fn from_numeric_date(number: &serde_json::Number) -> Option<Self> {
        const END_OF_9999: i64 = 253_402_300_799;
        match number.as_i64() {
            Some(seconds) => (-END_OF_9999..=END_OF_9999).contains(&seconds).then(|| Self::from_seconds(seconds)),
            None => {
                let seconds = number.as_f64().filter(|seconds| seconds.abs() <= END_OF_9999 as f64)?;
                Some(Self((seconds * 1_000.0).floor() as i64))
            }
        }
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// As RFC 3339 has it, in UTC and whole seconds, for people: `2026-11-21T19:43:07Z`. Beyond the years 0 to 9999 it says so.
    pub fn to_rfc3339(self) -> String {
        let (days, seconds) = (self.as_seconds().div_euclid(86_400), self.as_seconds().rem_euclid(86_400));
        // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years that begin in March, in eras of 400.
        let shifted = days.saturating_add(719_468);
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        if !(0..=9_999).contains(&year) {
            return "out of range".to_owned();
        }
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// This point in time and `span` more.
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(saturating_millis(span)))
    }

    /// This point in time less `span`.
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(saturating_millis(span)))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(saturating_millis(after)),
            Err(before) => Self(saturating_millis(before.duration()).saturating_neg()),
        }
    }
}

fn saturating_millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_round_down_on_both_sides_of_the_epoch() {
        assert_eq!(Timestamp::from_millis(1_999).as_seconds(), 1);
        assert_eq!(Timestamp::from_millis(-1).as_seconds(), -1);
    }

    #[test]
    fn numeric_dates_may_be_fractional_and_have_bounds() {
        let date = |text: &str| serde_json::from_str(text).ok().and_then(|number| Timestamp::from_numeric_date(&number));
        assert_eq!(date("1700000000"), Some(Timestamp::from_seconds(1_700_000_000)));
        assert_eq!(date("1700000000.5"), Some(Timestamp::from_millis(1_700_000_000_500)));
        assert_eq!(date("1.7e9"), Some(Timestamp::from_seconds(1_700_000_000)));
        assert_eq!(date("-0.0001"), Some(Timestamp::from_millis(-1)));
        assert_eq!(date("253402300799"), Some(Timestamp::from_seconds(253_402_300_799)));
        for text in ["253402300800", "-253402300800", "9223372036854775807", "9223372036854775808", "1e300", "-1e300"] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::MAX.plus(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::from_seconds(i64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::from_seconds(1).since(Timestamp::from_seconds(2)), Duration::ZERO);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (253_402_300_800, "out of range"),
            (i64::MIN, "out of range"),
            (i64::MAX, "out of range"),
        ] {
            assert_eq!(Timestamp::from_seconds(seconds).to_rfc3339(), expected, "{seconds}");
        }
    }
}
