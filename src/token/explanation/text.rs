//! How values of a token are written: quoted, in printable ASCII, and truncated.

use std::time::Duration;

use crate::token::{Timestamp, json::Value};

/// Maximum number of characters of one value.
const MAX_CHARS: usize = 120;
/// Maximum number of elements of a list.
const MAX_ELEMENTS: usize = 8;

/// A text in quotes. What looks like a token is not shown: providers put tokens of theirs into claims.
pub(crate) fn quoted(text: &str) -> String {
    if looks_like_token(text) {
        return "(a token, not shown)".to_owned();
    }
    let mut quoted = String::from("\"");
    for letter in text.chars().take(MAX_CHARS) {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            ' '..='~' => quoted.push(letter),
            _ => quoted.extend(letter.escape_unicode()),
        }
    }
    quoted.push('"');
    if text.chars().nth(MAX_CHARS).is_some() {
        quoted.push_str("...");
    }
    quoted
}

/// Texts in quotes, with commas between them.
pub(super) fn list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let quoted: Vec<_> = texts.into_iter().map(|text| self::quoted(text.as_ref())).collect();
    let more = quoted.len().saturating_sub(MAX_ELEMENTS);
    let shown = quoted.into_iter().take(MAX_ELEMENTS).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// A claim of any type.
pub(super) fn claim(value: Option<&Value<'_>>) -> String {
    match value {
        None => "none".to_owned(),
        Some(Value::String(text)) => quoted(text),
        Some(Value::Array(elements)) if elements.iter().all(|element| element.as_str().is_some()) => {
            list(elements.iter().filter_map(Value::as_str))
        }
        Some(Value::Null) => "null".to_owned(),
        Some(Value::Bool(value)) => value.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Array(_)) => "an array that does not hold only strings".to_owned(),
        Some(Value::Object(_)) => "an object".to_owned(),
    }
}

/// A point in time and its distance from now.
pub(super) fn date(date: Timestamp, now: Timestamp) -> String {
    if date > now { format!("{date}, in {}", span(date.since(now))) } else { format!("{date}, {} ago", span(now.since(date))) }
}

/// How many bytes.
pub(super) fn bytes(count: usize) -> String {
    format!("{count} byte{}", if count == 1 { "" } else { "s" })
}

/// A span of time in the unit that suits it.
pub(super) fn span(span: Duration) -> String {
    match span.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7_200 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// Whether it begins a JSON object in base64url, somewhere, and has segments.
fn looks_like_token(text: &str) -> bool {
    text.contains("eyJ") && text.contains('.')
}
