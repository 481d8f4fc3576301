//! What becomes of a request: forwarded, by its token or its route, or refused. It takes the parts of a request, not its
//! connection, so it can be used without one.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, OnceLock},
};

use bytes::Bytes;
use http::HeaderMap;
use pingora::http::RequestHeader;

use crate::{
    certificate::ClientCertificate,
    endpoint::Endpoint,
    exchange::{Exchange, Identity, LastToken},
    limits::{Exceeded, Limits},
    proxy::{
        http::{Fields, Single, connection_options, lifetime, switch},
        policy::{
            cors::Preflight,
            limited::Limited,
            named_user,
            permit::Permit,
            route::{Found, Route, RouteTable},
            target,
            token_place::{self, BodyContent, BodyPlace, NewToken, Parts, Rewrite, TokenPlace},
        },
    },
    token::{Lifetime, NonceRule, Rejection, Timestamp, VerifiedToken},
};

/// What requests are decided by.
#[derive(Debug)]
pub(in crate::proxy) struct Policy {
    pub(in crate::proxy) routes: RouteTable,
    pub(in crate::proxy) exchange: Arc<Exchange>,
    pub(in crate::proxy) limits: Arc<Limits>,
}

/// What is known of a request when it is decided about.
#[derive(Debug)]
pub(in crate::proxy) struct Asked<'a> {
    pub(in crate::proxy) request: &'a RequestHeader,
    /// The header as it came on the wire.
    pub(in crate::proxy) raw_header: &'a [u8],
    /// Whether the header has more bytes than it may.
    pub(in crate::proxy) is_too_large: bool,
    pub(in crate::proxy) has_body: bool,
    /// The whole body, once it has been [asked for](Decision::NeedsBody).
    pub(in crate::proxy) body: Option<Bytes>,
    /// The token of the requests before this one on its connection.
    pub(in crate::proxy) last_token: &'a Mutex<LastToken>,
    /// What the client has shown in the handshake of its connection.
    pub(in crate::proxy) certificate: Option<&'a ClientCertificate>,
    /// Who the client is.
    pub(in crate::proxy) client: IpAddr,
    /// Which limit it has reached, once it has.
    pub(in crate::proxy) exceeded: &'a OnceLock<Exceeded>,
    pub(in crate::proxy) now: Timestamp,
}

/// What was found out about a request, and what becomes of it.
#[derive(Debug)]
pub(in crate::proxy) struct Decided {
    /// Its route, also where it is refused, if it has come so far.
    pub(in crate::proxy) route: Option<Arc<Route>>,
    /// Whose token it has, also where it is refused.
    pub(in crate::proxy) identity: Option<Arc<Identity>>,
    /// Whether its connection is to end after it, by a `Connection` of several lines: of these Pingora reads the first alone.
    pub(in crate::proxy) closes: bool,
    /// Whether it says who the client is, as proxies in front do.
    pub(in crate::proxy) tells_client: bool,
    pub(in crate::proxy) outcome: Result<Decision, Rejection>,
}

/// What becomes of a request that is not refused.
#[derive(Debug)]
pub(in crate::proxy) enum Decision {
    /// It goes upstream.
    Forward(Permit),
    /// It goes upstream and asks for a WebSocket.
    OpenWebSocket(Permit),
    /// It is only a preflight, and the gateway answers it.
    Answer(Preflight),
    /// The gateway answers it itself.
    Call(Arc<Endpoint>),
    /// The token may be in its body: to be asked again with that.
    NeedsBody,
}

impl Policy {
    /// Decides about a request.
    pub(in crate::proxy) async fn decide(&self, asked: Asked<'_>) -> Decided {
        let mut decided =
            Decided { route: None, identity: None, closes: false, tells_client: false, outcome: Ok(Decision::NeedsBody) };
        decided.outcome = self.outcome(asked, &mut decided).await;
        decided
    }

    async fn outcome(&self, asked: Asked<'_>, decided: &mut Decided) -> Result<Decision, Rejection> {
        let Asked { request, is_too_large, has_body, .. } = asked;
        let preflight = if is_too_large { None } else { Preflight::of(request, has_body) };
        let fields = Fields::of(&request.headers);
        decided.tells_client = fields.tells_client;
        target::check_message(&request.method, &fields)?;
        target::check_target(&request.method, request.raw_path(), asked.raw_header)?;
        let is_preflight = preflight.is_some();
        if let Some(preflight) = preflight.filter(|_| self.routes.has_cors)
            && let Some(decision) = self.by_preflight(request, fields.host, preflight, &mut decided.route)?
        {
            return Ok(decision);
        }
        let host = target::host(fields.host)?;
        let (method, path) = (request.method.as_str(), target::path(request.raw_path()));
        let found = if fields.names_path {
            self.routes.find_with_others(&host, method, path, &request.headers)?
        } else {
            self.routes.find(&host, method, path)?
        };
        let route = found.route;
        decided.route = Some(Arc::clone(route));
        // Not before the route is known: a page can read a refusal only if its route says so.
        if is_too_large {
            return Err(Rejection::HeadersTooLarge);
        }
        if route.requires_certificate && asked.certificate.is_none() {
            return Err(Rejection::CertificateRequired);
        }
        if let Some(endpoint) = &route.endpoint {
            // At exactly its path: a rule in front of the gateway that names it holds for every call.
            let is_named = found.also.is_empty() && path == route.path().as_bytes();
            return if is_named { Ok(Decision::Call(Arc::clone(endpoint))) } else { Err(Rejection::AmbiguousPath) };
        }
        if route.may_be_left_by(path) {
            return Err(Rejection::AmbiguousPath);
        }
        route.allowed_origins.check_socket(&request.headers)?;
        decided.closes = fields.connection == Single::Often
            && connection_options(&request.headers).any(|option| option.eq_ignore_ascii_case(b"close"));
        let certificate = asked.certificate;
        let is_websocket = !has_body && fields.names_websocket && switch::asks_for_websocket(request);
        let lifetime = lifetime::of(is_websocket, fields.accepts_events);
        let permitted = self.by_route(asked, &found, is_websocket, lifetime, &mut decided.identity).await;
        if permitted.is_err() {
            // The challenge is that of the route whose permission is missing.
            let identity = decided.identity.as_ref();
            let lacks = |route: &&Arc<Route>| identity.is_none_or(|identity| check(route, identity.verified(), request).is_err());
            decided.route = found.routes().find(lacks).or(Some(route)).cloned();
        }
        match permitted {
            Err(Rejection::MissingToken) if is_preflight => Err(Rejection::PreflightNotConfigured),
            Err(rejection) => Err(rejection),
            Ok(None) => Ok(Decision::NeedsBody),
            Ok(Some(mut permit)) => {
                permit.forward_certificate(route.forward_certificate, certificate);
                Ok(if is_websocket { Decision::OpenWebSocket(permit) } else { Decision::Forward(permit) })
            }
        }
    }

    /// Decides about a preflight by the route of the request that is to follow. None if that route leaves them to the other rules.
    fn by_preflight(
        &self,
        request: &RequestHeader,
        host: Single<'_>,
        preflight: Preflight,
        chosen: &mut Option<Arc<Route>>,
    ) -> Result<Option<Decision>, Rejection> {
        let host = target::host(host)?;
        let path = target::path(request.raw_path());
        let Ok(Found { route, .. }) = self.routes.find(&host, preflight.method().as_str(), path) else { return Ok(None) };
        let Some(cors) = &route.cors else { return Ok(None) };
        *chosen = Some(Arc::clone(route));
        if !cors.allows(&preflight) {
            return Err(Rejection::OriginNotAllowed);
        }
        let Some(passage) = route.passage_of_preflight(&preflight) else { return Ok(Some(Decision::Answer(preflight))) };
        let mut rewrite = Rewrite::drop_all(&route.token_in, parts(request))?;
        Preflight::restrict(request, &mut rewrite);
        Ok(Some(Decision::Forward(Permit::passed(passage, rewrite))))
    }

    /// Decides about a request by what its route requires. None: by its body.
    async fn by_route(
        &self,
        asked: Asked<'_>,
        found: &Found<'_>,
        is_websocket: bool,
        lifetime: Lifetime,
        whose: &mut Option<Arc<Identity>>,
    ) -> Result<Option<Permit>, Rejection> {
        let (route, request) = (found.route, asked.request);
        if let Some(passage) = route.passage() {
            let places = if passage.keeps_credentials() { &[][..] } else { &route.token_in };
            return Ok(Some(Permit::passed(passage, Rewrite::drop_all(places, parts(request))?)));
        }
        if let Some(place) = route.body_place() {
            // Boxed, so that the rare case does not make every request's future large.
            return Box::pin(self.by_body(asked, found, place, whose)).await;
        }
        let sent = token_place::find(&route.token_in, parts(request))?;
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
        let limited = self.limited(&asked);
        let identified = self.exchange.identify_next_if(asked.last_token, &sent.token, asked.now, || limited.may_verify());
        let identity = match identified.await.map_err(|rejection| limited.note(rejection)) {
            Ok(identity) => whose.insert(identity),
            Err(rejection) => {
                let placeholder = route.placeholder(rejection).filter(|_| is_websocket).ok_or(rejection)?;
                return Ok(Some(Permit::left_to_backend(placeholder, exchanged(&Permit::PLACEHOLDER)?)));
            }
        };
        identity.verified().check_certificate(thumbprint(asked.certificate))?;
        found.routes().try_for_each(|route| check(route, identity.verified(), request))?;
        let held = limited.begin(identity, lifetime)?;
        let may_mint = || limited.may_mint(identity);
        let admission = self.exchange.admit_if(identity, route.profile, lifetime, asked.now, may_mint).await?;
        let user_token = NewToken::from_authorization(admission.authorization());
        route.user_query.as_deref().map_or(Ok(()), |name| named_user::check(request.raw_path(), name, user_token.as_str()))?;
        let rewrite = exchanged(admission.authorization())?;
        Ok(Some(Permit::admitted(admission, rewrite).holding(held)))
    }

    fn limited<'a>(&'a self, asked: &Asked<'a>) -> Limited<'a> {
        Limited { limits: &self.limits, client: asked.client, exceeded: asked.exceeded }
    }

    /// Decides about a request whose token is in its body. None: the body is needed for a decision.
    async fn by_body(
        &self,
        asked: Asked<'_>,
        found: &Found<'_>,
        place: &BodyPlace,
        whose: &mut Option<Arc<Identity>>,
    ) -> Result<Option<Permit>, Rejection> {
        let limited = self.limited(&asked);
        let Some(body) = asked.body else { return Ok(None) };
        let (route, request) = (found.route, asked.request);
        let sent = match place.read(&body)? {
            BodyContent::Token(sent) => sent,
            BodyContent::Passed(passed) => {
                let rewrite = Rewrite { body: Some(body), ..Rewrite::default() };
                return Ok(Some(Permit::passed(route.passage_of_body(&passed), rewrite)));
            }
        };
        let identified = self.exchange.identify_if(sent.token.as_bytes(), asked.now, || limited.may_verify());
        let identity = whose.insert(identified.await.map_err(|rejection| limited.note(rejection))?);
        identity.verified().check_certificate(thumbprint(asked.certificate))?;
        found.routes().try_for_each(|route| check(route, identity.verified(), request))?;
        limited.begin(identity, Lifetime::Ttl)?;
        let may_mint = || limited.may_mint(identity);
        let admission = self.exchange.admit_if(identity, route.profile, Lifetime::Ttl, asked.now, may_mint).await?;
        let token = NewToken::from_authorization(admission.authorization());
        let body = Some(Bytes::from(sent.replaced(token.as_str())));
        let mut rewrite = Rewrite { body, may_come_back: true, ..Rewrite::default() };
        rewrite.take_copies(parts(request), sent.token.as_bytes())?;
        Ok(Some(Permit::admitted(admission, rewrite)))
    }
}

fn parts(request: &RequestHeader) -> Parts<'_> {
    Parts { target: request.raw_path(), headers: &request.headers }
}

fn thumbprint(certificate: Option<&ClientCertificate>) -> Option<&[u8; 32]> {
    certificate.map(|certificate| &certificate.thumbprint)
}

/// Checks that a token has the permission that a route requires.
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

#[cfg(test)]
#[path = "decision_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod certificate_tests;
