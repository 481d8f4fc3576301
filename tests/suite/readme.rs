//! The pages that people read first: how long the README is, where links lead, and that its recipe works.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Maximum number of lines of the README, and most characters of one of them.
const MAX_README_LINES: usize = 160;
const MAX_LINE_CHARS: usize = 140;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every page of the repository, by its path from the root.
fn pages() -> Vec<(String, String)> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let docs = docs.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}"));
    let top = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(str::to_owned);
    let pages: Vec<_> = docs.chain(top).map(|path| (fs::read_to_string(root().join(&path)).expect(&path), path)).collect();
    assert!(pages.len() > 14, "the pages were not found");
    pages.into_iter().map(|(text, path)| (path, text)).collect()
}

/// The lines of a page outside of its code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        is_code ^= fence;
        !is_code && !fence
    })
}

/// Where the links and pictures of a page lead.
fn links(text: &str) -> Vec<String> {
    let lead =
        |line: &str| line.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect::<Vec<_>>();
    prose(text).flat_map(lead).collect()
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let heading = |line: &str| Some(line.trim_start_matches('#').strip_prefix(' ')?.to_owned()).filter(|_| line.starts_with('#'));
    let keep = |letter: &char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | ' ');
    let anchor = |heading: String| heading.to_lowercase().chars().filter(keep).collect::<String>().replace(' ', "-");
    prose(text).filter_map(heading).map(anchor).collect()
}

#[test]
fn the_readme_is_short() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.lines().count() <= MAX_README_LINES, "README.md has {} lines", readme.lines().count());
    let long: Vec<_> = readme.lines().filter(|line| line.chars().count() > MAX_LINE_CHARS).collect();
    assert!(long.is_empty(), "{long:#?}");
}

/// Whoever has read one screen knows what syncgate does not do.
#[test]
fn the_first_screen_of_the_readme_says_what_is_missing() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let screen: String = readme.lines().take(25).collect();
    assert!(screen.contains("**No HTTP/3, and no WebSockets over HTTP/2.**"), "{screen}");
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut followed = 0;
    for (page, text) in pages() {
        for link in links(&text).into_iter().filter(|link| !link.starts_with("https://") && !link.starts_with("http://")) {
            let (path, anchor) = link.split_once('#').map_or((link.as_str(), None), |(path, anchor)| (path, Some(anchor)));
            let folder = Path::new(&page).parent().unwrap();
            let target = if path.is_empty() { root().join(&page) } else { root().join(folder).join(path) };
            assert!(target.exists(), "{page} leads to {link}, which is not there");
            if let Some(anchor) = anchor {
                let anchors = anchors(&fs::read_to_string(&target).unwrap());
                assert!(anchors.contains(anchor), "{page} leads to {link}; the headings are {anchors:?}");
            }
            followed += 1;
        }
    }
    assert!(followed > 60, "{followed} links were followed");
}

/// Sources are named from the root, or from `src` where all of a page is about it.
#[test]
fn every_source_that_a_page_names_is_there() {
    let is_path = |word: &&str| word.contains('/') && (word.ends_with(".rs") || word.ends_with('/') && word.starts_with("src/"));
    let mut named = 0;
    for (page, text) in pages() {
        let words = prose(&text).flat_map(|line| line.split('`').skip(1).step_by(2).map(|word| word.split("::").next().unwrap()));
        for path in words.filter(is_path).filter(|path| !path.contains(['*', ' '])) {
            let found = ["", "src", "src/token", "tests/suite"].iter().any(|folder| root().join(folder).join(path).exists());
            assert!(found, "{page} names {path}, which is not there");
            named += 1;
        }
    }
    assert!(named > 80, "{named} sources are named");
}

#[test]
fn no_page_holds_the_marks_of_a_merge() {
    let others = ["Makefile", "conf/gateway.yaml"].map(|path| (path.to_owned(), fs::read_to_string(root().join(path)).unwrap()));
    for (page, text) in pages().into_iter().chain(others) {
        let marks = ["<<<<<<<", "=======", ">>>>>>>"];
        let marked = text.lines().find(|line| marks.iter().any(|mark| line.starts_with(mark)));
        assert_eq!(marked, None, "{page}");
    }
}

#[test]
fn the_recipe_for_a_key_works_and_a_second_run_changes_nothing() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, step) = readme.split_once("**1. Generate a key.**").unwrap();
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
    assert!(String::from_utf8_lossy(&second.stderr).contains("already exists and was not changed"), "{second:?}");
}

#[test]
fn headings_and_links_are_read_as_readers_see_them() {
    let page = "# A `b`, c\n```sh\n# no heading [no](link)\n```\n[one](a.md#x) and ![two](b.svg)\n";
    assert_eq!(anchors(page), BTreeSet::from(["a-b-c".to_owned()]));
    assert_eq!(links(page), ["a.md#x", "b.svg"]);
}
