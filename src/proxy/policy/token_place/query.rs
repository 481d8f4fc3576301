//! A token in a query parameter.
//!
//! Names are compared decoded, and in the ways that servers are known to read them: `;` separates too, `token[]` is `token`,
//! `access.token` is `access_token`, case may be ignored. A request with two parameters that any server may take as the token
//! is refused.

use std::{borrow::Cow, ops::Range};

use percent_encoding::percent_decode;

use super::{
    Trace,
    name::{Case, is_read_as},
};
use crate::token::{Rejection, one_token};

/// A token in a query.
#[derive(Debug, PartialEq)]
pub(super) struct InQuery<'a> {
    /// The token, decoded.
    pub(super) token: Cow<'a, [u8]>,
    /// Where its value is in the target.
    pub(super) value: Range<usize>,
}

/// The token in the one parameter of this name.
pub(super) fn find<'a>(target: &'a [u8], name: &str) -> Result<Option<InQuery<'a>>, Rejection> {
    let found = parameter(target, name)?;
    found.as_ref().map_or(Ok(()), |found| one_token(&found.token).map(drop))?;
    Ok(found)
}

/// The one parameter of this name, whatever it holds.
fn parameter<'a>(target: &'a [u8], name: &str) -> Result<Option<InQuery<'a>>, Rejection> {
    let mut named = pairs(target).filter(|pair| is_named(target, pair, name));
    let Some(pair) = named.next() else { return Ok(None) };
    if named.next().is_some() {
        return Err(Rejection::AmbiguousToken);
    }
    let text = target.get(pair.clone()).unwrap_or_default();
    let (found, start) = match text.iter().position(|byte| *byte == b'=') {
        Some(equals) => (text.get(..equals).unwrap_or_default(), equals + 1),
        None => (text, text.len()),
    };
    // In another spelling of the name the backend would not look for it.
    if decoded(found) != name.as_bytes() {
        return Ok(None);
    }
    let value = text.get(start..).unwrap_or_default();
    Ok(Some(InQuery { token: decoded(value), value: pair.start + start..pair.end }))
}

/// The decoded value of the one parameter of this name. None, too, if some server might take another one for it.
pub(in crate::proxy) fn value<'a>(target: &'a [u8], name: &str) -> Option<Cow<'a, [u8]>> {
    parameter(target, name).ok()?.map(|found| found.token)
}

/// The target with another token as the value that is there.
pub(super) fn replaced(target: &[u8], value: &Range<usize>, token: &str) -> Vec<u8> {
    let before = target.get(..value.start).unwrap_or_default();
    let after = target.get(value.end..).unwrap_or_default();
    [before, token.as_bytes(), after].concat()
}

/// The target with one parameter more.
pub(super) fn extended(target: &[u8], name: &str, token: &str) -> Vec<u8> {
    let separator: &[u8] = match target.iter().position(|byte| *byte == b'?') {
        None => b"?",
        Some(mark) if mark + 1 == target.len() => b"",
        Some(_) => b"&",
    };
    let name = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string();
    [target, separator, name.as_bytes(), b"=", token.as_bytes()].concat()
}

/// The target without parameters of this name, in whatever spelling.
pub(super) fn without(target: &[u8], name: &str) -> Vec<u8> {
    without_pairs(target, |pair| is_named(target, pair, name))
}

/// A URL, or a target, without the parameters that hold a token.
pub(in crate::proxy) fn url_without(url: &[u8], trace: &Trace<'_>) -> Vec<u8> {
    without_pairs(url, |pair| trace.is_in(url.get(pair.clone()).unwrap_or_default()))
}

fn without_pairs(target: &[u8], goes: impl Fn(&Range<usize>) -> bool) -> Vec<u8> {
    let all: Vec<_> = pairs(target).collect();
    let kept: Vec<_> = all.iter().filter(|pair| !goes(pair)).collect();
    let (Some(first), true) = (all.first(), kept.len() < all.len()) else { return target.to_vec() };
    // The question mark goes too, if nothing is left behind it.
    let start = if kept.is_empty() { first.start.saturating_sub(1) } else { first.start };
    let mut rest = target.get(..start).unwrap_or_default().to_vec();
    for (index, pair) in kept.iter().enumerate() {
        // Each with the separator before it.
        let start = if index == 0 { pair.start } else { pair.start.saturating_sub(1) };
        rest.extend_from_slice(target.get(start..pair.end).unwrap_or_default());
    }
    rest
}

/// The places of `name=value` in a target.
fn pairs(target: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let query = target.iter().position(|byte| *byte == b'?').map(|mark| mark + 1);
    let mut next = query.unwrap_or_default();
    let texts = query.map(|start| target.get(start..).unwrap_or_default().split(|byte| matches!(byte, b'&' | b';')));
    texts.into_iter().flatten().map(move |pair| {
        let start = next;
        next = start + pair.len() + 1;
        start..start + pair.len()
    })
}

fn is_named(target: &[u8], pair: &Range<usize>, name: &str) -> bool {
    let text = target.get(pair.clone()).unwrap_or_default();
    let found = decoded(text.split(|byte| *byte == b'=').next().unwrap_or_default());
    is_read_as(&found, name, Case::CountsNot)
}

fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if text.contains(&b'+') {
        let spaced: Vec<_> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        return Cow::Owned(percent_decode(&spaced).collect());
    }
    percent_decode(text).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(target: &str) -> Result<Option<String>, Rejection> {
        find(target.as_bytes(), "token").map(|found| found.map(|found| String::from_utf8(found.token.into_owned()).unwrap()))
    }

    #[test]
    fn the_token_is_found_wherever_it_stands_and_however_it_is_encoded() {
        for target in ["/?token=a.b.c", "/x?y=1&token=a.b.c&z", "/?%74oken=a%2Eb.c", "/?a=token&token=a.b.c", "/?;token=a.b.c"] {
            assert_eq!(found(target), Ok(Some("a.b.c".into())), "{target}");
        }
    }

    #[test]
    fn other_parameters_are_none() {
        for target in ["/", "/?", "/token=a", "/?tokens=a", "/?a=token", "/?Token=a", "/?token[]=a", "/?x=token=a"] {
            assert_eq!(found(target), Ok(None), "{target}");
        }
    }

    #[test]
    fn two_parameters_that_some_server_takes_for_it_are_ambiguous() {
        for second in ["token=b", "%74oken=a", "TOKEN=b", "token[]=b", "token", "+token=b", "x;token=b"] {
            assert_eq!(found(&format!("/?token=a&{second}")), Err(Rejection::AmbiguousToken), "{second}");
            assert_eq!(found(&format!("/?{second}&token=a")), Err(Rejection::AmbiguousToken), "{second}");
        }
    }

    #[test]
    fn what_php_makes_the_same_name_of_is_a_second_one() {
        for second in [
            "access.token=b",
            "access+token=b",
            "access%20token=b",
            "access%5btoken=b",
            "access[token",
            "access_token%00x=b",
            "Access.Token=b",
        ] {
            let both = format!("/?access_token=a&{second}");
            assert_eq!(find(both.as_bytes(), "access_token"), Err(Rejection::AmbiguousToken), "{second}");
            assert_eq!(without(both.as_bytes(), "access_token"), b"/", "{second}");
            assert_eq!(find(format!("/?{second}").as_bytes(), "access_token"), Ok(None), "{second}");
        }
        let other = b"/?access_token=a&access-token=b&accesstoken=c";
        assert_eq!(*find(other, "access_token").unwrap().unwrap().token, *b"a");
    }

    #[test]
    fn a_value_that_is_no_token_is_malformed() {
        for target in ["/?token=", "/?token", "/?token=a+b", "/?token=%00", "/?token=a%20b", "/?token=%C3%A9"] {
            assert_eq!(found(target), Err(Rejection::AuthorizationMalformed), "{target}");
        }
    }

    #[test]
    fn a_parameter_goes_with_its_separator() {
        for (target, rest) in [
            ("/?token=a", "/"),
            ("/?token=a&b=1", "/?b=1"),
            ("/?b=1&token=a", "/?b=1"),
            ("/?b=1&token=a&c=%20", "/?b=1&c=%20"),
            ("/?token=a&Token=b&&token[]=c", "/?"),
            ("/x?b", "/x?b"),
        ] {
            assert_eq!(without(target.as_bytes(), "token"), rest.as_bytes(), "{target}");
        }
    }

    #[test]
    fn a_parameter_is_added_to_what_is_there() {
        for (target, more) in [("/", "/?a%20b=t"), ("/?", "/?a%20b=t"), ("/?x=1", "/?x=1&a%20b=t")] {
            assert_eq!(extended(target.as_bytes(), "a b", "t"), more.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn all_but_the_token_stays_byte_for_byte(before in "[ -~&&[^#?]]{0,20}", after in "[ -~&&[^#]]{0,20}", token in "[a-zA-Z0-9_.-]{1,9}") {
            let target = format!("/{before}?a={token}&token={token}&{after}");
            match find(target.as_bytes(), "token") {
                Ok(Some(found)) => {
                    let expected = format!("/{before}?a={token}&token=NEW&{after}");
                    prop_assert_eq!(replaced(target.as_bytes(), &found.value, "NEW"), expected.as_bytes());
                }
                other => prop_assert_eq!(other, Err(Rejection::AmbiguousToken)),
            }
        }

        #[test]
        fn any_target_is_survived(target in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = find(&target, "token");
            let rest = without(&target, "t");
            prop_assert!(rest.len() <= target.len());
            prop_assert_eq!(find(&rest, "t"), Ok(None));
        }
    }
}
