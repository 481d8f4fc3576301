//! Members of a JWK, with their types checked. A null member counts as absent.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::SkipReason;
use crate::token::json::Object;

/// A string, if the member is there.
pub(super) fn string<'j>(jwk: &'j Object<'_>, name: &str) -> Result<Option<&'j str>, SkipReason> {
    jwk.get(name).map(|value| value.as_str().ok_or(SkipReason::MemberType)).transpose()
}

/// A string, owned.
pub(super) fn owned_string(jwk: &Object<'_>, name: &str) -> Result<Option<String>, SkipReason> {
    Ok(string(jwk, name)?.map(str::to_owned))
}

/// An array of strings, if the member is there.
pub(super) fn strings<'j>(jwk: &'j Object<'_>, name: &str) -> Result<Option<Vec<&'j str>>, SkipReason> {
    let Some(value) = jwk.get(name) else { return Ok(None) };
    let elements = value.elements().ok_or(SkipReason::MemberType)?;
    elements.map(|element| element.as_str().ok_or(SkipReason::MemberType)).collect::<Result<_, _>>().map(Some)
}

/// Bytes in base64, if the member is there.
pub(super) fn bytes(jwk: &Object<'_>, name: &str) -> Result<Option<Vec<u8>>, SkipReason> {
    let Some(text) = string(jwk, name)? else { return Ok(None) };
    decode(text).map(Some).ok_or(SkipReason::MemberEncoding)
}

/// Base64 as real providers write it: with either alphabet, with or without padding, with line breaks. Tokens get no such mercy.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches(|end: char| end == '=' || end.is_ascii_whitespace());
    let digits = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).map(|byte| match byte {
        b'+' => b'-',
        b'/' => b'_',
        other => other,
    });
    URL_SAFE_NO_PAD.decode(digits.collect::<Vec<_>>()).ok()
}
