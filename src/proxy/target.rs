//! Which requests are well formed enough to be looked at: the target, the `Host`, the size of the header block.
//!
//! Pingora forwards some forms that it reads differently from what it forwards (`GET x`, absolute targets, a missing `Host`). A gateway
//! that decides by what it read must refuse those.

use http::{HeaderValue, Method};

use crate::{proxy::fields::Single, token::Rejection};

/// Refuses what is answered by echoing the request, our token included, and lengths that could be read in two ways.
pub(super) fn check_message(method: &Method, content_length: Single<'_>) -> Result<(), Rejection> {
    if *method == Method::TRACE {
        return Err(Rejection::MethodNotAllowed);
    }
    let is_number = |value: &HeaderValue| !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
    match content_length {
        Single::Absent => Ok(()),
        Single::Once(length) if is_number(length) => Ok(()),
        _ => Err(Rejection::LengthMalformed),
    }
}

/// Accepts a path, or `*` with `OPTIONS` (RFC 9112 section 3.2); the absolute form is for proxies, which this is not to its clients.
pub(super) fn check_target(method: &Method, raw_target: &[u8]) -> Result<(), Rejection> {
    match raw_target {
        [b'/', ..] => Ok(()),
        b"*" if *method == Method::OPTIONS => Ok(()),
        _ => Err(Rejection::TargetMalformed),
    }
}

/// The one `Host` of a request, without its port and without the dot that may end a full name: a route for the name holds with it too.
pub(super) fn host(field: Single<'_>) -> Result<&str, Rejection> {
    let Single::Once(value) = field else { return Err(Rejection::HostMalformed) };
    if let Some(name) = plain_name(value.as_bytes()) {
        return Ok(name);
    }
    let authority = value.to_str().map_err(|_| Rejection::HostMalformed)?;
    let parsed: http::uri::Authority = authority.parse().map_err(|_| Rejection::HostMalformed)?;
    if authority.contains('@') || parsed.host().is_empty() {
        return Err(Rejection::HostMalformed);
    }
    let end = authority.len() - parsed.port().map_or(0, |port| port.as_str().len() + 1);
    let host = authority.get(..end).map(|host| host.trim_end_matches(':')).ok_or(Rejection::HostMalformed)?;
    Some(host.strip_suffix('.').unwrap_or(host)).filter(|host| !host.is_empty()).ok_or(Rejection::HostMalformed)
}

/// The name of `name` or `name:port`: what most clients send, told without parsing.
fn plain_name(authority: &[u8]) -> Option<&str> {
    let end = authority.iter().position(|byte| !is_plain(*byte)).unwrap_or(authority.len());
    let (name, rest) = authority.split_at_checked(end)?;
    let is_name = !name.is_empty() && !name.ends_with(b".");
    let is_port = match rest {
        [] => true,
        [b':', port @ ..] => (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if is_name && is_port { str::from_utf8(name).ok() } else { None }
}

fn is_plain(byte: u8) -> bool {
    /// Looked up, since each byte of each request's `Host` is asked about.
    const PLAIN: [bool; 256] = {
        let mut plain = [false; 256];
        let mut byte = 0;
        while byte < 128_u8 {
            plain[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
            byte += 1;
        }
        plain
    };
    PLAIN.get(usize::from(byte)).is_some_and(|is_plain| *is_plain)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, header};

    use super::*;
    use crate::proxy::fields::Fields;

    #[test]
    fn only_paths_and_the_asterisk_of_options_pass() {
        assert_eq!(check_target(&Method::GET, b"/a/b?c"), Ok(()));
        assert_eq!(check_target(&Method::OPTIONS, b"*"), Ok(()));
        for (method, target) in
            [(Method::GET, &b"*"[..]), (Method::GET, b"x"), (Method::GET, b"http://contoso.com/x"), (Method::GET, b"")]
        {
            assert_eq!(check_target(&method, target), Err(Rejection::TargetMalformed), "{target:?}");
        }
    }

    #[test]
    fn a_body_has_one_length() {
        let check = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_LENGTH, HeaderValue::from_static(value));
            }
            check_message(&Method::POST, Fields::of(&headers).content_length)
        };
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&["5"]), Ok(()));
        for odd in [&["5", "5"][..], &["5, 5"], &["+5"], &[""]] {
            assert_eq!(check(odd), Err(Rejection::LengthMalformed), "{odd:?}");
        }
        assert_eq!(check_message(&Method::TRACE, Single::Absent), Err(Rejection::MethodNotAllowed));
    }

    fn host_of(values: &[&[u8]]) -> Result<String, Rejection> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::HOST, HeaderValue::from_bytes(value).unwrap());
        }
        host(Fields::of(&headers).host).map(str::to_owned)
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
    }

    #[test]
    fn everything_else_is_malformed() {
        for values in [&[][..], &[&b"a"[..], b"b"], &[b""], &[b"a b"], &[b"a/b"], &[b"user@a"], &[b"\xff"], &[b":80"], &[b"."]] {
            assert_eq!(host_of(values), Err(Rejection::HostMalformed), "{values:?}");
        }
    }
}
