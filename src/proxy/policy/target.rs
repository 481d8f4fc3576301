//! Which requests are well formed enough to be processed: the target, the `Host`, the size of the header block.
//!
//! Pingora forwards some forms that it parses differently (`GET x`, absolute targets, a missing `Host`). A gateway that decides
//! by its own parse must refuse those.

use std::{borrow::Cow, net::Ipv6Addr};

use http::{HeaderValue, Method};

use crate::{
    proxy::http::{Fields, Single},
    token::Rejection,
};

/// Refuses what is answered by echoing the request, our token included; lengths that could be read in two ways; and codings of the body
/// other than `chunked`, which would be dropped on the way to the upstream (RFC 9112 section 6.1).
pub(super) fn check_message(method: &Method, fields: &Fields<'_>) -> Result<(), Rejection> {
    if method.as_str().eq_ignore_ascii_case(Method::TRACE.as_str()) {
        return Err(Rejection::MethodNotAllowed);
    }
    let is_number = |value: &HeaderValue| !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
    match fields.content_length {
        Single::Absent => {}
        Single::Once(length) if is_number(length) => {}
        _ => return Err(Rejection::LengthMalformed),
    }
    match fields.transfer_encoding {
        Single::Absent => Ok(()),
        Single::Once(coding) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(Rejection::CodingUnsupported),
    }
}

/// Accepts a path (RFC 9112 section 3.2.1). The absolute form is for proxies, which this is not to its clients; and `*` with `OPTIONS` asks
/// about a server, not about anything that a route could take. `header` is what was sent, of which Pingora leaves out a fragment.
pub(in crate::proxy) fn check_target(method: &Method, raw_target: &[u8], header: &[u8]) -> Result<(), Rejection> {
    // A target is followed by a space (RFC 9112 section 3). Empty lines may stand before it.
    let line = header.trim_ascii_start();
    let has_fragment = line.get(method.as_str().len() + 1 + raw_target.len()) == Some(&b'#');
    if raw_target.starts_with(b"/") && !has_fragment { Ok(()) } else { Err(Rejection::TargetMalformed) }
}

/// The path of a target: what stands before its query.
pub(in crate::proxy) fn path(raw_target: &[u8]) -> &[u8] {
    raw_target.split(|byte| *byte == b'?').next().unwrap_or_default()
}

/// The one `Host` of a request (RFC 9112 section 3.2), without its port and without the dot that may end a full name: a route for the name
/// holds with it too. An address in brackets has its one spelling.
///
/// Names are letters, digits, `-`, `_`, and single dots between them; ports are digits. What else the syntax of RFC 3986 permits
/// means different names to different servers.
pub(in crate::proxy) fn host(field: Single<'_>) -> Result<Cow<'_, str>, Rejection> {
    let Single::Once(value) = field else { return Err(Rejection::HostMalformed) };
    let authority = value.as_bytes();
    if let Some(bracketed) = authority.strip_prefix(b"[") {
        return address(bracketed).ok_or(Rejection::HostMalformed);
    }
    name(authority).map(Cow::Borrowed).ok_or(Rejection::HostMalformed)
}

/// Whether an authority, as a URL has it (RFC 3986 section 3.2), is this host at any port. Not if it has a user in it.
pub(in crate::proxy) fn is_of_host(authority: &[u8], host: &str) -> bool {
    let Ok(value) = HeaderValue::from_bytes(authority) else { return false };
    self::host(Single::Once(&value)).is_ok_and(|name| name.eq_ignore_ascii_case(host))
}

/// The name of `name`, `name:` or `name:port`.
fn name(authority: &[u8]) -> Option<&str> {
    let end = authority.iter().position(|byte| !is_of_name(*byte)).unwrap_or(authority.len());
    let (name, rest) = authority.split_at_checked(end)?;
    let name = name.strip_suffix(b".").unwrap_or(name);
    let has_empty_label =
        name.is_empty() || name.starts_with(b".") || name.ends_with(b".") || name.windows(2).any(|pair| pair == b"..");
    if is_port(rest) && !has_empty_label { str::from_utf8(name).ok() } else { None }
}

/// The address of `[address]` or `[address]:port`, from behind the first bracket.
fn address(bracketed: &[u8]) -> Option<Cow<'_, str>> {
    let (address, rest) = str::from_utf8(bracketed).ok()?.split_once(']')?;
    let address: Ipv6Addr = address.parse().ok()?;
    is_port(rest.as_bytes()).then(|| Cow::Owned(format!("[{address}]")))
}

/// Nothing, or a colon and digits: none, or any number of them (RFC 3986 section 3.2.3).
fn is_port(rest: &[u8]) -> bool {
    match rest {
        [] => true,
        [b':', port @ ..] => port.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn is_of_name(byte: u8) -> bool {
    /// Looked up, since each byte of each request's `Host` is asked about.
    const OF_NAME: [bool; 256] = {
        let mut of_name = [false; 256];
        let mut byte = 0;
        while byte < 128_u8 {
            of_name[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            byte += 1;
        }
        of_name
    };
    OF_NAME.get(usize::from(byte)).is_some_and(|is_of_name| *is_of_name)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, header};

    use super::*;

    #[test]
    fn only_paths_without_a_fragment_pass() {
        let check = |method: Method, target: &str, sent: &str| {
            check_target(&method, target.as_bytes(), format!("{method} {sent} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
        };
        assert_eq!(check(Method::GET, "/a/b?c", "/a/b?c"), Ok(()));
        for (method, target) in [
            (Method::GET, "*"),
            (Method::OPTIONS, "*"),
            (Method::GET, "x"),
            (Method::GET, "http://contoso.com/x"),
            (Method::GET, ""),
        ] {
            assert_eq!(check(method, target, target), Err(Rejection::TargetMalformed), "{target:?}");
        }
        for sent in ["/a#", "/a#b", "/a#/../b"] {
            assert_eq!(check(Method::GET, "/a", sent), Err(Rejection::TargetMalformed), "{sent:?}");
        }
        assert_eq!(check_target(&Method::GET, b"/a", b"\r\nGET /a#b HTTP/1.1\r\n\r\n"), Err(Rejection::TargetMalformed));
    }

    #[test]
    fn a_body_has_one_length() {
        let check = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_LENGTH, HeaderValue::from_static(value));
            }
            check_message(&Method::POST, &Fields::of(&headers))
        };
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&["5"]), Ok(()));
        for odd in [&["5", "5"][..], &["5, 5"], &["+5"], &[""]] {
            assert_eq!(check(odd), Err(Rejection::LengthMalformed), "{odd:?}");
        }
        assert_eq!(check_message(&Method::TRACE, &Fields::default()), Err(Rejection::MethodNotAllowed));
        let lower_case = Method::from_bytes(b"trace").unwrap();
        assert_eq!(check_message(&lower_case, &Fields::default()), Err(Rejection::MethodNotAllowed));
    }

    #[test]
    fn chunked_is_the_only_coding_and_said_once() {
        let check = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::TRANSFER_ENCODING, HeaderValue::from_static(value));
            }
            check_message(&Method::POST, &Fields::of(&headers))
        };
        for known in [&[][..], &["chunked"], &["Chunked"]] {
            assert_eq!(check(known), Ok(()), "{known:?}");
        }
        for other in [
            &["gzip, chunked"][..],
            &["x, chunked"],
            &["chunked, chunked"],
            &["chunked", "chunked"],
            &["identity", "chunked"],
            &["chunked,"],
            &[",chunked"],
            &["chunked;q=1"],
            &["identity"],
            &[""],
        ] {
            assert_eq!(check(other), Err(Rejection::CodingUnsupported), "{other:?}");
        }
    }

    fn host_of(values: &[&[u8]]) -> Result<String, Rejection> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::HOST, HeaderValue::from_bytes(value).unwrap());
        }
        host(Fields::of(&headers).host).map(Cow::into_owned)
    }

    #[test]
    fn one_host_with_or_without_a_port() {
        assert_eq!(host_of(&[b"contoso.com"]), Ok("contoso.com".into()));
        assert_eq!(host_of(&[b"contoso.com:8080"]), Ok("contoso.com".into()));
        assert_eq!(host_of(&[b"contoso.com:48080"]), Ok("contoso.com".into()));
        assert_eq!(host_of(&[b"[::1]:8080"]), Ok("[::1]".into()));
        assert_eq!(host_of(&[b"contoso.com:"]), Ok("contoso.com".into()));
        assert_eq!(host_of(&[b"contoso.com."]), Ok("contoso.com".into()));
        assert_eq!(host_of(&[b"contoso.com.:80"]), Ok("contoso.com".into()));
        assert_eq!(host_of(&[b"CONTOSO_1.com:123456"]), Ok("CONTOSO_1.com".into()));
        assert_eq!(host_of(&[b"[0:0:0::1]:80"]), Ok("[::1]".into()));
        assert_eq!(host_of(&[b"[::FFFF:127.0.0.1]"]), Ok("[::ffff:127.0.0.1]".into()));
    }

    #[test]
    fn a_host_has_a_name_and_a_port_and_nothing_else() {
        // Each byte at each place of a host, against the grammar as it is documented.
        for byte in (0x21..0x7f).chain(0x80..=0xff).chain([b'\t', b' ']) {
            let of_name = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            let with = |before: &[u8], after: &[u8]| [before, &[byte], after].concat();
            for (host, is_fine) in [
                (with(b"", b"admin.test"), of_name),
                (with(b"ad", b"min.test"), of_name || byte == b'.'),
                (with(b"admin.test", b""), of_name || matches!(byte, b'.' | b':')),
                (with(b"admin.test:", b""), byte.is_ascii_digit()),
                (with(b"admin.test:8", b"0"), byte.is_ascii_digit()),
                (with(b"admin.test:80", b""), byte.is_ascii_digit()),
                (with(b"admin.test.:", b"80"), byte.is_ascii_digit()),
                (with(b"[::1]", b""), byte == b':'),
                (with(b"[::1", b"]"), byte.is_ascii_hexdigit()),
                (with(b"[", b"::1]"), byte.is_ascii_hexdigit()),
                (with(b"", b"[::1]"), false),
            ] {
                assert_eq!(host_of(&[&host]).is_ok(), is_fine, "{:?}", String::from_utf8_lossy(&host));
            }
        }
    }

    #[test]
    fn everything_else_is_malformed() {
        for values in [&[][..], &[&b"a"[..], b"b"], &[b"a", b"a"], &[b""]] {
            assert_eq!(host_of(values), Err(Rejection::HostMalformed), "{values:?}");
        }
        for value in [
            "a b",
            "a/b",
            "user@a",
            "\u{ff}",
            ":80",
            ".",
            "..",
            "a..",
            "a..b",
            ".a",
            "a.:x",
            "a:x",
            "a:80x",
            "a:-1",
            "a:80.",
            "a:$",
            "a:80:80",
            "a,b",
            "a!",
            "a;x",
            "a%2eb",
            "[a]",
            "[::1",
            "::1",
            "[::1]x",
            "[::1%25eth0]",
            "[v1.a]",
            "[127.0.0.1]",
            "[]",
            "[[::1]]",
        ] {
            assert_eq!(host_of(&[value.as_bytes()]), Err(Rejection::HostMalformed), "{value}");
        }
    }
}
