//! What is wrong with the format of a token that cannot be parsed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::token::{
    Rejection, TokenLimits,
    json::{self, JsonError, Value},
};

/// Why these bytes are no token, in fixed words.
pub(super) fn token_trouble(bytes: &[u8], limits: &TokenLimits, rejection: Rejection) -> String {
    if bytes.len() > limits.token {
        return format!("more than the limit of {} bytes (`token.max_bytes`)", limits.token);
    }
    let segments: Vec<&[u8]> = bytes.split(|byte| *byte == b'.').collect();
    match segments.as_slice() {
        [[]] => "nothing".to_owned(),
        [_] => "so it is opaque".to_owned(),
        [_, _, _, _, _] => "so it is encrypted (JWE)".to_owned(),
        [header, payload, signature] => {
            let named = [("header", header), ("payload", payload), ("signature", signature)];
            let trouble =
                named.iter().find_map(|(name, text)| segment_trouble(text).map(|trouble| format!("the {name} {trouble}")));
            trouble.or_else(|| header_trouble(header)).unwrap_or_else(|| match rejection {
                Rejection::TokenTooLarge => "its header or its kid is longer than the limits of `token`".to_owned(),
                other => other.label().to_owned(),
            })
        }
        _ => "so it is not a JWT".to_owned(),
    }
}

fn segment_trouble(text: &[u8]) -> Option<&'static str> {
    let has = |wanted: fn(&u8) -> bool| text.iter().any(wanted);
    if text.is_empty() {
        Some("is empty")
    } else if text.ends_with(b"=") {
        Some("ends in padding (=), which a JWT does not have")
    } else if has(u8::is_ascii_whitespace) {
        Some("has a space or a line break in it")
    } else if has(|byte| matches!(byte, b'+' | b'/')) {
        Some("has + or / in it: it is base64, but a JWT uses base64url")
    } else if has(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_')) {
        Some("has a character that is not base64url")
    } else if URL_SAFE_NO_PAD.decode(text).is_err() {
        Some("is cut short, or its last character is wrong")
    } else {
        None
    }
}

fn header_trouble(header: &[u8]) -> Option<String> {
    let header = URL_SAFE_NO_PAD.decode(header).ok()?;
    let object = match json::parse_object(&header) {
        Ok(object) => object,
        Err(error) => return Some(format!("the header {}", json_trouble(&header, error))),
    };
    let forbidden = ["b64", "crit", "cty", "enc", "zip"].into_iter().find(|name| object.has_member(name));
    if let Some(name) = forbidden {
        return Some(format!("the header has {name}"));
    }
    let texts = ["alg", "kid", "x5t", "x5t#S256", "typ"];
    let wrong =
        texts.into_iter().find_map(|name| object.get(name).filter(|value| value.as_str().is_none()).map(|value| (name, value)));
    match wrong {
        Some((name, value)) => Some(format!("{name} in the header is {}, not a string", type_of(value))),
        None if object.get("alg").is_none() => Some("the header has no alg".to_owned()),
        None => None,
    }
}

/// Why a text is not JSON object without duplicates.
pub(super) fn json_trouble(text: &[u8], error: JsonError) -> String {
    if error == JsonError::Duplicate {
        return "has a duplicate member".to_owned();
    }
    if text.starts_with(b"\xef\xbb\xbf") {
        return "begins with a byte order mark".to_owned();
    }
    if let Err(error) = std::str::from_utf8(text) {
        return format!("is not UTF-8 at byte {}", error.valid_up_to() + 1);
    }
    match serde_json::from_slice::<serde_json::Value>(text) {
        Ok(serde_json::Value::Object(_)) => "is nested too deeply".to_owned(),
        Ok(_) => "is JSON, but not an object".to_owned(),
        Err(error) if error.to_string().contains("surrogate") || error.to_string().contains("hex escape") => {
            format!("has a lone surrogate (\\ud800 to \\udfff) at line {}, column {}", error.line(), error.column())
        }
        Err(error) => format!("is not JSON at line {}, column {}", error.line(), error.column()),
    }
}

/// What a value is.
pub(super) fn type_of(value: &Value<'_>) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
