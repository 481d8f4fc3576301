//! `listen` and `headers`: the edge.

use std::time::Duration;

use crate::{
    config::{
        field::Field,
        formats::{Format, HEADER},
        read::addresses,
        section::Section,
    },
    proxy::{HeaderSettings, ListenSettings, TellSettings},
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// Headers without which a request or a WebSocket cannot be forwarded.
const NEEDED: [&str; 9] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "upgrade",
];

/// A header name, or the start of one with a star.
const PATTERN: Format<String> =
    Format { accepted: "the name of a header, or the start of one and *, such as x-user-*", shown: true, parse: pattern };

pub(in crate::config) fn listen(mut section: Section<'_>) -> ListenSettings {
    let default = ListenSettings::default();
    let settings = ListenSettings {
        address: section.address("address", default.address),
        max_connections: section.number("max_connections", default.max_connections, 1..=1_000_000),
        header_timeout: section.duration(
            "header_timeout",
            default.header_timeout,
            Duration::from_millis(100)..=Duration::from_secs(300),
        ),
        keepalive_timeout: section.duration("keepalive_timeout", default.keepalive_timeout, SECOND..=HOUR),
        body_timeout: section.duration("body_timeout", default.body_timeout, SECOND..=HOUR),
        write_timeout: section.duration("write_timeout", default.write_timeout, SECOND..=HOUR),
        header_bytes: section.size("header_bytes", default.header_bytes, 1_024..=1_048_576),
        max_stream_age: section.limit("max_stream_age", SECOND..=HOUR * 24 * 30),
        stream_grace: section.duration("stream_grace", default.stream_grace, Duration::ZERO..=SECOND * 60),
        ping_every: section.limit("ping_every", SECOND..=HOUR),
        trust: addresses::trust(&mut section),
    };
    section.finish();
    settings
}

/// Which headers of the client never reach an upstream: the default list or the given one, and what is added to it. And what it is told of
/// the client.
pub(in crate::config) fn headers(mut section: Section<'_>) -> (HeaderSettings, TellSettings) {
    let mut settings = HeaderSettings::default();
    if let Some(field) = section.field("strip") {
        settings.strip = patterns(&field);
    }
    if let Some(field) = section.field("strip_also") {
        let also = patterns(&field);
        also.into_iter().for_each(|pattern| {
            if !settings.strip.contains(&pattern) {
                settings.strip.push(pattern);
            }
        });
    }
    let tell = addresses::tell(&mut section);
    section.finish();
    (settings, tell)
}

fn patterns(field: &Field<'_>) -> Vec<String> {
    field
        .elements()
        .iter()
        .filter_map(|element| {
            let pattern = element.text(&PATTERN)?;
            if let Some(needed) = NEEDED.iter().find(|needed| matches(&pattern, needed)) {
                element.problem(format!("would strip {needed}, without which a request cannot be forwarded"));
            }
            Some(pattern)
        })
        .collect()
}

/// All signs but letters and digits are the same to some backends, so they are here.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern = pattern.replace(|letter: char| !letter.is_ascii_alphanumeric() && letter != '*', "-");
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

fn pattern(text: &str) -> Result<String, &'static str> {
    match text.strip_suffix('*') {
        Some(start) if start.contains('*') => Err("has more than one star"),
        Some(start) => (HEADER.parse)(start).map(|start| format!("{start}*")),
        None if text.contains('*') => Err("has a star that is not at the end"),
        None => (HEADER.parse)(text),
    }
}
