use std::{collections::BTreeSet, fs, path::Path};

use super::{config, parse, printout::round_trip, problems, warnings};
use crate::config::Config;

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/conf"))
}

fn gateway() -> String {
    fs::read_to_string(folder().join("gateway.yaml")).unwrap()
}

#[test]
fn every_example_loads_and_prints_the_same() {
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            Config::load(&path).unwrap_or_else(|error| panic!("{error}"));
            round_trip(&fs::read_to_string(&path).unwrap());
            seen.insert(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    assert!(seen.contains("minimal.yaml") && seen.contains("gateway.yaml"), "{seen:?}");
}

#[test]
fn the_examples_deserve_no_warning() {
    assert_eq!(warnings(&gateway()), [""; 0]);
    assert_eq!(warnings(&fs::read_to_string(folder().join("minimal.yaml")).unwrap()), [""; 0]);
}

/// The YAML blocks of a page, each with the line that it begins in.
fn blocks(page: &str) -> Vec<(usize, String)> {
    let (mut blocks, mut open) = (Vec::new(), None);
    for (number, line) in page.lines().enumerate() {
        match (&mut open, line) {
            (None, "```yaml") => open = Some((number + 2, String::new())),
            (Some(_), "```") => blocks.extend(open.take()),
            (Some((_, text)), line) => text.extend([line, "\n"]),
            _ => {}
        }
    }
    blocks
}

#[test]
fn the_examples_of_the_docs_can_be_used_as_they_stand() {
    const REST: [(&str, &str); 3] = [
        ("issuers:", "issuers: [{ preset: oidc, issuer: https://login.contoso.com, audiences: [api] }]\n"),
        ("signing:", "signing: { key_file: signing.pem }\n"),
        ("upstream", "upstream: { url: http://127.0.0.1:5984 }\n"),
    ];
    const PROFILES: &str = "profiles:\n  couch: { preset: couchdb }\n  reports: { kid: thumbprint }\n";
    let mut tried = 0;
    for page in ["backends.md", "routes.md", "key-sets.md", "load-testing.md", "endpoints.md", "tls.md"] {
        let text = fs::read_to_string(folder().join("../docs").join(page)).unwrap();
        // What begins otherwise is for somebody else than the gateway.
        let ours = |text: &str| ["listen:", "mint:", "routes:", "issuers:", "profiles:"].iter().any(|key| text.starts_with(key));
        for (line, block) in blocks(&text).into_iter().filter(|(_, block)| ours(block)) {
            let rest = REST.iter().filter(|(key, _)| !block.lines().any(|line| line.starts_with(key)));
            let whole: String = rest.map(|(_, text)| *text).chain([block.as_str()]).collect();
            // The page names its profiles once, for all of its examples.
            let whole = if page == "endpoints.md" && !block.starts_with("profiles:") { whole + PROFILES } else { whole };
            assert_eq!(problems(&whole), [""; 0], "docs/{page}:{line}\n{block}");
            tried += 1;
        }
    }
    assert!(tried >= 20, "{tried}");
    assert!(fs::read_to_string(folder().join("../docs/endpoints.md")).unwrap().contains(PROFILES));
}

/// A line `key: value` of the annotated example, active or not, and the comment above it.
struct Entry {
    line: usize,
    active: bool,
    key: String,
    value: String,
    comment: String,
}

/// Every key of the annotated example that has a value of its own.
fn entries(text: &str) -> Vec<Entry> {
    let (mut entries, mut comment) = (Vec::new(), String::new());
    for (line, full) in text.lines().enumerate() {
        let bare = full.trim_start().trim_start_matches("- ");
        if let Some(words) = bare.strip_prefix("# ") {
            comment.push_str(words);
            comment.push(' ');
            continue;
        }
        let entry = bare.trim_start_matches('#');
        if let Some((key, value)) = entry.split_once(':') {
            let comment = if bare.starts_with('#') { comment.clone() } else { std::mem::take(&mut comment) };
            let value = value.trim().to_owned();
            entries.push(Entry { line, active: !bare.starts_with('#'), key: key.to_owned(), value, comment });
        } else {
            comment.clear();
        }
    }
    entries
}

#[test]
fn every_default_that_the_example_states_is_the_value_beside_it() {
    let mut stated = 0;
    for entry in entries(&gateway()).iter().filter(|entry| entry.active && !entry.value.is_empty()) {
        let Some((_, after)) = entry.comment.split_once("Default ") else { continue };
        let value = entry.value.trim_matches(['[', ']']);
        let fits = after.strip_prefix(value).is_some_and(|rest| rest.starts_with(['.', ';', ':', ',', ' ']));
        // The preset of the example is b2c.
        let fits = fits || after.starts_with(&format!("b2c {}", entry.value));
        assert!(fits, "{}: {} stands beside: Default {after}", entry.key, entry.value);
        stated += 1;
    }
    assert!(stated >= 30, "{stated} defaults are stated");
}

#[test]
fn leaving_a_default_out_changes_nothing() {
    let text = gateway();
    let full = config(&text);
    let lines: Vec<_> = text.lines().collect();
    for entry in entries(&text).iter().filter(|entry| entry.active && entry.comment.contains("Default ") && !entry.value.is_empty())
    {
        if lines[entry.line].trim_start().starts_with("- ") {
            continue;
        }
        let less: Vec<_> = lines.iter().enumerate().filter(|(line, _)| *line != entry.line).map(|(_, line)| *line).collect();
        assert_eq!(config(&less.join("\n")), full, "without {}", entry.key);
    }
}

#[test]
fn every_key_that_the_example_shows_in_a_comment_is_known() {
    let text = gateway();
    let mut shown = BTreeSet::new();
    for entry in entries(&text).iter().filter(|entry| !entry.active) {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines[entry.line] = lines[entry.line].replacen('#', "", 1);
        let unknown: Vec<_> = problems(&lines.join("\n")).into_iter().filter(|problem| problem.contains("unknown key")).collect();
        assert_eq!(unknown, [""; 0], "{}", entry.key);
        assert_ne!(text, lines.join("\n"));
        shown.insert(entry.key.clone());
    }
    assert!(shown.contains("any_claims") && shown.contains("jwks_uri"), "{shown:?}");
}

#[test]
fn every_known_key_stands_in_the_example() {
    let text = gateway();
    let shown: BTreeSet<_> = entries(&text).into_iter().map(|entry| entry.key).collect();
    // An unknown key in each section makes the message list the known ones.
    let mut lines = Vec::new();
    for line in text.lines() {
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        if bare.starts_with("- name:") {
            lines.push(format!("{}- zzzzzzzzzzzz: 1", " ".repeat(indent)));
            lines.push(format!("{}{}", " ".repeat(indent + 2), &bare[2..]));
        } else {
            lines.push(line.to_owned());
            if bare.ends_with(':') && !bare.starts_with('#') && indent == 0 && !["issuers:", "routes:"].contains(&bare) {
                lines.push("  zzzzzzzzzzzz: 1".to_owned());
            }
        }
    }
    lines.push("zzzzzzzzzzzz: 1".to_owned());
    let problems = problems(&lines.join("\n"));
    assert_eq!(problems.len(), 14, "{problems:#?}");
    for problem in problems {
        for key in problem.split_once("accepted: ").unwrap().1.split(", ") {
            assert!(shown.contains(key) || key == "upstreams", "{key} is missing: {problem}");
        }
    }
}

#[test]
fn the_minimal_example_is_minimal() {
    let text = fs::read_to_string(folder().join("minimal.yaml")).unwrap();
    for (line, _) in text.lines().enumerate().filter(|(_, line)| line.starts_with(' ') && !line.contains("- preset")) {
        let less: Vec<_> = text.lines().enumerate().filter(|(other, _)| *other != line).map(|(_, line)| line).collect();
        assert!(parse(&less.join("\n")).is_err(), "line {} is not needed", line + 1);
    }
}
