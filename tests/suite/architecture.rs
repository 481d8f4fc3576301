//! The rules of the house that a compiler does not check: arrows between rooms and files, where frameworks may be named, how long files
//! and functions get.

mod circles;
mod lengths;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

/// Which rooms a room may use. `src/lib.rs` explains the order.
const ARROWS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    (
        "cli",
        &[
            "admin",
            "certificate",
            "config",
            "demo",
            "endpoint",
            "jwks",
            "metrics",
            "proxy",
            "server",
            "signing",
            "terminal",
            "token",
        ],
    ),
    (
        "demo",
        &[
            "admin",
            "certificate",
            "config",
            "endpoint",
            "exchange",
            "jwks",
            "limits",
            "private_file",
            "proxy",
            "server",
            "signing",
            "terminal",
            "token",
        ],
    ),
    ("server", &["admin", "certificate", "config", "exchange", "jwks", "metrics", "proxy", "signing", "token"]),
    ("endpoint", &["certificate", "exchange", "private_file", "token"]),
    ("proxy", &["certificate", "endpoint", "exchange", "limits", "metrics", "priority", "private_file", "tls", "token"]),
    ("admin", &["exchange", "jwks", "metrics", "private_file", "signing", "token"]),
    (
        "config",
        &["admin", "certificate", "endpoint", "exchange", "jwks", "limits", "private_file", "proxy", "signing", "tls", "token"],
    ),
    ("exchange", &["jwks", "metrics", "priority", "signing", "token"]),
    ("certificate", &["metrics", "private_file", "tls"]),
    ("jwks", &["metrics", "private_file", "tls", "token"]),
    ("signing", &["private_file", "token"]),
    ("fuzzing", &["config", "endpoint", "proxy", "signing", "tls"]),
    ("limits", &[]),
    ("metrics", &[]),
    ("priority", &[]),
    ("private_file", &[]),
    ("terminal", &[]),
    ("tls", &[]),
    ("token", &[]),
    ("lib", &[]),
];

/// Which rooms of the edge a room of it may use. `docs/architecture.md` draws them.
const ARROWS_OF_THE_EDGE: &[(&str, &[&str])] = &[
    ("serve", &["address", "client", "http", "policy", "relay", "upstream", "websocket"]),
    ("websocket", &["client", "http", "policy", "relay", "upstream"]),
    ("relay", &["client", "http", "upstream"]),
    ("policy", &["address", "http"]),
    ("upstream", &["http"]),
    ("client", &["address", "http"]),
    ("address", &["http"]),
    ("http", &[]),
];

/// Where a framework may be named.
const FRAMEWORKS: &[(&str, &[&str])] = &[
    ("pingora", &["proxy"]),
    ("axum", &["admin", "demo"]),
    ("reqwest", &["jwks", "demo"]),
    ("prometheus", &["metrics"]),
    ("tokio_tungstenite", &["demo"]),
    ("saphyr", &["config"]),
    ("clap", &["main", "cli"]),
    ("instant_acme", &["certificate"]),
];

struct Source {
    room: String,
    path: String,
    /// Without comments, and without unit tests: those may reach further.
    code: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let relative = path.strip_prefix(&root).unwrap().with_extension("");
            let room = relative.iter().next().unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(&path).unwrap();
            let is_test = relative.iter().any(|part| part.to_str().is_some_and(is_of_tests));
            let code = if is_test { String::new() } else { code_of(&text) };
            sources.push(Source { room, path: relative.display().to_string(), code, text });
        }
    }
    assert!(sources.len() > 20, "src/ was not found");
    sources
}

/// Whether a file or folder of this name holds tests and what they need.
fn is_of_tests(name: &str) -> bool {
    matches!(name, "tests" | "testing") || name.ends_with("_tests") || name.starts_with("test_")
}

/// The code of a file without its unit tests, which stand at its end, and without comments.
fn code_of(text: &str) -> String {
    const TESTS: &str = "#[cfg(test)]\nmod tests {";
    let (code, tests) = text.split_once(TESTS).unwrap_or((text, "\n}\n"));
    let behind = tests.split_once("\n}\n").map(|(_, behind)| behind);
    assert_eq!(behind, Some(""), "something stands behind the unit tests");
    code.lines().map(without_comment).collect::<Vec<_>>().join("\n")
}

/// Two slashes behind a colon are those of a URL in a string.
fn without_comment(line: &str) -> &str {
    let starts = line.match_indices("//").map(|(start, _)| start);
    starts.into_iter().find(|start| !line[..*start].ends_with(':')).map_or(line, |start| &line[..start])
}

/// The rooms that `crate::…` paths in the code name, also in nested `use crate::{…}` lists.
fn rooms_used(code: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let rest = rest.trim_start();
        let Some(list) = rest.strip_prefix('{') else {
            rooms.push(first_name(rest));
            continue;
        };
        let mut depth = 1;
        let mut item = String::new();
        for letter in list.chars() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && letter == ',') {
                rooms.push(first_name(item.trim_start()));
                item.clear();
            } else {
                item.push(letter);
            }
            if depth == 0 {
                break;
            }
        }
    }
    rooms.retain(|room| !room.is_empty());
    rooms
}

fn first_name(path: &str) -> String {
    path.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect()
}

/// The rooms of the edge that code inside of it names: `crate::proxy::room::…`, also in nested lists.
fn rooms_of_the_edge_used(code: &str) -> Vec<String> {
    let code = code.split_whitespace().collect::<String>().replace("pub(incrate::proxy", "");
    // A list is read as the one of the crate is.
    rooms_used(&code.replace("crate::", "").replace("proxy::", "crate::"))
}

/// Rooms of the edge know nothing but each other: what its door shows is for the rest of the house.
#[test]
fn arrows_point_one_way_in_the_edge() {
    let allowed: BTreeMap<_, _> = ARROWS_OF_THE_EDGE.iter().copied().collect();
    let mut seen = BTreeMap::<String, usize>::new();
    for source in sources().iter().filter(|source| source.room == "proxy") {
        let Some(room) = source.path.split('/').nth(1).filter(|room| allowed.contains_key(room)) else { continue };
        *seen.entry(room.to_owned()).or_default() += 1;
        for used in rooms_of_the_edge_used(&source.code) {
            let is_door = matches!(used.as_str(), "ProxyError" | "ProxySettings") && room == "serve";
            assert!(
                used == room || is_door || allowed[room].contains(&used.as_str()),
                "{}: {room} must not use {used}",
                source.path
            );
        }
    }
    assert!(seen.len() == allowed.len() && seen.values().all(|files| *files > 1), "{seen:?}");
}

#[test]
fn arrows_point_one_way() {
    let allowed: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    for source in sources() {
        let room = allowed.get(source.room.as_str()).unwrap_or_else(|| panic!("the room {} has no row in ARROWS", source.room));
        for used in rooms_used(&source.code) {
            assert!(used == source.room || room.contains(&used.as_str()), "{}: {} must not use {used}", source.path, source.room);
        }
    }
}

#[test]
fn frameworks_stay_in_their_rooms() {
    for source in sources() {
        for (framework, rooms) in FRAMEWORKS {
            let named = source.code.contains(&format!("{framework}::")) || source.code.contains(&format!("use {framework}"));
            assert!(!named || rooms.contains(&source.room.as_str()), "{} names {framework}", source.path);
        }
    }
}

#[test]
fn the_core_is_pure() {
    /// Of the standard library: what looks at the clock, does I/O, or locks.
    const IMPURE: &[&str] = &[
        "SystemTime::now",
        "Instant::now",
        "std::env",
        "std::fs",
        "std::io",
        "std::net",
        "std::process",
        "std::thread",
        "Mutex",
        "RwLock",
        "Condvar",
        "OnceLock",
        "LazyLock",
        "Atomic",
        "mpsc",
        "now_utc",
    ];
    let crates = crates();
    let mut used = BTreeSet::new();
    for source in sources().iter().filter(|source| source.room == "token") {
        for name in IMPURE {
            assert!(!source.code.contains(name), "{} uses {name}", source.path);
        }
        used.extend(crates.iter().filter(|name| names(&source.code, name)).cloned());
    }
    let pure = ["aws_lc_rs", "base64", "jsonwebtoken", "serde", "serde_json", "thiserror", "x509_parser"];
    assert_eq!(used, BTreeSet::from(pure.map(str::to_owned)));
}

/// The crates that Cargo.toml names, as code does. But `time`, which is a module of the standard library and of the core too.
fn crates() -> Vec<String> {
    let manifest = fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let (_, list) = manifest.split_once("[dependencies]\n").unwrap();
    let (list, _) = list.split_once("\n\n").unwrap();
    let crates: Vec<_> =
        list.lines().filter_map(|line| Some(line.split_once(" = ")?.0.replace('-', "_"))).filter(|name| name != "time").collect();
    assert!(crates.len() > 40, "{crates:?}");
    crates
}

/// Whether code names a crate: at the beginning of a path, also of one within a list of `use`.
fn names(code: &str, name: &str) -> bool {
    let path = format!("{name}::");
    code.match_indices(&path)
        .any(|(start, _)| !code[..start].ends_with(|letter: char| letter.is_alphanumeric() || "_:".contains(letter)))
}

#[test]
fn comments_and_unit_tests_are_no_code() {
    let file = "let url = \"http://a\"; b::c() // d::e\n#[cfg(test)]\nmod tests {\n    use f;\n}\n";
    assert_eq!(code_of(file).trim_end(), "let url = \"http://a\"; b::c()");
    assert!(names("use {a, time::B};", "time") && !names("use std::time::B; x_time::y()", "time"));
}

#[test]
fn lists_of_rooms_are_read_in_full() {
    let used = rooms_used("use crate::{\n    a::{B, c::D},\n    e,\n};\nfn f() { crate::g::h() }");
    assert_eq!(used, ["a", "e", "g"]);
}

/// `src/lib.rs` has them too, for those who read.
#[test]
fn the_map_shows_the_same_arrows() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let map = fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let mut shown = BTreeMap::new();
    for row in map.lines().filter_map(|line| line.strip_prefix("//! | [`")) {
        let cells: Vec<_> = row.split(" | ").collect();
        let [room, _, may_use] = cells[..] else { panic!("{row}") };
        let rooms: Vec<_> = may_use.trim_end_matches(" |").split(", ").filter(|room| *room != "nothing").collect();
        shown.insert(room.trim_end_matches("`]").to_owned(), rooms);
    }
    let without_a_row = ["main", "fuzzing", "lib"];
    let arrows = ARROWS.iter().filter(|(room, _)| !without_a_row.contains(room));
    assert_eq!(shown, arrows.map(|(room, may_use)| ((*room).to_owned(), may_use.to_vec())).collect());
}
