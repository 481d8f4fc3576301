//! What the README says of refusals, metrics and settings is what the code has.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use syncgate::token::Rejection;

fn read(path: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn no_page_holds_the_marks_of_a_merge() {
    for page in
        ["README.md", "CHANGELOG.md", "Makefile", "conf/gateway.yaml", "docs/routes.md", "docs/backends.md", "docs/benchmarks.md"]
    {
        let marks = ["<<<<<<<", "=======", ">>>>>>>"];
        let marked = read(page).lines().find(|line| marks.iter().any(|mark| line.starts_with(mark))).map(str::to_owned);
        assert_eq!(marked, None, "{page}");
    }
}

#[test]
fn every_refusal_has_its_row_and_no_other_row_is_there() {
    let readme = read("README.md");
    let (_, section) = readme.split_once("<summary>Every reason</summary>").unwrap();
    let (section, _) = section.split_once("</details>").unwrap();
    let rows: BTreeSet<(String, String)> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|row| {
            let (reason, rest) = row.split_once("` | ").unwrap();
            (reason.to_owned(), rest.split(" | ").next().unwrap().to_owned())
        })
        .collect();
    let table: BTreeSet<_> = Rejection::ALL.iter().map(|one| (one.label().to_owned(), one.status().to_string())).collect();
    assert_eq!(rows, table);
}

#[test]
fn every_series_has_its_row_and_no_other_row_is_there() {
    let readme = read("README.md");
    let (_, section) = readme.split_once("<summary>Every series</summary>").unwrap();
    let (section, _) = section.split_once("</details>").unwrap();
    let rows: BTreeSet<String> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `syncgate_"))
        .map(|row| row.split_once('`').unwrap().0.to_owned())
        .collect();
    // Series without a sample are not exported, so the names are read where they are declared.
    let source: String = read("src/metrics.rs").split_whitespace().collect();
    let declared: BTreeSet<String> = source
        .split("declare.")
        .skip(1)
        .filter_map(|call| call.split_once('(')?.1.trim_start().strip_prefix('"')?.split_once('"').map(|(name, _)| name.to_owned()))
        .collect();
    assert!(declared.len() > 15, "the declarations were not found");
    assert_eq!(rows, declared);
}

#[test]
fn every_setting_has_its_row() {
    let readme = read("README.md");
    let (_, section) = readme.split_once("<summary>All settings").unwrap();
    let (section, _) = section.split_once("</details>").unwrap();
    let keys: BTreeSet<String> = read("conf/gateway.yaml")
        .lines()
        .filter_map(|line| {
            line.trim_start().trim_start_matches("- ").trim_start_matches('#').split_once(':').map(|(key, _)| key.to_owned())
        })
        .filter(|key| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') && !key.is_empty())
        .collect();
    assert!(keys.len() > 50, "the keys were not found");
    let sections =
        ["listen", "admin", "issuers", "token", "signing", "mint", "upstream", "routes", "headers", "cache", "log", "shutdown"];
    for key in keys.iter().filter(|key| !sections.contains(&key.as_str())) {
        let named = [format!("`{key}`"), format!(".{key}`")].iter().any(|name| section.contains(name));
        assert!(named, "the README's table of settings lacks {key}");
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let readme = read("README.md");
    let (_, section) = readme.split_once("<summary>Why each is there</summary>").unwrap();
    let (section, _) = section.split_once("</details>").unwrap();
    let manifest = read("Cargo.toml");
    let (_, dependencies) = manifest.split_once("[dependencies]").unwrap();
    let (dependencies, _) = dependencies.split_once("[profile").unwrap();
    let lines = dependencies.lines().filter(|line| !line.starts_with('['));
    for name in lines.filter_map(|line| line.split_once(" = ").map(|(name, _)| name)) {
        let listed = section.split(['|', ',', ':', '.', ' ', '\n']).any(|word| word.trim() == name);
        assert!(listed, "the README does not say why {name} is there");
    }
}

#[test]
fn the_recipe_for_a_key_works_and_a_second_run_changes_nothing() {
    let readme = read("README.md");
    let (_, step) = readme.split_once("**1. Make a key.**").unwrap();
    let recipe = step.split("```").nth(1).unwrap().strip_prefix("sh\n").unwrap();
    let folder = tempfile::tempdir().unwrap();
    // By a shell, with the command where a release build has it: in the path.
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_syncgate"));
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let run = || Command::new("sh").args(["-c", recipe]).env("PATH", &path).current_dir(folder.path()).output().unwrap();
    let contents = || ["signing.pem", "public.pem"].map(|name| fs::read_to_string(folder.path().join(name)).unwrap());
    let first = run();
    assert!(first.status.success(), "{first:?}");
    let made = contents();
    assert!(made[0].starts_with("-----BEGIN PRIVATE KEY-----\n") && made[1].starts_with("-----BEGIN PUBLIC KEY-----\n"));
    let second = run();
    assert_eq!(second.status.code(), Some(2), "{second:?}");
    assert_eq!(contents(), made);
    assert!(String::from_utf8_lossy(&second.stderr).contains("exists already and is left as it is"), "{second:?}");
}
