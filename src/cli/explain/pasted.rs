//! Finds the token in pasted text: header lines, quotes, whole responses of a token endpoint, wrapped lines.

/// What is said of a pasted exchange.
pub(super) const EXCHANGE: &str = "a token exchange, whose subject_token is checked";

/// A token as found, and the text around it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pasted {
    /// What is checked.
    pub(super) token: Vec<u8>,
    /// The ignored text, described; none if there was only the token, with or without `Bearer`.
    pub(super) around: Vec<&'static str>,
    /// The body of a token exchange, if the token stood in one.
    pub(super) form: Option<Vec<u8>>,
}

/// Finds the token. What is not obviously wrapping stays, so that a check says what is wrong with it.
pub(super) fn token_in(text: &[u8]) -> Pasted {
    let mut around = Vec::new();
    let mut text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii();
    let mut owned: Vec<u8>;
    if let Some(token) = of_form(text) {
        return Pasted { token, around: vec![EXCHANGE], form: Some(text.to_vec()) };
    }
    if let Some(token) = of_answer(text) {
        around.push("a JSON object, whose access_token is checked");
        owned = token;
        text = owned.trim_ascii();
    }
    loop {
        if let Some(inner) = unquoted(text) {
            note(&mut around, "quotes");
            text = inner.trim_ascii();
        } else if let Some(rest) = without_prefix(text, b"authorization:") {
            note(&mut around, "the name of the header");
            text = rest.trim_ascii_start();
        } else if let Some(rest) = without_prefix(text, b"bearer ") {
            text = rest.trim_ascii_start();
        } else {
            break;
        }
    }
    if is_wrapped(text) {
        around.push("line breaks");
        owned = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'\\').collect();
        return Pasted { token: owned, around, form: None };
    }
    Pasted { token: text.to_vec(), around, form: None }
}

fn note(around: &mut Vec<&'static str>, what: &'static str) {
    if !around.contains(&what) {
        around.push(what);
    }
}

/// The `access_token` of a token endpoint's answer (RFC 6749 section 5.1).
fn of_answer(text: &[u8]) -> Option<Vec<u8>> {
    let answer: serde_json::Value = serde_json::from_slice(text).ok()?;
    Some(answer.as_object()?.get("access_token")?.as_str()?.as_bytes().to_vec())
}

/// The `subject_token` of an exchange's body (RFC 8693 section 2.1).
fn of_form(text: &[u8]) -> Option<Vec<u8>> {
    let is_form = !text.contains(&b'\n') && text.windows(b"subject_token=".len()).any(|window| window == b"subject_token=");
    let token = url::form_urlencoded::parse(text).find(|(name, _)| name == "subject_token").filter(|_| is_form);
    token.map(|(_, token)| token.into_owned().into_bytes())
}

/// The text between two quotes of one kind.
fn unquoted(text: &[u8]) -> Option<&[u8]> {
    const PAIRS: [(&str, &str); 5] = [("\"", "\""), ("'", "'"), ("`", "`"), ("\u{201c}", "\u{201d}"), ("\u{2018}", "\u{2019}")];
    PAIRS.iter().find_map(|(open, close)| text.strip_prefix(open.as_bytes())?.strip_suffix(close.as_bytes()))
}

fn without_prefix<'t>(text: &'t [u8], prefix: &[u8]) -> Option<&'t [u8]> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Whether it is a token over several lines, as terminals and mails break it, and nothing else.
fn is_wrapped(text: &[u8]) -> bool {
    let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'=');
    let is_wrapping = |byte: &u8| matches!(byte, b'\r' | b'\n' | b'\\' | b' ' | b'\t');
    text.contains(&b'\n')
        && text.iter().all(|byte| is_of_token(byte) || is_wrapping(byte))
        && text.split(|byte| *byte == b'\n').all(|line| !line.trim_ascii().trim_ascii_end().contains(&b' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";

    #[test]
    fn the_token_is_found_in_whatever_stands_around_it() {
        let wrapped = format!("{}\n{}\r\n  {}\n", &TOKEN[..20], &TOKEN[20..40], &TOKEN[40..]);
        let continued = format!("{}\\\n{}", &TOKEN[..20], &TOKEN[20..]);
        let answer = format!("{{\n \"token_type\": \"Bearer\", \"access_token\": \"{TOKEN}\", \"id_token\": \"x.y.z\"}}");
        for (text, around) in [
            (TOKEN.to_owned(), vec![]),
            (format!("  {TOKEN}\n"), vec![]),
            (format!("\u{feff}{TOKEN}"), vec![]),
            (format!("Bearer {TOKEN}"), vec![]),
            (format!("bearer   {TOKEN}\r\n"), vec![]),
            (format!("Authorization: Bearer {TOKEN}"), vec!["the name of the header"]),
            (format!("authorization:bearer {TOKEN}"), vec!["the name of the header"]),
            (format!("\"{TOKEN}\""), vec!["quotes"]),
            (format!("'Authorization: Bearer {TOKEN}'"), vec!["quotes", "the name of the header"]),
            (format!("Authorization: \"Bearer {TOKEN}\""), vec!["the name of the header", "quotes"]),
            (format!("\u{201c}{TOKEN}\u{201d}"), vec!["quotes"]),
            (answer, vec!["a JSON object, whose access_token is checked"]),
            (wrapped, vec!["line breaks"]),
            (continued, vec!["line breaks"]),
        ] {
            assert_eq!(token_in(text.as_bytes()), Pasted { token: TOKEN.into(), around, form: None }, "{text}");
        }
    }

    #[test]
    fn what_is_no_wrapping_stays_for_the_checks() {
        for text in ["", "a b", "\"", "a=.b=.c=", "{\"id_token\":\"x\"}", "two tokens\nin two lines", "Basic eyJ"] {
            assert_eq!(token_in(text.as_bytes()), Pasted { token: text.into(), around: Vec::new(), form: None }, "{text}");
        }
    }

    #[test]
    fn the_token_of_an_exchange_is_its_subject_token() {
        let body = format!("grant_type=x&subject_token={TOKEN}&subject_token_type=y");
        let pasted = token_in(format!("{body}\n").as_bytes());
        assert_eq!((pasted.token, pasted.form), (TOKEN.into(), Some(body.into_bytes())));
    }
}
