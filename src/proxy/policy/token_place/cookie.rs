//! A token in a cookie (RFC 6265 section 5.4).
//!
//! Names are case-sensitive. But a name that PHP reads as the same (`my.sid` as `my_sid`, in old versions also decoded) is a
//! second cookie of that name.

use std::ops::Range;

use http::{HeaderMap, header};
use percent_encoding::percent_decode;

use super::{
    Trace,
    name::{Case, is_read_as},
};
use crate::token::{Rejection, one_token};

/// A token among cookies.
#[derive(Debug, PartialEq)]
pub(super) struct InCookies {
    /// The token.
    pub(super) token: Vec<u8>,
    /// All cookies in one line; several headers mean the same as one (RFC 9113 section 8.2.3).
    line: Vec<u8>,
    /// Where the token is in it.
    value: Range<usize>,
}

/// The one cookie of this name.
pub(super) fn find(headers: &HeaderMap, name: &str) -> Result<Option<InCookies>, Rejection> {
    let line = line(headers);
    let named: Vec<_> = cookies(&line).filter(|cookie| is_named(&line, cookie, name)).collect();
    let cookie = match named.as_slice() {
        [] => return Ok(None),
        [cookie] => cookie.clone(),
        _ => return Err(Rejection::AmbiguousToken),
    };
    let text = line.get(cookie.clone()).unwrap_or_default();
    // In another spelling the backend would not look for it.
    if name_of(text) != name.as_bytes() {
        return Ok(None);
    }
    let start = text.iter().position(|byte| *byte == b'=').map_or(text.len(), |equals| equals + 1);
    let token = one_token(text.get(start..).unwrap_or_default().trim_ascii())?.to_vec();
    let value = cookie.end - token.len()..cookie.end;
    Ok(Some(InCookies { token, line, value }))
}

/// All cookies with another token instead of the one that was found.
pub(super) fn replaced(found: &InCookies, token: &str) -> Vec<u8> {
    let before = found.line.get(..found.value.start).unwrap_or_default();
    let after = found.line.get(found.value.end..).unwrap_or_default();
    [before, token.as_bytes(), after].concat()
}

/// All cookies but those of this name; empty if no other is left.
pub(super) fn without(headers: &HeaderMap, name: &str) -> Vec<u8> {
    let line = line(headers);
    line_without(&line, |cookie| is_named(&line, cookie, name))
}

/// All cookies of a line but those that hold a token.
pub(super) fn without_token(line: &[u8], trace: &Trace<'_>) -> Vec<u8> {
    line_without(line, |cookie| trace.is_in(line.get(cookie.clone()).unwrap_or_default()))
}

fn line_without(line: &[u8], goes: impl Fn(&Range<usize>) -> bool) -> Vec<u8> {
    let (mut rest, mut last_end) = (Vec::new(), 0);
    for cookie in cookies(line) {
        if !goes(&cookie) {
            // With what separates it from the one before, unless it is the first now.
            let start = if rest.is_empty() { cookie.start } else { last_end };
            rest.extend_from_slice(line.get(start..cookie.end).unwrap_or_default());
        }
        last_end = cookie.end;
    }
    rest
}

/// All cookies and this one.
pub(super) fn extended(headers: &HeaderMap, name: &str, token: &str) -> Vec<u8> {
    let mut line = without(headers, name);
    if !line.is_empty() {
        line.extend_from_slice(b"; ");
    }
    line.extend_from_slice(format!("{name}={token}").as_bytes());
    line
}

/// All cookies in one line.
pub(super) fn line(headers: &HeaderMap) -> Vec<u8> {
    let values: Vec<_> = headers.get_all(header::COOKIE).iter().map(|value| value.as_bytes()).collect();
    values.join(&b"; "[..])
}

/// The places of `name=value` in a line, the spaces around them left out.
fn cookies(line: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut next = 0;
    line.split(|byte| *byte == b';').filter_map(move |cookie| {
        let start = next + (cookie.len() - cookie.trim_ascii_start().len());
        next += cookie.len() + 1;
        let end = start + cookie.trim_ascii().len();
        (start < end).then_some(start..end)
    })
}

fn is_named(line: &[u8], cookie: &Range<usize>, name: &str) -> bool {
    let text = name_of(line.get(cookie.clone()).unwrap_or_default());
    text == name.as_bytes() || is_read_as(&percent_decode(text).collect::<Vec<_>>(), name, Case::Counts)
}

fn name_of(cookie: &[u8]) -> &[u8] {
    cookie.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (header::COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap())).collect()
    }

    fn found(lines: &[&str]) -> Result<Option<String>, Rejection> {
        find(&headers(lines), "sid").map(|found| found.map(|found| String::from_utf8(found.token).unwrap()))
    }

    #[test]
    fn the_cookie_of_that_very_name_is_found() {
        for lines in [&["sid=a.b"][..], &["x=1; sid=a.b; y"], &["x=1;sid= a.b "], &["x=1", "sid=a.b"]] {
            assert_eq!(found(lines), Ok(Some("a.b".into())), "{lines:?}");
        }
        for lines in [&[][..], &["Sid=a"], &["sid2=a"], &["x=sid=a"], &[""]] {
            assert_eq!(found(lines), Ok(None), "{lines:?}");
        }
    }

    #[test]
    fn two_are_ambiguous_and_none_is_malformed() {
        assert_eq!(found(&["sid=a; sid=a"]), Err(Rejection::AmbiguousToken));
        assert_eq!(found(&["sid=a", "sid=b"]), Err(Rejection::AmbiguousToken));
        for line in ["sid", "sid=", "sid=a b", "sid=\u{e9}"] {
            assert_eq!(found(&[line]), Err(Rejection::AuthorizationMalformed), "{line}");
        }
    }

    #[test]
    fn what_php_makes_the_same_name_of_is_a_second_one() {
        for second in ["my.sid=b", "my sid=b", "my[sid=b", "my%2esid=b", "my_sid%00x=b", "my_sid[]=b", "m%79_sid=b"] {
            let both = headers(&[&format!("{second}; my_sid=a; x=1")]);
            assert_eq!(find(&both, "my_sid"), Err(Rejection::AmbiguousToken), "{second}");
            assert_eq!(without(&both, "my_sid"), b"x=1", "{second}");
            assert_eq!(find(&headers(&[second]), "my_sid"), Ok(None), "{second}");
        }
        let others = headers(&["my-sid=b; MY_SID=c; my_sid=a; mysid=d"]);
        assert_eq!(find(&others, "my_sid").unwrap().unwrap().token, b"a");
    }

    #[test]
    fn only_that_cookie_goes() {
        for (line, rest) in [
            ("sid=a", ""),
            ("sid=a; b=1", "b=1"),
            ("b=1; sid=a", "b=1"),
            ("b=1;  sid=a;c=2 ; d", "b=1;c=2 ; d"),
            ("b=\u{e9}", "b=\u{e9}"),
            ("sid=a; sid", ""),
        ] {
            assert_eq!(without(&headers(&[line]), "sid"), rest.as_bytes(), "{line}");
        }
        assert_eq!(extended(&headers(&["b=1"]), "sid", "t"), b"b=1; sid=t");
        assert_eq!(extended(&headers(&[]), "sid", "t"), b"sid=t");
    }

    proptest! {
        #[test]
        fn all_but_the_token_stays_byte_for_byte(before in "[ -~]{0,20}", after in "[ -~]{0,20}", token in "[a-zA-Z0-9_.-]{1,9}") {
            let headers = headers(&[&format!("{before};sid={token};{after}")]);
            match find(&headers, "sid") {
                Ok(Some(found)) => prop_assert_eq!(replaced(&found, "NEW"), format!("{before};sid=NEW;{after}").into_bytes()),
                other => prop_assert_eq!(other, Err(Rejection::AmbiguousToken)),
            }
        }
    }
}
