//! Makes text from outside safe for a log line.

use std::{error::Error, fmt};

/// An error with everything that caused it, for a log line.
pub(super) fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        fmt::Write::write_fmt(&mut text, format_args!(": {cause}")).ok();
        next = cause.source();
    }
    printable(&text)
}

/// Text that a stranger may have chosen, fit for a log line: escaped, and not endless.
pub(super) fn printable(text: &str) -> String {
    const MAX_CHARS: usize = 300;
    let readable = |c: char| if (' '..='~').contains(&c) { c.to_string() } else { c.escape_default().to_string() };
    let mut printable: String = text.chars().take(MAX_CHARS).map(readable).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        printable.push_str("...");
    }
    printable
}
