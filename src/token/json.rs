//! JSON objects (RFC 8259) without duplicate members at any level, bounded in depth.

use std::borrow::Cow;

/// Why a text is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::token) enum JsonError {
    /// A member stands twice in one object; an escaped name counts as what it means.
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
    /// Any number.
    Number(serde_json::Number),
    /// A string.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Value<'a>>),
    /// An object.
    Object(Object<'a>),
}

/// A JSON object without duplicate members.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::token) struct Object<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

/// Parses an object.
pub(in crate::token) fn parse_object(_text: &[u8]) -> Result<Object<'_>, JsonError> {
    todo!()
}

impl<'a> Object<'a> {
    /// The member of this name.
    pub(in crate::token) fn get(&self, _name: &str) -> Option<&Value<'a>> {
        todo!()
    }
}

impl Value<'_> {
    /// The string, if it is one.
    pub(in crate::token) fn as_str(&self) -> Option<&str> {
        todo!()
    }

    /// The same value, owned.
    pub(in crate::token) fn to_owned_value(&self) -> serde_json::Value {
        todo!()
    }
}
