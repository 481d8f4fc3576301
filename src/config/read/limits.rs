//! `limits`: how often, and how many at a time.

use std::time::Duration;

use crate::{
    config::{formats::Format, section::Section},
    limits::{AddressLimits, LimitSettings, Rate, UserLimits},
};

const UNITS: [(&str, Duration); 3] =
    [("s", Duration::from_secs(1)), ("m", Duration::from_secs(60)), ("h", Duration::from_secs(3_600))];
const MAX: u32 = 1_000_000;

const RATE: Format<Option<Rate>> =
    Format { accepted: "none, or a rate such as 50/s or 10/m, with a burst: 50/s burst 200", shown: true, parse: rate };
const COUNT: Format<Option<u32>> = Format { accepted: "none, or 1 to 1000000", shown: true, parse: count };

pub(in crate::config) fn limits(mut section: Section<'_>) -> LimitSettings {
    let default = LimitSettings::default();
    let settings = LimitSettings {
        address: address(section.section("address"), default.address),
        user: user(section.section("user"), default.user),
    };
    section.finish();
    settings
}

fn address(mut section: Section<'_>, default: AddressLimits) -> AddressLimits {
    let limits = AddressLimits {
        connections: section.text("connections", &COUNT).unwrap_or(default.connections),
        new: section.text("new", &RATE).unwrap_or(default.new),
        handshakes: section.text("handshakes", &COUNT).unwrap_or(default.handshakes),
        refused: section.text("refused", &RATE).unwrap_or(default.refused),
    };
    section.finish();
    limits
}

fn user(mut section: Section<'_>, default: UserLimits) -> UserLimits {
    let limits = UserLimits {
        requests: section.text("requests", &RATE).unwrap_or(default.requests),
        sockets: section.text("sockets", &COUNT).unwrap_or(default.sockets),
        mints: section.text("mints", &RATE).unwrap_or(default.mints),
    };
    section.finish();
    limits
}

/// A rate as it is written.
pub(in crate::config) fn show_rate(rate: Option<Rate>) -> String {
    let Some(rate) = rate else { return "none".to_owned() };
    let unit = UNITS.iter().find(|(_, per)| *per == rate.per).map_or("s", |(unit, _)| *unit);
    format!("{}/{unit} burst {}", rate.count, rate.burst)
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| (1..=MAX).contains(number) && !text.starts_with('+'))
}

fn rate(text: &str) -> Result<Option<Rate>, &'static str> {
    if text == "none" {
        return Ok(None);
    }
    let (each, burst) = match text.split_once(" burst ") {
        Some((each, burst)) => (each, Some(burst)),
        None => (text, None),
    };
    let (count, unit) = each.split_once('/').ok_or("is not a rate")?;
    let per = UNITS.iter().find(|(known, _)| *known == unit).map(|(_, per)| *per).ok_or("is not for s, m or h")?;
    let count = number(count).ok_or("is not 1 to 1000000 in a time")?;
    let burst = burst.map_or(Some(count), number).ok_or("has a burst that is not 1 to 1000000")?;
    Ok(Some(Rate { count, per, burst }))
}

fn count(text: &str) -> Result<Option<u32>, &'static str> {
    if text == "none" { Ok(None) } else { number(text).map(Some).ok_or("is not valid") }
}
