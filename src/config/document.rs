//! YAML text to a tree of [`Node`]s, each with its position in the file.
//!
//! The part of YAML that a config needs: mappings, lists and scalars, one document. Anchors, aliases, merge keys and tags are
//! refused: they make a security setting hard to read, and aliases can make a small file expand without limit. Scalars stay
//! text; their key decides what they mean, so that `no` can be a name and `1.10` keeps its zero. Only a claim's value is read
//! as in JSON, unless it is quoted.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput};

use crate::config::{problem::Position, reading::Reading, suggest::shown, syntax};

/// Largest config file. Bytes.
pub(super) const MAX_BYTES: usize = 256 * 1024;
/// Maximum nesting; the settings themselves need six levels. The scanner has a limit of its own (255) for what it reads ahead.
const MAX_LEVELS: usize = 16;

/// A value and where it starts.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Any other scalar, as text, and whether it is there without quotes.
    Text(String, bool),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file, without duplicate keys.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) at: Position,
    pub(super) name: String,
}

/// Parses the one document of a file. `None`: it cannot be read; why is in `reading`.
pub(super) fn parse(bytes: &[u8], reading: &Reading) -> Option<Node> {
    if bytes.len() > MAX_BYTES {
        reading.problem(Position::START, "", format!("the file is too large; accepted: up to {} KiB", MAX_BYTES / 1024));
        return None;
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            reading.problem(end_of(&bytes[..error.valid_up_to()]), "", "not valid UTF-8; save the file as UTF-8");
            return None;
        }
    };
    let mut builder = Builder { text, reading, open: Vec::new(), root: None };
    let mut parser = Parser::new_from_str(text);
    builder.run(&mut parser)?;
    // An empty file is one without any key: it is told all that it needs.
    Some(builder.root.unwrap_or(Node { at: Position::START, value: Value::Null }))
}

/// The place after these bytes, which are UTF-8.
fn end_of(bytes: &[u8]) -> Position {
    let text = String::from_utf8_lossy(bytes);
    let last_line = text.rsplit('\n').next().unwrap_or_default();
    Position { line: text.matches('\n').count() + 1, column: last_line.chars().count() + 1 }
}

fn position(marker: &Marker) -> Position {
    Position { line: marker.line().max(1), column: marker.col() + 1 }
}

/// A list or mapping that is not closed yet.
enum Open {
    List { at: Position, items: Vec<Node> },
    Map { at: Position, entries: Vec<(Key, Node)>, seen: HashMap<String, Position>, key: Option<Key> },
}

struct Builder<'a> {
    text: &'a str,
    reading: &'a Reading,
    open: Vec<Open>,
    root: Option<Node>,
}

impl Builder<'_> {
    /// Runs to the end of the document. `None`: it cannot be read to its end; the reason is reported.
    fn run(&mut self, parser: &mut Parser<'_, StrInput<'_>>) -> Option<()> {
        while let Some(event) = parser.next_event() {
            let (event, span) = match event {
                Ok(event) => event,
                Err(error) => {
                    let at = position(error.marker());
                    let info = error.info().replace(char::is_control, "?");
                    // The scanner tells where it could not go on, which is often behind the mistake, and in words of its own.
                    return match syntax::mistake(self.text, at) {
                        Some((at, mistake)) => self.stop(at, &format!("not YAML: {mistake} ({info})")),
                        None => self.stop(at, &format!("not YAML: {info}")),
                    };
                }
            };
            let at = position(&span.start);
            match event {
                Event::DocumentStart(_) if self.root.is_some() => {
                    return self.stop(at, "a second document starts here; accepted: one per file");
                }
                Event::Alias(_) => return self.stop(at, "aliases (*name) are not supported; write the value out"),
                Event::Scalar(_, _, 1.., _) | Event::SequenceStart(1.., _) | Event::MappingStart(1.., _) => {
                    return self.stop(at, "anchors (&name) are not supported; write the value out where it is used");
                }
                Event::Scalar(_, _, _, Some(_)) | Event::SequenceStart(_, Some(_)) | Event::MappingStart(_, Some(_)) => {
                    return self.stop(at, "tags (!name) are not supported; remove the tag");
                }
                Event::SequenceStart(..) | Event::MappingStart(..) if self.open.len() >= MAX_LEVELS => {
                    return self.stop(at, &format!("nested too deeply; accepted: {MAX_LEVELS} levels"));
                }
                Event::SequenceStart(..) | Event::MappingStart(..) if self.expects_key() => {
                    return self.stop(at, "a list or mapping cannot be a key; accepted: a plain word");
                }
                Event::Scalar(text, ..) if self.expects_key() => self.start_entry(Key { at, name: text.into_owned() }),
                Event::Scalar(text, style, _, _) => self.add(Node { at, value: scalar(&text, style) }),
                Event::SequenceStart(..) => self.open.push(Open::List { at, items: Vec::new() }),
                Event::MappingStart(..) => {
                    self.open.push(Open::Map { at, entries: Vec::new(), seen: HashMap::new(), key: None });
                }
                Event::SequenceEnd | Event::MappingEnd => self.close(),
                Event::DocumentStart(_) | Event::DocumentEnd | Event::StreamStart | Event::StreamEnd | Event::Nothing => {}
            }
        }
        Some(())
    }

    fn stop(&self, at: Position, text: &str) -> Option<()> {
        self.reading.problem(at, "", text);
        None
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Map { key: None, .. }))
    }

    fn start_entry(&mut self, name: Key) {
        if let Some(Open::Map { key, .. }) = self.open.last_mut() {
            *key = Some(name);
        }
    }

    /// The path of the key that is read now, as in `issuers[0].leeway`.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match open {
                Open::List { items, .. } => path.push_str(&format!("[{}]", items.len())),
                Open::Map { key: Some(key), .. } => {
                    let dot = if path.is_empty() { "" } else { "." };
                    path.push_str(&format!("{dot}{}", shown(&key.name)));
                }
                Open::Map { key: None, .. } => {}
            }
        }
        path
    }

    /// Adds a finished value to the innermost open list or mapping. The first of duplicate keys stays.
    fn add(&mut self, node: Node) {
        let path = self.path();
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, seen, key, .. }) => {
                let Some(key) = key.take() else { return };
                if let Some(first) = seen.get(&key.name) {
                    self.reading.problem(key.at, &path, format!("appears twice, first in line {}; keep one", first.line));
                } else {
                    seen.insert(key.name.clone(), key.at);
                    entries.push((key, node));
                }
            }
        }
    }

    fn close(&mut self) {
        match self.open.pop() {
            Some(Open::List { at, items }) => self.add(Node { at, value: Value::List(items) }),
            Some(Open::Map { at, entries, .. }) => self.add(Node { at, value: Value::Map(entries) }),
            None => {}
        }
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    match (style, text) {
        (ScalarStyle::Plain, "" | "~" | "null" | "Null" | "NULL") => Value::Null,
        _ => Value::Text(text.to_owned(), style == ScalarStyle::Plain),
    }
}
