//! [`Field`]: one value of the file with its key, and the ways to read it.

use std::{fmt, net::SocketAddr, ops::RangeInclusive, path::PathBuf};

use crate::config::{
    document::{Node, Value},
    formats::{Format, MAX_PATH_BYTES, PATH},
    outside::{Reference, Target},
    problem::Position,
    reading::Reading,
    suggest::{nearest, shown},
};

/// Maximum number of elements of a list.
const MAX_ELEMENTS: usize = 1_000;
/// What word processors make of quotes.
const TYPOGRAPHIC_QUOTES: [char; 8] = ['\u{201c}', '\u{201d}', '\u{201e}', '\u{2018}', '\u{2019}', '\u{201a}', '\u{ab}', '\u{bb}'];

/// Maximum text length. Bytes.
pub(super) const MAX_TEXT_BYTES: usize = 4_096;

/// A value, where it is, and the key it is under.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    pub(super) key: String,
    pub(super) at: Position,
    pub(super) node: &'a Node,
    reading: &'a Reading,
}

impl<'a> Field<'a> {
    pub(super) fn new(key: String, at: Position, node: &'a Node, reading: &'a Reading) -> Self {
        Self { key, at, node, reading }
    }

    /// Where what is found in it is collected.
    pub(super) fn reading(&self) -> &'a Reading {
        self.reading
    }

    /// Reports a mistake in this value.
    pub(super) fn problem(&self, text: impl Into<String>) {
        self.reading.problem(self.at, &self.key, text);
    }

    /// Reports something to think about.
    pub(super) fn warning(&self, text: impl Into<String>) {
        self.reading.warning(self.at, &self.key, text);
    }

    /// Whether it is a list, rather than one value.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    /// Whether it is a list without elements.
    pub(super) fn is_empty_list(&self) -> bool {
        matches!(&self.node.value, Value::List(items) if items.is_empty())
    }

    /// Whether it is a mapping.
    pub(super) fn is_mapping(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }

    /// A scalar as it is written. Numbers and truth values are text too; the key decides what they mean.
    pub(super) fn scalar(&self, accepted: impl fmt::Display) -> Option<&'a str> {
        let wrong = match &self.node.value {
            Value::Text(text, _) if text.chars().any(char::is_control) => "contains a line break or another control character",
            Value::Text(text, _) if text.len() > MAX_TEXT_BYTES => "is too long",
            Value::Text(text, _) if text.starts_with(TYPOGRAPHIC_QUOTES) => {
                "begins with a typographic quote, which becomes part of the value; use \" or '"
            }
            Value::Text(text, _) => return Some(text),
            Value::Null => "has no value; give one, or remove the key",
            Value::List(_) => "is a list, not one value",
            Value::Map(_) => "is a mapping, not one value",
        };
        self.problem(format!("{wrong}; accepted: {accepted}"));
        None
    }

    /// A text in this form.
    pub(super) fn text<T>(&self, format: &Format<T>) -> Option<T> {
        let text = self.scalar(format.accepted)?;
        match (format.parse)(text) {
            Ok(value) => Some(value),
            Err(wrong) => {
                let text = if format.shown { format!("\"{}\" ", shown(text)) } else { String::new() };
                self.problem(format!("{text}{wrong}; accepted: {}", format.accepted));
                None
            }
        }
    }

    /// An address with a port.
    pub(super) fn address(&self, accepted: &str) -> Option<SocketAddr> {
        let text = self.scalar(accepted)?;
        let address = text.parse().ok();
        if address.is_none() {
            self.problem(format!("\"{}\" is not a valid address with a port; accepted: {accepted}", shown(text)));
        }
        address
    }

    /// The path of a file, as seen from the working directory; in the config it is relative to the config's own folder.
    pub(super) fn file(&self) -> Option<PathBuf> {
        let text = self.text(&PATH)?;
        if text.starts_with("~/") || text == "~" || text.contains("${") || text.starts_with('$') {
            self.problem("has a ~ or a $, which is not expanded; write the whole path, or one relative to this file's folder");
        }
        let path = self.reading.path(&text);
        if path.as_os_str().len() > MAX_PATH_BYTES {
            self.problem(format!("is too long; accepted: up to {MAX_PATH_BYTES} bytes with the folder"));
        }
        Some(path)
    }

    /// Remembers something outside that this value names.
    pub(super) fn reference(&self, target: Target) {
        self.reading.reference(Reference { at: self.at, key: self.key.clone(), target });
    }

    /// `true` or `false`.
    pub(super) fn flag(&self) -> Option<bool> {
        self.choice(&[("true", true), ("false", false)])
    }

    /// One of some words.
    pub(super) fn choice<T: Clone>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let names: Vec<_> = words.iter().map(|(name, _)| *name).collect();
        let accepted = names.join(", ");
        let text = self.scalar(&accepted)?;
        let found = words.iter().find(|(name, _)| *name == text).map(|(_, value)| value.clone());
        if found.is_none() {
            let hint = nearest(text, &names).map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            self.problem(format!("\"{}\" is not known{hint}; accepted: {accepted}", shown(text)));
        }
        found
    }

    /// A quantity within a range: a duration, a size, a number. The words are for one that is outside.
    pub(super) fn quantity<T: PartialOrd + Copy>(
        &self,
        parse: fn(&str) -> Option<T>,
        [small, large]: [&str; 2],
        range: &RangeInclusive<T>,
        accepted: &str,
    ) -> Option<T> {
        let text = self.scalar(accepted)?;
        let wrong = match parse(text) {
            Some(value) if range.contains(&value) => return Some(value),
            Some(value) if value < *range.start() => format!("{} is too {small}", shown(text)),
            Some(_) => format!("{} is too {large}", shown(text)),
            None if parse(&format!("{text}s")).is_some() => format!("\"{text}\" has no unit; did you mean {text}s?"),
            None => format!("\"{}\" is not valid", shown(text)),
        };
        self.problem(format!("{wrong}; accepted: {accepted}"));
        None
    }

    /// The elements of a list; one value alone counts as a list of it. An empty list is a mistake: it could mean all or nothing.
    pub(super) fn elements(&self) -> Vec<Field<'a>> {
        let items = match &self.node.value {
            Value::List(items) if items.is_empty() => {
                self.problem("the list is empty; give an element, or remove the key");
                return Vec::new();
            }
            Value::List(items) if items.len() > MAX_ELEMENTS => {
                self.problem(format!("the list has {} elements; accepted: up to {MAX_ELEMENTS}", items.len()));
                return Vec::new();
            }
            Value::List(items) => items,
            _ => return vec![self.clone()],
        };
        let element = |(index, item): (usize, &'a Node)| Field::new(format!("{}[{index}]", self.key), item.at, item, self.reading);
        items.iter().enumerate().map(element).collect()
    }

    /// A list of texts in this form, without duplicates.
    pub(super) fn texts<T: PartialEq>(&self, format: &Format<T>) -> Vec<T> {
        let mut texts = Vec::new();
        for element in self.elements() {
            match element.text(format) {
                Some(text) if texts.contains(&text) => element.problem("appears twice in the list; keep one"),
                Some(text) => texts.push(text),
                None => {}
            }
        }
        texts
    }

    /// The value as a mapping whose keys are names of the operator's own.
    pub(super) fn entries(&self) -> Vec<(&'a str, Field<'a>)> {
        let Value::Map(entries) = &self.node.value else {
            self.problem("is not a mapping; accepted: names with values, indented");
            return Vec::new();
        };
        if entries.is_empty() || entries.len() > MAX_ELEMENTS {
            self.problem(format!("has {} entries; accepted: 1 to {MAX_ELEMENTS}", entries.len()));
            return Vec::new();
        }
        entries
            .iter()
            .map(|(key, node)| {
                let path = format!("{}.{}", self.key, shown(&key.name));
                (key.name.as_str(), Field::new(path, key.at, node, self.reading))
            })
            .collect()
    }
}
