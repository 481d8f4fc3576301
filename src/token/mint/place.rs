//! [`Place`]: a variable `${...}` in a claim, replaced by a value of the verified identity.

use std::fmt;

use serde_json::Value;

use crate::token::json::EXACT;

/// `${SOURCE}` or `${SOURCE:-DEFAULT}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Where the value comes from.
    pub source: Source,
    /// What is there when the source has nothing, or null. In the text it is JSON if it can be read as JSON, else it is text.
    pub default: Option<Value>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `user_id`: always there.
    UserId,
    /// `name`: the claim that the issuer's `name_claim` names.
    Name,
    /// `roles`: the values of the claim that the issuer's `role_claim` names, as a list. Empty counts as nothing.
    Roles,
    /// `scopes`: as a list. Empty counts as nothing.
    Scopes,
    /// `claim:NAME`: any claim of the token.
    Claim(String),
    /// `first:TABLE`: the first value of the first row that fits.
    First(String),
    /// `all:TABLE`: the values of all rows that fit, each once, as a list.
    All(String),
}

impl Place {
    /// Parses the text between the braces. The error says what is wrong with it.
    pub(in crate::token) fn parse(text: &str) -> Result<Self, &'static str> {
        let (source, default) = match text.split_once(DEFAULT) {
            Some((source, default)) => (source, Some(default)),
            None => (text, None),
        };
        let source = Source::parse(source)?;
        if default.is_some() && !source.takes_default() {
            return Err("has a default that it cannot take: user_id is always there, and a table has a default of its own");
        }
        let default = default.map(|text| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)));
        if default.as_ref().is_some_and(|default| default.as_f64().is_some_and(|number| default.is_f64() && number.abs() >= EXACT))
        {
            return Err("has a default that is a number beyond 64 bits; write it in double quotes, as text");
        }
        if default.as_ref().is_some_and(Value::is_null) {
            return Err("has the default null, which is as good as none; leave it out");
        }
        Ok(Self { source, default })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "${{{}", self.source)?;
        match &self.default {
            None => {}
            Some(Value::String(text)) if !text.contains('}') && serde_json::from_str::<Value>(text).is_err() => {
                write!(out, "{DEFAULT}{text}")?;
            }
            // A brace would end the place; within a JSON string it can be written otherwise. So no default holds an object.
            Some(default) => write!(out, "{DEFAULT}{}", default.to_string().replace('}', "\\u007d"))?,
        }
        out.write_str("}")
    }
}

impl Source {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const UNKNOWN: &str =
            "is not known; accepted: user_id, name, roles, scopes, claim:NAME, first:TABLE, all:TABLE, and :-DEFAULT after it";
        let named = |name: &str| if name.is_empty() { Err("has no name after the colon") } else { Ok(name.to_owned()) };
        match (text, text.split_once(':')) {
            ("user_id", _) => Ok(Self::UserId),
            ("name", _) => Ok(Self::Name),
            ("roles", _) => Ok(Self::Roles),
            ("scopes", _) => Ok(Self::Scopes),
            (_, Some(("claim", name))) => named(name).map(Self::Claim),
            (_, Some(("first", name))) => named(name).map(Self::First),
            (_, Some(("all", name))) => named(name).map(Self::All),
            _ => Err(UNKNOWN),
        }
    }

    fn takes_default(&self) -> bool {
        matches!(self, Self::Name | Self::Roles | Self::Scopes | Self::Claim(_))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UserId => out.write_str("user_id"),
            Self::Name => out.write_str("name"),
            Self::Roles => out.write_str("roles"),
            Self::Scopes => out.write_str("scopes"),
            Self::Claim(name) => write!(out, "claim:{name}"),
            Self::First(table) => write!(out, "first:{table}"),
            Self::All(table) => write!(out, "all:{table}"),
        }
    }
}

/// Between a source and its default, as in a shell.
const DEFAULT: &str = ":-";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claim(name: &str, default: Option<Value>) -> Result<Place, &'static str> {
        Ok(Place { source: Source::Claim(name.to_owned()), default })
    }

    #[test]
    fn names_may_have_colons_and_defaults_are_json_or_text() {
        assert_eq!(Place::parse("claim:https://contoso.com/x"), claim("https://contoso.com/x", None));
        assert_eq!(Place::parse("claim:https://contoso.com/x:-none"), claim("https://contoso.com/x", Some(json!("none"))));
        for (text, default) in [
            ("", json!("")),
            ("false", json!(false)),
            ("42", json!(42)),
            ("\"42\"", json!("42")),
            ("007", json!("007")),
            ("[]", json!([])),
            ("[\"a\", 1]", json!(["a", 1])),
            ("a:-b", json!("a:-b")),
        ] {
            assert_eq!(Place::parse(&format!("claim:x:-{text}")), claim("x", Some(default)), "{text}");
        }
    }

    #[test]
    fn a_default_that_no_number_can_hold_is_refused() {
        let wrong = "has a default that is a number beyond 64 bits; write it in double quotes, as text";
        assert_eq!(Place::parse("claim:x:-123456789012345678901234"), Err(wrong));
        assert_eq!(Place::parse("claim:x:-18446744073709551615"), claim("x", Some(json!(u64::MAX))));
        assert_eq!(Place::parse("claim:x:-\"123456789012345678901234\""), claim("x", Some(json!("123456789012345678901234"))));
    }

    #[test]
    fn what_is_printed_is_read_again() {
        for text in ["user_id", "name", "roles", "scopes", "claim:a:b", "first:t", "all:t", "name:-Nobody", "roles:-[\"user\"]"] {
            assert_eq!(Place::parse(text).unwrap().to_string(), format!("${{{text}}}"));
        }
        for default in [json!("a}b"), json!("\""), json!("42"), json!(42), json!(["}"]), json!("null"), json!(true), json!("é")] {
            let place = claim("x", Some(default)).unwrap();
            let printed = place.to_string();
            let inner = printed.strip_prefix("${").unwrap().strip_suffix('}').unwrap();
            assert!(!inner.contains('}'), "{printed}");
            assert_eq!(Place::parse(inner), Ok(place), "{printed}");
        }
    }

    #[test]
    fn mistakes_are_told() {
        for text in ["", "oid", "claim", "User_id", "user_id ", "role", "env:HOME"] {
            assert!(Place::parse(text).unwrap_err().starts_with("is not known; accepted: user_id, "), "{text}");
        }
        for text in ["claim:", "first:", "all:", "claim::-x"] {
            assert_eq!(Place::parse(text), Err("has no name after the colon"), "{text}");
        }
        for text in ["user_id:-x", "first:t:-x", "all:t:-x"] {
            assert!(Place::parse(text).unwrap_err().starts_with("has a default that it cannot take"), "{text}");
        }
        assert!(Place::parse("name:-null").unwrap_err().starts_with("has the default null"));
    }
}
