//! Each rejection is produced by a test. Those of the core by its table of hostile tokens, which also names the others; those here,
//! by requests to a running gateway.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::{join, join_all};
use serde_json::json;
use syncgate::{
    demo::{issuer::Behaviour, world::WorldOptions},
    limits::Rate,
    token::{IssuerRule, Permission, PermissionSettings, Rejection},
};

use crate::{
    endpoints::{self, Desk, exchange, form},
    kit::Kit,
    recorder::routes,
};

const FORM: &[(&str, Rejection)] = &[
    ("GET /docs%0a HTTP/1.1\r\nHost: gateway\r\n\r\n", Rejection::AmbiguousPath),
    (
        "GET /docs HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer a.b.c\r\nAuthorization: Bearer a.b.c\r\n\r\n",
        Rejection::AmbiguousToken,
    ),
    ("GET /docs HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer a.b.c d\r\n\r\n", Rejection::AuthorizationMalformed),
    ("GET /docs HTTP/1.1\r\n\r\n", Rejection::HostMalformed),
    ("GET /docs HTTP/1.1\r\nHost: gateway\r\n\r\n", Rejection::MissingToken),
    (
        "OPTIONS /docs HTTP/1.1\r\nHost: gateway\r\nOrigin: https://app.contoso.com\r\nAccess-Control-Request-Method: PUT\r\n\r\n",
        Rejection::PreflightNotConfigured,
    ),
    ("GET /device HTTP/1.1\r\nHost: gateway\r\n\r\n", Rejection::CertificateRequired),
    ("GET /nowhere HTTP/1.1\r\nHost: gateway\r\n\r\n", Rejection::NoRoute),
    ("TRACE /docs HTTP/1.1\r\nHost: gateway\r\n\r\n", Rejection::MethodNotAllowed),
    ("PUT /docs HTTP/1.1\r\nHost: gateway\r\nContent-Length: 1, 1\r\n\r\n", Rejection::LengthMalformed),
    ("PUT /docs HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Rejection::CodingUnsupported),
    ("GET docs HTTP/1.1\r\nHost: gateway\r\n\r\n", Rejection::TargetMalformed),
    ("GET /docs HTTP/1.1\r\nHost : gateway\r\n\r\n", Rejection::RequestMalformed),
    ("GET /docs HTTP/1.2\r\nHost: gateway\r\n\r\n", Rejection::VersionNotSupported),
];

/// The same, where the token sits in a body or in a cookie.
const PLACES: &[(&str, Rejection)] = &[
    (
        "POST /realm/auth HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]",
        Rejection::BodyMalformed,
    ),
    ("POST /realm/auth HTTP/1.1\r\nHost: gateway\r\nContent-Length: 2\r\n\r\n{}", Rejection::BodyNotJson),
    (
        "POST /realm/auth HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: 65537\r\n\r\n",
        Rejection::BodyTooLarge,
    ),
    (
        "POST /realm/auth HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{",
        Rejection::BodyTimeout,
    ),
    (
        "POST /realm/auth HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: 23\r\n\r\n{\"provider\":\"nickname\"}",
        Rejection::LoginNotAllowed,
    ),
    ("DELETE /cookie HTTP/1.1\r\nHost: gateway\r\nCookie: sid=a.b.c\r\n\r\n", Rejection::OriginNotAllowed),
];

/// The rejections that the core's tests leave to others, as they are in their source.
fn of_other_rooms() -> BTreeSet<Rejection> {
    let source = include_str!("../../src/token/tests/mod.rs");
    let (_, list) = source.split_once("const OF_OTHER_ROOMS: &[Rejection] = &[").expect("the list is there");
    let (list, _) = list.split_once("];").expect("the list ends");
    let named = |name: &str| Rejection::ALL.iter().copied().find(|rejection| format!("Rejection::{rejection:?}") == name);
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(|name| named(name).expect(name)).collect()
}

async fn assert_refused(kit: &Kit, request: &str, rejection: Rejection) {
    let counted = || kit.metric("syncgate_rejections_total", &[("reason", rejection.label())]);
    let before = counted();
    let answer = kit.raw(request.as_bytes()).await;
    assert_eq!(answer.status, rejection.status(), "{rejection:?}: {}", answer.text());
    kit.eventually(|| counted() == before + 1.0).await;
}

#[tokio::test]
async fn every_rejection_that_no_token_brings_about_is_produced() {
    let mut produced = BTreeSet::new();

    let kit = Kit::start_with(|config| {
        let mut guarded = config.proxy.routes[0].clone();
        guarded.path = "/docs".into();
        guarded.permission =
            Permission::new(PermissionSettings { all_scopes: vec!["docs.read".into()], ..PermissionSettings::default() });
        let mut named = config.proxy.routes[0].clone();
        (named.path, named.user_query) = ("/named".into(), Some("user".into()));
        let mut device = config.proxy.routes[0].clone();
        (device.path, device.requires_certificate) = ("/device".into(), true);
        config.proxy.routes.extend([named, device]);
        config.proxy.routes[0].path = "/echo".into();
        config.proxy.routes.push(guarded);
    })
    .await;
    for (request, rejection) in FORM {
        assert_refused(&kit, request, *rejection).await;
        produced.insert(*rejection);
    }
    let token = kit.issuer.token("alice").sign();
    let named = format!("GET /named?user=bob HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n");
    assert_refused(&kit, &named, Rejection::WrongUser).await;
    produced.insert(Rejection::WrongUser);
    let bound = kit.issuer.token("alice").claim("cnf", json!({ "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg0" })).sign();
    let bound = format!("GET /echo HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {bound}\r\n\r\n");
    assert_refused(&kit, &bound, Rejection::CertificateMismatch).await;
    produced.insert(Rejection::CertificateMismatch);
    let padded = format!("GET /docs HTTP/1.1\r\nHost: gateway\r\nX-Padding: {}\r\n\r\n", "x".repeat(70 * 1024));
    assert_refused(&kit, &padded, Rejection::HeadersTooLarge).await;
    produced.insert(Rejection::HeadersTooLarge);
    assert_eq!(kit.backend.received_count(), 0);
    kit.stop().await;

    let places = routes(json!([
        { "preset": "realm", "path": "/realm" },
        { "name": "cookie", "path": "/cookie", "token": { "in": { "cookie": "sid" } } },
    ]));
    let kit = Kit::start_with(move |config| {
        config.proxy.routes = places;
        config.proxy.listen.body_timeout = Duration::from_millis(100);
    })
    .await;
    for (request, rejection) in PLACES {
        assert_refused(&kit, request, *rejection).await;
        produced.insert(*rejection);
    }
    assert_eq!(kit.backend.received_count(), 0);
    kit.stop().await;

    let kit = Kit::start_unready(WorldOptions::default().issuer_behaves(Behaviour::Status(500))).await;
    let token = kit.issuer.token("alice").sign();
    let request = format!("GET /docs HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n");
    assert_refused(&kit, &request, Rejection::KeysUnavailable).await;
    produced.insert(Rejection::KeysUnavailable);
    kit.stop().await;

    let kit = Kit::start_with(|config| config.issuers[0].rules.issuer = IssuerRule::Exact(vec!["https://b.example".into()])).await;
    let token = kit.issuer.token("alice").sign();
    let request = format!("GET /docs HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n");
    assert_refused(&kit, &request, Rejection::IssuerMismatch).await;
    produced.insert(Rejection::IssuerMismatch);
    kit.stop().await;

    let kit = Kit::start_with(|config| config.proxy.listen.listeners[0].redirect_port = Some(443)).await;
    assert_refused(&kit, "GET /docs HTTP/1.1\r\nHost: gateway\r\n\r\n", Rejection::Misdirected).await;
    produced.insert(Rejection::Misdirected);
    kit.stop().await;

    let desk = Desk::start(json!({})).await;
    let token = desk.kit.issuer.token("alice").sign();
    let good = exchange(&token);
    let with = |name: &'static str, value: &'static str| {
        let rest = good.iter().copied().filter(|(known, _)| *known != name);
        form(&rest.chain([(name, value)]).collect::<Vec<_>>())
    };
    for (body, rejection) in [
        (String::new(), Rejection::EndpointRequestMalformed),
        (with("grant_type", "password"), Rejection::GrantTypeUnsupported),
        (with("subject_token_type", "urn:ietf:params:oauth:token-type:saml2"), Rejection::SubjectTokenUnsupported),
        (with("audience", "another"), Rejection::TargetUnknown),
        (with("scope", "docs.delete"), Rejection::ScopeNotGranted),
        (with("client_secret", "a secret that nobody could check"), Rejection::CallerUnauthenticated),
    ] {
        assert!((400..500).contains(&desk.post("/token", &[endpoints::FORM], &body).await.status), "{body}");
        desk.kit.eventually(|| desk.refused(rejection.label()) >= 1.0).await;
        produced.insert(rejection);
    }
    desk.stop().await;

    // No refresh is allowed, so nobody can say whether the provider has the key by now.
    let kit = Kit::start_with(|config| {
        config.issuers[0].jwks.refresh = Duration::from_secs(3600);
        config.issuers[0].jwks.unknown_kid.budget = 0;
    })
    .await;
    let token = kit.issuer.token("alice").header("kid", "unknown").sign();
    let request = format!("GET /docs HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n");
    assert_refused(&kit, &request, Rejection::KeyNotFetchedYet).await;
    produced.insert(Rejection::KeyNotFetchedYet);
    kit.stop().await;

    let kit = Kit::start_with(|config| {
        config.proxy.limits.user.requests = Some(Rate { count: 1, per: Duration::from_secs(3_600), burst: 1 });
    })
    .await;
    let token = kit.issuer.token("alice").sign();
    assert_eq!(kit.get("/echo", &token).await.status(), 200);
    let request = format!("GET /docs HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n");
    assert_refused(&kit, &request, Rejection::RateLimited).await;
    produced.insert(Rejection::RateLimited);
    kit.stop().await;

    assert!(overloads_signing().await);
    produced.insert(Rejection::SigningOverloaded);

    assert_eq!(produced, of_other_rooms());
}

/// New users at once, with one thread to sign and room for one more: some must be sent away, and only for this reason. Who was admitted
/// before is served meanwhile.
async fn overloads_signing() -> bool {
    let kit = Kit::start_with(|config| (config.signing.threads, config.signing.queue) = (1, 1)).await;
    let admitted = kit.issuer.token("admitted").sign();
    assert_eq!(kit.get("/echo", &admitted).await.status(), 200);
    for burst in 0..50 {
        let tokens: Vec<_> = (0..32).map(|user| kit.issuer.token(&format!("{burst}-{user}")).sign()).collect();
        let new = join_all(tokens.iter().map(|token| kit.get("/echo", token)));
        let known = join_all((0..8).map(|_| kit.get("/echo", &admitted)));
        let (new, known) = join(new, known).await;
        assert!(known.iter().all(|answer| answer.status() == 200));
        let (refused, served): (Vec<_>, Vec<_>) = new.into_iter().partition(|answer| answer.status() == 503);
        assert!(served.iter().all(|answer| answer.status() == 200));
        if !refused.is_empty() {
            assert!(refused.iter().all(|answer| answer.headers().contains_key("retry-after")));
            let counted = || kit.metric("syncgate_rejections_total", &[("reason", "signing_overloaded")]);
            kit.eventually(|| counted() == refused.len() as f64).await;
            kit.assert_metric("syncgate_rejections_total", &[], refused.len() as f64).await;
            kit.stop().await;
            return true;
        }
    }
    kit.stop().await;
    false
}
