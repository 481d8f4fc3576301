//! A value of the file as JSON, for a claim of a minted token.

use serde_json::{Map, Number, Value as Json};

use crate::config::{
    document::{Node, Value},
    field::{Field, MAX_TEXT_BYTES},
    suggest::shown,
};

impl Field<'_> {
    /// The value as JSON. A scalar without quotes is what it would be in JSON; what JSON does not know is text.
    pub(super) fn json(&self) -> Option<Json> {
        json(self.node).map_err(|wrong| self.problem(wrong)).ok()
    }
}

fn json(node: &Node) -> Result<Json, String> {
    match &node.value {
        Value::Null => Ok(Json::Null),
        Value::Text(text, _) if text.chars().any(char::is_control) => {
            Err(format!("\"{}\" contains a line break or another control character", shown(text)))
        }
        Value::Text(text, _) if text.len() > MAX_TEXT_BYTES => Err(format!("\"{}\" is too long", shown(text))),
        Value::Text(text, false) => Ok(text.as_str().into()),
        Value::Text(text, true) => plain(text),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => {
            let member = |(key, node): &(crate::config::document::Key, Node)| json(node).map(|value| (key.name.clone(), value));
            entries.iter().map(member).collect::<Result<Map<_, _>, _>>().map(Json::Object)
        }
    }
}

fn plain(text: &str) -> Result<Json, String> {
    match text {
        "true" => return Ok(true.into()),
        "false" => return Ok(false.into()),
        _ => {}
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    match serde_json::from_str::<Number>(text) {
        Ok(number) if numeric && number.is_f64() && !text.contains(['.', 'e', 'E']) => {
            Err(format!("{} is a number of more than 64 bits; quote it to use it as text", shown(text)))
        }
        Ok(number) if numeric => Ok(number.into()),
        _ => Ok(text.into()),
    }
}
