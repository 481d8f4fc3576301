//! [`RawMembers`]: the outermost members of a JSON object as they stand in its text, for who changes one and keeps the rest.

use std::{borrow::Cow, fmt};

use serde::{
    Deserializer as _,
    de::{Error, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::token::json::{NameSeed, find, without_duplicates};

/// The outermost members of a JSON object, none of them twice. Their values are JSON; nothing else is known of them.
#[derive(Debug)]
pub(crate) struct RawMembers<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> RawMembers<'a> {
    /// Reads up to `most` members. None: no JSON object, or more of them, or one that appears twice; an escaped name counts as what it
    /// means.
    pub(crate) fn of(text: &'a str, most: usize) -> Option<Self> {
        let mut json = serde_json::Deserializer::from_str(text);
        let members = json.deserialize_map(Outermost { most }).ok()?;
        json.end().ok()?;
        without_duplicates(members).ok().map(Self)
    }

    /// The value of the member of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        find(&self.0, name).copied()
    }

    /// The names of all.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }
}

struct Outermost {
    most: usize,
}

impl<'de> Visitor<'de> for Outermost {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = entries.next_key_seed(NameSeed)? {
            members.push((name, entries.next_value()?));
            if members.len() > self.most {
                return Err(A::Error::custom("too many members"));
            }
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_members_are_read_as_may_be() {
        let names =
            |text: &'static str| RawMembers::of(text, 2).map(|members| members.names().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(names("{}"), Some(vec![]));
        assert_eq!(names(r#"{"b":1}"#), Some(vec!["b".to_owned()]));
        assert_eq!(names(r#"{"b":1,"\u0061":{"c":2,"d":3,"e":4}}"#), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(names(r#"{"b":1,"a":2,"c":3}"#), None);
        assert_eq!(names(r#"{"b":1,"b":2}"#), None);
    }
}
