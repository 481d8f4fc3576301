//! Explains common mistakes in text that is not YAML, by looking at the lines around the position where the scanner gave up.

use crate::config::problem::Position;

/// The mistake that most likely stopped the scanner at this place, and where it is.
pub(super) fn mistake(text: &str, stopped: Position) -> Option<(Position, &'static str)> {
    let near = |number: &usize| number.abs_diff(stopped.line) <= 1;
    let lines: Vec<_> = text.lines().enumerate().map(|(index, line)| (index + 1, line)).collect();
    let around = || lines.iter().filter(|(number, _)| near(number));
    around()
        .find_map(|(number, line)| at(*number, line, tab(line)?, "a tab indents this line; write spaces"))
        .or_else(|| {
            around().find_map(|(number, line)| {
                at(*number, line, odd_blank(line)?, "a character that only looks like a space; write a space")
            })
        })
        .or_else(|| {
            around().find_map(|(number, line)| {
                at(*number, line, tight_colon(line)?, "the space after the colon is missing; write `key: value`")
            })
        })
        .or_else(|| unclosed(&lines))
        .or_else(|| {
            let (number, line) = lines.iter().find(|(number, _)| *number == stopped.line)?;
            let (_, above) = lines.iter().rev().find(|(above, text)| above < number && !is_empty(text))?;
            at(
                *number,
                line,
                too_deep(line, above)?,
                "indented more than the line above, which has a value already; keys of one mapping start in one column",
            )
        })
}

/// The place of a byte of a line.
fn at(number: usize, line: &str, byte: usize, mistake: &'static str) -> Option<(Position, &'static str)> {
    let before = line.get(..byte)?;
    Some((Position { line: number, column: before.chars().count() + 1 }, mistake))
}

fn is_empty(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// A tab among the blanks that a line begins with.
fn tab(line: &str) -> Option<usize> {
    let start = line.find(|letter: char| letter != ' ' && letter != '\t').unwrap_or(line.len());
    line.get(..start)?.find('\t')
}

/// A blank that is none to YAML, as text that is copied from a page often has.
fn odd_blank(line: &str) -> Option<usize> {
    line.find(|letter: char| !letter.is_ascii() && letter.is_whitespace() || matches!(letter, '\u{200b}' | '\u{feff}'))
}

/// The colon of `key:value`.
fn tight_colon(line: &str) -> Option<usize> {
    let key = line.trim_start().trim_start_matches("- ");
    let start = line.len() - key.len();
    let end = key.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')?;
    let rest = key.get(end..)?.strip_prefix(':')?;
    (end > 0 && rest.starts_with(|letter: char| !letter.is_whitespace()) && !rest.starts_with("//")).then_some(start + end)
}

/// A bracket that nothing closes.
fn unclosed(lines: &[(usize, &str)]) -> Option<(Position, &'static str)> {
    let mut open = Vec::new();
    for (number, line) in lines {
        let mut quote = None;
        let mut last = ' ';
        for (byte, letter) in line.char_indices() {
            match (quote, letter) {
                (Some(mark), letter) if mark == letter => quote = None,
                (Some(_), _) => {}
                (None, '#') if last.is_whitespace() => break,
                (None, '"' | '\'') if !last.is_alphanumeric() => quote = Some(letter),
                (None, '[' | '{') => open.push((*number, *line, byte)),
                (None, ']' | '}') => drop(open.pop()),
                _ => {}
            }
            last = letter;
        }
    }
    let (number, line, byte) = open.pop()?;
    at(number, line, byte, "this bracket is not closed")
}

/// Where a key starts that stands deeper than a line with a value above it.
fn too_deep(line: &str, above: &str) -> Option<usize> {
    let has_value = above.trim_start_matches([' ', '-']).split_once(": ").is_some_and(|(_, value)| !value.trim().is_empty());
    let start = |line: &str| indentation(line) + if line.trim_start().starts_with("- ") { 2 } else { 0 };
    (has_value && indentation(line) > start(above)).then(|| indentation(line))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    /// The first problem of a text.
    fn told(text: &str) -> String {
        Config::parse(text, Path::new("/")).unwrap_err().problems[0].to_string()
    }

    #[test]
    fn common_mistakes_are_told_by_name_and_place() {
        for (text, expected) in [
            ("signing:\n\tkey_file: a\n", "2:1: not YAML: a tab indents this line"),
            ("listen:\n  address: 127.0.0.1:80\n \t header_timeout: 1s\n", "3:2: not YAML: a tab indents this line"),
            ("signing: {key_file: a}\nrealm:x\nadmin: {}\n", "2:6: not YAML: the space after the colon is missing"),
            ("upstream:\n  url:http\n  host: client\n", "2:6: not YAML: the space after the colon is missing"),
            ("issuers:\n- preset: oidc\n \u{a0}issuer: a\n", "3:2: not YAML: a character that only looks like a space"),
            ("realm: a\nissuers: [{preset: oidc}\nsigning: {key_file: a}\n", "2:10: not YAML: this bracket is not closed"),
            ("issuers:\n- preset: oidc\n   issuer: a\n", "3:4: not YAML: indented more than the line above"),
            ("upstream:\n  url: a\n    host: b\n", "3:5: not YAML: indented more than the line above"),
        ] {
            let told = told(text);
            assert!(told.starts_with(expected), "{text:?}: {told}");
        }
    }
}
