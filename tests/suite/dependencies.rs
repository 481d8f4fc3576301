//! docs/dependencies.md says why each crate is there.

use std::{collections::BTreeSet, fs, path::PathBuf};

fn read(path: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}

/// The names of the crates in `Cargo.toml`, those for tests and of single platforms among them.
fn direct() -> BTreeSet<String> {
    let manifest = read("Cargo.toml");
    let mut names = BTreeSet::new();
    let mut is_dependency = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_dependency = line.ends_with("dependencies]");
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| is_dependency) {
            // It is there itself, for the features that its tests need.
            names.extend((name != "syncgate").then(|| name.to_owned()));
        }
    }
    assert!(names.len() > 50, "the dependencies were not found");
    names
}

/// The crates that the page names, in the first cells of its tables.
fn explained() -> BTreeSet<String> {
    let page = read("docs/dependencies.md");
    let rows = page.lines().filter_map(|line| Some(line.strip_prefix("| ")?.split_once(" | ")?.0));
    rows.filter(|cell| *cell != "crate").flat_map(|cell| cell.split(", ")).map(str::to_owned).collect()
}

#[test]
fn every_crate_has_its_reason_and_no_other_one_is_named() {
    assert_eq!(explained(), direct());
}
