//! docs/refusals.md says what the code does: a row for each rejection, word for word.

use std::fs;

use syncgate::token::Rejection;

fn text(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).expect(path)
}

/// The doc comment of a variant in the source of the table.
fn meaning(source: &str, rejection: Rejection) -> String {
    let (before, _) =
        source.split_once(&format!("\n    {rejection:?},\n")).unwrap_or_else(|| panic!("{rejection:?} is not declared"));
    let comment = before.lines().rev().map_while(|line| line.strip_prefix("    /// "));
    comment.collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join(" ")
}

fn row(source: &str, rejection: Rejection) -> String {
    let error = rejection.error().map_or_else(|| "none".to_owned(), |error| format!("`{error}`"));
    let (label, status, meaning, remedy) = (rejection.label(), rejection.status(), meaning(source, rejection), rejection.remedy());
    format!("| `{label}` | {status} | {error} | {meaning} | {remedy} |")
}

#[test]
fn every_rejection_has_its_row() {
    let source = text("src/token/rejection.rs");
    let docs = text("docs/refusals.md");
    let documented: Vec<_> = docs.lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<_> = Rejection::ALL.iter().map(|rejection| row(&source, *rejection)).collect();
    assert!(documented == expected, "the rows of docs/refusals.md must be:\n{}", expected.join("\n"));
}

#[test]
fn a_meaning_is_the_whole_comment() {
    let source = text("src/token/rejection.rs");
    assert_eq!(meaning(&source, Rejection::Expired), "Past `exp` and leeway.");
    assert!(Rejection::ALL.iter().all(|rejection| meaning(&source, *rejection).ends_with('.')));
}
