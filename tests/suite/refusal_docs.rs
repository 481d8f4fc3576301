//! docs/refusals.md says what the code does: a row for each rejection, word for word.

use std::fs;

use syncgate::token::{Provider, Rejection};

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
    let (docs, _) = docs.split_once("\n## With Microsoft\n").unwrap();
    let documented: Vec<_> = docs.lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<_> = Rejection::ALL.iter().map(|rejection| row(&source, *rejection)).collect();
    assert!(documented == expected, "the rows of docs/refusals.md must be:\n{}", expected.join("\n"));
}

#[test]
fn microsofts_words_have_their_rows() {
    let docs = text("docs/refusals.md");
    let (_, section) = docs.split_once("\n## With Microsoft\n").unwrap();
    let mut documented = Vec::new();
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let [label, with, what] = line.trim_matches('|').split(" | ").collect::<Vec<_>>().try_into().unwrap();
        documented.extend(with.split(", ").map(|with| (label.trim().to_owned(), with.to_owned(), what.trim().to_owned())));
    }
    let providers = [("B2C", Provider::B2c), ("Entra", Provider::Entra), ("External ID", Provider::ExternalId)];
    let special = |rejection: &Rejection| {
        let of = |(name, provider): (&str, Provider)| {
            let words = rejection.remedy_of(provider);
            (words != rejection.remedy()).then(|| (format!("`{}`", rejection.label()), name.to_owned(), words.to_owned()))
        };
        providers.map(of).into_iter().flatten().collect::<Vec<_>>()
    };
    let mut expected: Vec<_> = Rejection::ALL.iter().flat_map(special).collect();
    documented.sort();
    expected.sort();
    assert_eq!(documented, expected);
}

/// Before the signature holds the client hears nothing of what the config takes.
#[test]
fn one_sentence_stands_for_all_that_the_config_decides_before_the_signature() {
    let told: Vec<_> = Rejection::ALL
        .iter()
        .filter(|rejection| rejection.status() == 401 && rejection.description() != "the token is not accepted")
        .map(|rejection| rejection.label())
        .collect();
    // The credentials of an endpoint's caller; the form of the token, its dates, Microsoft Graph; what comes after the signature; no token at all.
    let own = [
        "caller_unauthenticated",
        "certificate_mismatch",
        "duplicate_member",
        "expired",
        "expiry_missing",
        "forbidden_header",
        "graph_token",
        "issued_in_future",
        "missing_token",
        "nonce_mismatch",
        "not_yet_valid",
        "token_malformed",
        "token_too_large",
    ];
    assert_eq!(told, own);
}

#[test]
fn a_meaning_is_the_whole_comment() {
    let source = text("src/token/rejection.rs");
    assert_eq!(meaning(&source, Rejection::Expired), "`exp` plus leeway has passed.");
    assert!(Rejection::ALL.iter().all(|rejection| meaning(&source, *rejection).ends_with('.')));
}
