//! Durations and sizes as written in the file: `500ms`, `30s`, `5m`, `26h`, `2d`; `512`, `64KiB`, `1MiB`, `2GiB`.

use std::time::Duration;

/// Milliseconds of each unit, largest first.
const TIME_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// Bytes of each unit, largest first.
const SIZE_UNITS: [(&str, usize); 4] = [("GiB", 1024 * 1024 * 1024), ("MiB", 1024 * 1024), ("KiB", 1024), ("", 1)];

/// A whole number and a unit.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let (_, factor) = TIME_UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor).map(Duration::from_millis)
}

/// A duration in the largest unit in which it is whole. Less than a millisecond is dropped: the file cannot say it.
pub(super) fn show_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    match TIME_UNITS.iter().find(|(_, factor)| millis != 0 && millis.is_multiple_of(*factor)) {
        Some((name, factor)) => format!("{}{name}", millis / factor),
        None => "0s".to_owned(),
    }
}

/// A whole number, with or without a unit.
pub(super) fn parse_size(text: &str) -> Option<usize> {
    let (number, unit) = split(text)?;
    let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<usize>().ok()?.checked_mul(*factor)
}

/// A size in the largest unit in which it is whole.
pub(super) fn show_size(bytes: usize) -> String {
    match SIZE_UNITS.iter().find(|(_, factor)| bytes != 0 && bytes.is_multiple_of(*factor)) {
        Some((name, factor)) => format!("{}{name}", bytes / factor),
        None => "0".to_owned(),
    }
}

/// Digits and what follows them.
fn split(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).filter(|(number, _)| !number.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_unit_is_read() {
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("30s"), Some(Duration::from_secs(30)));
        assert_eq!(parse_duration("5m"), Some(Duration::from_secs(300)));
        assert_eq!(parse_duration("26h"), Some(Duration::from_secs(93_600)));
        assert_eq!(parse_duration("2d"), Some(Duration::from_secs(172_800)));
        assert_eq!(parse_size("512"), Some(512));
        assert_eq!(parse_size("64KiB"), Some(65_536));
        assert_eq!(parse_size("1MiB"), Some(1_048_576));
        assert_eq!(parse_size("2GiB"), Some(2_147_483_648));
    }

    #[test]
    fn anything_else_is_not() {
        for text in ["", "5", "s", "-5s", "+5s", "5 s", "1.5h", "5M", "5s ", "99999999999999999999s", "999999999999999999d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        for text in ["", "KiB", "-1", "1KB", "1kib", "1 KiB", "1.5MiB", "99999999999999999999", "99999999999999999MiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn the_largest_whole_unit_is_shown() {
        assert_eq!(show_duration(Duration::ZERO), "0s");
        assert_eq!(show_duration(Duration::from_secs(90)), "90s");
        assert_eq!(show_duration(Duration::from_secs(93_600)), "26h");
        assert_eq!(show_size(0), "0");
        assert_eq!(show_size(1_000), "1000");
        assert_eq!(show_size(16_384), "16KiB");
        assert_eq!(show_size(3 << 30), "3GiB");
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(millis in any::<u64>(), bytes in any::<usize>()) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
            prop_assert_eq!(parse_size(&show_size(bytes)), Some(bytes));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = (parse_duration(&text), parse_size(&text));
        }
    }
}
