//! Which web pages may use a route. A browser sends the page's origin in `Origin` (RFC 6454 section 7), and no page can change
//! that.

use http::{HeaderMap, HeaderValue, Method, header};

use crate::token::Rejection;

/// Web pages that may use a route from a browser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Not configured: WebSockets may come from any page, and a cookie is accepted only for reading.
    #[default]
    Unsaid,
    /// Every page.
    Any,
    /// The pages of these origins, such as `https://app.contoso.com`.
    Listed(Vec<String>),
}

impl AllowedOrigins {
    /// Whether this origin is one of those that are listed.
    pub fn lists(&self, origin: &str) -> bool {
        matches!(self, Self::Listed(known) if known.iter().any(|known| known == origin))
    }

    /// Whether pages of this origin may use the route.
    pub(in crate::proxy) fn allows(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Unsaid => false,
            Self::Any => true,
            Self::Listed(known) => known.iter().any(|known| known.as_bytes() == origin.as_bytes()),
        }
    }

    /// A socket that comes from a browser must come from a known page, since browsers open sockets for every page (RFC 6455 section 10.2).
    /// Other clients send no `Origin`.
    pub(super) fn check_socket(&self, headers: &HeaderMap) -> Result<(), Rejection> {
        let is_unchecked = matches!(self, Self::Unsaid | Self::Any) || !headers.contains_key(header::UPGRADE);
        if is_unchecked || !headers.contains_key(header::ORIGIN) { Ok(()) } else { self.check(headers) }
    }

    /// A browser sends cookies with requests that any web page makes. So the page must be a known one where more than reading is asked.
    pub(super) fn check_cookie(&self, method: &Method, headers: &HeaderMap) -> Result<(), Rejection> {
        let only_reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
        if only_reads && !headers.contains_key(header::UPGRADE) { Ok(()) } else { self.check(headers) }
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), Rejection> {
        match origin(headers) {
            Some(origin) if self.allows(origin) => Ok(()),
            _ => Err(Rejection::OriginNotAllowed),
        }
    }
}

/// The origin that a request names, if it names one.
pub(in crate::proxy) fn origin(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut values = headers.get_all(header::ORIGIN).iter();
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    const KNOWN: (&str, &str) = ("origin", "https://app.contoso.com");
    const OTHER: (&str, &str) = ("origin", "https://evil.contoso.com");
    const UPGRADE: (&str, &str) = ("upgrade", "websocket");

    #[test]
    fn an_origin_is_listed_byte_for_byte() {
        assert!(listed().lists("https://app.contoso.com"));
        for other in ["https://app.contoso.com/", "HTTPS://app.contoso.com", ""] {
            assert!(!listed().lists(other), "{other}");
        }
        assert!(!AllowedOrigins::Any.lists("https://app.contoso.com"), "that is no list");
    }

    fn listed() -> AllowedOrigins {
        AllowedOrigins::Listed(vec!["https://app.contoso.com".to_owned()])
    }

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_cookie_counts_for_unsafe_methods_and_upgrades_only_with_a_known_origin() {
        let check = |method: &str, list: &[_]| listed().check_cookie(&method.parse().unwrap(), &headers(list));
        assert_eq!(check("GET", &[]), Ok(()));
        assert_eq!(check("GET", &[OTHER]), Ok(()));
        assert_eq!(check("POST", &[KNOWN]), Ok(()));
        assert_eq!(check("GET", &[UPGRADE, KNOWN]), Ok(()));
        for (method, list) in [
            ("POST", &[][..]),
            ("POST", &[OTHER]),
            ("DELETE", &[("origin", "null")]),
            ("POST", &[KNOWN, KNOWN]),
            ("POST", &[("origin", "https://app.contoso.com.evil.com")]),
            ("GET", &[UPGRADE]),
            ("GET", &[UPGRADE, OTHER]),
        ] {
            assert_eq!(check(method, list), Err(Rejection::OriginNotAllowed), "{method} {list:?}");
        }
        assert_eq!(AllowedOrigins::Unsaid.check_cookie(&Method::POST, &headers(&[KNOWN])), Err(Rejection::OriginNotAllowed));
    }

    #[test]
    fn a_socket_of_a_browser_comes_from_a_known_page() {
        let check = |list: &[_]| listed().check_socket(&headers(list));
        for list in [&[][..], &[OTHER], &[UPGRADE], &[UPGRADE, KNOWN]] {
            assert_eq!(check(list), Ok(()), "{list:?}");
        }
        for list in [&[UPGRADE, OTHER][..], &[UPGRADE, KNOWN, OTHER], &[UPGRADE, ("origin", "null")]] {
            assert_eq!(check(list), Err(Rejection::OriginNotAllowed), "{list:?}");
        }
        for unchecked in [AllowedOrigins::Unsaid, AllowedOrigins::Any] {
            assert_eq!(unchecked.check_socket(&headers(&[UPGRADE, OTHER])), Ok(()));
        }
    }
}
