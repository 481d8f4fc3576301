//! docs/dependencies.md says why each crate is there, and Cargo.lock holds none that deny.toml bans.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

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
        } else if let Some((name, _)) = line.split_once(" = ").filter(|(name, _)| is_dependency && *name != env!("CARGO_PKG_NAME"))
        {
            names.insert(name.to_owned());
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

/// A package of Cargo.lock.
struct Locked {
    name: String,
    source: Option<String>,
    dependencies: BTreeSet<String>,
}

fn locked() -> Vec<Locked> {
    let lock = read("Cargo.lock");
    let packages: Vec<_> = lock.split("[[package]]").skip(1).map(package).collect();
    assert!(packages.len() > 100, "the packages were not found");
    packages
}

fn package(text: &str) -> Locked {
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{key} = ")));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    // `"name"`, or `"name version"` where there are several.
    let dependency = |line: &str| Some(line.strip_prefix(" \"")?.split(['"', ' ']).next()?.to_owned());
    Locked { name: value("name").unwrap(), source: value("source"), dependencies: text.lines().filter_map(dependency).collect() }
}

/// The crates that deny.toml bans, with those that may depend on them all the same.
fn banned() -> BTreeMap<String, BTreeSet<String>> {
    let rules = read("deny.toml");
    let quoted = |text: &str| text.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let (_, rules) = rules.split_once("\ndeny = [\n").unwrap();
    let (rules, _) = rules.split_once("\n]\n").unwrap();
    let rows = rules.lines().filter_map(|line| line.trim().strip_prefix("{ crate = "));
    let banned = rows.map(quoted).map(|mut names| (names.remove(0), names.into_iter().collect()));
    banned.collect()
}

#[test]
fn every_crate_comes_from_crates_io() {
    for package in locked().iter().filter(|package| package.name != "syncgate") {
        let source = package.source.as_deref();
        assert_eq!(source, Some("registry+https://github.com/rust-lang/crates.io-index"), "{}", package.name);
    }
}

#[test]
fn no_banned_crate_is_there() {
    let (banned, locked) = (banned(), locked());
    assert!(banned.contains_key("openssl") && banned["serde_yaml"].contains("pingora-core"), "{banned:?}");
    for package in &locked {
        if let Some(wrappers) = banned.get(&package.name) {
            let users = locked.iter().filter(|user| user.dependencies.contains(&package.name)).map(|user| &user.name);
            let others: Vec<_> = users.filter(|user| !wrappers.contains(*user)).collect();
            assert!(!wrappers.is_empty() && others.is_empty(), "{} is banned; {others:?} depend on it", package.name);
        }
    }
}
