//! "Did you mean": the nearest of some words. Also how text of the file is shown in a message.

use strsim::osa_distance;

/// Maximum number of characters of the file's text in a message.
const MAX_SHOWN: usize = 48;

/// Text of the file for a message: escaped, and cut where it is long.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push_str("...");
    }
    shown
}

/// The candidate that `word` was probably meant to be. That one is a plural and the other is not counts as one letter at most.
pub(super) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let word = normalized(word);
    if word.len() > MAX_SHOWN {
        return None;
    }
    candidates
        .iter()
        .map(|candidate| (apart(&word, &normalized(candidate)), *candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= (word.len().max(candidate.len()) / 3).min(3))
        .map(|(_, candidate)| candidate)
}

/// How many slips are between two words: letters to insert, delete, replace or swap with their neighbour.
fn apart(word: &str, candidate: &str) -> usize {
    let as_they_are = osa_distance(word, candidate);
    match (word.strip_suffix('y'), candidate.strip_suffix("ies")) {
        (Some(stem), Some(other)) => as_they_are.min(osa_distance(stem, other) + 1),
        _ => as_they_are,
    }
}

/// Case and the choice between dash and underscore do not count.
fn normalized(word: &str) -> String {
    word.to_ascii_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_word() {
        let keys = ["audiences", "algorithms", "user_id", "keep"];
        assert_eq!(nearest("audience", &keys), Some("audiences"));
        assert_eq!(nearest("algoritmhs", &keys), Some("algorithms"));
        assert_eq!(nearest("User-ID", &keys), Some("user_id"));
        assert_eq!(nearest("keys", &keys), None);
        assert_eq!(nearest("kep", &keys), Some("keep"));
        assert_eq!(nearest("kepe", &keys), Some("keep"), "a swap is one slip");
        assert_eq!(nearest("zebra", &keys), None);
        assert_eq!(nearest("policy", &["audiences", "policies", "tenant"]), Some("policies"));
        assert_eq!(nearest("polcy", &["audiences", "policies", "tenant"]), Some("policies"));
        assert_eq!(nearest("party", &["policies"]), None);
        assert_eq!(nearest(&"a".repeat(100_000), &keys), None);
    }

    #[test]
    fn what_is_shown_is_escaped_and_short() {
        assert_eq!(shown("a\u{1b}[31m"), "a\\u{1b}[31m");
        assert_eq!(shown(&"x".repeat(60)), format!("{}...", "x".repeat(48)));
    }
}
