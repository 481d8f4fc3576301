//! SECURITY.md names a test for each promise of its threat model, and each of them is there.

use std::{fs, path::PathBuf};

fn read(path: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}

/// The cells of the rows of the threat model.
fn rows() -> Vec<[String; 4]> {
    let page = read("SECURITY.md");
    let (_, model) = page.split_once("\n## Threat model\n").unwrap();
    let rows = model.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = |row: &str| row.split(" | ").map(str::to_owned).collect::<Vec<_>>().try_into().expect("four cells");
    rows.skip(1).map(cells).collect()
}

/// Whether a source has a test function of this name.
fn has_test(source: &str, name: &str) -> bool {
    let is_test = |before: &str| {
        let attributes = before.lines().rev().skip(1).take_while(|line| line.trim_start().starts_with(['#', '/']));
        attributes.map(str::trim_start).any(|line| line == "#[test]" || line.starts_with("#[tokio::test"))
    };
    source.match_indices(&format!("fn {name}(")).any(|(at, _)| is_test(&source[..=at]))
}

#[test]
fn every_promise_names_a_test_that_is_there() {
    let rows = rows();
    assert!(rows.len() > 12, "the threat model was not found");
    for [protected, from, by, shown] in rows {
        assert!(![&protected, &from, &by].iter().any(|cell| cell.trim().is_empty()), "{protected}: a cell is empty");
        for test in shown.split(", ") {
            let test = test.trim_matches('`');
            let (path, name) = test.split_once("::").unwrap_or_else(|| panic!("{protected}: {test} is no test"));
            assert!(has_test(&read(path), name), "{protected}: there is no test {test}");
        }
    }
}

#[test]
fn a_function_that_is_no_test_is_not_taken_for_one() {
    let source = "#[test]\nfn a() {}\n\n    #[tokio::test]\n    #[ignore = \"x\"]\n    async fn b() {}\n\n/// c\nfn c() {}\n";
    assert_eq!(["a", "b", "c", "d"].map(|name| has_test(source, name)), [true, true, false, false]);
}
