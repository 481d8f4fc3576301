//! What becomes of a request: forwarded by right of its token or of its route, or refused.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{HeaderMap, header};
use pingora::http::RequestHeader;

use crate::{
    proxy::{
        connection::Connection,
        cors::Preflight,
        edge::RequestContext,
        fields::{Fields, Single},
        forward::Forward,
        hop_by_hop::connection_options,
        lifetime,
        live::Live,
        named_user,
        place::{self, BodyContent, BodyPlace, NewToken, Parts, Rewrite, TokenPlace},
        route::{Found, Route},
        session::ClientSession,
        target, tunnel,
        whole_body::{self, Stop},
    },
    token::{Lifetime, NonceRule, Rejection, Timestamp, VerifiedToken},
};

/// What becomes of a request that is not refused.
#[derive(Debug)]
pub(super) enum Decision {
    /// It goes upstream.
    Forward(Forward),
    /// It goes upstream and asks for a WebSocket.
    OpenWebSocket(Forward),
    /// It only asks what a browser may do, and the gateway says so.
    Answer(Preflight),
}

/// Decides about a request. The route is in the context from the moment it is known.
pub(super) async fn decide(client: &mut ClientSession, context: &mut RequestContext) -> Result<Decision, Stop> {
    let RequestContext { live, connection, route: chosen, began, .. } = context;
    let raw_header = client.get_headers_raw_bytes();
    let is_too_large = raw_header.len() > live.listen.header_bytes;
    let preflight = if is_too_large { None } else { Preflight::of(client) };
    let request = client.req_header();
    let fields = Fields::of(&request.headers);
    target::check_message(&request.method, &fields)?;
    target::check_target(&request.method, request.raw_path(), &raw_header)?;
    let is_preflight = preflight.is_some();
    if let Some(preflight) = preflight.filter(|_| live.routes.has_cors)
        && let Some(decision) = decide_preflight(request, fields.host, live, chosen, preflight)?
    {
        return Ok(decision);
    }
    let host = target::host(fields.host)?;
    let found = live.routes.find(&host, request.method.as_str(), target::path(request.raw_path()))?;
    let route = found.route;
    *chosen = Some(Arc::clone(route));
    // Not before the route is known: a page can read a refusal only if its route says so.
    if is_too_large {
        return Err(Rejection::HeadersTooLarge.into());
    }
    route.allowed_origins.check_socket(&request.headers)?;
    let closes = fields.connection == Single::Often
        && connection_options(&request.headers).any(|option| option.eq_ignore_ascii_case(b"close"));
    let (asks_for_websocket, accepts_events) =
        (fields.names_websocket && tunnel::asks_for_websocket(request), fields.accepts_events);
    // Of several lines, Pingora reads the first alone.
    if closes {
        client.set_server_keepalive(None);
    }
    let is_websocket = asks_for_websocket && client.is_body_empty();
    let lifetime = lifetime::of(is_websocket, accepts_events);
    let decided = by_route(client, live, &found, connection, is_websocket, lifetime, Timestamp::from(*began)).await;
    if decided.is_err() && !found.also.is_empty() {
        // The challenge is that of the route whose permission is missing.
        let request = client.req_header();
        let lacks = |route: &&Arc<Route>| connection.identity_is(|identity| check(route, identity.verified(), request).is_err());
        *chosen = found.routes().find(lacks).or(Some(route)).cloned();
    }
    if is_preflight && matches!(decided, Err(Stop::Refused(Rejection::MissingToken))) {
        complain_of_preflight(client.req_header(), route, live);
        return Err(Rejection::PreflightNotConfigured.into());
    }
    let forward = decided?;
    Ok(if is_websocket { Decision::OpenWebSocket(forward) } else { Decision::Forward(forward) })
}

/// Decides about a preflight by the route of the request that is to follow. None if that route leaves them to the other rules.
fn decide_preflight(
    request: &RequestHeader,
    host: Single<'_>,
    live: &Live,
    chosen: &mut Option<Arc<Route>>,
    preflight: Preflight,
) -> Result<Option<Decision>, Rejection> {
    let host = target::host(host)?;
    let path = target::path(request.raw_path());
    let Ok(Found { route, .. }) = live.routes.find(&host, preflight.method().as_str(), path) else { return Ok(None) };
    let Some(cors) = &route.cors else { return Ok(None) };
    *chosen = Some(Arc::clone(route));
    if !cors.allows(&preflight) {
        return Err(Rejection::OriginNotAllowed);
    }
    let Some(passage) = route.passage_of_preflight(&preflight) else { return Ok(Some(Decision::Answer(preflight))) };
    let mut rewrite = Rewrite::drop_all(&route.token_in, parts(request))?;
    Preflight::restrict(request, &mut rewrite);
    Ok(Some(Decision::Forward(Forward::passed(passage, rewrite))))
}

/// Names the page whose preflight is refused: its developer sees no more than that something about CORS is wrong.
fn complain_of_preflight(request: &RequestHeader, route: &Route, live: &Live) {
    /// More of an origin is not logged.
    const SHOWN: usize = 128;
    if live.preflights.is_due() {
        let origin = only_value(&request.headers, header::ORIGIN.as_str()).unwrap_or_default();
        let origin = origin.get(..SHOWN).unwrap_or(origin).escape_ascii().to_string();
        tracing::warn!(route = route.name, origin, "a page of another origin asks for leave, and the route has no cors");
    }
}

/// Decides about a request by what its route demands.
async fn by_route(
    client: &mut ClientSession,
    live: &Live,
    found: &Found<'_>,
    connection: &Connection,
    is_websocket: bool,
    lifetime: Lifetime,
    now: Timestamp,
) -> Result<Forward, Stop> {
    let route = found.route;
    if let Some(passage) = route.passage() {
        let places = if passage.keeps_credentials() { &[][..] } else { &route.token_in };
        return Ok(Forward::passed(passage, Rewrite::drop_all(places, parts(client.req_header()))?));
    }
    if let Some(place) = route.body_place() {
        // Boxed, so that the rare case does not make every request's future large.
        return Box::pin(by_body(client, live, found, connection, place)).await;
    }
    let request = client.req_header();
    let sent = place::find(&route.token_in, parts(request))?;
    if let TokenPlace::Cookie(_) = sent.place {
        route.allowed_origins.check_cookie(&request.method, &request.headers)?;
    }
    let exchanged = |token| {
        let (places, parts) = (&route.token_in, parts(request));
        let token = NewToken::from_authorization(token);
        let mut rewrite = Rewrite::exchange(sent.place, places, route.token_out.as_ref(), parts, token)?;
        rewrite.take_copies(parts, &sent.token)?;
        Ok::<_, Rejection>(rewrite)
    };
    let identity = match live.exchange.identify_next(connection.last_token(), &sent.token, now).await {
        Ok(identity) => identity,
        Err(rejection) => {
            let placeholder = route.placeholder(rejection).filter(|_| is_websocket).ok_or(rejection)?;
            return Ok(Forward::left_to_backend(placeholder, exchanged(&Forward::PLACEHOLDER)?));
        }
    };
    connection.rests_on(Some(Arc::clone(&identity)));
    found.routes().try_for_each(|route| check(route, identity.verified(), request))?;
    let admission = live.exchange.admit(&identity, route.profile, lifetime, now).await?;
    let user_token = NewToken::from_authorization(admission.authorization());
    route.user_query.as_deref().map_or(Ok(()), |name| named_user::check(request.raw_path(), name, user_token.as_str()))?;
    let rewrite = exchanged(admission.authorization())?;
    Ok(Forward::admitted(admission, rewrite))
}

/// Decides about a request whose token is in its body.
async fn by_body(
    client: &mut ClientSession,
    live: &Live,
    found: &Found<'_>,
    connection: &Connection,
    place: &BodyPlace,
) -> Result<Forward, Stop> {
    let body = whole_body::read(client, live.listen.body_timeout).await?;
    let request = client.req_header();
    let route = found.route;
    let sent = match place.read(&body)? {
        BodyContent::Token(sent) => sent,
        BodyContent::Passed(passed) => {
            let rewrite = Rewrite { body: Some(body), ..Rewrite::default() };
            return Ok(Forward::passed(route.passage_of_body(&passed), rewrite));
        }
    };
    let now = Timestamp::from(SystemTime::now());
    let identity = live.exchange.identify(sent.token.as_bytes(), now).await?;
    connection.rests_on(Some(Arc::clone(&identity)));
    found.routes().try_for_each(|route| check(route, identity.verified(), request))?;
    let admission = live.exchange.admit(&identity, route.profile, Lifetime::Ttl, now).await?;
    let token = NewToken::from_authorization(admission.authorization());
    let body = Some(Bytes::from(sent.replaced(token.as_str())));
    let mut rewrite = Rewrite { body, may_come_back: true, ..Rewrite::default() };
    rewrite.take_copies(parts(request), sent.token.as_bytes())?;
    Ok(Forward::admitted(admission, rewrite))
}

fn parts(request: &RequestHeader) -> Parts<'_> {
    Parts { target: request.raw_path(), headers: &request.headers }
}

/// Checks that a token has the permission that a route demands.
fn check(route: &Route, token: &VerifiedToken, request: &RequestHeader) -> Result<(), Rejection> {
    route.permission.check(token, nonce(route, request))
}

fn nonce<'a>(route: &Route, request: &'a RequestHeader) -> Option<&'a [u8]> {
    let NonceRule::EqualsHeader(name) = &route.permission.settings().nonce else { return None };
    only_value(&request.headers, name.as_str())
}

fn only_value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}
