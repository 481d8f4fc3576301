//! [`Section`]: a mapping of the file. It returns typed values, remembers which keys were read and reports the rest.

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use crate::config::{
    document::{Key, Node, Value},
    field::Field,
    formats::{ENVIRONMENT, Format},
    outside::Target,
    problem::Position,
    reading::Reading,
    suggest::{nearest, shown},
    units::{parse_duration, parse_size, show_duration, show_size},
};

const ADDRESS: &str = "address and port, such as 127.0.0.1:8080 or [::]:8080";

/// A mapping with fixed keys. Call [`finish`](Self::finish) at the end.
#[derive(Debug)]
pub(super) struct Section<'a> {
    key: String,
    at: Position,
    entries: &'a [(Key, Node)],
    reading: &'a Reading,
    /// The keys it may have, in the order in which they were asked for.
    known: Vec<&'static str>,
    /// In the file it is not a mapping, so its missing keys are not reported.
    unreadable: bool,
}

impl<'a> Field<'a> {
    /// The value as a mapping with fixed keys. Nothing at all counts as an empty one, so that all its keys can be commented out.
    pub(super) fn section(&self) -> Section<'a> {
        match &self.node.value {
            Value::Map(entries) => Section::new(self.key.clone(), self.at, entries, self.reading()),
            Value::Null => Section::new(self.key.clone(), self.at, &[], self.reading()),
            Value::Text(..) | Value::List(_) => {
                self.problem("is not a mapping; accepted: keys with values, indented");
                Section::unreadable(self.key.clone(), self.at, self.reading())
            }
        }
    }
}

impl<'a> Section<'a> {
    fn new(key: String, at: Position, entries: &'a [(Key, Node)], reading: &'a Reading) -> Self {
        Self { key, at, entries, reading, known: Vec::new(), unreadable: false }
    }

    fn unreadable(key: String, at: Position, reading: &'a Reading) -> Self {
        Self { unreadable: true, ..Self::new(key, at, &[], reading) }
    }

    /// The path of one of its keys.
    pub(super) fn path(&self, key: &str) -> String {
        if self.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.key) }
    }

    /// The value of a key.
    pub(super) fn field(&mut self, key: &'static str) -> Option<Field<'a>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let (name, node) = self.entries.iter().find(|(name, _)| name.name == key)?;
        Some(Field::new(self.path(key), name.at, node, self.reading))
    }

    /// The value of a key that must be there. `what` says what it is for.
    pub(super) fn required(&mut self, key: &'static str, what: &str) -> Option<Field<'a>> {
        let field = self.field(key);
        if field.is_none() {
            self.missing(key, what);
        }
        field
    }

    /// Reports a mistake in it as a whole.
    pub(super) fn problem(&self, text: &str) {
        self.reading.problem(self.at, &self.key, text);
    }

    /// Reports that a key is missing.
    pub(super) fn missing(&self, key: &str, what: &str) {
        if !self.unreadable {
            self.reading.problem(self.at, &self.path(key), format!("is required: {what}"));
        }
    }

    /// Reports a key that is not for here, and why. It is not listed among the accepted ones.
    pub(super) fn refuse(&mut self, key: &'static str, why: &str) {
        if self.entries.iter().any(|(name, _)| name.name == key)
            && let Some(field) = self.field(key)
        {
            field.problem(why);
        }
    }

    /// Reports every key that was not read.
    pub(super) fn finish(self) {
        for (key, _) in self.entries.iter().filter(|(key, _)| !self.known.contains(&key.name.as_str())) {
            // The search costs something; not for problems that nobody will read.
            let nearest = if self.reading.has_room() { nearest(&key.name, &self.known) } else { None };
            let text = match nearest {
                Some(known) => format!("unknown key; did you mean {known}?"),
                None => format!("unknown key; accepted: {}", self.known.join(", ")),
            };
            let name = if key.name.is_empty() { "\"\"".to_owned() } else { shown(&key.name) };
            self.reading.problem(key.at, &self.path(&name), text);
        }
    }

    /// A mapping within this one; without the key an empty one, so that its defaults apply.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'a> {
        match self.field(key) {
            Some(field) => field.section(),
            None => Section { unreadable: self.unreadable, ..Section::new(self.path(key), self.at, &[], self.reading) },
        }
    }

    /// A text in this form.
    pub(super) fn text<T>(&mut self, key: &'static str, format: &Format<T>) -> Option<T> {
        self.field(key)?.text(format)
    }

    /// A list of texts in this form, or one text; empty without the key.
    pub(super) fn texts<T: PartialEq>(&mut self, key: &'static str, format: &Format<T>) -> Vec<T> {
        self.field(key).map(|field| field.texts(format)).unwrap_or_default()
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.field(key).and_then(|field| field.flag()).unwrap_or(default)
    }

    /// One of some words.
    pub(super) fn choice<T: Clone>(&mut self, key: &'static str, words: &[(&'static str, T)], default: T) -> T {
        self.field(key).and_then(|field| field.choice(words)).unwrap_or(default)
    }

    /// A duration within a range.
    pub(super) fn duration(&mut self, key: &'static str, default: Duration, range: RangeInclusive<Duration>) -> Duration {
        let Some(field) = self.field(key) else { return default };
        let accepted =
            format!("{} to {} (default {})", show_duration(*range.start()), show_duration(*range.end()), show_duration(default));
        field.quantity(parse_duration, ["short", "long"], &range, &accepted).unwrap_or(default)
    }

    /// A duration within a range, or `none`, which is the default.
    pub(super) fn limit(&mut self, key: &'static str, range: RangeInclusive<Duration>) -> Option<Duration> {
        self.limit_or(key, None, range)
    }

    /// A duration within a range, or `none`.
    pub(super) fn limit_or(
        &mut self,
        key: &'static str,
        default: Option<Duration>,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let Some(field) = self.field(key) else { return default };
        let (least, most) = (show_duration(*range.start()), show_duration(*range.end()));
        let accepted = format!("none, or {least} to {most} (default {})", default.map_or("none".to_owned(), show_duration));
        match field.scalar(&accepted) {
            Some("none") => None,
            Some(_) => field.quantity(parse_duration, ["short", "long"], &range, &accepted),
            None => default,
        }
    }

    /// A size in bytes within a range.
    pub(super) fn size(&mut self, key: &'static str, default: usize, range: RangeInclusive<usize>) -> usize {
        let Some(field) = self.field(key) else { return default };
        let accepted = format!("{} to {} (default {})", show_size(*range.start()), show_size(*range.end()), show_size(default));
        field.quantity(parse_size, ["small", "large"], &range, &accepted).unwrap_or(default)
    }

    /// A whole number within a range.
    pub(super) fn number(&mut self, key: &'static str, default: usize, range: RangeInclusive<usize>) -> usize {
        let Some(field) = self.field(key) else { return default };
        let accepted = format!("{} to {} (default {default})", range.start(), range.end());
        field.quantity(|text| text.parse().ok(), ["small", "large"], &range, &accepted).unwrap_or(default)
    }

    /// An address and a port to listen on.
    pub(super) fn address(&mut self, key: &'static str, default: SocketAddr) -> SocketAddr {
        let Some(field) = self.field(key) else { return default };
        field.address(&format!("{ADDRESS} (default {default})")).unwrap_or(default)
    }

    /// An address with a port, which must be there.
    pub(super) fn required_address(&mut self, key: &'static str) -> Option<SocketAddr> {
        self.required(key, ADDRESS)?.address(ADDRESS)
    }

    /// The path of a file, as seen from the working directory; in the config it is relative to the config's own folder.
    pub(super) fn file(&mut self, key: &'static str, target: fn(PathBuf) -> Target) -> Option<PathBuf> {
        let field = self.field(key)?;
        let path = field.file()?;
        field.reference(target(path.clone()));
        Some(path)
    }

    /// The same for a file that is checked together with others.
    pub(super) fn unchecked_file(&mut self, key: &'static str) -> Option<PathBuf> {
        self.field(key)?.file()
    }

    /// The name of an environment variable.
    pub(super) fn variable(&mut self, key: &'static str) -> Option<String> {
        let field = self.field(key)?;
        let name = field.text(&ENVIRONMENT)?;
        field.reference(Target::Variable(name.clone()));
        Some(name)
    }
}
