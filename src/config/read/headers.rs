//! `headers`: which of the client's never reach an upstream.

use crate::{
    config::{
        field::Field,
        formats::{Format, HEADER},
        read::addresses,
        section::Section,
    },
    proxy::{HeaderSettings, TellSettings},
};

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
