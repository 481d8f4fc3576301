//! Zero's format: `Sec-WebSocket-Protocol` is `encodeURIComponent(base64(JSON))`, and the JSON has the token as `authToken`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header::SEC_WEBSOCKET_PROTOCOL};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

use super::json_member::{self, Members};
use crate::token::{Rejection, one_token};

const MEMBER: &str = "authToken";

/// What `encodeURIComponent` leaves alone.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// The token of the one value.
pub(super) fn find(headers: &HeaderMap) -> Result<Option<Vec<u8>>, Rejection> {
    let Some(value) = only_value(headers)? else { return Ok(None) };
    let json = decoded(value)?;
    let member = Members::of(&json).and_then(|members| members.string(MEMBER));
    match member.map_err(|_| Rejection::AuthorizationMalformed)? {
        Some((token, _)) => one_token(token.as_bytes()).map(|token| Some(token.to_vec())),
        None => Ok(None),
    }
}

/// The value with another token in it. The JSON around it stays byte for byte.
pub(super) fn replaced(headers: &HeaderMap, token: &str) -> Result<String, Rejection> {
    let value = only_value(headers)?.ok_or(Rejection::MissingToken)?;
    let json = decoded(value)?;
    let member = Members::of(&json).and_then(|members| members.string(MEMBER));
    let (_, at) = member.map_err(|_| Rejection::AuthorizationMalformed)?.ok_or(Rejection::MissingToken)?;
    Ok(encoded(&json_member::replaced(&json, &at, token)))
}

fn only_value(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Rejection> {
    let mut values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Rejection::AmbiguousToken),
    }
}

fn decoded(value: &HeaderValue) -> Result<String, Rejection> {
    let base64: Vec<u8> = percent_decode(value.as_bytes()).collect();
    let json = STANDARD.decode(base64).map_err(|_| Rejection::AuthorizationMalformed)?;
    String::from_utf8(json).map_err(|_| Rejection::AuthorizationMalformed)
}

fn encoded(json: &str) -> String {
    utf8_percent_encode(&STANDARD.encode(json), ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (SEC_WEBSOCKET_PROTOCOL, value.parse().unwrap())).collect()
    }

    #[test]
    fn the_token_is_found_and_replaced_in_what_a_client_sends() {
        let json = r#"{"initConnectionMessage":["initConnection",{"x":"é"}],"authToken":"a.b.c"}"#;
        let sent = headers(&[&encoded(json)]);
        assert_eq!(find(&sent), Ok(Some(b"a.b.c".to_vec())));
        let other = json.replace("a.b.c", "new");
        assert_eq!(replaced(&sent, "new"), Ok(encoded(&other)));
    }

    #[test]
    fn the_encoding_is_that_of_the_browser() {
        // encodeURIComponent(btoa('{"authToken":"a~?"}'))
        assert_eq!(encoded(r#"{"authToken":"a~?"}"#), "eyJhdXRoVG9rZW4iOiJhfj8ifQ%3D%3D");
    }

    #[test]
    fn what_holds_no_token_has_none() {
        assert_eq!(find(&headers(&[])), Ok(None));
        assert_eq!(find(&headers(&[&encoded("{}")])), Ok(None));
        for value in ["bearer, a.b.c", "e30", "W10%3D", &encoded(r#"{"authToken":1}"#), &encoded(r#"{"authToken":"a b"}"#)] {
            assert_eq!(find(&headers(&[value])), Err(Rejection::AuthorizationMalformed), "{value}");
        }
        let twice = encoded(r#"{"authToken":"a","authToken":"b"}"#);
        assert_eq!(find(&headers(&[&twice])), Err(Rejection::AuthorizationMalformed));
        assert_eq!(find(&headers(&["e30%3D", "e30%3D"])), Err(Rejection::AmbiguousToken));
    }

    proptest! {
        #[test]
        fn the_json_around_the_token_stays(message in any::<String>(), token in "[a-zA-Z0-9_.-]{1,9}") {
            let message = serde_json::Value::from(message);
            let json = |token: &str| format!("{{\"initConnectionMessage\": [{message}],\"authToken\" :\"{token}\"}}");
            let sent = headers(&[&encoded(&json(&token))]);
            prop_assert_eq!(find(&sent), Ok(Some(token.into_bytes())));
            prop_assert_eq!(replaced(&sent, "NEW"), Ok(encoded(&json("NEW"))));
        }
    }
}
