//! The first line of a request, processed before Pingora's session parses it. Pure.
//!
//! Pingora refuses some bytes in a target that clients send and other servers accept (`key="abc"`), drops a fragment, and
//! encodes white space and control characters instead of refusing them. Here the first are encoded as in RFC 3986, and the
//! others refused, so that the decision is about what is forwarded.

use std::borrow::Cow;

use memchr::memchr_iter;

use crate::proxy::client::unreadable::Unreadable;

/// Longer targets are beyond the parser of the `http` crate.
const MAX_TARGET_BYTES: usize = 65_534;

/// Whether these bytes begin with a whole header whose first line is as nearly all clients write it, with nothing that would have to be
/// encoded or refused. Quick, since each request is asked about.
pub(super) fn is_usual(bytes: &[u8]) -> bool {
    /// Letters of the longest usual method.
    const MAX_METHOD_BYTES: usize = 8;
    let method = bytes.iter().take(MAX_METHOD_BYTES).take_while(|byte| byte.is_ascii_uppercase()).count();
    let Some(rest) = bytes.get(method..).and_then(|rest| rest.strip_prefix(b" ")).filter(|_| method > 0) else { return false };
    let Some((target, rest)) = rest.split_at_checked(usual_bytes(rest)) else { return false };
    target.starts_with(b"/") && rest.starts_with(b" HTTP/1.1\r\n") && target.len() <= MAX_TARGET_BYTES && has_end(rest)
}

/// Whether a header that has begun ends in here. Most do so with the last byte.
fn has_end(rest: &[u8]) -> bool {
    rest.ends_with(b"\r\n\r\n")
        || memchr_iter(b'\n', rest)
            .any(|at| rest.get(at + 1..).is_some_and(|next| next.starts_with(b"\r\n") || next.starts_with(b"\n")))
}

/// How many bytes at the beginning are such as nobody could object to in a target: ASCII from `$` on but DEL, `<`, `>` and the backtick.
fn usual_bytes(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let unusual = unusual_bytes(u64::from_le_bytes(*word));
        if unusual != 0 {
            return index * 8 + unusual.trailing_zeros() as usize / 8;
        }
    }
    let usual = |byte: &&u8| matches!(byte, b'$'..=b'~') && !matches!(byte, b'<' | b'>' | b'`');
    words.len() * 8 + rest.iter().take_while(usual).count()
}

/// The high bit of each byte that is not usual. Those behind the first one may be wrong.
const fn unusual_bytes(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    /// Bytes that are 0 (Mycroft's test).
    const fn zero(word: u64) -> u64 {
        word.wrapping_sub(EACH) & !word
    }
    let below_dollar = word.wrapping_sub(EACH * b'$' as u64) & !word;
    let above_tilde = word.wrapping_add(EACH) | word;
    // The two differ in one bit.
    let angle = zero((word & !(EACH * (b'<' ^ b'>') as u64)) ^ (EACH * b'<' as u64));
    let backtick = zero(word ^ (EACH * b'`' as u64));
    (below_dollar | above_tilde | angle | backtick) & (EACH * 0x80)
}

/// What is clear of a first line before its end has come.
pub(super) fn check_beginning(bytes: &[u8]) -> Result<(), Unreadable> {
    match bytes {
        [0x16] | [0x16, 3] => return Ok(()),
        [0x16, 3, ..] => return Err(Unreadable::Tls),
        _ => {}
    }
    match bytes.iter().find(|byte| !is_token(**byte)) {
        Some(b' ') | None => Ok(()),
        Some(_) => Err(Unreadable::RequestLine),
    }
}

/// A whole first line, without its end, as it is to be parsed.
pub(in crate::proxy) fn read(line: &[u8]) -> Result<Cow<'_, [u8]>, Unreadable> {
    if is_proxy_protocol(line) {
        return Err(Unreadable::ProxyProtocol);
    }
    if line == b"PRI * HTTP/2.0" {
        return Err(Unreadable::Http2);
    }
    let first = line.iter().position(|byte| *byte == b' ').ok_or(Unreadable::RequestLine)?;
    let last = line.iter().rposition(|byte| *byte == b' ').filter(|last| *last > first).ok_or(Unreadable::RequestLine)?;
    let (Some(method), Some(target), Some(version)) = (line.get(..first), line.get(first + 1..last), line.get(last + 1..)) else {
        return Err(Unreadable::RequestLine);
    };
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        return Err(Unreadable::RequestLine);
    }
    match version {
        b"HTTP/1.1" | b"HTTP/1.0" => {}
        [b'H', b'T', b'T', b'P', b'/', version @ ..] if is_version(version) => return Err(Unreadable::Version),
        _ => return Err(Unreadable::RequestLine),
    }
    if target.is_empty() || target.iter().any(|byte| matches!(byte, 0..=b' ' | b'#' | 0x7f)) {
        return Err(Unreadable::Target);
    }
    match encoded(target) {
        Cow::Borrowed(target) if target.len() > MAX_TARGET_BYTES => Err(Unreadable::TooLarge),
        Cow::Borrowed(_) => Ok(Cow::Borrowed(line)),
        Cow::Owned(target) if target.len() > MAX_TARGET_BYTES => Err(Unreadable::TooLarge),
        Cow::Owned(target) => Ok(Cow::Owned([method, b" ", &target, b" ", version].concat())),
    }
}

/// The target with those bytes percent-encoded that the parser of the `http` crate does not take (RFC 3986 section 2.1).
fn encoded(target: &[u8]) -> Cow<'_, [u8]> {
    let is_utf8 = str::from_utf8(target).is_ok();
    let query = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
    let is_refused = |at: usize, byte: u8| match byte {
        b'<' | b'>' => true,
        b'"' => at > query,
        b'`' => at < query,
        _ => byte >= 0x80 && !is_utf8,
    };
    // Other forms than a path are for others to refuse.
    if !target.starts_with(b"/") || !target.iter().enumerate().any(|(at, byte)| is_refused(at, *byte)) {
        return Cow::Borrowed(target);
    }
    let mut encoded = Vec::with_capacity(target.len() + 64);
    for (at, byte) in target.iter().enumerate() {
        if is_refused(at, *byte) {
            encoded.extend_from_slice(percent_encoding::percent_encode_byte(*byte).as_bytes());
        } else {
            encoded.push(*byte);
        }
    }
    Cow::Owned(encoded)
}

/// Version 1 of the protocol (HAProxy, "The PROXY protocol", section 2.1).
fn is_proxy_protocol(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"PROXY ") else { return false };
    [&b"TCP4"[..], b"TCP6", b"UNKNOWN"].into_iter().any(|family| {
        rest.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with(b" ") && !rest.ends_with(b" HTTP/1.1"))
    })
}

fn is_version(version: &[u8]) -> bool {
    matches!(version, [major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit())
        || matches!(version, [major] if major.is_ascii_digit())
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use http::uri::PathAndQuery;
    use proptest::prelude::*;

    use super::*;

    /// The target of a line that is read, or why it is not.
    fn target_of(target: &[u8]) -> Result<Vec<u8>, Unreadable> {
        let line = [b"GET ", target, b" HTTP/1.1"].concat();
        let line = read(&line)?.into_owned();
        Ok(line.strip_prefix(b"GET ").and_then(|line| line.strip_suffix(b" HTTP/1.1")).unwrap().to_vec())
    }

    #[test]
    fn every_byte_is_as_it_came_or_encoded_or_refused() {
        for byte in 0..=u8::MAX {
            for target in [[b"/a".as_slice(), &[byte], b"b?c=d"].concat(), [b"/a?b=".as_slice(), &[byte], b"c"].concat()] {
                let is_forbidden = matches!(byte, 0..=0x20 | 0x7f | b'#');
                // The parser that Pingora uses is the oracle of what may stay.
                let stays = str::from_utf8(&target).is_ok() && PathAndQuery::try_from(target.as_slice()).is_ok();
                let expected = match (is_forbidden, stays) {
                    (true, _) => Err(Unreadable::Target),
                    (false, true) => Ok(target.clone()),
                    (false, false) => {
                        let at = target.iter().rposition(|found| *found == byte).unwrap();
                        Ok([&target[..at], format!("%{byte:02X}").as_bytes(), &target[at + 1..]].concat())
                    }
                };
                assert_eq!(target_of(&target), expected, "{:?}", target.escape_ascii().to_string());
            }
        }
    }

    #[test]
    fn what_is_no_http_is_told_apart() {
        for (line, kind) in [
            (&b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443"[..], Unreadable::ProxyProtocol),
            (b"PROXY UNKNOWN", Unreadable::ProxyProtocol),
            (b"PRI * HTTP/2.0", Unreadable::Http2),
            (b"GET / HTTP/2.0", Unreadable::Version),
            (b"GET / HTTP/1.2", Unreadable::Version),
            (b"GET / HTTP/2", Unreadable::Version),
            (b"GET /", Unreadable::RequestLine),
            (b"GET", Unreadable::RequestLine),
            (b"", Unreadable::RequestLine),
            (b"GET / HTTP/1.1 ", Unreadable::RequestLine),
            (b" / HTTP/1.1", Unreadable::RequestLine),
            (b"G@T / HTTP/1.1", Unreadable::RequestLine),
            (b"GET / http/1.1", Unreadable::RequestLine),
            (b"GET  HTTP/1.1", Unreadable::Target),
            (b"GET /a b HTTP/1.1", Unreadable::Target),
            (b"GET  / HTTP/1.1", Unreadable::Target),
            (b"GET /public#/../api HTTP/1.1", Unreadable::Target),
        ] {
            assert_eq!(read(line), Err(kind), "{}", line.escape_ascii());
        }
        // A method of this name is one like any other.
        assert!(read(b"PROXY TCP4 HTTP/1.1").is_ok() && read(b"PROXY /a HTTP/1.1").is_ok());
        assert_eq!(read(&[b"GET /".as_slice(), &vec![b'a'; MAX_TARGET_BYTES], b" HTTP/1.1"].concat()), Err(Unreadable::TooLarge));
    }

    #[test]
    fn a_beginning_is_refused_as_soon_as_it_is_clear() {
        for beginning in [&b""[..], b"G", b"GET", b"GET /a b\0", b"\x16", b"\x16\x03"] {
            assert_eq!(check_beginning(beginning), Ok(()), "{}", beginning.escape_ascii());
        }
        assert_eq!(check_beginning(b"\x16\x03\x01"), Err(Unreadable::Tls));
        for beginning in [&b"\x16\x04"[..], b"\0", b"GET\t/", b"SSH-2.0-x\r", b"{\"a\""] {
            assert_eq!(check_beginning(beginning), Err(Unreadable::RequestLine), "{}", beginning.escape_ascii());
        }
    }

    #[test]
    fn most_requests_are_usual() {
        for usual in [
            "GET / HTTP/1.1\r\n\r\n",
            "DELETE /docs/42?rev=1-abc&x=%22%20$ HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST /docs HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
            "PROPFIND / HTTP/1.1\r\nHost: a\n\nrest",
        ] {
            assert!(is_usual(usual.as_bytes()), "{usual:?}");
        }
        for unusual in [
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n",
            "GET /\"a HTTP/1.1\r\n\r\n",
            "GET * HTTP/1.1\r\n\r\n",
            " / HTTP/1.1\r\n\r\n",
            "get / HTTP/1.1\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "",
        ] {
            assert!(!is_usual(unusual.as_bytes()), "{unusual:?}");
        }
    }

    proptest! {
        #[test]
        fn usual_bytes_are_found_as_one_by_one(bytes: Vec<u8>, plain in "[ -~]{0,40}") {
            for bytes in [&bytes[..], plain.as_bytes()] {
                let usual = |byte: &&u8| matches!(byte, b'$'..=b'~') && !matches!(byte, b'<' | b'>' | b'`');
                prop_assert_eq!(usual_bytes(bytes), bytes.iter().take_while(usual).count());
            }
        }

        #[test]
        fn what_is_usual_is_whole_and_read_as_it_is(method in "[A-Z]{1,9}", target in "/[ -~]{0,24}", rest in "(\r\n|\n|a: b|c){0,9}") {
            let bytes = format!("{method} {target} HTTP/1.1\r\n{rest}");
            if is_usual(bytes.as_bytes()) {
                let line = format!("{method} {target} HTTP/1.1");
                prop_assert_eq!(read(line.as_bytes()), Ok(Cow::Borrowed(line.as_bytes())));
                let mut fields = [httparse::EMPTY_HEADER; 16];
                let parsed = httparse::Request::new(&mut fields).parse(bytes.as_bytes());
                prop_assert!(!matches!(parsed, Ok(httparse::Status::Partial)), "{:?}", bytes);
            }
        }
    }
}
