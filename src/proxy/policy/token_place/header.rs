//! A token in a header (RFC 6750 section 2.1, RFC 9110 section 11.4).

use http::{HeaderMap, HeaderName, HeaderValue};

use super::new_token::{NewToken, secret};
use crate::token::Rejection;

/// What stands as the token in `<name>: <scheme> <token>`, or in `<name>: <token>` without a scheme. May be anything.
///
/// The scheme's case does not matter (RFC 9110 section 11.1). Another scheme counts as no token, so that the challenge tells the client
/// what is wanted.
pub(super) fn find<'a>(headers: &'a HeaderMap, name: &HeaderName, scheme: Option<&str>) -> Result<Option<&'a [u8]>, Rejection> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Rejection::AmbiguousToken);
    }
    let value = value.as_bytes();
    let Some(scheme) = scheme else { return Ok(Some(value)) };
    let Some((found, rest)) = value.split_at_checked(scheme.len()) else { return Ok(None) };
    let is_word = matches!(rest, [] | [b' ', ..]);
    Ok((is_word && found.eq_ignore_ascii_case(scheme.as_bytes())).then(|| rest.trim_ascii_start()))
}

/// The value that says this token.
pub(super) fn value(scheme: Option<&str>, token: &NewToken<'_>) -> Result<HeaderValue, Rejection> {
    match scheme {
        Some("Bearer") => Ok(token.authorization().clone()),
        Some(scheme) => secret(format!("{scheme} {}", token.as_str()).as_bytes()),
        None => secret(token.as_str().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;

    use super::*;

    fn token_of(values: &[&[u8]], scheme: Option<&str>) -> Result<Option<Vec<u8>>, Rejection> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        find(&headers, &AUTHORIZATION, scheme).map(|token| token.map(<[u8]>::to_vec))
    }

    #[test]
    fn the_scheme_counts_in_any_case_and_spaces_may_be_many() {
        for value in [&b"Bearer a.b.c"[..], b"bearer a.b.c", b"BEARER   a.b.c"] {
            assert_eq!(token_of(&[value], Some("Bearer")), Ok(Some(b"a.b.c".to_vec())));
        }
        assert_eq!(token_of(&[b"token a.b.c"], Some("Token")), Ok(Some(b"a.b.c".to_vec())));
    }

    #[test]
    fn no_header_or_another_scheme_is_no_token() {
        assert_eq!(token_of(&[], Some("Bearer")), Ok(None));
        for value in [&b"Basic dXNlcg=="[..], b"a.b.c", b"", b"Token a.b.c", b"Bearera.b.c"] {
            assert_eq!(token_of(&[value], Some("Bearer")), Ok(None), "{value:?}");
        }
    }

    #[test]
    fn without_a_scheme_the_value_is_the_token() {
        assert_eq!(token_of(&[b"a.b.c"], None), Ok(Some(b"a.b.c".to_vec())));
        assert_eq!(token_of(&[b"Bearer a.b.c"], None), Ok(Some(b"Bearer a.b.c".to_vec())));
        assert_eq!(token_of(&[b""], None), Ok(Some(b"".to_vec())));
    }

    #[test]
    fn two_headers_are_ambiguous_even_when_equal() {
        assert_eq!(token_of(&[b"Bearer a.b.c", b"Bearer a.b.c"], Some("Bearer")), Err(Rejection::AmbiguousToken));
        assert_eq!(token_of(&[b"Bearer a.b.c", b"Basic x"], Some("Bearer")), Err(Rejection::AmbiguousToken));
    }

    #[test]
    fn all_that_follows_the_scheme_counts() {
        for (value, token) in
            [(&b"Bearer"[..], &b""[..]), (b"Bearer ", b""), (b"Bearer a b", b"a b"), (b"Bearer a.b.\xff", b"a.b.\xff")]
        {
            assert_eq!(token_of(&[value], Some("Bearer")), Ok(Some(token.to_vec())), "{value:?}");
        }
    }
}
