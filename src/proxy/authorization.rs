//! Where the client's token sits: the `Authorization` header (RFC 6750 section 2.1).

use http::{HeaderMap, header};

use crate::token::Rejection;

/// The token of `Authorization: Bearer <token>`, undecoded. The scheme's case does not matter (RFC 9110 section 11.1).
///
/// Another scheme counts as no token, so that the challenge tells the client what is wanted.
pub(super) fn bearer_token(headers: &HeaderMap) -> Result<&[u8], Rejection> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Rejection::MissingToken)?.as_bytes();
    if values.next().is_some() {
        return Err(Rejection::AmbiguousToken);
    }
    let end_of_scheme = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end_of_scheme);
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(Rejection::MissingToken);
    }
    let token = rest.trim_ascii_start();
    // Without an early exit, so that many bytes are compared at a time.
    let is_graphic = token.iter().fold(true, |so_far, byte| so_far & byte.is_ascii_graphic());
    if token.is_empty() || !is_graphic {
        return Err(Rejection::AuthorizationMalformed);
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn token_of(values: &[&[u8]]) -> Result<Vec<u8>, Rejection> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        bearer_token(&headers).map(<[u8]>::to_vec)
    }

    #[test]
    fn the_scheme_is_bearer_in_any_case_and_spaces_may_be_many() {
        for value in [&b"Bearer a.b.c"[..], b"bearer a.b.c", b"BEARER   a.b.c"] {
            assert_eq!(token_of(&[value]), Ok(b"a.b.c".to_vec()));
        }
    }

    #[test]
    fn no_header_or_another_scheme_is_a_missing_token() {
        assert_eq!(token_of(&[]), Err(Rejection::MissingToken));
        assert_eq!(token_of(&[b"Basic dXNlcg=="]), Err(Rejection::MissingToken));
        assert_eq!(token_of(&[b"a.b.c"]), Err(Rejection::MissingToken));
        assert_eq!(token_of(&[b""]), Err(Rejection::MissingToken));
    }

    #[test]
    fn two_headers_are_ambiguous_even_when_equal() {
        assert_eq!(token_of(&[b"Bearer a.b.c", b"Bearer a.b.c"]), Err(Rejection::AmbiguousToken));
    }

    #[test]
    fn anything_but_one_token_is_malformed() {
        for value in [&b"Bearer"[..], b"Bearer ", b"Bearer a b", b"Bearer a.b.c d", b"Bearer a.b.\xff", b"Bearer a\tb"] {
            assert_eq!(token_of(&[value]), Err(Rejection::AuthorizationMalformed), "{value:?}");
        }
    }
}
