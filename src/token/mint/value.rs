//! [`ClaimValue`]: the configured value of a claim.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

use crate::token::{Place, Source};

/// The value of a minted claim, as configured.
#[derive(Clone, Debug, PartialEq)]
pub enum ClaimValue {
    /// A text without places, a number, a truth value or null, unchanged.
    Fixed(Value),
    /// A variable alone: its value keeps its type. Without a value the claim is omitted.
    Place(Place),
    /// Text with places in it: texts go in as they are, other values as JSON. If a place has no value, the claim is left out.
    Text(Vec<Piece>),
    /// A list; elements without a value are left out.
    List(Vec<Self>),
    /// An object; members without a value are left out. The names are names, whatever dots and slashes are in them.
    Object(BTreeMap<String, Self>),
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Text unchanged. Never empty.
    Literal(String),
    /// A place.
    Place(Place),
}

/// A text whose places cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimValueError {
    /// `${` without `}`.
    #[error("has ${{ without }}; a literal ${{ is written $${{")]
    Unclosed,
    /// The text between the braces is wrong.
    #[error("${{{place}}} {wrong}")]
    Place {
        /// What is there.
        place: String,
        /// What is wrong with it.
        wrong: &'static str,
    },
}

impl ClaimValue {
    /// Reads a value with places in its texts. `$${` stands for a literal `${`.
    pub fn from_json(value: Value) -> Result<Self, ClaimValueError> {
        Ok(match value {
            Value::String(text) => Self::from_text(&text)?,
            Value::Array(values) => Self::List(values.into_iter().map(Self::from_json).collect::<Result<_, _>>()?),
            Value::Object(members) => {
                let member = |(name, value)| Self::from_json(value).map(|value| (name, value));
                Self::Object(members.into_iter().map(member).collect::<Result<_, _>>()?)
            }
            scalar => Self::Fixed(scalar),
        })
    }

    /// The value as [`from_json`](Self::from_json) reads it.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Fixed(Value::String(text)) => escaped(text).into(),
            Self::Fixed(value) => value.clone(),
            Self::Place(place) => place.to_string().into(),
            Self::Text(pieces) => pieces.iter().map(Piece::to_string).collect::<String>().into(),
            Self::List(values) => values.iter().map(Self::to_json).collect(),
            Self::Object(members) => members.iter().map(|(name, value)| (name.clone(), value.to_json())).collect(),
        }
    }

    /// Every place in it.
    pub fn places(&self) -> Vec<&Place> {
        match self {
            Self::Fixed(_) => Vec::new(),
            Self::Place(place) => vec![place],
            Self::Text(pieces) => pieces.iter().filter_map(Piece::place).collect(),
            Self::List(values) => values.iter().flat_map(Self::places).collect(),
            Self::Object(members) => members.values().flat_map(Self::places).collect(),
        }
    }

    /// Only the variable with the user id.
    pub fn user_id() -> Self {
        Self::Place(Place { source: Source::UserId, default: None })
    }

    fn from_text(text: &str) -> Result<Self, ClaimValueError> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            let (before, from) = rest.split_at(dollar);
            literal.push_str(before);
            if let Some(after) = from.strip_prefix(ESCAPED) {
                literal.push_str(OPEN);
                rest = after;
            } else if let Some(after) = from.strip_prefix(OPEN) {
                let (inner, after) = after.split_once('}').ok_or(ClaimValueError::Unclosed)?;
                let wrong = |wrong| ClaimValueError::Place { place: inner.to_owned(), wrong };
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Place(Place::parse(inner).map_err(wrong)?));
                rest = after;
            } else {
                literal.push('$');
                rest = from.get(1..).unwrap_or_default();
            }
        }
        literal.push_str(rest);
        match pieces.pop() {
            None => Ok(Self::Fixed(literal.into())),
            Some(Piece::Place(place)) if pieces.is_empty() && literal.is_empty() => Ok(Self::Place(place)),
            Some(last) => {
                pieces.push(last);
                pieces.extend((!literal.is_empty()).then_some(Piece::Literal(literal)));
                Ok(Self::Text(pieces))
            }
        }
    }
}

impl Piece {
    fn place(&self) -> Option<&Place> {
        match self {
            Self::Literal(_) => None,
            Self::Place(place) => Some(place),
        }
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => out.write_str(&escaped(text)),
            Self::Place(place) => place.fmt(out),
        }
    }
}

const OPEN: &str = "${";
const ESCAPED: &str = "$${";

fn escaped(text: &str) -> String {
    text.replace(OPEN, ESCAPED)
}

/// A value within a text: a text as it is, anything else as JSON.
pub(super) fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<ClaimValue, ClaimValueError> {
        ClaimValue::from_json(value)
    }

    #[test]
    fn texts_are_taken_apart() {
        let literal = |text: &str| Piece::Literal(text.to_owned());
        let user_id = || Place { source: Source::UserId, default: None };
        for (text, expected) in [
            ("", ClaimValue::Fixed(json!(""))),
            ("$", ClaimValue::Fixed(json!("$"))),
            ("a$b $ {c} }", ClaimValue::Fixed(json!("a$b $ {c} }"))),
            ("$${user_id}", ClaimValue::Fixed(json!("${user_id}"))),
            ("$$${x", ClaimValue::Fixed(json!("$${x"))),
            ("${user_id}", ClaimValue::user_id()),
            ("u-${user_id}", ClaimValue::Text(vec![literal("u-"), Piece::Place(user_id())])),
            ("${user_id}}", ClaimValue::Text(vec![Piece::Place(user_id()), literal("}")])),
            ("${user_id}${user_id}", ClaimValue::Text(vec![Piece::Place(user_id()), Piece::Place(user_id())])),
            ("$${${user_id}$", ClaimValue::Text(vec![literal("${"), Piece::Place(user_id()), literal("$")])),
        ] {
            let value = read(json!(text)).unwrap();
            assert_eq!(value, expected, "{text}");
            assert_eq!(value.to_json(), json!(text));
        }
    }

    #[test]
    fn what_is_not_text_is_fixed_and_structures_are_walked() {
        let value = json!({ "https://hasura.io/jwt/claims": { "x-hasura-user-id": "${user_id}", "n": [1, -2.5, true, null] } });
        let read = read(value.clone()).unwrap();
        assert_eq!(read.to_json(), value);
        assert_eq!(read.places().len(), 1);
    }

    #[test]
    fn mistakes_name_the_place() {
        assert_eq!(read(json!("a ${user_id")), Err(ClaimValueError::Unclosed));
        let error = read(json!({ "a": ["x ${oid}"] })).unwrap_err();
        assert!(error.to_string().starts_with("${oid} is not known; accepted: user_id, "), "{error}");
    }

    proptest! {
        /// Whatever text is in the config: it is refused, or it means the same when it is printed and read again.
        #[test]
        fn what_is_read_survives_printing(text in "([${}a:-]|\\$\\{|user_id|claim:x|\\}|\"|[^\\p{Cc}]){0,12}") {
            if let Ok(value) = read(json!(text)) {
                prop_assert_eq!(read(value.to_json()), Ok(value));
            }
        }

        #[test]
        fn any_fixed_text_can_be_written(text in "([${}]|[^\\p{Cc}]){0,12}") {
            let value = ClaimValue::Fixed(json!(text));
            prop_assert_eq!(read(value.to_json()), Ok(value));
        }
    }
}
