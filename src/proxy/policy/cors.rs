//! Cross-origin requests of browsers: preflights, and the headers without which a page cannot read a response (WHATWG Fetch,
//! section 3.2, HTTP-CORS protocol).

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, header};
use pingora::{
    Result,
    http::{RequestHeader, ResponseHeader},
};

use crate::proxy::policy::{
    origin::{self, AllowedOrigins},
    token_place::Rewrite,
};

/// What a route does for pages of other origins. Which pages those are, [`AllowedOrigins`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsSettings {
    /// What becomes of a preflight.
    pub preflight: PreflightRule,
    /// Headers of answers that pages may read, besides those of refusals.
    pub expose_headers: Vec<HeaderName>,
    /// How long a browser may remember the answer to a preflight. Default 10 min; 0 to 24 h.
    pub max_age: Duration,
}

/// What becomes of a preflight. It holds no token, and needs none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PreflightRule {
    /// The gateway answers, and writes the CORS headers of every answer instead of the upstream's.
    #[default]
    Answer,
    /// The upstream answers. Its CORS headers stay, where they are for a page that may use the route; the gateway writes those of its own
    /// answers alone.
    Pass,
}

impl Default for CorsSettings {
    fn default() -> Self {
        Self { preflight: PreflightRule::default(), expose_headers: Vec::new(), max_age: Duration::from_secs(600) }
    }
}

/// The CORS headers of a route.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::proxy) struct Cors {
    preflight: PreflightRule,
    origins: AllowedOrigins,
    exposed: HeaderValue,
    max_age: u64,
}

impl Cors {
    pub(in crate::proxy) fn new(settings: &CorsSettings, origins: &AllowedOrigins) -> Self {
        /// What refusals say to the client.
        const OWN: [&str; 2] = ["www-authenticate", "retry-after"];
        let names: Vec<_> = OWN.into_iter().chain(settings.expose_headers.iter().map(HeaderName::as_str)).collect();
        Self {
            preflight: settings.preflight,
            origins: origins.clone(),
            exposed: HeaderValue::try_from(names.join(", ")).unwrap_or(HeaderValue::from_static("www-authenticate")),
            max_age: settings.max_age.as_secs(),
        }
    }

    pub(super) fn passes_preflights(&self) -> bool {
        self.preflight == PreflightRule::Pass
    }

    pub(in crate::proxy) fn allows(&self, preflight: &Preflight) -> bool {
        self.origins.allows(&preflight.origin)
    }

    /// Shows an answer of the gateway's own to the page that asked.
    pub(in crate::proxy) fn write(&self, request: &RequestHeader, answer: &mut ResponseHeader) -> Result<()> {
        self.write_origin(origin::origin(&request.headers), answer)?;
        answer.insert_header(header::ACCESS_CONTROL_EXPOSE_HEADERS, &self.exposed)
    }

    /// Shows an answer of the upstream to the page that asked, unless that is the upstream's business.
    pub(in crate::proxy) fn write_relayed(&self, request: &RequestHeader, answer: &mut ResponseHeader) -> Result<()> {
        const OF_UPSTREAM: [HeaderName; 3] =
            [header::ACCESS_CONTROL_ALLOW_ORIGIN, header::ACCESS_CONTROL_ALLOW_CREDENTIALS, header::ACCESS_CONTROL_EXPOSE_HEADERS];
        let is_unlisted = origin::origin(&request.headers).is_none_or(|origin| !self.origins.allows(origin));
        if !self.passes_preflights() || is_unlisted {
            for name in OF_UPSTREAM {
                answer.remove_header(&name);
            }
        }
        match (self.passes_preflights(), &self.origins) {
            (false, _) => self.write(request, answer),
            // Another page may be answered otherwise: a browser must not keep this answer for both.
            (true, AllowedOrigins::Listed(_)) => answer.append_header(header::VARY, "Origin").map(drop),
            (true, _) => Ok(()),
        }
    }

    /// The answer to a preflight.
    pub(in crate::proxy) fn answer(&self, preflight: &Preflight) -> Result<ResponseHeader> {
        let mut answer = ResponseHeader::build(204, Some(7))?;
        self.write_origin(Some(&preflight.origin), &mut answer)?;
        answer.insert_header(header::ACCESS_CONTROL_ALLOW_METHODS, preflight.method.as_str())?;
        if let Some(headers) = &preflight.headers {
            answer.insert_header(header::ACCESS_CONTROL_ALLOW_HEADERS, headers)?;
        }
        answer.insert_header(header::ACCESS_CONTROL_MAX_AGE, self.max_age)?;
        Ok(answer)
    }

    /// Credentials, such as cookies, only for pages that are listed.
    fn write_origin(&self, origin: Option<&HeaderValue>, answer: &mut ResponseHeader) -> Result<()> {
        if self.origins == AllowedOrigins::Any {
            return answer.insert_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        }
        // The answer to another page would be another one, whichever page asked.
        answer.append_header(header::VARY, "Origin")?;
        if let Some(origin) = origin.filter(|origin| self.origins.allows(origin)) {
            answer.insert_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin)?;
            answer.insert_header(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true")?;
        }
        Ok(())
    }
}

/// What a browser asks before it sends a request with a token to another origin.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct Preflight {
    origin: HeaderValue,
    method: Method,
    headers: Option<HeaderValue>,
}

impl Preflight {
    /// The preflight that this request is, if it is one: `OPTIONS` with `Origin` and `Access-Control-Request-Method`, without
    /// `Authorization` and without a body. No other `OPTIONS` is.
    pub(in crate::proxy) fn of(request: &RequestHeader, has_body: bool) -> Option<Self> {
        if request.method == Method::OPTIONS && !has_body { Self::read(request) } else { None }
    }

    /// The method of the request that is to follow.
    pub(in crate::proxy) fn method(&self) -> &Method {
        &self.method
    }

    /// Takes out of a preflight what no browser puts in: a method override or a cookie might mean something to the upstream.
    pub(super) fn restrict(request: &RequestHeader, rewrite: &mut Rewrite) {
        let others = request.headers.keys().filter(|name| !is_of_preflight(name));
        rewrite.headers.extend(others.map(|name| (name.clone(), None)));
    }

    fn read(request: &RequestHeader) -> Option<Self> {
        let headers = &request.headers;
        if headers.contains_key(header::AUTHORIZATION) {
            return None;
        }
        let only = |name: HeaderName| {
            let mut values = headers.get_all(name).iter();
            values.next().filter(|_| values.next().is_none())
        };
        let method = Method::from_bytes(only(header::ACCESS_CONTROL_REQUEST_METHOD)?.as_bytes()).ok()?;
        let asked = match headers.contains_key(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            true => Some(only(header::ACCESS_CONTROL_REQUEST_HEADERS).filter(|list| names_headers(list))?.clone()),
            false => None,
        };
        Some(Self { origin: origin::origin(headers)?.clone(), method, headers: asked })
    }
}

fn names_headers(list: &HeaderValue) -> bool {
    list.as_bytes().split(|byte| *byte == b',').all(|name| HeaderName::from_bytes(name.trim_ascii()).is_ok())
}

/// Whether a browser puts this header into a preflight, or a connection needs it.
fn is_of_preflight(name: &HeaderName) -> bool {
    const EXACT: [&str; 9] =
        ["accept", "cache-control", "connection", "host", "origin", "pragma", "priority", "referer", "user-agent"];
    const FAMILIES: [&str; 4] = ["accept-", "access-control-request-", "sec-ch-", "sec-fetch-"];
    EXACT.contains(&name.as_str()) || FAMILIES.iter().any(|family| name.as_str().starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: (&str, &str) = ("origin", "https://app.contoso.com");
    const METHOD: (&str, &str) = ("access-control-request-method", "PUT");

    fn request(headers: &[(&'static str, &'static str)]) -> RequestHeader {
        let mut request = RequestHeader::build("OPTIONS", b"/db", None).unwrap();
        headers.iter().for_each(|(name, value)| drop(request.append_header(*name, *value)));
        request
    }

    fn cors(preflight: PreflightRule, origins: AllowedOrigins) -> Cors {
        let settings = CorsSettings { preflight, expose_headers: vec![header::ETAG], ..CorsSettings::default() };
        Cors::new(&settings, &origins)
    }

    fn listed() -> AllowedOrigins {
        AllowedOrigins::Listed(vec![ORIGIN.1.to_owned()])
    }

    #[test]
    fn only_a_real_preflight_is_one() {
        let read = |headers: &[_]| Preflight::read(&request(headers));
        let preflight = read(&[ORIGIN, METHOD, ("access-control-request-headers", "authorization, content-type")]).unwrap();
        assert_eq!(preflight.method(), Method::PUT);
        for headers in [
            &[][..],
            &[ORIGIN],
            &[METHOD],
            &[ORIGIN, ORIGIN, METHOD],
            &[ORIGIN, METHOD, METHOD],
            &[ORIGIN, METHOD, ("authorization", "Bearer x")],
            &[ORIGIN, ("access-control-request-method", "P UT")],
            &[ORIGIN, METHOD, ("access-control-request-headers", "authorization, \"x\"")],
        ] {
            assert!(read(headers).is_none(), "{headers:?}");
        }
    }

    #[test]
    fn other_methods_and_bodies_are_no_preflights() {
        let options = request(&[ORIGIN, METHOD]);
        let mut get = request(&[ORIGIN, METHOD]);
        get.set_method(Method::GET);
        assert!(Preflight::of(&options, false).is_some());
        assert!(Preflight::of(&options, true).is_none());
        assert!(Preflight::of(&get, false).is_none());
    }

    #[test]
    fn an_answer_names_the_page_that_asked_and_no_other() {
        let answered = |origins, headers: &[_]| {
            let mut answer = ResponseHeader::build(401, None).unwrap();
            cors(PreflightRule::Pass, origins).write(&request(headers), &mut answer).unwrap();
            answer.headers.clone()
        };
        let known = answered(listed(), &[ORIGIN]);
        assert_eq!(known[header::ACCESS_CONTROL_ALLOW_ORIGIN], ORIGIN.1);
        assert_eq!(known[header::ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert_eq!(known[header::ACCESS_CONTROL_EXPOSE_HEADERS], "www-authenticate, retry-after, etag");
        assert_eq!(known[header::VARY], "Origin");
        for headers in [&[][..], &[("origin", "https://evil.contoso.com")], &[("origin", "null")]] {
            let other = answered(listed(), headers);
            assert!(!other.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), "{headers:?}");
            assert_eq!(other[header::VARY], "Origin");
        }
        let any = answered(AllowedOrigins::Any, &[ORIGIN]);
        assert_eq!(any[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert!(!any.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
    }

    #[test]
    fn what_the_upstream_says_counts_only_where_preflights_pass() {
        let relayed = |preflight| {
            let mut answer = ResponseHeader::build(200, None).unwrap();
            answer.insert_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*").unwrap();
            answer.insert_header(header::VARY, "Accept").unwrap();
            cors(preflight, listed()).write_relayed(&request(&[ORIGIN]), &mut answer).unwrap();
            answer.headers.clone()
        };
        assert_eq!(relayed(PreflightRule::Pass)[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        let own = relayed(PreflightRule::Answer);
        assert_eq!(own[header::ACCESS_CONTROL_ALLOW_ORIGIN], ORIGIN.1);
        assert_eq!(own.get_all(header::VARY).iter().collect::<Vec<_>>(), ["Accept", "Origin"]);
    }

    #[test]
    fn a_backend_that_lets_every_page_in_does_not_undo_the_list() {
        let mut answer = ResponseHeader::build(200, None).unwrap();
        answer.insert_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "https://evil.contoso.com").unwrap();
        answer.insert_header(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true").unwrap();
        let asked = request(&[("origin", "https://evil.contoso.com")]);
        cors(PreflightRule::Pass, listed()).write_relayed(&asked, &mut answer).unwrap();
        assert_eq!(
            (answer.headers.len(), &answer.headers[header::VARY]),
            (1, &HeaderValue::from_static("Origin")),
            "{:?}",
            answer.headers
        );
    }

    #[test]
    fn a_preflight_brings_nothing_else_along() {
        let mut rewrite = Rewrite::default();
        let headers = [ORIGIN, METHOD, ("cookie", "a=b"), ("x-http-method-override", "DELETE"), ("accept-language", "en")];
        Preflight::restrict(&request(&headers), &mut rewrite);
        let mut gone: Vec<_> = rewrite.headers.iter().map(|(name, _)| name.as_str()).collect();
        gone.sort_unstable();
        assert_eq!(gone, ["cookie", "x-http-method-override"]);
    }
}
