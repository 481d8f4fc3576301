use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{TENANT_ID, changed, config, problems, small};
use crate::config::{
    Effective, document,
    document::{Node, Value as Yaml},
    reading::Reading,
};

const PAGE: &str = include_str!("../../../docs/settings.md");

/// A key that no section has, and that is near none.
const UNKNOWN: &str = "zzzzzzzzzzzz";

const ENDPOINT: &str = "/routes/0/endpoint";

/// Every mapping of the file whose keys are fixed, as the page writes it, and as a JSON pointer into [`bases`].
const SECTIONS: [(&str, &str); 31] = [
    ("", ""),
    ("listen.", "/listen"),
    ("listen.also[].", "/listen/also/0"),
    ("listen.tls.", "/listen/tls"),
    ("listen.tls.acme.", "/listen/tls/acme"),
    ("listen.tls.certificates[].", "/listen/tls/certificates/0"),
    ("listen.tls.client_certificates.", "/listen/tls/client_certificates"),
    ("listen.tls.client_certificates.names[].", "/listen/tls/client_certificates/names/0"),
    ("listen.http2.", "/listen/http2"),
    ("admin.", "/admin"),
    ("issuers[].", "/issuers/0"),
    ("issuers[].unknown_kid.", "/issuers/0/unknown_kid"),
    ("token.", "/token"),
    ("signing.", "/signing"),
    ("mint.", "/mint"),
    ("upstream.", "/upstream"),
    ("upstream.tls.", "/upstream/tls"),
    ("upstream.health.", "/upstream/health"),
    ("routes[].", "/routes/0"),
    ("routes[].token.", "/routes/0/token"),
    ("routes[].cors.", "/routes/0/cors"),
    ("routes[].close_codes.", "/routes/0/close_codes"),
    ("routes[].resource.", "/routes/0/resource"),
    ("routes[].endpoint.", ENDPOINT),
    ("limits.", "/limits"),
    ("limits.address.", "/limits/address"),
    ("limits.user.", "/limits/user"),
    ("headers.", "/headers"),
    ("cache.", "/cache"),
    ("log.", "/log"),
    ("shutdown.", "/shutdown"),
];

/// Settings whose default depends on others, or is too long for a table.
const WITHOUT_ONE_DEFAULT: [&str; 15] = [
    "headers.strip",
    "issuers[].audiences",
    "issuers[].discovery",
    "issuers[].issuer",
    "issuers[].name",
    "issuers[].policies",
    "issuers[].preset",
    "issuers[].user_id",
    "routes[].endpoint.callers",
    "routes[].endpoint.tenants",
    "routes[].endpoint.type",
    "routes[].name",
    "routes[].upstream",
    "signing.key_file",
    "upstream.url",
];

/// A row of the page: the key, its default, what is accepted, what it means.
struct Row {
    key: String,
    default: String,
    accepted: String,
    meaning: String,
}

impl Row {
    fn of(line: &str) -> Option<Self> {
        let cells = line.strip_prefix("| ")?.strip_suffix(" |")?.replace("\\|", "\0");
        let cells: Vec<_> = cells.split(" | ").map(|cell| cell.replace('\0', "\\|")).collect();
        let [key, default, accepted, meaning] = cells.try_into().ok()?;
        let key = key.strip_prefix('`')?.strip_suffix('`')?.to_owned();
        Some(Self { key, default, accepted, meaning })
    }

    fn line(&self) -> String {
        format!("| `{}` | {} | {} | {} |", self.key, self.default, self.accepted, self.meaning)
    }

    /// The default where it is a value as it would be written.
    fn value(&self) -> Option<&str> {
        self.default.strip_prefix('`').and_then(|rest| rest.split_once('`')).map(|(value, _)| value)
    }

    fn pointer(&self) -> String {
        format!("/{}", self.key.replace("[]", "/0").replace('.', "/"))
    }
}

fn rows() -> Vec<Row> {
    PAGE.lines().filter_map(Row::of).collect()
}

/// Configs in which between them every key has a meaning.
fn bases() -> [Value; 6] {
    let mut first = small();
    first["routes"] = json!([{ "name": "a" }]);
    let pair = json!({ "chain_file": "a.pem", "key_file": "a.key" });
    let tls = json!({ "certificates": [pair], "acme": { "domains": ["a.contoso.com"] }, "client_certificates": { "names": [{ "name": "a.contoso.com" }] } });
    first["listen"] = json!({ "also": [{ "address": "127.0.0.1:0" }], "tls": tls });
    let mut second = first.clone();
    second["issuers"][0] = json!({ "preset": "entra", "tenant": TENANT_ID, "audiences": ["api"], "proxy": "http://proxy:1" });
    second["signing"] = json!({ "algorithm": "HS256", "secret_env": "SECRET" });
    second["routes"] = json!([{ "preset": "couchdb", "access": "public" }]);
    let mut third = first.clone();
    third["signing"] = json!({ "algorithm": "HS256", "secret_file": "secret" });
    third["upstreams"] = json!({ "a": third["upstream"].take() });
    third.as_object_mut().unwrap().remove("upstream");
    let [exchange, policy, entra] = endpoints();
    [first, second, third, exchange, policy, entra]
}

/// Configs with an endpoint, which has no use for most keys of a route.
fn endpoints() -> [Value; 3] {
    ["token_exchange", "b2c_policy", "entra"].map(|kind| {
        let mut base = small();
        let mut endpoint = json!({ "type": kind });
        if kind != "token_exchange" {
            endpoint["callers"] = json!([{ "bearer": { "secret_file": "secret" } }]);
        }
        if kind == "entra" {
            endpoint["tenants"] = json!([TENANT_ID]);
        }
        base["routes"] = json!([{ "name": "a", "path": "/a", "endpoint": endpoint }]);
        base
    })
}

/// The keys that the reader knows, as it lists them where one is unknown.
fn known_keys() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for base in bases() {
        for (name, pointer) in SECTIONS {
            if pointer.starts_with("/upstream") && base.get("upstream").is_none() {
                continue;
            }
            if pointer.starts_with("/listen/") && base.get("listen").is_none() {
                continue;
            }
            if base.pointer(ENDPOINT).is_some() != (pointer == ENDPOINT) {
                continue;
            }
            let text = changed(base.clone(), &[(&format!("{pointer}/{UNKNOWN}"), json!(1))]);
            let all = problems(&text);
            let listed = all.iter().find(|problem| problem.contains(UNKNOWN));
            let listed = listed.and_then(|problem| problem.split_once("unknown key; accepted: "));
            let (_, keys) = listed.unwrap_or_else(|| panic!("no list of the keys of {name}: {all:#?}"));
            known.extend(keys.split(", ").map(|key| format!("{name}{key}")));
        }
    }
    // Not settings but mappings of settings, which have rows of their own.
    let mappings: BTreeSet<_> = SECTIONS.iter().map(|(name, _)| name.trim_end_matches(['.', '[', ']'])).collect();
    known.retain(|key| {
        !mappings.contains(key.as_str())
            || ["upstream", "upstream.health", "routes[].cors", "routes[].endpoint", "routes[].resource"].contains(&key.as_str())
    });
    known
}

/// What the reader says of a key that holds what no key takes, without the default that it ends with.
fn accepted(row: &Row) -> String {
    let key = row.key.replace("[]", "[0]");
    for base in bases() {
        if ["listen.also", "listen.tls"].iter().any(|start| row.key.starts_with(start)) && base.get("listen").is_none() {
            continue;
        }
        let all = problems(&changed(base, &[(&row.pointer(), json!([{}]))]));
        let of_key = |problem: &&String| problem.starts_with(&format!("{key}:")) || problem.starts_with(&format!("{key}[0]:"));
        let all: Vec<_> = all.into_iter().filter(|problem| !problem.contains("unknown key")).collect();
        let Some((_, accepted)) = all.iter().rev().filter(of_key).find_map(|problem| problem.split_once("; accepted: ")) else {
            continue;
        };
        if let Some((accepted, default)) = accepted.rsplit_once(" (default ") {
            assert_eq!(row.value(), default.strip_suffix(')'), "{key}");
            return accepted.replace('|', "\\|");
        }
        return accepted.replace('|', "\\|");
    }
    panic!("the reader does not say what {key} accepts")
}

/// The printout of a config with defaults alone: each setting under the name that the page has for it.
fn printed() -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    // What is the same key everywhere is that of the last one.
    for base in endpoints().into_iter().chain([small()]) {
        let printed = Effective(&config(&base.to_string())).to_string();
        let reading = Reading::new("/".as_ref());
        collect(&document::parse(printed.as_bytes(), &reading).unwrap(), "", &mut settings);
    }
    settings.into_iter().map(|(key, value)| (key.replace("upstreams.default.", "upstream."), value)).collect()
}

fn collect(node: &Node, key: &str, settings: &mut BTreeMap<String, String>) {
    match &node.value {
        Yaml::Map(entries) if key == "mint.claims" => {
            let claims = entries.iter().map(|(name, node)| format!("{}: {}", name.name, text(node)));
            settings.insert(key.to_owned(), claims.collect::<Vec<_>>().join(", "));
        }
        Yaml::Map(entries) => {
            let dot = if key.is_empty() { "" } else { "." };
            entries.iter().for_each(|(name, node)| collect(node, &format!("{key}{dot}{}", name.name), settings));
        }
        Yaml::List(items) if ["issuers", "listen.also", "routes"].contains(&key) => {
            items.iter().for_each(|item| collect(item, &format!("{key}[]"), settings));
        }
        _ => drop(settings.insert(key.to_owned(), text(node))),
    }
}

fn text(node: &Node) -> String {
    match &node.value {
        Yaml::Null => String::new(),
        Yaml::Text(text, _) => text.clone(),
        Yaml::List(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Yaml::Map(entries) => {
            let values: Vec<_> = entries.iter().map(|(_, node)| text(node)).collect();
            // A place of a token, as everybody writes it.
            if values == ["authorization", "Bearer"] { "Authorization: Bearer".to_owned() } else { values.join(" ") }
        }
    }
}

#[test]
fn every_key_has_one_row_and_no_other_row_is_there() {
    let mut keys: Vec<_> = rows().into_iter().map(|row| row.key).collect();
    keys.sort();
    assert_eq!(keys, known_keys().into_iter().collect::<Vec<_>>());
}

#[test]
fn what_is_accepted_is_what_the_reader_says() {
    let mut expected = Vec::new();
    for row in rows() {
        expected.push(Row { accepted: accepted(&row), ..row }.line());
    }
    let rows: Vec<_> = rows().iter().map(Row::line).collect();
    assert!(rows == expected, "the rows of docs/settings.md must be:\n{}", expected.join("\n"));
}

#[test]
fn every_default_is_that_of_the_printout() {
    let printed = printed();
    let mut compared = 0;
    for row in rows() {
        match (row.value(), printed.get(&row.key)) {
            (Some(value), Some(printed)) if !WITHOUT_ONE_DEFAULT.contains(&row.key.as_str()) => {
                assert_eq!(value, printed, "{}", row.key);
                compared += 1;
            }
            (None, Some(_)) => assert!(WITHOUT_ONE_DEFAULT.contains(&row.key.as_str()), "{} has a default", row.key),
            _ => {}
        }
    }
    assert!(compared > 55, "{compared} defaults were compared");
    let rows: BTreeSet<_> = rows().into_iter().map(|row| row.key).collect();
    let missing: Vec<_> = printed.keys().filter(|key| !rows.contains(*key)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
