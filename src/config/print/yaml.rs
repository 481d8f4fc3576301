//! [`Yaml`]: YAML under construction, and how texts are written in it.

use std::{fmt, path::Path, time::Duration};

use crate::{
    config::units::{show_duration, show_size},
    token::ClaimRule,
};

/// The word of a value.
pub(super) fn word<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> &'static str {
    words.iter().find(|(_, known)| known == value).map_or("", |(word, _)| word)
}

/// YAML under construction.
#[derive(Default)]
pub(super) struct Yaml {
    text: String,
    level: usize,
}

impl Yaml {
    /// What has been written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn line(&mut self, text: &str) {
        self.text.push_str(&"  ".repeat(self.level));
        self.text.push_str(text);
        self.text.push('\n');
    }

    pub(super) fn open(&mut self, key: &str) {
        self.line(&format!("{}:", quoted(key)));
        self.level += 1;
    }

    /// Opens an element of a list with its first key.
    pub(super) fn element(&mut self, key: &str, value: &str) {
        self.line(&format!("- {key}: {}", quoted(value)));
        self.level += 1;
    }

    pub(super) fn close(&mut self) {
        self.level = self.level.saturating_sub(1);
    }

    pub(super) fn plain(&mut self, key: &str, value: impl fmt::Display) {
        self.line(&format!("{key}: {value}"));
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.plain(key, quoted(value));
    }

    pub(super) fn path(&mut self, key: &str, value: &Path) {
        self.text(key, &value.to_string_lossy());
    }

    pub(super) fn duration(&mut self, key: &str, value: Duration) {
        self.plain(key, show_duration(value));
    }

    pub(super) fn limit(&mut self, key: &str, value: Option<Duration>) {
        self.plain(key, value.map_or_else(|| "none".to_owned(), show_duration));
    }

    pub(super) fn size(&mut self, key: &str, value: usize) {
        self.plain(key, show_size(value));
    }

    /// A list; nothing if it is empty, since an empty list is not accepted.
    pub(super) fn list(&mut self, key: &str, values: &[String]) {
        if !values.is_empty() {
            self.line(&format!("{}:", quoted(key)));
            values.iter().for_each(|value| self.line(&format!("  - {}", quoted(value))));
        }
    }

    pub(super) fn claims(&mut self, key: &str, rules: &[ClaimRule]) {
        if rules.is_empty() {
            return;
        }
        self.open(key);
        for rule in rules {
            match rule.values.as_slice() {
                [] => self.plain(&quoted(&rule.claim), "[]"),
                values => self.list(&rule.claim, values),
            }
        }
        self.close();
    }
}

/// Plain where nothing can be misread, else quoted as in JSON, which YAML reads too.
pub(super) fn quoted(text: &str) -> String {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b':');
    let plain = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/') && text.bytes().all(word) && !text.ends_with(':');
    if plain && !text.eq_ignore_ascii_case("null") { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}
