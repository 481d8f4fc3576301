//! Addresses and hosts as fields have them: with ports, brackets, and what is none.

use std::net::{IpAddr, Ipv6Addr};

/// The address of an entry: with or without a port, of IPv6 with or without brackets. A mapped address is one of IPv4.
///
/// None for what names nobody (`unknown`, `_hidden`), has a zone, or is no address.
pub(super) fn address(entry: &[u8]) -> Option<IpAddr> {
    let entry = str::from_utf8(entry).ok()?;
    let address = match entry.strip_prefix('[') {
        Some(bracketed) => {
            let (address, rest) = bracketed.split_once(']')?;
            let has_port = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
            IpAddr::V6(address.parse::<Ipv6Addr>().ok().filter(|_| has_port)?)
        }
        None => match entry.split_once(':') {
            // More than one colon: IPv6, which has no port without brackets.
            Some((address, port)) if !port.contains(':') => IpAddr::V4(address.parse().ok().filter(|_| is_port(port))?),
            _ => entry.parse().ok()?,
        },
    };
    Some(address.to_canonical())
}

/// The port that an authority names (RFC 3986 section 3.2.3).
pub(super) fn port(authority: &[u8]) -> Option<&[u8]> {
    let colon = authority.iter().rposition(|byte| *byte == b':')?;
    let port = authority.get(colon + 1..)?;
    (!port.is_empty() && port.len() <= 5 && port.iter().all(u8::is_ascii_digit)).then_some(port)
}

/// Whether this can be told as a host with or without a port: no more than a name or an address has in it.
pub(super) fn is_authority(text: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(byte);
    (1..=255).contains(&text.len()) && text.iter().all(is_part)
}

/// RFC 7239 section 6.2: digits, or a name that hides them.
fn is_port(port: &str) -> bool {
    let is_hidden =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let is_number = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    is_number || port.strip_prefix('_').is_some_and(is_hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_what_stands_around_it() {
        for (entry, expected) in [
            ("203.0.113.7", Some("203.0.113.7")),
            ("203.0.113.7:4711", Some("203.0.113.7")),
            ("203.0.113.7:_hidden", Some("203.0.113.7")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:4711", Some("2001:db8::1")),
            ("::ffff:203.0.113.7", Some("203.0.113.7")),
            ("[::ffff:203.0.113.7]:80", Some("203.0.113.7")),
            ("::ffff:cb00:7107", Some("203.0.113.7")),
            ("", None),
            ("unknown", None),
            ("_hidden", None),
            ("_SEVKISEK", None),
            ("localhost", None),
            ("fe80::1%eth0", None),
            ("[fe80::1%25eth0]", None),
            ("203.0.113.7:", None),
            ("203.0.113.7:65536", None),
            ("203.0.113.7:+80", None),
            ("203.0.113.7 ", None),
            ("203.0.113", None),
            ("203.0.113.07", None),
            ("0xcb007107", None),
            ("3405803783", None),
            ("[203.0.113.7]", None),
            ("[2001:db8::1", None),
            ("2001:db8::1]", None),
            ("[2001:db8::1]80", None),
            ("[2001:db8::1]:", None),
            ("203.0.113.7/32", None),
            ("http://203.0.113.7", None),
        ] {
            assert_eq!(address(entry.as_bytes()), expected.map(|text| text.parse().unwrap()), "{entry}");
        }
        assert_eq!(address(b"\xff"), None);
    }

    #[test]
    fn a_port_is_that_behind_the_last_colon() {
        for (authority, expected) in
            [("a.test:8080", Some("8080")), ("a.test", None), ("a.test:", None), ("[::1]:80", Some("80")), ("[::1]", None)]
        {
            assert_eq!(port(authority.as_bytes()), expected.map(str::as_bytes), "{authority}");
        }
    }
}
