//! What a client is told when it is refused: status, challenge, body; and that the upstream saw nothing.

use syncgate::{
    demo::{DemoIssuer, DemoKey, issuer::IssuerOptions, world::trust},
    proxy::RouteSettings,
    token::{NonceRule, Permission, PermissionSettings, Rejection},
};

use crate::kit::Kit;

#[tokio::test]
async fn each_fault_has_its_status_challenge_and_reason() {
    let kit = Kit::start().await;
    let issuer = &kit.issuer;
    let foreign = DemoKey::shared(9).unwrap();
    let public_key = issuer.signing_key().public_key_pem().unwrap();
    let cases = [
        (issuer.token("a").expires_in(-120).sign(), Rejection::Expired),
        (issuer.token("a").begins_in(600).sign(), Rejection::NotYetValid),
        (issuer.token("a").audience("another-api").sign(), Rejection::WrongAudience),
        (issuer.token("a").issuer("https://login.contoso.com/").sign(), Rejection::UnknownIssuer),
        (issuer.token("a").signed_by(&foreign).sign(), Rejection::BadSignature),
        (issuer.token("a").header("kid", "unknown").sign(), Rejection::UnknownKey),
        (issuer.token("a").unsigned().signature("x").sign(), Rejection::AlgorithmNotAllowed),
        (issuer.token("a").hmac(public_key).sign(), Rejection::AlgorithmNotAllowed),
        (issuer.token("a").without("exp").sign(), Rejection::ExpiryMissing),
        (issuer.token("a").without("oid").without("sub").sign(), Rejection::UserIdMissing),
        (issuer.token("a").unsigned().sign(), Rejection::TokenMalformed),
    ];
    for (token, rejection) in cases {
        let counted = || kit.metric("syncgate_rejections_total", &[("reason", rejection.label())]);
        let before = counted();
        let answer = kit.get("/docs", &token).await;
        assert_eq!(answer.status().as_u16(), rejection.status(), "{rejection:?}");
        let challenge = answer.headers()["www-authenticate"].to_str().unwrap().to_owned();
        assert!(challenge.starts_with("Bearer realm=\"syncgate\", error=\"invalid_token\""), "{rejection:?}: {challenge}");
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(body["error"], "invalid_token");
        assert_eq!(body["error_description"], rejection.description());
        kit.eventually(|| counted() == before + 1.0).await;
    }
    assert_eq!(kit.backend.received_count(), 0);
    kit.stop().await;
}

/// Tokens that nobody with a key has signed: whatever is right in them, the client is told the same; the log and the metric are exact.
#[tokio::test]
async fn whoever_has_no_key_is_told_nothing_of_what_is_taken() {
    let kit = Kit::start_with(|config| {
        let rules = &mut config.issuers[0].rules;
        rules.authorized_parties = vec!["a-client".into()];
        rules.takes_sender_constrained = false;
        rules.takes_group_overage = false;
    })
    .await;
    let foreign = DemoKey::shared(9).unwrap();
    let forged = || kit.issuer.token("a").claim("azp", "a-client").signed_by(&foreign);
    let cases = [
        (forged(), Rejection::BadSignature),
        (forged().issuer("https://login.contoso.com/"), Rejection::UnknownIssuer),
        (forged().audience("another-api"), Rejection::WrongAudience),
        (forged().claim("tfp", "B2C_1_other"), Rejection::WrongPolicy),
        (forged().claim("azp", "another-client"), Rejection::WrongParty),
        (forged().claim("events", serde_json::json!({})), Rejection::OtherKind),
        (forged().claim("at_hash", "x"), Rejection::IdToken),
        (forged().claim("idtyp", "app"), Rejection::AppOnlyToken),
        (forged().claim("cnf", serde_json::json!({ "jkt": "x" })), Rejection::SenderConstrained),
        (forged().claim("hasgroups", true), Rejection::BadSignature),
        (forged().without("oid").without("sub"), Rejection::UserIdMissing),
        (forged().claim("azp", serde_json::json!({})), Rejection::ClaimsMalformed),
    ];
    let mut answers = std::collections::BTreeSet::new();
    for (token, rejection) in cases {
        let counted = || kit.metric("syncgate_rejections_total", &[("reason", rejection.label())]);
        let before = counted();
        let answer = kit.get("/docs", &token.sign()).await;
        let status = answer.status().as_u16();
        let challenge = answer.headers()["www-authenticate"].to_str().unwrap().to_owned();
        answers.insert((status, challenge, answer.text().await.unwrap()));
        kit.eventually(|| counted() == before + 1.0).await;
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    kit.stop().await;
}

#[tokio::test]
async fn no_token_is_challenged_without_an_error_code() {
    let kit = Kit::start().await;
    let answer = kit.raw(b"GET /docs HTTP/1.1\r\nHost: gateway\r\n\r\n").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"syncgate\""));
    assert_eq!(kit.backend.received_count(), 0);
    kit.stop().await;
}

#[tokio::test]
async fn a_refused_client_keeps_its_connection() {
    let kit = Kit::start().await;
    let mut client = kit.connect().await;
    for _ in 0..2 {
        client.write(b"GET /docs HTTP/1.1\r\nHost: gateway\r\n\r\n").await;
        assert_eq!(kit.within(client.answer()).await.unwrap().status, 401);
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_refusal_of_head_has_no_body() {
    let kit = Kit::start().await;
    let mut client = kit.connect().await;
    client.write(b"HEAD /docs HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n").await;
    let answer = String::from_utf8(kit.within(client.read_to_end()).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    kit.stop().await;
}

#[tokio::test]
async fn a_path_without_a_route_is_a_404() {
    let kit = Kit::start_with(|config| config.proxy.routes[0].path = "/docs".into()).await;
    let token = kit.issuer.token("alice").sign();
    assert_eq!(kit.get("/echo", &token).await.status(), 404);
    assert_eq!(kit.get("/docs", &token).await.status(), 200);
    assert_eq!(kit.backend.received_count(), 1);
    kit.stop().await;
}

#[tokio::test]
async fn a_missing_scope_is_a_403_that_names_it_and_costs_no_signature() {
    let kit = Kit::start_with(|config| {
        config.proxy.routes[0].permission =
            Permission::new(PermissionSettings { all_scopes: vec!["docs.admin".into()], ..PermissionSettings::default() });
    })
    .await;
    let answer = kit.get("/docs", &kit.issuer.token("alice").sign()).await;
    assert_eq!(answer.status(), 403);
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("error=\"insufficient_scope\"") && challenge.contains("scope=\"docs.admin\""), "{challenge}");
    assert_eq!(kit.metric("syncgate_cache_requests_total", &[("cache", "minted")]), 0.0);
    let admin = kit.issuer.token("alice").scope("docs.read docs.admin").sign();
    assert_eq!(kit.get("/docs", &admin).await.status(), 200);
    kit.stop().await;
}

#[tokio::test]
async fn a_spelling_of_a_path_does_not_get_round_its_routes_rules() {
    let kit = Kit::start_with(|config| {
        let mut guarded = config.proxy.routes[0].clone();
        guarded.name = "guarded".into();
        guarded.path = "/docs".into();
        guarded.permission =
            Permission::new(PermissionSettings { all_scopes: vec!["docs.admin".into()], ..PermissionSettings::default() });
        config.proxy.routes.push(guarded);
    })
    .await;
    let token = kit.issuer.token("alice").sign();
    let admin = kit.issuer.token("alice").scope("docs.admin").sign();
    let ask = async |path: &str, token: &str| {
        kit.raw(format!("GET {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes()).await
    };
    for path in ["/d%6fcs", "//docs", "/./docs", "/echo/../docs", "/DOCS", "/docs;x"] {
        // The rules differ in the permission alone: who has that of each may ask in any spelling. The challenge names what is missing.
        let refused = ask(path, &token).await;
        assert_eq!(refused.status, 403, "{path}");
        assert!(refused.header("www-authenticate").unwrap().contains("scope=\"docs.admin\""), "{path}: {}", refused.text());
    }
    assert_eq!(kit.backend.received_count(), 0);
    assert_eq!(ask("/d%6fcs%0a", &admin).await.status, 400);
    assert_eq!(kit.get("/docs/a", &token).await.status(), 403);
    assert_eq!(kit.backend.received_count(), 0);
    // The backend, which does not decode it, has nothing there.
    assert_eq!(ask("/d%6fcs", &admin).await.status, 404);
    assert_eq!(kit.backend.received_count(), 1);
    assert_eq!(kit.get("/echo", &token).await.status(), 200);
    kit.stop().await;
}

#[tokio::test]
async fn a_route_is_checked_for_cached_tokens_too() {
    let kit = Kit::start_with(|config| {
        let route = config.proxy.routes[0].clone();
        let mut guarded = RouteSettings { name: "guarded".into(), path: "/docs".into(), ..route.clone() };
        guarded.permission =
            Permission::new(PermissionSettings { all_roles: vec!["Writer".into()], ..PermissionSettings::default() });
        let mut bound = RouteSettings { name: "bound".into(), path: "/changes".into(), ..route };
        let nonce = NonceRule::EqualsHeader("x-nonce".into());
        bound.permission = Permission::new(PermissionSettings { nonce, ..PermissionSettings::default() });
        config.proxy.routes.extend([guarded, bound]);
    })
    .await;
    let token = kit.issuer.token("alice").claim("nonce", "n-0S6").sign();
    assert_eq!(kit.get("/echo", &token).await.status(), 200);
    let before = kit.backend.received_count();
    let verified = || kit.metric("syncgate_cache_requests_total", &[("cache", "identity"), ("result", "miss")]);
    let refused = |reason: &str| kit.metric("syncgate_rejections_total", &[("reason", reason)]);
    for nth in 1..=2 {
        assert_eq!(kit.get("/docs", &token).await.status(), 403);
        kit.eventually(|| refused("missing_role") == f64::from(nth)).await;
        for header in ["", "X-Nonce: other\r\n", "X-Nonce: n-0S6\r\nX-Nonce: n-0S6\r\n"] {
            let request = format!("GET /changes HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n{header}\r\n");
            assert_eq!(kit.raw(request.as_bytes()).await.status, 401, "{header}");
        }
        kit.eventually(|| refused("nonce_mismatch") == f64::from(3 * nth)).await;
    }
    assert_eq!(kit.backend.received_count(), before);
    let request = format!("GET /changes HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\nX-Nonce: n-0S6\r\n\r\n");
    assert_eq!(kit.raw(request.as_bytes()).await.status, 200);
    assert_eq!(verified(), 1.0);
    kit.stop().await;
}

#[tokio::test]
async fn a_key_of_one_issuer_never_verifies_a_token_of_another() {
    let partner = DemoIssuer::start_with(IssuerOptions { tenant: "partner".into(), ..IssuerOptions::default() }).await.unwrap();
    partner.publish(vec![DemoKey::generate().unwrap()]);
    let trusted = trust(&partner);
    let kit = Kit::start_with(move |config| config.issuers.push(trusted)).await;
    let partners_key = &partner.published_keys()[0];
    let own_key = kit.issuer.signing_key();
    let genuine = partner.token("bob").signed_by(partners_key).header("kid", partners_key.kid()).sign();
    assert_eq!(kit.get("/echo", &genuine).await.status(), 200);
    let before = kit.backend.received_count();

    // A partner who signs for us, under its own key's name and under that of ours.
    let forged = kit.issuer.token("alice").signed_by(partners_key);
    for (token, reason) in [
        (forged.clone().header("kid", partners_key.kid()).sign(), "unknown_key"),
        (forged.header("kid", own_key.kid()).sign(), "bad_signature"),
        (partner.token("bob").signed_by(&own_key).header("kid", own_key.kid()).sign(), "unknown_key"),
    ] {
        let counted = || kit.metric("syncgate_rejections_total", &[("reason", reason)]);
        let so_far = counted();
        assert_eq!(kit.get("/echo", &token).await.status(), 401);
        kit.eventually(|| counted() == so_far + 1.0).await;
    }
    assert_eq!(kit.backend.received_count(), before);
    kit.stop().await;
    partner.stop().await;
}
