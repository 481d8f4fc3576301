//! How long files and functions get.

use super::Source;

/// Longer files are split. Lines.
const MAX_FILE_LINES: usize = 400;
/// Half of the files are no longer. Lines.
const MAX_USUAL_FILE_LINES: usize = 150;
/// Longer functions are split. Lines, with the signature and the last brace.
const MAX_FUNCTION_LINES: usize = 80;

/// Longer functions, each with what it is: tables that are read row by row.
const TABLES: &[(&str, &str, &str)] = &[
    ("token/remedy", "remedy", "the words for each rejection"),
    ("config/tests/bad_routes", "rows", "a route and what is wrong with it in each row"),
    ("config/tests/bad_values", "own_rows", "a value and what is wrong with it in each row"),
    ("token/tests/explanation", "examples", "a token for each rejection"),
    ("token/tests/kind", "rows", "a token and what becomes of it in each row"),
    ("token/tests/shape", "rows", "a token and what becomes of it in each row"),
];

#[test]
fn files_stay_short() {
    let sources = super::sources();
    for source in &sources {
        let lines = source.text.lines().count();
        assert!(lines <= MAX_FILE_LINES, "{} has {lines} lines; {MAX_FILE_LINES} is the most", source.path);
    }
    let mut lengths: Vec<_> = sources.iter().map(|source| source.text.lines().count()).collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median <= MAX_USUAL_FILE_LINES, "half of the files have {median} lines or more; {MAX_USUAL_FILE_LINES} is the most");
}

#[test]
fn functions_stay_short() {
    let mut tables: Vec<_> = TABLES.iter().map(|(path, name, _)| (*path, *name)).collect();
    let sources = super::sources();
    for Source { path, text, .. } in &sources {
        for (name, lines) in functions(text).into_iter().filter(|(_, lines)| *lines > MAX_FUNCTION_LINES) {
            let table = tables.iter().position(|table| *table == (path.as_str(), name));
            let table = table.unwrap_or_else(|| panic!("{path}: {name} has {lines} lines; {MAX_FUNCTION_LINES} is the most"));
            tables.remove(table);
        }
    }
    assert!(tables.is_empty(), "these are short: {tables:?}");
}

#[test]
fn functions_are_measured() {
    let code = "fn one() {}\n\nimpl A {\n    /// fn no() {\n    pub(super) const fn three(\n        a: fn(u8) -> u8,\n    ) -> u8 {\n        \
                fn inner() {\n            1\n        }\n    }\n\n    async fn none(&self);\n}\n";
    assert_eq!(functions(code), [("one", 1), ("three", 7), ("inner", 3), ("none", 1)]);
}

/// The functions in code as rustfmt writes it, with how many lines each has.
fn functions(code: &str) -> Vec<(&str, usize)> {
    const BEFORE: [&str; 6] = ["pub", "const", "async", "unsafe", "extern", "\"C\""];
    let lines: Vec<_> = code.lines().collect();
    let mut functions = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some((before, behind)) = line.split_once("fn ") else { continue };
        let is_keyword = |word: &str| BEFORE.iter().any(|keyword| *keyword == word.split('(').next().unwrap());
        if !before.replace("(in ", "(").split_whitespace().all(is_keyword) {
            continue;
        }
        let name = behind.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next().unwrap();
        let indent = &line[..line.len() - line.trim_start().len()];
        let is_end = |line: &&str| {
            let own = line.strip_prefix(indent).filter(|own| !own.starts_with(' '));
            own.is_some_and(|own| own == "}" || own.ends_with(['}', ';']))
        };
        let length = lines[start..].iter().position(is_end).unwrap() + 1;
        functions.push((name, length));
    }
    functions
}
