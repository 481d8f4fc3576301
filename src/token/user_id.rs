//! Where the user id comes from: one claim, a list of claims that must agree, or several joined.

use std::borrow::Cow;

use crate::token::{Rejection, UnverifiedToken, json::Value};

/// Where the user id comes from. The result is 1 to 256 bytes, not white space alone, without control characters and
/// without such as turn the direction of writing.
///
/// B2C's constant "Not supported currently. Use oid claim." counts as no claim: it would be the same id for everyone.
#[derive(Clone, Debug, PartialEq)]
pub enum UserIdRule {
    /// The first of these claims that the token has; those that it has must agree. One claim is the usual case.
    Claims(Vec<String>),
    /// Text with claims in braces, for example `{tid}_{oid}`. Every claim named must be there. Between two claims stands a text
    /// that the first of them does not hold, or different people could get one id.
    Template(String),
}

/// A [`UserIdRule`], parsed.
#[derive(Debug)]
pub(in crate::token) enum UserIdSource {
    Claims(Vec<String>),
    Template(Vec<Part>),
}

/// A claim of a template with the text that follows it; the text before the first claim has no claim.
#[derive(Debug, Default, PartialEq)]
pub(in crate::token) struct Part {
    claim: Option<String>,
    text: String,
}

impl UserIdSource {
    pub(in crate::token) fn new(rule: &UserIdRule) -> Self {
        match rule {
            UserIdRule::Claims(names) => Self::Claims(names.clone()),
            UserIdRule::Template(template) => Self::Template(parts(template)),
        }
    }

    /// The claims that it is made of.
    pub(in crate::token) fn claims(&self) -> Vec<&str> {
        match self {
            Self::Claims(names) => names.iter().map(String::as_str).collect(),
            Self::Template(parts) => parts.iter().filter_map(|part| part.claim.as_deref()).collect(),
        }
    }

    /// Reads the user id.
    ///
    /// Errors: [`Rejection::UserIdMissing`], [`Rejection::UserIdInvalid`], [`Rejection::UserIdConflict`].
    pub(in crate::token) fn read<'s>(&self, token: &'s UnverifiedToken<'_>) -> Result<Cow<'s, str>, Rejection> {
        match self {
            Self::Claims(names) => agreed(names, token).map(Cow::Borrowed),
            Self::Template(parts) => joined(parts, token).map(Cow::Owned),
        }
    }
}

/// The one value of all the claims that the token has.
fn agreed<'s>(names: &[String], token: &'s UnverifiedToken<'_>) -> Result<&'s str, Rejection> {
    let mut found = None;
    for name in names {
        match (found, claim(token, name)?) {
            (Some(earlier), Some(value)) if earlier != value => return Err(Rejection::UserIdConflict),
            (None, value) => found = value,
            (Some(_), _) => {}
        }
    }
    found.ok_or(Rejection::UserIdMissing)
}

/// The template with the claims in it.
fn joined(parts: &[Part], token: &UnverifiedToken<'_>) -> Result<String, Rejection> {
    let mut id = String::new();
    let mut ends = Vec::with_capacity(parts.len());
    for part in parts {
        let start = id.len();
        if let Some(name) = &part.claim {
            id.push_str(claim(token, name)?.ok_or(Rejection::UserIdMissing)?);
            ends.push((start, id.len(), part.text.as_str()));
        }
        id.push_str(&part.text);
    }
    // Each claim must end where its separator first stands: then the id can be taken apart in one way only. Where the
    // separator is empty, it first stands before the claim, which is never empty.
    let (_, inner) = ends.split_last().ok_or(Rejection::UserIdMissing)?;
    let separable = |(start, end, separator): &(usize, usize, &str)| {
        id.get(*start..).and_then(|rest| rest.find(separator)) == Some(end - start)
    };
    if inner.iter().all(separable) && is_valid(&id) { Ok(id) } else { Err(Rejection::UserIdInvalid) }
}

/// One claim's value, if it is there and says anything.
fn claim<'s>(token: &'s UnverifiedToken<'_>, name: &str) -> Result<Option<&'s str>, Rejection> {
    match token.get(name) {
        None => Ok(None),
        Some(Value::String(value)) if names_nobody(value) => Ok(None),
        Some(Value::String(value)) if is_valid(value) => Ok(Some(value)),
        Some(_) => Err(Rejection::UserIdInvalid),
    }
}

/// Whether it is what B2C writes where it has no id: one id for everybody.
pub(crate) fn names_nobody(id: &str) -> bool {
    id.starts_with(B2C_CONSTANT)
}

/// Whether a text can be a user id.
pub(in crate::token) fn is_valid(id: &str) -> bool {
    if !(1..=MAX_BYTES).contains(&id.len()) {
        return false;
    }
    // Nearly every id is a GUID, or made of such letters.
    let is_plain = id.bytes().all(|byte| byte.is_ascii_graphic());
    is_plain || (!id.trim().is_empty() && !id.chars().any(|c| c.is_control() || is_directing(c)))
}

/// Characters that turn the direction of writing (Unicode annex 9): with them one id looks like another.
fn is_directing(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `x{a}y{b}z` to `x`, `a`+`y`, `b`+`z`. A brace without its partner is text.
fn parts(template: &str) -> Vec<Part> {
    let mut parts = vec![Part::default()];
    let mut rest = template;
    while let Some((text, name, after)) =
        rest.split_once('{').and_then(|(text, tail)| tail.split_once('}').map(|(name, after)| (text, name, after)))
    {
        if let Some(part) = parts.last_mut() {
            text.clone_into(&mut part.text);
        }
        parts.push(Part { claim: Some(name.to_owned()), text: String::new() });
        rest = after;
    }
    if let Some(part) = parts.last_mut() {
        rest.clone_into(&mut part.text);
    }
    parts
}

/// What `sub` says in B2C policies that were made before it could hold the object id.
const B2C_CONSTANT: &str = "Not supported currently.";

/// Backends make path segments and database keys of the id.
const MAX_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_taken_apart() {
        let part = |claim: Option<&str>, text: &str| Part { claim: claim.map(str::to_owned), text: text.to_owned() };
        assert_eq!(parts("{tid}_{oid}"), [part(None, ""), part(Some("tid"), "_"), part(Some("oid"), "")]);
        assert_eq!(parts("a-{sub}"), [part(None, "a-"), part(Some("sub"), "")]);
        assert_eq!(parts("a}{b"), [part(None, "a}{b")]);
    }
}
