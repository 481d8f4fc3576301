//! Header fields that are between a client and the gateway, or the gateway and an upstream, and go no further (RFC 9110 section 7.6.1).
//!
//! Pingora can take those of requests out, but looks for each of ten names in two maps. Here they go in the one pass of the
//! strip list that every request has anyway.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use pingora::{Error, ErrorType, Result};

/// Names of a request that never go further. `Transfer-Encoding` is among them: how the body is framed is told to the upstream anew.
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

/// Names of an answer that go no further. How its body is framed is needed longer, and told to the client anew. Trailers are dropped.
pub(in crate::proxy) const NAMES_OF_ANSWERS: [&str; 5] = ["connection", "keep-alive", "proxy-connection", "trailer", "upgrade"];

/// More than any client names, so that a header costs little to read.
const MOST_NOMINATIONS: usize = 9;
/// What a client must not take from the upstream: whom it speaks to, and for whom.
const NEVER_NOMINATED: [&str; 4] = ["host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];

/// The fields that a client's `Connection` names: they go no further either.
#[derive(Debug)]
pub(in crate::proxy) struct Nominations(Vec<HeaderName>);

impl Nominations {
    /// Errors: 400 for a `Connection` that names what is not its own, what is no name, or too much.
    pub(in crate::proxy) fn of(headers: &HeaderMap) -> Result<Self> {
        let malformed = || Error::explain(ErrorType::HTTPStatus(400), "a malformed Connection header").into_down();
        let mut nominated = Vec::new();
        for option in connection_options(headers) {
            let name = nominated_name(option).filter(|_| nominated.len() < MOST_NOMINATIONS);
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
    (!NEVER_NOMINATED.contains(&name.as_str())).then_some(name)
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
        for value in ["a b", "\"X-Forwarded-For\"", ":authority", "a,b,c,d,e,f,g,h,i,j", "(x)"] {
            assert!(malformed(value), "{value}");
        }
        assert!(nominations(&["a,b,c,d,e,f,g,h,i"]).is_ok());
    }
}
