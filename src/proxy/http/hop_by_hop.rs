//! Hop-by-hop header fields, which are not forwarded (RFC 9110 section 7.6.1).
//!
//! Pingora can remove those of requests, but looks for each of ten names in two maps. Here they are removed in the same pass as
//! the strip list.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use pingora::{Error, ErrorType, Result};

/// Names of a request that never go further. `Transfer-Encoding` is among them: how the body is framed is told to the upstream again.
pub(in crate::proxy) const NAMES: [&str; 10] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Names of an answer that go no further. How its body is framed is needed longer, and told to the client again. Trailers are dropped.
pub(in crate::proxy) const NAMES_OF_ANSWERS: [&str; 5] = ["connection", "keep-alive", "proxy-connection", "trailer", "upgrade"];

/// More than any client names, so that a header costs little to read.
const MAX_NOMINATIONS: usize = 9;
/// What is meant for all recipients and so may not be named (RFC 9110 section 7.6.1): a proxy in front passes a client's
/// `Connection` on, and with it the client could take out what that proxy has written. Fields of requests in general, and what
/// proxies write of the client.
const NEVER_NOMINATED: [&str; 59] = [
    "authorization",
    "b3",
    "baggage",
    "cache-control",
    "cdn-loop",
    "cf-connecting-ip",
    "cf-ipcountry",
    "cf-ray",
    "cf-visitor",
    "client-ip",
    "cookie",
    "date",
    "depth",
    "destination",
    "dnt",
    "dpop",
    "early-data",
    "expect",
    "fastly-client-ip",
    "fly-client-ip",
    "forwarded",
    "from",
    "front-end-https",
    "host",
    "idempotency-key",
    "last-event-id",
    "link",
    "lock-token",
    "max-forwards",
    "origin",
    "overwrite",
    "pragma",
    "prefer",
    "priority",
    "range",
    "referer",
    "signature",
    "signature-input",
    "slug",
    "timeout",
    "traceparent",
    "tracestate",
    "true-client-ip",
    "user-agent",
    "via",
    "x-amzn-trace-id",
    "x-api-key",
    "x-azure-clientip",
    "x-client-ip",
    "x-cloud-trace-context",
    "x-cluster-client-ip",
    "x-correlation-id",
    "x-envoy-external-address",
    "x-request-id",
    "x-request-start",
    "x-requested-with",
    "x-scheme",
    "x-url-scheme",
    "x-user-agent",
];
/// Beginnings of such names.
const NEVER_NOMINATED_FAMILIES: [&str; 13] = [
    "accept",
    "access-control-",
    "client-cert",
    "content-",
    "if",
    "sec-",
    "x-b3-",
    "x-csrf-",
    "x-forwarded-",
    "x-original-",
    "x-real-",
    "x-ssl-",
    "x-xsrf-",
];

/// The fields that a client's `Connection` names: they go no further either.
#[derive(Debug)]
pub(in crate::proxy) struct Nominations(Vec<HeaderName>);

impl Nominations {
    /// Errors: 400 for a `Connection` that names what is not its own, what is not a name, or too much.
    pub(in crate::proxy) fn of(headers: &HeaderMap) -> Result<Self> {
        let malformed = || Error::explain(ErrorType::HTTPStatus(400), "a malformed Connection header").into_down();
        let mut nominated = Vec::new();
        for option in connection_options(headers) {
            let name = nominated_name(option).filter(|_| nominated.len() < MAX_NOMINATIONS);
            nominated.push(name.ok_or_else(malformed)?);
        }
        Ok(Self(nominated))
    }

    pub(in crate::proxy) fn name(&self, name: &HeaderName) -> bool {
        self.0.contains(name)
    }
}

/// What `Connection` says, item by item (RFC 9110 section 7.6.1). Each may be anything but empty.
pub(in crate::proxy) fn connection_options(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    list(headers.get_all(header::CONNECTION).iter().map(HeaderValue::as_bytes))
}

/// The items of a list (RFC 9110 section 5.6.1), which may be spread over several fields. None is empty.
pub(in crate::proxy) fn list<'a>(values: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    values.flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii).filter(|item| !item.is_empty())
}

fn nominated_name(name: &[u8]) -> Option<HeaderName> {
    // `HeaderName` takes more bytes than a token has (RFC 9110 section 5.6.2): a quoted name would be another one here and there.
    let is_token = name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte));
    let name = HeaderName::from_bytes(name).ok().filter(|_| is_token)?;
    let text = name.as_str();
    // First what almost every client says.
    let is_between_hops = text == "close" || NAMES.contains(&text);
    let is_for_all = || NEVER_NOMINATED.contains(&text) || NEVER_NOMINATED_FAMILIES.iter().any(|start| text.starts_with(start));
    (is_between_hops || !is_for_all()).then_some(name)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn nominations(values: &[&'static str]) -> Result<Nominations> {
        Nominations::of(&values.iter().map(|value| (header::CONNECTION, HeaderValue::from_static(value))).collect())
    }

    #[test]
    fn what_connection_names_is_known_in_any_case() {
        let named = nominations(&["keep-alive, X-Private ,", "Upgrade"]).unwrap();
        for name in ["keep-alive", "x-private", "upgrade"] {
            assert!(named.name(&HeaderName::from_static(name)), "{name}");
        }
        assert!(!named.name(&HeaderName::from_static("x-other")));
        assert!(nominations(&[]).unwrap().0.is_empty());
    }

    #[test]
    fn a_connection_header_may_not_name_what_is_not_its_own() {
        let malformed = |value| nominations(&[value]).unwrap_err().etype() == &ErrorType::HTTPStatus(400);
        for value in ["Host", "close, X-Forwarded-For", "x-forwarded-host", "X-FORWARDED-PROTO"] {
            assert!(malformed(value), "{value}");
        }
        // What HAProxy, nginx, CDNs and meshes write, and what means the same to everybody.
        for value in [
            "X-Real-IP",
            "Forwarded",
            "X-Request-Id",
            "X-Forwarded-Port",
            "X-Forwarded-Tls-Client-Cert",
            "traceparent",
            "X-B3-TraceId",
            "True-Client-IP",
            "CF-Connecting-IP",
            "Via",
            "CDN-Loop",
            "Early-Data",
            "Origin",
            "Cookie",
            "Authorization",
            "Content-Length",
            "Content-Type",
            "If",
            "If-Match",
            "Sec-WebSocket-Key",
            "Sec-Fetch-Site",
            "Access-Control-Request-Method",
            "Accept-Encoding",
            "Cache-Control",
            "Range",
            "Expect",
        ] {
            assert!(malformed(value), "{value}");
            assert!(malformed(Box::leak(format!("keep-alive, {}", value.to_lowercase()).into_boxed_str())), "{value}");
        }
        for value in
            ["close", "Keep-Alive", "Upgrade, HTTP2-Settings", "TE", "Transfer-Encoding", "Proxy-Authorization", "X-Private"]
        {
            assert!(nominations(&[value]).is_ok(), "{value}");
        }
        for value in ["a b", "\"X-Forwarded-For\"", ":authority", "a,b,c,d,e,f,g,h,i,j", "(x)"] {
            assert!(malformed(value), "{value}");
        }
        assert!(nominations(&["a,b,c,d,e,f,g,h,i"]).is_ok());
    }
}
