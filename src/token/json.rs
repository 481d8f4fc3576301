//! JSON objects (RFC 8259) without duplicate members at any level, bounded in depth.
//!
//! The grammar is serde_json's: strict UTF-8 and escapes, no lone surrogates, no `NaN`, no number beyond an `f64`, nothing
//! after the value. Duplicate members are also refused here, since readers that take the first and readers that take the last
//! would see two different tokens.

use std::{borrow::Cow, cell::Cell, cmp::Ordering, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Maximum number of levels of objects and arrays, the outermost included.
const MAX_DEPTH: usize = 32;

/// 2^53: below it each integer has an `f64` of its own (RFC 8259 section 6).
pub(in crate::token) const EXACT: f64 = 9_007_199_254_740_992.0;

/// Why a text is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::token) enum JsonError {
    /// A member appears twice in one object; an escaped name counts as what it means.
    Duplicate,
    /// No JSON object, or nested too deeply.
    Malformed,
}

/// A JSON value that borrows from its text where nothing is escaped.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::token) enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Any number. A whole one is an integer, however it is written, as far as every number up to it can be told from its neighbours in
    /// 64 bits; see [`is_exact`](Value::is_exact). One beyond an `f64` is refused.
    Number(serde_json::Number),
    /// A string.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Value<'a>>),
    /// An object.
    Object(Object<'a>),
}

/// A JSON object without duplicate members, sorted [`by_length`] of their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::token) struct Object<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

/// Parses an object.
pub(in crate::token) fn parse_object(text: &[u8]) -> Result<Object<'_>, JsonError> {
    let duplicate = Cell::new(false);
    let seed = ValueSeed { depth_left: MAX_DEPTH, duplicate: &duplicate };
    let mut json = serde_json::Deserializer::from_slice(text);
    match seed.deserialize(&mut json).and_then(|value| json.end().map(|()| value)) {
        Ok(Value::Object(object)) => Ok(object),
        Err(_) if duplicate.get() => Err(JsonError::Duplicate),
        _ => Err(JsonError::Malformed),
    }
}

/// Whether a text is an object by these rules, for texts that are read by others.
pub(crate) fn is_strict_object(text: &[u8]) -> bool {
    parse_object(text).is_ok()
}

/// The members of an object by these rules; none where it is not one.
pub(crate) fn strict_object(text: &[u8]) -> Option<serde_json::Map<String, serde_json::Value>> {
    match Value::Object(parse_object(text).ok()?).to_owned_value() {
        serde_json::Value::Object(members) => Some(members),
        _ => None,
    }
}

/// Whether each number in it can be told from its neighbours, as for [`Value::is_exact`].
pub(in crate::token) fn is_exact(value: &serde_json::Value) -> bool {
    use serde_json::Value as Json;
    match value {
        Json::Number(number) => !number.is_f64() || number.as_f64().is_some_and(|number| number.abs() < EXACT),
        Json::Array(values) => values.iter().all(is_exact),
        Json::Object(members) => members.values().all(is_exact),
        Json::Null | Json::Bool(_) | Json::String(_) => true,
    }
}

impl<'a> Object<'a> {
    /// The member of this name. One that is null is not there: that is how many serializers write what they have not.
    pub(in crate::token) fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.find(name).filter(|value| **value != Value::Null)
    }

    /// Whether there is a member of this name, be it null.
    pub(in crate::token) fn has_member(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Whether this is its one member.
    pub(in crate::token) fn is_only(&self, name: &str) -> bool {
        self.0.len() == 1 && self.get(name).is_some()
    }

    fn find(&self, name: &str) -> Option<&Value<'a>> {
        find(&self.0, name)
    }
}

/// The member of this name among those that are sorted.
pub(in crate::token) fn find<'m, V>(members: &'m [(Cow<'_, str>, V)], name: &str) -> Option<&'m V> {
    let index = members.binary_search_by(|(member, _)| by_length(member, name)).ok()?;
    members.get(index).map(|(_, value)| value)
}

/// Sorts the members of an object, so that duplicates meet. Sorting stays cheap for any number of members, in any order.
pub(in crate::token) fn without_duplicates<V>(mut members: Vec<(Cow<'_, str>, V)>) -> Result<Vec<(Cow<'_, str>, V)>, JsonError> {
    members.sort_unstable_by(|one, other| by_length(&one.0, &other.0));
    let duplicate = members.windows(2).any(|pair| matches!(pair, [one, other] if one.0 == other.0));
    if duplicate { Err(JsonError::Duplicate) } else { Ok(members) }
}

/// By length first: most names that are compared differ in it, and that is seen at once.
fn by_length(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

impl Value<'_> {
    /// The elements that are not null, if it is an array.
    pub(in crate::token) fn elements(&self) -> Option<impl Iterator<Item = &Self>> {
        match self {
            Self::Array(values) => Some(values.iter().filter(|value| **value != Value::Null)),
            _ => None,
        }
    }

    /// The string, if it is one.
    pub(in crate::token) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Whether each number in it can be told from its neighbours. An integer beyond 64 bits is held as the nearest `f64`, which is another
    /// number, and the same one for many.
    pub(in crate::token) fn is_exact(&self) -> bool {
        match self {
            Self::Number(number) => !number.is_f64() || number.as_f64().is_some_and(|number| number.abs() < EXACT),
            Self::Array(values) => values.iter().all(Self::is_exact),
            Self::Object(object) => object.0.iter().all(|(_, value)| value.is_exact()),
            Self::Null | Self::Bool(_) | Self::String(_) => true,
        }
    }

    /// The same value, owned.
    pub(in crate::token) fn to_owned_value(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Number(number) => number.clone().into(),
            Self::String(text) => text.as_ref().into(),
            Self::Array(values) => values.iter().map(Self::to_owned_value).collect(),
            Self::Object(object) => {
                let members = object.0.iter();
                members.map(|(name, value)| (name.to_string(), value.to_owned_value())).collect()
            }
        }
    }
}

/// Reads one value. The flag tells a duplicate from other errors, which serde reduces to text.
#[derive(Clone, Copy)]
struct ValueSeed<'s> {
    depth_left: usize,
    duplicate: &'s Cell<bool>,
}

impl ValueSeed<'_> {
    fn inner<E: Error>(self) -> Result<Self, E> {
        let depth_left = self.depth_left.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(Self { depth_left, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value<'de>, E> {
        // `1e2` and `100.0` are 100: every reader of the minted token is to see one number, and a rule to match one text.
        if value.fract() == 0.0 && value.abs() < EXACT {
            return Ok(Value::Number((value as i64).into()));
        }
        serde_json::Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::String(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::String(Cow::Borrowed(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value<'de>, A::Error> {
        let element = self.inner()?;
        let mut values = Vec::new();
        while let Some(value) = elements.next_element_seed(element)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value<'de>, A::Error> {
        let member = self.inner()?;
        let mut members = Vec::with_capacity(8);
        while let Some(name) = entries.next_key_seed(NameSeed)? {
            members.push((name, entries.next_value_seed(member)?));
        }
        without_duplicates(members).map(|members| Value::Object(Object(members))).map_err(|_| {
            self.duplicate.set(true);
            A::Error::custom("duplicate member")
        })
    }
}

/// Reads a member's name.
pub(in crate::token) struct NameSeed;

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for NameSeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a member's name")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
