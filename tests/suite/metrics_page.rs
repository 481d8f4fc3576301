//! docs/metrics.md says what the gateway exports: names, types, labels, help texts and the values of labels.

use std::{collections::BTreeSet, fs, path::PathBuf};

use syncgate::metrics::Metrics;

fn read(path: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}

/// The text between double quotes.
fn literals(code: &str) -> Vec<&str> {
    code.split('"').skip(1).step_by(2).collect()
}

/// Where the functions are that give labels their values.
const LABELS: [&str; 8] = [
    "src/jwks/demand.rs",
    "src/proxy/client/announced.rs",
    "src/proxy/client/cut.rs",
    "src/proxy/client/handshake.rs",
    "src/proxy/client/unreadable.rs",
    "src/proxy/upstream/fault.rs",
    "src/proxy/websocket/close.rs",
    "src/token/jwk/skip_reason.rs",
];

/// The rows as they must be. Series without a sample are not exported, so the declarations are read.
fn declared() -> BTreeSet<String> {
    let source = read("src/metrics.rs");
    let (_, declarations) = source.split_once("let declare = Declare(&registry);").unwrap();
    let (declarations, _) = declarations.split_once("struct Declare").unwrap();
    let mut declarations = declarations.to_owned();
    for part in ["certificates", "clients", "jwks", "secure", "upstreams"] {
        let part = read(&format!("src/metrics/{part}.rs"));
        declarations.push_str(part.split_once("Ok(Self {").unwrap().1.split("mod tests").next().unwrap());
    }
    let row = |call: &str| {
        let call: &str = call.split(")?").next().unwrap();
        let kind = match call.trim_start().trim_start_matches('.').split('(').next().unwrap() {
            "counter" | "counters" | "panics" => "counter",
            "gauge" | "gauges" | "float_gauges" => "gauge",
            "histograms" => "histogram",
            other => panic!("{other} declares a series of no known type"),
        };
        let [name, help, labels @ ..] = &literals(call)[..] else { panic!("{call}") };
        let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        format!("| `syncgate_{name}` | {kind} | {labels} | {help} |").replace("|  |", "| |")
    };
    let calls = declarations.split("declare").filter(|rest| rest.trim_start().starts_with('.')).map(row).collect::<BTreeSet<_>>();
    assert!(calls.len() > 30, "the declarations were not found");
    calls
}

fn rows() -> BTreeSet<String> {
    read("docs/metrics.md").lines().filter(|line| line.starts_with("| `syncgate_")).map(str::to_owned).collect()
}

#[test]
fn every_series_has_its_row_and_no_other_row_is_there() {
    let (rows, declared) = (rows(), declared());
    let missing: Vec<_> = declared.difference(&rows).collect();
    let strange: Vec<_> = rows.difference(&declared).collect();
    assert!(rows == declared, "missing in docs/metrics.md: {missing:#?}\nnot declared: {strange:#?}");
}

#[test]
fn what_is_exported_is_what_the_page_says() {
    let text = Metrics::new().unwrap().render().unwrap();
    let lines: Vec<_> = text.lines().collect();
    let mut exported = 0;
    for line in lines.iter().filter_map(|line| line.strip_prefix("# HELP ")) {
        let (name, help) = line.split_once(' ').unwrap();
        let kind = lines.iter().find_map(|line| line.strip_prefix(&format!("# TYPE {name} "))).unwrap();
        let row = rows().into_iter().find(|row| row.starts_with(&format!("| `{name}` | {kind} |")));
        assert!(row.is_some_and(|row| row.ends_with(&format!("| {help} |"))), "{name} is a {kind}: {help}");
        exported += 1;
    }
    assert!(exported > 15, "{text}");
}

#[test]
fn every_value_of_a_label_stands_in_the_page() {
    let page = read("docs/metrics.md");
    let (_, values) = page.split_once("\n## Label values\n").unwrap();
    for path in LABELS {
        let source = read(path);
        let (_, function) = source.split_once("const fn label(self)").expect(path);
        let (function, _) = function.split_once("\n    }\n").expect(path);
        let listed = literals(function);
        assert!(!listed.is_empty(), "{path}");
        for value in listed {
            assert!(values.contains(&format!("`{value}`")), "docs/metrics.md lacks the value {value} of {path}");
        }
    }
}
