//! `Forwarded` (RFC 7239): its elements, the last one first.
//!
//! A quoted string may hold a comma. Read from the left, one quote of a client's would swallow what the proxies behind it have appended.
//! So an element is cut off at the right end, where the nearest proxy has written: what stands before it changes nothing of its meaning.

/// What an element says. Values are without quotes; a quoted pair is left as it is, since nothing that has one is an address or a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) node: Option<&'a [u8]>,
    pub(super) host: Option<&'a [u8]>,
    pub(super) proto: Option<&'a [u8]>,
}

/// The elements of a line, from the right; a malformed one is `None`.
pub(super) fn elements(line: &[u8]) -> impl Iterator<Item = Option<Element<'_>>> {
    pieces(line, b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty()).map(element)
}

/// What stands between these signs where they are not quoted, from the right.
fn pieces(text: &[u8], sign: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut is_quoted = false;
        for (index, byte) in text.iter().enumerate().rev() {
            if *byte == b'"' && !(is_quoted && is_escaped(text, index)) {
                is_quoted = !is_quoted;
            } else if *byte == sign && !is_quoted {
                rest = text.get(..index);
                return text.get(index + 1..);
            }
        }
        rest = None;
        Some(text)
    })
}

/// Whether an odd number of backslashes stands before this place.
fn is_escaped(text: &[u8], index: usize) -> bool {
    let before = text.get(..index).unwrap_or_default();
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// None if a pair is not one, or if a parameter is there twice.
fn element(text: &[u8]) -> Option<Element<'_>> {
    let mut element = Element::default();
    for pair in pieces(text, b';').map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty()) {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (pair.get(..equals)?, value(pair.get(equals + 1..)?)?);
        let known = match name.to_ascii_lowercase().as_slice() {
            b"for" => &mut element.node,
            b"host" => &mut element.host,
            b"proto" => &mut element.proto,
            _ => continue,
        };
        if known.replace(value).is_some() {
            return None;
        }
    }
    Some(element)
}

/// A token, or what is between quotes. Colons and brackets need quotes, yet are often sent without.
fn value(text: &[u8]) -> Option<&[u8]> {
    if let Some(quoted) = text.strip_prefix(b"\"") {
        return quoted.strip_suffix(b"\"").filter(|inner| !inner.contains(&b'"'));
    }
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"\\(),;=".contains(byte);
    (!text.is_empty() && text.iter().all(is_plain)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(line: &str) -> Vec<Option<&str>> {
        elements(line.as_bytes()).map(|element| element?.node.map(|node| str::from_utf8(node).unwrap())).collect()
    }

    #[test]
    fn elements_are_read_from_the_right() {
        assert_eq!(
            nodes("for=192.0.2.43, for=\"[2001:db8:cafe::17]:4711\""),
            [Some("[2001:db8:cafe::17]:4711"), Some("192.0.2.43")]
        );
        assert_eq!(nodes("For=192.0.2.60; proto=http;by=203.0.113.43"), [Some("192.0.2.60")]);
        assert_eq!(nodes(" , for=a ,, for=_b,"), [Some("_b"), Some("a")]);
        assert_eq!(nodes("for=\"a,b\", for=c"), [Some("c"), Some("a,b")]);
        assert_eq!(nodes("by=x"), [None]);
        assert_eq!(nodes(""), Vec::<Option<&str>>::new());
        let element = elements(b"for=a;host=\"a.test:80\";PROTO=https").next().flatten().unwrap();
        assert_eq!(element, Element { node: Some(b"a"), host: Some(b"a.test:80"), proto: Some(b"https") });
    }

    #[test]
    fn what_a_client_begins_swallows_nothing_that_a_proxy_appends() {
        for forged in ["for=\"1.2.3.4", "for=\"1.2.3.4\\", "for=1.2.3.4;x=\"", "\"", "\\\"", "for=\"a\\\",b", ",;=\"\"\""] {
            assert_eq!(nodes(&format!("{forged}, for=203.0.113.7"))[0], Some("203.0.113.7"), "{forged}");
            assert_eq!(nodes(&format!("{forged}, for=\"[2001:db8::1]:80\";proto=https"))[0], Some("[2001:db8::1]:80"), "{forged}");
        }
    }

    #[test]
    fn a_malformed_element_says_nothing() {
        for malformed in ["for", "for=", "for=a;for=b", "for=a b", "for=\"a", "for=a\"", "for=\"a\"b\"", "for=(a)"] {
            assert_eq!(elements(malformed.as_bytes()).next(), Some(None), "{malformed}");
        }
    }
}
