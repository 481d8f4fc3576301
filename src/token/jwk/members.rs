//! Members of a JWK, with their types checked.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::SkipReason;
use crate::token::json::{Object, Value};

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
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::Array(values)) => {
            values.iter().map(|value| value.as_str().ok_or(SkipReason::MemberType)).collect::<Result<_, _>>().map(Some)
        }
        Some(_) => Err(SkipReason::MemberType),
    }
}

/// Bytes in base64url, if the member is there. Padding is tolerated, since real providers write it.
pub(super) fn bytes(jwk: &Object<'_>, name: &str) -> Result<Option<Vec<u8>>, SkipReason> {
    let Some(text) = string(jwk, name)? else { return Ok(None) };
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map(Some).map_err(|_| SkipReason::MemberEncoding)
}
