//! Marks which printed settings are defaults, and which come from a preset.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::config::{
    Config,
    document::{self, Node, Value},
    print::Effective,
    reading::Reading,
};

/// The keys that a file names itself, as paths. Elements of a list have the path of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written(BTreeSet<Vec<String>>);

impl Written {
    /// The keys of a document.
    pub(in crate::config) fn of(root: &Node) -> Self {
        let mut keys = BTreeSet::new();
        collect(root, &mut Vec::new(), &mut keys);
        Self(keys)
    }

    /// Whether the file gives this setting, itself or as part of what it gives.
    fn gives(&self, path: &[String]) -> bool {
        // A part may be written in a shorter form than it is printed.
        self.0.contains(path.get(..unit(path)).unwrap_or(path))
    }

    /// Whether a preset may have given this setting.
    fn has_preset_for(&self, path: &[String]) -> bool {
        let is_preset = |part: &str, key: &[String]| match key {
            [first, last] => first == part && last == "preset",
            [first, _, last] => first == part && part == "profiles" && last == "preset",
            _ => false,
        };
        let presets = |part: &str| self.0.iter().any(|key| is_preset(part, key));
        match path {
            // Derived from what is there, with a preset or without.
            [part, key, ..] if part == "issuers" && key == "name" || part == "routes" && key == "upstream" => false,
            [part, key, ..] if part == "issuers" || part == "routes" => key != "preset" && presets(part),
            // A route's preset brings a profile.
            [part, ..] if part == "mint" || part == "profiles" => presets("mint") || presets("profiles") || presets("routes"),
            _ => false,
        }
    }
}

/// How many steps of a path name a setting that a file gives as a whole or not at all.
fn unit(path: &[String]) -> usize {
    let is = |step: usize, names: &[&str]| path.get(step).is_some_and(|name| names.contains(&name.as_str()));
    match path.first().map(String::as_str) {
        Some("mint") if is(1, &["claims", "tables"]) => 3,
        Some("profiles") if is(2, &["claims", "tables"]) => 4,
        Some("profiles") => 3,
        _ => 2,
    }
}

fn collect(node: &Node, path: &mut Vec<String>, keys: &mut BTreeSet<Vec<String>>) {
    match &node.value {
        Value::Map(entries) => {
            for (key, node) in entries {
                path.push(key.name.clone());
                keys.insert(path.clone());
                collect(node, path, keys);
                path.pop();
            }
        }
        Value::List(items) => items.iter().for_each(|item| collect(item, path, keys)),
        Value::Null | Value::Text(..) => {}
    }
}

/// A config that gives as little as it can.
const LEAST: &str = "{issuers: [{name: a, issuer: https://a.invalid, jwks_uri: https://a.invalid/keys, audiences: [a]}], \
                     signing: {key_file: a}, upstream: {url: 'http://a.invalid'}}";

/// A route that the gateway answers itself, for the defaults of `endpoint`.
const ENDPOINT: &str = "routes: [{name: a, path: /a, endpoint: {type: b2c_policy, callers: [{bearer: {secret_file: a}}]}}]}";

/// What is in a printed config: each setting, its value as text, and the lines that it takes.
type Settings = Vec<(Vec<String>, String, BTreeSet<usize>)>;

/// The printout with a comment on each line that holds a default, or what a preset gave. It means the same.
pub(super) fn marked(config: &Config, written: &Written) -> String {
    let printed = Effective(config).to_string();
    let with_endpoint = format!("{}, {ENDPOINT}", LEAST.trim_end_matches('}').to_owned() + "}");
    let is_of_endpoint = |path: &[String]| path.get(1).is_some_and(|key| key == "endpoint");
    let of_endpoint = defaults_of(&with_endpoint).filter(|(path, _)| is_of_endpoint(path));
    let defaults: BTreeSet<_> = defaults_of(LEAST).chain(of_endpoint).collect();
    // A line may hold several settings; it has a mark if all of them have it.
    let mut marks: BTreeMap<usize, Option<&str>> = BTreeMap::new();
    for (path, value, lines) in settings(&printed) {
        let mark = if defaults.contains(&(general(&path), value)) {
            Some("default")
        } else if written.has_preset_for(&path) && !written.gives(&path) {
            Some("preset")
        } else {
            None
        };
        for line in lines {
            marks.entry(line).and_modify(|known| *known = known.filter(|known| Some(*known) == mark)).or_insert(mark);
        }
    }
    let mut text = String::with_capacity(printed.len() * 2);
    for (number, line) in printed.lines().enumerate() {
        text.push_str(line);
        if let Some(Some(mark)) = marks.get(&(number + 1)) {
            text.push_str(&format!(" # {mark}"));
        }
        text.push('\n');
    }
    text
}

/// The settings of a config that gives as little as it can.
fn defaults_of(text: &str) -> impl Iterator<Item = (Vec<String>, String)> + use<> {
    let printed = Config::parse(text, Path::new("/")).map(|least| Effective(&least.config).to_string()).unwrap_or_default();
    settings(&printed).into_iter().map(|(path, value, _)| (general(&path), value))
}

/// The path under which its default is found: names that the file chooses stand for any.
fn general(path: &[String]) -> Vec<String> {
    let mut path = path.to_vec();
    match path.as_mut_slice() {
        [part, name, _, ..] if part == "upstreams" => name.clear(),
        [part, _, _, ..] if part == "profiles" => {
            path.remove(1);
            if let Some(part) = path.first_mut() {
                "mint".clone_into(part);
            }
        }
        _ => {}
    }
    path
}

fn settings(printed: &str) -> Settings {
    let mut settings = Vec::new();
    let reading = Reading::new(Path::new("/"));
    if let Some(root) = document::parse(printed.as_bytes(), &reading) {
        leaves(&root, &mut Vec::new(), &mut settings);
    }
    settings
}

fn leaves(node: &Node, path: &mut Vec<String>, settings: &mut Settings) {
    match &node.value {
        Value::Map(entries) => {
            for (key, node) in entries {
                path.push(key.name.clone());
                match &node.value {
                    Value::Map(_) => leaves(node, path, settings),
                    Value::List(items) if items.iter().any(|item| matches!(item.value, Value::Map(_))) && !is_whole(path) => {
                        items.iter().for_each(|item| leaves(item, path, settings));
                    }
                    value => {
                        let mut lines = BTreeSet::from([key.at.line]);
                        lines_of(node, &mut lines);
                        settings.push((path.clone(), text(value), lines));
                    }
                }
                path.pop();
            }
        }
        Value::List(_) | Value::Null | Value::Text(..) => {}
    }
}

/// A list whose elements mean something only together.
fn is_whole(path: &[String]) -> bool {
    matches!(path, [.., token, places] if token == "token" && places == "in")
}

fn lines_of(node: &Node, lines: &mut BTreeSet<usize>) {
    lines.insert(node.at.line);
    if let Value::List(items) = &node.value {
        items.iter().for_each(|item| lines_of(item, lines));
    }
}

/// A value as text, to be compared.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Text(text, plain) => format!("{plain}{text:?}"),
        Value::List(items) => items.iter().map(text_of).collect(),
        Value::Map(entries) => entries.iter().map(|(key, node)| format!("{{{:?}{}}}", key.name, text_of(node))).collect(),
    }
}

fn text_of(node: &Node) -> String {
    format!("[{}]", text(&node.value))
}
