//! Circles of files: where each of several files needs the others, none of them can be read or changed alone.

use std::collections::{BTreeMap, BTreeSet};

/// A module and its own submodules may know each other; no other files may.
#[test]
fn files_know_each_other_one_way() {
    let sources = super::sources();
    let files = sources.iter().map(|source| (module(&source.path), source.code.as_str()));
    let files = files.filter(|(module, code)| !code.is_empty() && !matches!(module.as_str(), "lib" | "main")).collect();
    assert_eq!(circles(&files), Vec::<Vec<&str>>::new(), "move what they share to a file of its own");
}

#[test]
fn circles_are_found() {
    let files = BTreeMap::from([
        ("a", "use crate::{\n    f::{self, Deep},\n    b::{c::{Deep, E as _}, Other},\n};"),
        ("b", "pub use self::c::Deep;"),
        ("b/c", "use super::{super::d::D, Other};"),
        ("d", "fn d() { crate::a::d(super::e::E) }"),
        ("e", "use crate::f::F;"),
        ("f", "mod g { }\nuse crate::a_stranger::D;"),
        ("f/g", "fn g() { super::h::go() }"),
        ("f/h", "use crate::f::g::G;"),
    ]);
    let files = files.into_iter().map(|(module, code)| (module.to_owned(), code)).collect();
    assert_eq!(circles(&files), [vec!["a", "b/c", "d"], vec!["f/g", "f/h"]]);
}

/// The path of a module: that of its file, or of its folder.
fn module(path: &str) -> String {
    path.strip_suffix("/mod").unwrap_or(path).to_owned()
}

/// The circles among these modules, given with their code.
fn circles<'a>(files: &'a BTreeMap<String, &str>) -> Vec<Vec<&'a str>> {
    let known: BTreeMap<&str, BTreeSet<&str>> =
        files.iter().map(|(module, code)| (module.as_str(), modules_used(module, code, files))).collect();
    let reached: BTreeMap<&str, BTreeSet<&str>> = known.keys().map(|module| (*module, reached_from(module, &known))).collect();
    let mut circles = BTreeSet::new();
    for (module, others) in reached.iter().filter(|(module, others)| others.contains(*module)) {
        circles.insert(others.iter().copied().filter(|other| reached[other].contains(module)).collect::<Vec<_>>());
    }
    circles.into_iter().collect()
}

fn reached_from<'a>(module: &str, known: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<_> = known[module].iter().copied().collect();
    while let Some(next) = open.pop() {
        if reached.insert(next) {
            open.extend(&known[next]);
        }
    }
    reached
}

/// The modules that code names, but for itself, those that it is in and those that are in it.
fn modules_used<'a>(module: &str, code: &str, files: &'a BTreeMap<String, &str>) -> BTreeSet<&'a str> {
    let is_within =
        |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let paths = paths_in(code).into_iter().filter_map(|path| {
        let absolute = absolute(module, &path);
        let ends = (1..=absolute.len()).rev();
        ends.map(|end| absolute[..end].join("/")).find_map(|path| files.get_key_value(&path)).map(|(path, _)| path.as_str())
    });
    paths.filter(|path| !is_within(path, module) && !is_within(module, path)).collect()
}

/// A path that starts with `crate`, `self` or `super`, from the root.
fn absolute<'a>(module: &'a str, path: &[&'a str]) -> Vec<&'a str> {
    let mut absolute = if path.first() == Some(&"crate") { Vec::new() } else { module.split('/').collect() };
    for segment in path {
        match *segment {
            "crate" | "self" => {}
            "super" => drop(absolute.pop()),
            name => absolute.push(name),
        }
    }
    absolute
}

/// All paths in code that start with `crate`, `self` or `super`, those of nested lists each in full.
fn paths_in(code: &str) -> Vec<Vec<&str>> {
    let mut paths = Vec::new();
    for start in ["crate::", "self::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let is_inside = |before: char| before.is_ascii_alphanumeric() || matches!(before, '_' | ':');
            if !code[..at].ends_with(is_inside) {
                read_path(&code[at..], Vec::new(), &mut paths);
            }
        }
    }
    paths
}

/// Reads one path, or a list of them, after what stands before it. What is left of the code.
fn read_path<'a>(code: &'a str, mut before: Vec<&'a str>, paths: &mut Vec<Vec<&'a str>>) -> &'a str {
    let mut rest = code.trim_start();
    if let Some(mut list) = rest.strip_prefix('{') {
        loop {
            list = read_path(list, before.clone(), paths);
            // Behind an item may stand its other name.
            let end = list.find([',', '}']).unwrap_or(list.len());
            list = &list[end..];
            match list.strip_prefix(',').map(str::trim_start) {
                Some(next) if !next.starts_with('}') => list = next,
                Some(next) => return &next[1..],
                None => return list.get(1..).unwrap_or_default(),
            }
        }
    }
    let name = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len());
    let (name, behind) = rest.split_at(name);
    rest = behind;
    if !name.is_empty() {
        before.push(name);
        if let Some(further) = rest.strip_prefix("::") {
            return read_path(further, before, paths);
        }
    }
    paths.push(before);
    rest
}
