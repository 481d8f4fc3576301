//! What a permit says and does, for requests that came to one in the ways that there are.

use std::sync::{Arc, Mutex};

use http::header::SEC_WEBSOCKET_PROTOCOL;
use pingora::http::RequestHeader;
use serde_json::json;

use super::*;
use crate::{
    exchange::testing::{at, claims, exchange, sign},
    limits::{LimitSettings, Limits},
    metrics::Metrics,
    proxy::policy::{
        AllowedOrigins, BodyCondition, BodyPlace, CorsSettings, HeaderSettings, OnInvalid, PreflightRule, ProtocolForm, TokenPlace,
        decision::{Asked, Decision, Policy},
        route::{Access, Route, RouteSettings, RouteTable},
    },
    token::{NonceRule, Permission, PermissionSettings},
};

const ORIGIN: &str = "https://app.contoso.com";
const WEBSOCKET: [(&str, &str); 3] =
    [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")];

fn token(nonce: Option<&str>) -> String {
    let mut claims = claims("contoso", "alice", 3_600);
    if let Some(nonce) = nonce {
        claims["nonce"] = json!(nonce);
    }
    sign("a", 0, &claims)
}

fn request(method: &str, target: &str, headers: &[(&'static str, &str)]) -> RequestHeader {
    let mut request = RequestHeader::build(method, target.as_bytes(), None).unwrap();
    for (name, value) in [("Host", "contoso.com")].iter().chain(headers) {
        request.append_header(*name, *value).unwrap();
    }
    request
}

/// What becomes of a request where there is one route.
async fn decided(route: RouteSettings, request: &RequestHeader, body: Option<&str>) -> Result<Decision, Rejection> {
    let metrics = Metrics::new().unwrap();
    let route = Route::new(&route, &HeaderSettings::default(), metrics.proxy.route("x"));
    let limits = Arc::new(Limits::new(LimitSettings::none(), 10));
    let policy = Policy { routes: RouteTable::new(vec![Arc::new(route)]), exchange: exchange(), limits };
    let last_token = Mutex::default();
    let body = body.map(|body| Bytes::from(body.to_owned()));
    let has_body = body.is_some();
    let (last_token, certificate) = (&last_token, None);
    let asked = Asked {
        request,
        raw_header: b"",
        is_too_large: false,
        has_body,
        body,
        last_token,
        certificate,
        client: std::net::Ipv4Addr::LOCALHOST.into(),
        exceeded: &std::sync::OnceLock::new(),
        now: at(500),
    };
    policy.decide(asked).await.outcome
}

async fn permit(route: RouteSettings, request: &RequestHeader, body: Option<&str>) -> Permit {
    match decided(route, request, body).await {
        Ok(Decision::Forward(permit) | Decision::OpenWebSocket(permit)) => permit,
        other => panic!("{other:?}"),
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn answer(lines: &[(&'static str, &str)]) -> ResponseHeader {
    let mut answer = ResponseHeader::build(302, None).unwrap();
    for (name, value) in lines {
        answer.append_header(*name, *value).unwrap();
    }
    answer
}

fn lines(answer: &ResponseHeader) -> Vec<(&str, &str)> {
    answer.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
}

/// What the upstream gets under this name: none: what the client sent.
fn changed(permit: &Permit, name: HeaderName) -> Option<Option<String>> {
    let changes = permit.changes();
    let (_, value) = changes.fields.into_iter().find(|(known, _)| *known == name)?;
    Some(value.map(|value| value.to_str().unwrap().to_owned()))
}

#[tokio::test]
async fn a_token_that_was_exchanged_ends_with_the_clients() {
    let sent = token(None);
    let permit = permit(RouteSettings::default(), &request("GET", "/x", &[("Authorization", &bearer(&sent))]), None).await;
    assert_eq!(permit.end(), Some(at(3_660)));
    assert!(permit.is_admitted() && !permit.is_preflight());
    assert_eq!((permit.left_for(), permit.body()), (None, None));
    let minted = changed(&permit, header::AUTHORIZATION).unwrap().unwrap();
    assert!(minted.starts_with("Bearer ey") && !minted.contains(&sent), "{minted}");
    assert_eq!(permit.changes().target, None);
    // Nothing that backends send back held it.
    let mut shown = answer(&[("x-echo", &minted)]);
    permit.hide_token(&mut shown).unwrap();
    assert_eq!(lines(&shown), [("x-echo", &*minted)]);
}

#[tokio::test]
async fn a_public_request_has_no_end_and_keeps_a_credential_only_where_it_may() {
    let sent = token(None);
    let header = request("GET", "/x?access_token=a.b.c", &[("Authorization", &bearer(&sent))]);
    let route = |pass_authorization| RouteSettings {
        access: Access::Public { pass_authorization },
        token_in: vec![TokenPlace::bearer(), TokenPlace::Query("access_token".to_owned())],
        ..RouteSettings::default()
    };
    let kept = permit(route(true), &header, None).await;
    assert_eq!((changed(&kept, header::AUTHORIZATION), kept.changes().target), (None, None));
    assert_eq!(kept.end(), None);
    assert!(!kept.is_admitted() && !kept.is_preflight());
    let dropped = permit(route(false), &header, None).await;
    assert_eq!(changed(&dropped, header::AUTHORIZATION), Some(None));
    assert_eq!(dropped.changes().target, Some(&b"/x"[..]));
}

#[tokio::test]
async fn a_preflight_goes_upstream_where_the_route_says_so_and_for_its_pages() {
    let route = |preflight| RouteSettings {
        allowed_origins: AllowedOrigins::Listed(vec![ORIGIN.to_owned()]),
        cors: Some(CorsSettings { preflight, ..CorsSettings::default() }),
        ..RouteSettings::default()
    };
    let preflight = |origin: &'static str| {
        request("OPTIONS", "/x", &[("Origin", origin), ("Access-Control-Request-Method", "GET"), ("Cookie", "a=b")])
    };
    let passed = permit(route(PreflightRule::Pass), &preflight(ORIGIN), None).await;
    assert!(passed.is_preflight() && !passed.is_admitted());
    assert_eq!((passed.end(), passed.left_for()), (None, None));
    assert_eq!(changed(&passed, header::COOKIE), Some(None));
    let answered = decided(route(PreflightRule::Answer), &preflight(ORIGIN), None).await;
    assert!(matches!(answered, Ok(Decision::Answer(_))), "{answered:?}");
    for rule in [PreflightRule::Pass, PreflightRule::Answer] {
        let other = decided(route(rule), &preflight("https://evil.test"), None).await;
        assert_eq!(other.err(), Some(Rejection::OriginNotAllowed));
    }
    // With a body it is no preflight.
    let with_body = decided(route(PreflightRule::Pass), &preflight(ORIGIN), Some("x")).await;
    assert_eq!(with_body.err(), Some(Rejection::MissingToken));
}

#[tokio::test]
async fn a_websocket_with_a_bad_token_is_left_to_the_backend_where_the_route_says_so() {
    let route = |on_invalid| RouteSettings { on_invalid, ..RouteSettings::default() };
    let forged = bearer(&sign("a", 1, &claims("contoso", "alice", 3_600)));
    let socket = |more: &[(&'static str, &str)]| request("GET", "/x", &[&WEBSOCKET[..], more].concat());
    let left = permit(route(OnInvalid::LetBackendRefuse), &socket(&[("Authorization", &forged)]), None).await;
    assert_eq!(left.left_for(), Some(Rejection::BadSignature));
    assert!(!left.is_admitted() && !left.is_preflight());
    assert_eq!(left.end(), None);
    assert_eq!(changed(&left, header::AUTHORIZATION).flatten().as_deref(), Permit::PLACEHOLDER.to_str().ok());
    for (on_invalid, header, refusal) in [
        (OnInvalid::Reject, socket(&[("Authorization", &forged)]), Rejection::BadSignature),
        (OnInvalid::LetBackendRefuse, socket(&[]), Rejection::MissingToken),
        (OnInvalid::LetBackendRefuse, request("GET", "/x", &[("Authorization", &forged)]), Rejection::BadSignature),
        (OnInvalid::LetBackendRefuse, socket(&[("Authorization", "Bearer a b")]), Rejection::AuthorizationMalformed),
    ] {
        assert_eq!(decided(route(on_invalid), &header, None).await.err(), Some(refusal));
    }
}

#[tokio::test]
async fn a_nonce_is_the_value_of_the_one_header_that_the_route_names() {
    let nonce = NonceRule::EqualsHeader("x-nonce".to_owned());
    let permission = Permission::new(PermissionSettings { nonce, ..PermissionSettings::default() });
    let sent = bearer(&token(Some("n-0S6")));
    for (values, is_same) in [(&["n-0S6"][..], true), (&["other"], false), (&[], false), (&["n-0S6", "n-0S6"], false)] {
        let nonces = values.iter().map(|value| ("X-Nonce", *value));
        let header = request("GET", "/x", &nonces.chain([("Authorization", &*sent)]).collect::<Vec<_>>());
        let route = RouteSettings { permission: permission.clone(), ..RouteSettings::default() };
        let outcome = decided(route, &header, None).await;
        assert_eq!(outcome.err(), (!is_same).then_some(Rejection::NonceMismatch), "{values:?}");
    }
}

#[tokio::test]
async fn a_body_goes_on_with_the_token_of_ours_or_as_it_is() {
    let condition = BodyCondition { member: "by".into(), exchange: vec!["jwt".into()], pass: vec!["own".into()] };
    let place = TokenPlace::Body(BodyPlace { member: "data".to_owned(), condition: Some(condition) });
    let route = || RouteSettings { token_in: vec![place.clone()], ..RouteSettings::default() };
    let header = request("POST", "/x", &[("Expect", "100-continue"), ("Content-Encoding", "identity")]);
    let passed = r#"{"by":"own","data":"secret"}"#;
    let permitted = permit(route(), &header, Some(passed)).await;
    assert_eq!(permitted.body().map(|body| &body[..]), Some(passed.as_bytes()));
    assert_eq!(permitted.end(), None);
    assert_eq!(changed(&permitted, header::CONTENT_LENGTH), Some(Some(passed.len().to_string())));
    assert_eq!(changed(&permitted, header::EXPECT), Some(None));
    assert_eq!(changed(&permitted, header::CONTENT_ENCODING), Some(None));

    let sent = token(None);
    let permitted = permit(route(), &header, Some(&json!({ "by": "jwt", "data": sent }).to_string())).await;
    let body: serde_json::Value = serde_json::from_slice(permitted.body().unwrap()).unwrap();
    let minted = body["data"].as_str().unwrap();
    assert!(minted.starts_with("ey") && minted != sent && body["by"] == "jwt", "{body}");
    assert_eq!(permitted.end(), Some(at(3_660)));
    // A backend may send back what it was logged in with.
    let mut shown = answer(&[("x-token", minted), ("x-other", "stays")]);
    permitted.hide_token(&mut shown).unwrap();
    assert_eq!(lines(&shown), [("x-other", "stays")]);
}

#[tokio::test]
async fn what_backends_send_back_shows_no_token_of_ours() {
    let route = RouteSettings { token_in: vec![TokenPlace::Query("token".to_owned())], ..RouteSettings::default() };
    let permit = permit(route, &request("GET", &format!("/x?a=b&token={}", token(None)), &[]), None).await;
    let target = String::from_utf8(permit.changes().target.unwrap().to_vec()).unwrap();
    let minted = target.strip_prefix("/x?a=b&token=").unwrap();
    assert!(minted.starts_with("ey"), "{target}");
    let mut shown = answer(&[
        ("location", &format!("{target}&c=d")),
        ("content-location", "/y?a=b"),
        ("set-cookie", "c=d"),
        ("set-cookie", &format!("token={minted}")),
        ("x-echo", &target),
    ]);
    shown.set_reason_phrase(Some(minted)).unwrap();
    permit.hide_token(&mut shown).unwrap();
    let mut left = lines(&shown);
    left.sort_unstable();
    assert_eq!(left, [("content-location", "/y?a=b"), ("location", "/x?a=b&c=d"), ("set-cookie", "c=d")]);
    assert_eq!(shown.get_reason_phrase(), Some("Found"));
    // Where it is not a parameter, nothing of the URL is left.
    let mut shown = answer(&[("location", &format!("/{minted}"))]);
    shown.set_reason_phrase(Some("Moved")).unwrap();
    permit.hide_token(&mut shown).unwrap();
    assert_eq!((lines(&shown), shown.get_reason_phrase()), (vec![], Some("Moved")));
}

#[tokio::test]
async fn a_client_is_answered_with_the_subprotocol_that_it_has_offered() {
    let route = || RouteSettings { token_in: vec![TokenPlace::Protocol(ProtocolForm::Zero)], ..RouteSettings::default() };
    let inner = json!({ "authToken": token(None), "initConnectionMessage": ["initConnection", {}] }).to_string();
    let offered = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, inner).replace('=', "%3D").replace('+', "%2B");
    let offered = offered.replace('/', "%2F");
    let header = request("GET", "/x", &[&WEBSOCKET[..], &[("Sec-WebSocket-Protocol", &*offered)]].concat());
    let permit = permit(route(), &header, None).await;
    let sent = changed(&permit, SEC_WEBSOCKET_PROTOCOL).unwrap().unwrap();
    assert_ne!(sent, offered);
    let mut chosen = answer(&[("sec-websocket-protocol", &sent)]);
    permit.hide_token(&mut chosen).unwrap();
    assert_eq!(lines(&chosen), [("sec-websocket-protocol", &*offered)]);
    let mut other = answer(&[("sec-websocket-protocol", "other")]);
    permit.hide_token(&mut other).unwrap();
    assert_eq!(lines(&other), [("sec-websocket-protocol", "other")]);
    let mut none = answer(&[]);
    permit.hide_token(&mut none).unwrap();
    assert_eq!(lines(&none), []);
}
