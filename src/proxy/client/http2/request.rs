//! The header of an HTTP/2 request as one of HTTP/1.1, which is what everything behind it decides by. Pure.

use http::{HeaderMap, HeaderValue, Method, Uri, header, request, uri::PathAndQuery};
use pingora::http::RequestHeader;

use crate::proxy::client::{intake::MAX_FIELDS, unreadable::Unreadable};

/// The header with its authority as `Host`, its cookies in one field, and a target without scheme and authority (RFC 9113 section 8.3.1).
/// Where it has an authority and another `Host`, it has two.
///
/// # Errors
/// What may not be forwarded to HTTP/1.1, or is not a request that this is for.
pub(super) fn header(mut parts: request::Parts) -> Result<RequestHeader, Unreadable> {
    if parts.method == Method::CONNECT {
        return Err(Unreadable::Connect);
    }
    let target = parts.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    if parts.headers.len() > MAX_FIELDS {
        return Err(Unreadable::TooManyFields);
    }
    // Neither is part of a URL (RFC 3986 section 2), and the first ends a target of HTTP/1.1.
    if target.as_str().bytes().any(|byte| byte <= b' ' || byte == 127) {
        return Err(Unreadable::Target);
    }
    if parts.headers.values().any(|value| has_margin(value.as_bytes())) {
        return Err(Unreadable::Field);
    }
    if let Some(authority) = parts.uri.authority() {
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Unreadable::Field)?;
        if parts.headers.get(header::HOST).is_none_or(|known| *known != host) {
            parts.headers.append(header::HOST, host);
        }
    }
    join_cookies(&mut parts.headers)?;
    parts.uri = Uri::from(target);
    Ok(RequestHeader::from(parts))
}

/// Whether a value begins or ends with white space, which the rules forbid (RFC 9113 section 8.2.1) and parsers of HTTP/1.1 remove: what
/// is compared here would be another value there.
fn has_margin(value: &[u8]) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    is_blank(value.first()) || is_blank(value.last())
}

/// A client may send each cookie as a field of its own; what reads them expects one (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) -> Result<(), Unreadable> {
    if headers.get_all(header::COOKIE).iter().nth(1).is_none() {
        return Ok(());
    }
    let crumbs: Vec<_> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    let joined = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])).map_err(|_| Unreadable::Field)?;
    headers.insert(header::COOKIE, joined);
    Ok(())
}
