use std::{
    path::Path,
    time::{Duration, Instant},
};

use proptest::prelude::*;

use super::problems;
use crate::config::{Config, Findings, Loaded};

const GATEWAY: &str = include_str!("../../../conf/gateway.yaml");

/// Parses, and asserts that it took a moment and no more. Generous: test machines are busy.
fn parse_in_time(text: &[u8]) -> Result<Loaded, Findings> {
    let start = Instant::now();
    let result = Config::parse(text, Path::new("/"));
    let (took, bytes) = (start.elapsed(), text.len());
    assert!(took < Duration::from_secs(10), "{took:?} for {bytes} bytes");
    if let Err(findings) = &result {
        assert!((1..=101).contains(&findings.problems.len()), "{} problems", findings.problems.len());
    }
    result
}

#[test]
fn what_is_not_supported_is_named_with_its_place() {
    for (text, expected) in [
        ("a: &x 1", "1:4: anchors (&name) are not supported; write the value out where it is used"),
        ("a: &x {}", "1:4: anchors (&name) are not supported; write the value out where it is used"),
        ("a: *x", "1:4: not YAML: while parsing node, found unknown anchor"),
        ("a: &x [*x]", "1:4: anchors"),
        ("a: !secret x", "1:4: tags (!name) are not supported; remove the tag"),
        ("a: 1\n---\nb: 2", "2:1: a second document starts here; accepted: one per file"),
        ("a: 1\nb", "3:1: not YAML: "),
        ("a:\n\t- b", "2:1: not YAML: a tab indents this line; write spaces"),
        ("{a: 1", "1:1: not YAML: this bracket is not closed"),
        ("? [a]\n: 1", "1:3: a list or mapping cannot be a key; accepted: a plain word"),
        ("a: \0", "1:4: not YAML: "),
    ] {
        let findings = parse_in_time(text.as_bytes()).unwrap_err();
        let first = findings.problems[0].to_string();
        assert!(first.starts_with(expected), "{text:?}: {first}");
    }
}

#[test]
fn text_that_is_not_utf_8_has_a_place() {
    let findings = parse_in_time(b"# fine\nrealm: \xff").unwrap_err();
    assert_eq!(findings.problems[0].to_string(), "2:8: not valid UTF-8; save the file as UTF-8");
}

#[test]
fn something_else_than_a_mapping_is_said_to_be() {
    for text in ["text", "- a", "[]", "1"] {
        assert_eq!(problems(text), ["is not a mapping; accepted: keys with values, indented"], "{text}");
    }
}

#[test]
fn what_would_blow_up_is_cut_short() {
    let size = 200 * 1024;
    for (what, text) in [
        ("flow lists", "[".repeat(size)),
        ("flow lists of the scanner's depth, then tokens", format!("{}{}", "[".repeat(254), "a,".repeat(size / 2))),
        ("flow mappings", "{a: ".repeat(size / 4)),
        ("block lists", "- ".repeat(size / 2)),
        ("nested mappings", (0..600).map(|level| format!("{}a:\n", " ".repeat(level))).collect()),
        ("complex keys", "? ".repeat(size / 2)),
        ("one long key", "a".repeat(size)),
        ("one long value", format!("realm: {}", "a".repeat(size))),
        ("quotes", "\"".repeat(size)),
        ("escapes", format!("realm: \"{}\"", "\\n".repeat(size / 2))),
        ("colons", ": ".repeat(size / 2)),
        ("line breaks", "\n".repeat(size)),
        ("comments", "#\n".repeat(size / 2)),
        ("documents", "---\n".repeat(size / 4)),
        ("directives", "%YAML 1.2\n".repeat(size / 10)),
        ("tags", "!a ".repeat(size / 3)),
        ("block scalar", format!("realm: |\n{}", " a\n".repeat(size / 3))),
        ("a laugh", "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n".repeat(5)),
        ("unknown keys", (0..20_000).map(|n| format!("k{n}: 1\n")).collect()),
        ("one key", "a: 1\n".repeat(size / 5)),
        ("too large", " ".repeat(300 * 1024)),
    ] {
        let start = Instant::now();
        assert!(parse_in_time(text.as_bytes()).is_err(), "{what}");
        println!("{what}: {:?}", start.elapsed());
    }
}

#[test]
fn long_lists_are_refused_and_many_issuers_are_quick() {
    let issuer = |n: usize| {
        let policies: Vec<_> = (0..100).map(|p| format!("p{p}")).collect();
        let domains: Vec<_> = (0..16).map(|d| format!("d{d}.contoso.com")).collect();
        format!(
            "  - {{preset: b2c, tenant: t{n}, tenant_id: 9c0c1f5e-0000-4000-8000-0000000000{n:02}, audiences: [a], \
             shared_user_ids: true, policies: [{}], domains: [{}]}}\n",
            policies.join(","),
            domains.join(",")
        )
    };
    let issuers = |count: usize| {
        let issuers: String = (0..count).map(issuer).collect();
        format!("signing: {{key_file: k}}\nupstream: {{url: 'http://127.0.0.1'}}\nissuers:\n{issuers}")
    };
    let many = parse_in_time(issuers(64).as_bytes());
    assert_eq!(many.unwrap().config.issuers.len(), 64);
    assert_eq!(problems(&issuers(65)), ["issuers: the list has 65 elements; accepted: up to 64"]);
    let list = format!("headers: {{strip: [{}x]}}", "a,".repeat(1_000));
    assert!(problems(&list).contains(&"headers.strip: the list has 1001 elements; accepted: up to 1000".to_owned()));
}

#[test]
fn the_number_of_problems_is_bounded() {
    let text: String = (0..1_000).map(|n| format!("k{n}: 1\n")).collect();
    let findings = parse_in_time(text.as_bytes()).unwrap_err();
    assert_eq!(findings.problems.len(), 101);
    assert_eq!(findings.problems[100].what(), "and 903 more problems");
}

/// A change of the annotated example.
fn mutation() -> impl Strategy<Value = (usize, usize, String)> {
    let piece = prop_oneof![
        Just(String::new()),
        "[\\x00-\\x7f]{1,3}",
        "\\PC{1,4}",
        prop::sample::select(vec![
            "\n",
            " ",
            "  ",
            "- ",
            ": ",
            "? ",
            "[",
            "]",
            "{",
            "}",
            "&a",
            "*a",
            "!!str ",
            "'",
            "\"",
            "|\n",
            ">\n",
            "#",
            "~",
            "null",
            "\t",
            "---\n",
            "...\n",
            "%YAML 1.2\n",
            "<<: ",
            "0",
            "-1",
            "99999999999999999999",
            "1d",
            "\u{feff}",
            "\u{85}",
            "\u{2028}",
        ])
        .prop_map(str::to_owned),
    ];
    (0..GATEWAY.len(), 0..40_usize, piece)
}

fn mutate(mut text: Vec<u8>, mutations: &[(usize, usize, String)]) -> Vec<u8> {
    for (at, length, piece) in mutations {
        let at = at % (text.len() + 1);
        let end = (at + length).min(text.len());
        text.splice(at..end, piece.bytes());
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_give_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse_in_time(&bytes);
    }

    #[test]
    fn arbitrary_text_gives_an_answer(text in "[-\\[\\]{}:,#&*!|>'\"%@` \n\ta0~?]{0,200}") {
        let _ = parse_in_time(text.as_bytes());
    }

    #[test]
    fn arbitrary_changes_of_the_example_give_an_answer(mutations in prop::collection::vec(mutation(), 1..6)) {
        if let Ok(loaded) = parse_in_time(&mutate(GATEWAY.as_bytes().to_vec(), &mutations)) {
            let printed = crate::config::Effective(&loaded.config).to_string();
            let again = Config::parse(&printed, Path::new("/")).map(|loaded| loaded.config);
            prop_assert_eq!(again, Ok(loaded.config), "{}", printed);
        }
    }
}
