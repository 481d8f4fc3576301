//! A point in time, as tokens use it.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

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

    /// From RFC 3339, such as `2026-03-01T12:00:00Z`.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let date = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(date.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(Self)
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
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

/// RFC 3339 in UTC; outside of the years 0 to 9999 the seconds since the epoch.
impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).ok();
        match date.and_then(|date| date.format(&Rfc3339).ok()) {
            Some(text) => out.write_str(&text),
            None => write!(out, "{} s after 1970", self.as_seconds()),
        }
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
    fn dates_are_read_and_printed() {
        assert_eq!(Timestamp::from_rfc3339("2023-11-15T00:13:20.25+02:00"), Some(Timestamp::from_millis(1_700_000_000_250)));
        assert_eq!(Timestamp::from_rfc3339("2023-11-15"), None);
        assert_eq!(Timestamp::from_seconds(1_700_000_000).to_string(), "2023-11-14T22:13:20Z");
        assert_eq!(Timestamp::from_millis(-1).to_string(), "1969-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::from_seconds(253_402_300_800).to_string(), "253402300800 s after 1970");
        assert_eq!(Timestamp::MIN.to_string(), "-9223372036854776 s after 1970");
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::MAX.plus(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::from_seconds(i64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::from_seconds(1).since(Timestamp::from_seconds(2)), Duration::ZERO);
    }
}
