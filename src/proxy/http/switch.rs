//! The switch to a WebSocket: whether a request asks for it, and whether a 101 matches (RFC 6455 section 4, RFC 9110 section
//! 7.8). Pure.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
use pingora::http::RequestHeader;

use crate::proxy::http::hop_by_hop::{connection_options, list};

/// Whether an `Upgrade` names a WebSocket among what the client would switch to.
pub(in crate::proxy) fn names_websocket(upgrade: &HeaderValue) -> bool {
    list(std::iter::once(upgrade.as_bytes())).any(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
}

/// Whether a header whose `Upgrade` names a WebSocket asks for one, with a key that the upstream can answer (RFC 6455 section 4.2.1). Other
/// upgrades are forwarded as ordinary requests, and so is what has a body.
pub(in crate::proxy) fn asks_for_websocket(request: &RequestHeader) -> bool {
    request.version == Version::HTTP_11
        && request.method == Method::GET
        && connection_options(&request.headers).any(|option| option.eq_ignore_ascii_case(b"upgrade"))
        && has_one_key(&request.headers)
}

/// Whether a header has the one key that the answer is made from.
fn has_one_key(headers: &HeaderMap) -> bool {
    only(headers, &header::SEC_WEBSOCKET_KEY).is_some()
}

/// The answer that a client's handshake requires (RFC 6455 section 4.2.2). None: it has no key, or several.
pub(in crate::proxy) fn expected_accept(headers: &HeaderMap) -> Option<String> {
    const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let key = only(headers, &header::SEC_WEBSOCKET_KEY)?.as_bytes().trim_ascii();
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key);
    hash.update(GUID);
    Some(STANDARD.encode(hash.finish()))
}

/// Checks a 101 against what was asked for.
///
/// # Errors
/// What is wrong with it. A client that was shown it would have to fail the connection.
pub(in crate::proxy) fn check(answer: &HeaderMap, expected: &str) -> Result<(), &'static str> {
    let mut protocols = list(answer.get_all(header::UPGRADE).iter().map(HeaderValue::as_bytes)).peekable();
    if protocols.peek().is_none() || !protocols.all(|protocol| protocol.eq_ignore_ascii_case(b"websocket")) {
        return Err("the upstream switched to a protocol other than WebSocket");
    }
    if !connection_options(answer).any(|option| option.eq_ignore_ascii_case(b"upgrade")) {
        return Err("the upstream switched protocols without Connection: Upgrade");
    }
    match only(answer, &header::SEC_WEBSOCKET_ACCEPT) {
        Some(accept) if accept.as_bytes().trim_ascii() == expected.as_bytes() => Ok(()),
        _ => Err("the upstream's Sec-WebSocket-Accept does not match the client's key"),
    }
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of RFC 6455 section 1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_accept_is_that_of_the_rfc() {
        assert_eq!(expected_accept(&headers(&[("sec-websocket-key", KEY)])).as_deref(), Some(ACCEPT));
        assert_eq!(expected_accept(&headers(&[])), None);
        assert_eq!(expected_accept(&headers(&[("sec-websocket-key", KEY), ("sec-websocket-key", KEY)])), None);
    }

    #[test]
    fn a_websocket_may_be_one_of_several() {
        for upgrade in ["websocket", "WebSocket", "h2c, websocket", "websocket,h2c", " , websocket ,"] {
            assert!(names_websocket(&HeaderValue::from_static(upgrade)), "{upgrade}");
        }
        for upgrade in ["", "h2c", "websockets", "websocket/13", "web socket", "h2c; websocket"] {
            assert!(!names_websocket(&HeaderValue::from_static(upgrade)), "{upgrade}");
        }
    }

    #[test]
    fn only_the_switch_that_was_asked_for_is_one() {
        let (upgrade, connection, accept) =
            (("upgrade", "WebSocket"), ("connection", "keep-alive, Upgrade"), ("sec-websocket-accept", ACCEPT));
        assert_eq!(check(&headers(&[upgrade, connection, accept]), ACCEPT), Ok(()));
        for wrong in [
            &[connection, accept][..],
            &[upgrade, accept],
            &[upgrade, connection],
            &[("upgrade", "h2c"), connection, accept],
            &[("upgrade", "websocket, h2c"), connection, accept],
            &[("upgrade", ""), connection, accept],
            &[upgrade, ("connection", "close"), accept],
            &[upgrade, connection, ("sec-websocket-accept", "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=")],
            &[upgrade, connection, accept, accept],
        ] {
            assert!(check(&headers(wrong), ACCEPT).is_err(), "{wrong:?}");
        }
    }

    fn request(headers: &[(&'static str, &str)]) -> RequestHeader {
        let mut request = RequestHeader::build("GET", b"/live", None).unwrap();
        for (name, value) in [("Upgrade", "websocket"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")].iter().chain(headers) {
            request.append_header(*name, *value).unwrap();
        }
        request
    }

    #[test]
    fn a_websocket_is_asked_for_by_a_get_whose_connection_upgrades() {
        for headers in [
            &[("Connection", "Upgrade")][..],
            &[("connection", "keep-alive, upgrade")],
            &[("connection", "keep-alive"), ("connection", "upgrade")],
        ] {
            assert!(asks_for_websocket(&request(headers)), "{headers:?}");
        }
        for headers in [&[][..], &[("connection", "keep-alive")], &[("connection", "upgrade"), ("sec-websocket-key", "second")]] {
            assert!(!asks_for_websocket(&request(headers)), "{headers:?}");
        }
        let mut other = request(&[("connection", "upgrade")]);
        assert!(asks_for_websocket(&other));
        other.set_method(Method::POST);
        assert!(!asks_for_websocket(&other));
        other.set_method(Method::GET);
        other.set_version(Version::HTTP_10);
        assert!(!asks_for_websocket(&other));
        other.set_version(Version::HTTP_11);
        other.remove_header(&header::SEC_WEBSOCKET_KEY);
        assert!(!asks_for_websocket(&other));
    }
}
