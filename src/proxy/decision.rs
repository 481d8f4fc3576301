//! What becomes of a request: forwarded by right of its token or of its route, or refused.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use pingora::{http::RequestHeader, proxy::Session};

use crate::{
    proxy::{
        edge::RequestContext,
        forward::Forward,
        lifetime,
        live::Live,
        place::{self, BodyContent, BodyPlace, NewToken, Parts, Rewrite, TokenPlace},
        route::Route,
        target, tunnel,
        whole_body::{self, Stop},
    },
    token::{Lifetime, NonceRule, Rejection, Timestamp},
};

/// Decides about a request. The route is in the context from the moment it is known.
pub(super) async fn decide(session: &mut Session, context: &mut RequestContext) -> Result<Forward, Stop> {
    let live = Arc::clone(&context.live);
    let header_bytes = session.as_downstream().as_http1().map_or(0, |http| http.get_headers_raw_bytes().len());
    if header_bytes > live.listen.header_bytes {
        return Err(Rejection::HeadersTooLarge.into());
    }
    let request = session.req_header();
    target::check_message(&request.method, &request.headers)?;
    target::check_target(&request.method, request.raw_path())?;
    let host = target::host(&request.headers)?;
    let route = Arc::clone(live.routes.find(host, request.method.as_str(), request.uri.path())?);
    context.route = Some(Arc::clone(&route));

    if let Some(passage) = route.passage() {
        let places = if passage.keeps_credentials() { &[][..] } else { &route.token_in };
        return Ok(Forward::passed(passage, Rewrite::drop_all(places, parts(session.req_header()))?));
    }
    if let Some(place) = route.body_place() {
        return decide_by_body(session, &live, &route, place).await;
    }
    let is_websocket = tunnel::is_websocket_request(session);
    let request = session.req_header();
    let found = place::find(&route.token_in, parts(request))?;
    if let TokenPlace::Cookie(_) = found.place {
        check_origin(request, &route.allowed_origins)?;
    }
    let exchanged = |token| {
        Rewrite::exchange(
            found.place,
            &route.token_in,
            route.token_out.as_ref(),
            parts(request),
            NewToken::from_authorization(token),
        )
    };
    let now = Timestamp::from(SystemTime::now());
    let identity = match live.exchange.identify(&found.token, now).await {
        Ok(identity) => identity,
        Err(rejection) => {
            let placeholder = route.placeholder(rejection).filter(|_| is_websocket).ok_or(rejection)?;
            return Ok(Forward::left_to_backend(placeholder, exchanged(&Forward::PLACEHOLDER)?));
        }
    };
    route.permission.check(identity.verified(), nonce(&route, request))?;
    let admission = live.exchange.admit(&identity, route.profile, lifetime::of(request), now).await?;
    let rewrite = exchanged(admission.authorization())?;
    Ok(Forward::admitted(admission, rewrite))
}

/// Decides about a request whose token is in its body.
async fn decide_by_body(session: &mut Session, live: &Live, route: &Route, place: &BodyPlace) -> Result<Forward, Stop> {
    let body = whole_body::read(session, live.listen.body_timeout).await?;
    let request = session.req_header();
    let found = match place.read(&body)? {
        BodyContent::Token(found) => found,
        BodyContent::Passed(passed) => {
            let rewrite = Rewrite { body: Some(body), ..Rewrite::default() };
            return Ok(Forward::passed(route.passage_of_body(&passed), rewrite));
        }
    };
    let now = Timestamp::from(SystemTime::now());
    let identity = live.exchange.identify(found.token.as_bytes(), now).await?;
    route.permission.check(identity.verified(), nonce(route, request))?;
    let admission = live.exchange.admit(&identity, route.profile, Lifetime::Ttl, now).await?;
    let token = NewToken::from_authorization(admission.authorization());
    let rewrite = Rewrite { body: Some(Bytes::from(found.replaced(token.as_str()))), ..Rewrite::default() };
    Ok(Forward::admitted(admission, rewrite))
}

fn parts(request: &RequestHeader) -> Parts<'_> {
    Parts { target: request.raw_path(), headers: &request.headers }
}

fn nonce<'a>(route: &Route, request: &'a RequestHeader) -> Option<&'a [u8]> {
    let NonceRule::EqualsHeader(name) = &route.permission.settings().nonce else { return None };
    only_value(&request.headers, name.as_str())
}

/// A browser sends cookies with requests that any web page makes. So the page must be one that we know, where more than reading is asked.
fn check_origin(request: &RequestHeader, allowed: &[String]) -> Result<(), Rejection> {
    let only_reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(&request.method);
    if only_reads && !request.headers.contains_key(header::UPGRADE) {
        return Ok(());
    }
    let origin = only_value(&request.headers, header::ORIGIN.as_str()).ok_or(Rejection::OriginNotAllowed)?;
    if allowed.iter().any(|known| known.as_bytes() == origin) { Ok(()) } else { Err(Rejection::OriginNotAllowed) }
}

fn only_value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_counts_for_unsafe_methods_and_upgrades_only_with_a_known_origin() {
        let allowed = ["https://app.contoso.com".to_owned()];
        let check = |method: &str, headers: &[(&'static str, &str)]| {
            let mut request = RequestHeader::build(method, b"/", None).unwrap();
            headers.iter().for_each(|(name, value)| drop(request.append_header(*name, *value)));
            check_origin(&request, &allowed)
        };
        let (known, other) = (("origin", "https://app.contoso.com"), ("origin", "https://evil.contoso.com"));
        assert_eq!(check("GET", &[]), Ok(()));
        assert_eq!(check("GET", &[other]), Ok(()));
        assert_eq!(check("POST", &[known]), Ok(()));
        assert_eq!(check("GET", &[("upgrade", "websocket"), known]), Ok(()));
        for (method, headers) in [
            ("POST", &[][..]),
            ("POST", &[other]),
            ("DELETE", &[("origin", "null")]),
            ("POST", &[known, known]),
            ("POST", &[("origin", "https://app.contoso.com.evil.com")]),
            ("GET", &[("upgrade", "websocket")]),
            ("GET", &[("upgrade", "websocket"), other]),
        ] {
            assert_eq!(check(method, headers), Err(Rejection::OriginNotAllowed), "{method} {headers:?}");
        }
    }
}
