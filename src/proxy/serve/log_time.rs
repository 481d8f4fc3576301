//! The time of an access-log line: formatted once per second, not once per line.

use std::{
    cell::RefCell,
    time::{SystemTime, UNIX_EPOCH},
};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

thread_local! {
    /// The second that this thread wrote last, and its text.
    static LAST: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

/// Appends a time in UTC to the microsecond, as the other log lines have it: `2026-11-22T02:47:02.123456Z`.
pub(in crate::proxy) fn write(at: SystemTime, out: &mut Vec<u8>) {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    LAST.with_borrow_mut(|(second, text)| {
        if *second != since.as_secs() {
            (*second, *text) = (since.as_secs(), whole_second(since.as_secs()).unwrap_or_default());
        }
        out.extend_from_slice(text.as_bytes());
    });
    out.push(b'.');
    write_padded::<6>(since.subsec_micros(), out);
    out.push(b'Z');
}

/// Appends the last so many digits of a number, with zeros before a short one.
pub(super) fn write_padded<const DIGITS: usize>(mut number: u32, out: &mut Vec<u8>) {
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&digits);
}

/// Without the zone. None past the year 9999.
fn whole_second(second: u64) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(i64::try_from(second).ok()?).ok()?;
    let mut text = time.format(&Rfc3339).ok()?;
    text.truncate(text.trim_end_matches('Z').len());
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn text(micros: u64) -> String {
        let mut out = Vec::new();
        write(UNIX_EPOCH + Duration::from_micros(micros), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_number_has_its_digits_and_no_others() {
        for (number, expected) in [(0, "000"), (7, "007"), (42, "042"), (999, "999"), (1_234, "234")] {
            let mut out = Vec::new();
            write_padded::<3>(number, &mut out);
            assert_eq!(out, expected.as_bytes());
        }
    }

    #[test]
    fn a_time_is_that_of_the_moment_whatever_was_written_before() {
        for (micros, expected) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_795_315_622_123_456, "2026-11-22T02:47:02.123456Z"),
            (1_795_315_622_123_457, "2026-11-22T02:47:02.123457Z"),
            (1_795_315_622_999_999, "2026-11-22T02:47:02.999999Z"),
            (1_795_315_623_000_000, "2026-11-22T02:47:03.000000Z"),
            (1_795_315_622_000_001, "2026-11-22T02:47:02.000001Z"),
            (951_782_399_000_000, "2000-02-28T23:59:59.000000Z"),
        ] {
            assert_eq!(text(micros), expected);
        }
    }
}
