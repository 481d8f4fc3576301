//! What an upstream finds in the token that it gets: the claims and dates of the route's profile, and nothing of another's.

use std::{collections::BTreeSet, path::Path};

use futures_util::{SinkExt as _, StreamExt as _, future::join_all};
use serde_json::{Value, json};
use syncgate::{
    config::Config,
    demo::{DemoBackend, world::upstream},
    proxy::RouteSettings,
    signing::SigningKey,
    token::{ClaimRule, Permission, PermissionSettings},
};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};

use crate::{
    kit::Kit,
    recorder::{Recorder, Request, claims_of, config},
};

/// Puts what the text says of `mint` and `profiles` into a config, with the claims that it keeps.
fn mint(config: &mut Config, text: &str) {
    let rest = "issuers: [{preset: oidc, issuer: 'https://login.contoso.com', audiences: [api]}]\n\
                signing: {key_file: signing.pem}\nupstream: {url: 'http://127.0.0.1:1'}\n";
    let loaded = Config::parse(format!("{rest}{text}"), Path::new("/")).unwrap();
    config.profiles = loaded.config.profiles;
    config.issuers[0].rules.kept_claims = loaded.config.issuers[0].rules.kept_claims.clone();
}

fn now() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64
}

/// Seconds until the `exp` of the last token that a backend accepted.
fn seconds_left(backend: &DemoBackend) -> i64 {
    let token = backend.received().pop().unwrap().token.unwrap();
    token.get("exp").and_then(Value::as_i64).unwrap() - now()
}

/// A user with too many groups: the token says that they are elsewhere, so a table has nothing to look into.
#[tokio::test]
async fn a_default_in_place_of_groups_that_stand_elsewhere_is_counted_and_a_demand_for_them_refused_as_that() {
    let kit = Kit::start_with(|config| {
        mint(
            config,
            "mint: {claims: {userId: '${user_id}', level: '${first:levels}'}, tables: {levels: {from: '${claim:groups}', values: {Admins: 9}, default: 1}}}\n",
        );
        let mut guarded = config.proxy.routes[0].clone();
        guarded.path = "/guarded".into();
        guarded.permission = Permission::new(PermissionSettings {
            all_claims: vec![ClaimRule { claim: "groups".into(), values: vec!["Admins".into()] }],
            ..PermissionSettings::default()
        });
        config.proxy.routes.push(guarded);
    })
    .await;
    let counted = || kit.metric("syncgate_minted_without_groups_total", &[]);
    let level = || kit.backend.received().pop().unwrap().token.unwrap().get("level").cloned().unwrap();
    let plain = kit.issuer.token("bob").claim("groups", json!(["Others"])).sign();
    assert_eq!(kit.get("/echo", &plain).await.status(), 200);
    assert_eq!((level(), counted()), (json!(1), 0.0));

    let token = kit.issuer.token("alice");
    let token = token.claim("_claim_names", json!({ "groups": "src1" })).claim("_claim_sources", json!({ "src1": {} })).sign();
    assert_eq!(kit.get("/echo", &token).await.status(), 200);
    assert_eq!((level(), counted()), (json!(1), 1.0));
    assert_eq!(kit.metric("syncgate_group_overage_total", &[]), 1.0);
    let answer = kit.get("/guarded", &token).await;
    assert_eq!(answer.status(), 403);
    assert_eq!(answer.json::<Value>().await.unwrap()["error_description"], "the token lacks a claim: the user has too many groups");
    kit.stop().await;
}

#[tokio::test]
async fn one_token_down_two_routes_becomes_two_tokens_that_do_not_mix() {
    // The gateway's key is not there yet: any other keeps its place.
    let placeholder = SigningKey::generate_rsa(2048).unwrap();
    let other = DemoBackend::start(placeholder.public().unwrap().pem()).await.unwrap();
    let address = other.address();
    let kit = Kit::start_with(move |config| {
        mint(
            config,
            "mint: {claims: {userId: '${user_id}', backend: one, level: '${first:levels}'}, tables: {levels: {from: '${roles}', values: {Admin: 9}, default: 1}}}\n\
             profiles: {two: {claims: {userId: 'two-${user_id}', plan: '${claim:extension_plan:-free}'}, typ: none, kid: thumbprint}}\n\
             routes: [{name: a}, {name: b, path: /two, mint: two}]\n",
        );
        config.proxy.upstreams.push(upstream("two", address));
        let first = config.proxy.routes[0].clone();
        config.proxy.routes.push(RouteSettings { name: "two".into(), path: "/two".into(), upstream: 1, profile: 1, ..first });
    })
    .await;
    other.pin(&kit.pinned_key_pem).unwrap();

    let token = kit
        .issuer
        .token("alice")
        .claim("oid", "alice")
        .claim("sub", "alice")
        .claim("roles", json!(["Admin"]))
        .claim("extension_plan", "team")
        .sign();
    for _ in 0..2 {
        assert_eq!(kit.get("/echo", &token).await.status(), 200);
        kit.get("/two/echo", &token).await;
    }
    for received in kit.backend.received() {
        let claims = received.token.unwrap();
        assert_eq!(claims.names().collect::<Vec<_>>(), ["backend", "exp", "iat", "level", "userId"]);
        assert_eq!((claims.get("backend"), claims.get("level")), (Some(&json!("one")), Some(&json!(9))));
    }
    let received = other.received();
    assert_eq!(received.len(), 2);
    for received in received {
        let claims = received.token.unwrap();
        assert_eq!(claims.names().collect::<Vec<_>>(), ["exp", "iat", "plan", "userId"]);
        assert_eq!((claims.user_id(), claims.get("plan")), ("two-alice", Some(&json!("team"))));
    }
    other.stop().await;
    kit.stop().await;
}

/// CouchDB and PowerSync behind one gateway, each by its preset.
async fn two_presets(couch: &Recorder, power: &Recorder) -> Kit {
    let settings = config(json!({
        "routes": [{ "preset": "couchdb", "path": "/couch" }, { "preset": "powersync", "path": "/power" }],
        "profiles": { "powersync": { "preset": "powersync", "claims": { "aud": "power.contoso.com" } } },
    }));
    let upstreams = vec![upstream("couch", couch.address), upstream("power", power.address)];
    Kit::start_with(move |config| {
        config.proxy.upstreams = upstreams;
        config.proxy.routes = settings.proxy.routes;
        config.proxy.routes[1].upstream = 1;
        config.profiles = settings.profiles;
    })
    .await
}

/// What came with this scheme in `Authorization`, without regard to what came twice.
fn tokens(recorder: &Recorder, scheme: &str) -> BTreeSet<String> {
    let token = |request: &Request| request.header("authorization").unwrap().strip_prefix(scheme).expect(scheme).to_owned();
    recorder.all().iter().map(token).collect()
}

#[tokio::test]
async fn one_token_down_two_presets_becomes_two_tokens_whichever_is_asked_first() {
    let (couch, power) = (Recorder::silent().await, Recorder::silent().await);
    let kit = two_presets(&couch, &power).await;
    let user = |number: usize| format!("user-{number}");
    let clients: Vec<_> = (0..12).map(|number| kit.issuer.token(&user(number)).sign()).collect();
    let ask = |path: &'static str, scheme: &'static str, token: &str| {
        let request = format!("GET {path}/x HTTP/1.1\r\nHost: gateway\r\nAuthorization: {scheme} {token}\r\n\r\n");
        let kit = &kit;
        async move { assert_eq!(kit.raw(request.as_bytes()).await.status, 204) }
    };
    // One first, the other first, then both at once; and again with all of them known.
    for _ in 0..2 {
        for token in &clients[..4] {
            ask("/couch", "Bearer", token).await;
            ask("/power", "Token", token).await;
        }
        for token in &clients[4..8] {
            ask("/power", "Token", token).await;
            ask("/couch", "Bearer", token).await;
        }
        let both = clients[8..].iter().flat_map(|token| [token; 4]).map(|token| async move {
            tokio::join!(ask("/couch", "Bearer", token), ask("/power", "Token", token));
        });
        join_all(both).await;
    }

    assert_eq!((couch.count(), power.count()), (48, 48));
    let (to_couch, to_power) = (tokens(&couch, "Bearer "), tokens(&power, "Token "));
    assert!(to_couch.is_disjoint(&to_power));
    let users: BTreeSet<_> = (0..12).map(|number| kit.issuer.user_id(&user(number))).collect();
    for (tokens, names) in [(&to_couch, &["exp", "iat", "sub"][..]), (&to_power, &["aud", "exp", "iat", "sub"])] {
        let claims: Vec<_> = tokens.iter().map(|token| claims_of(&kit, token)).collect();
        assert!(claims.iter().all(|claims| claims.keys().eq(names)), "{claims:?}");
        let subjects: BTreeSet<_> = claims.iter().map(|claims| claims["sub"].as_str().unwrap().to_owned()).collect();
        // One for each user: all that came later were prepared.
        assert_eq!((subjects, tokens.len()), (users.clone(), 12));
    }
    for request in couch.all().iter().chain(&power.all()) {
        assert!(clients.iter().all(|token| !request.contains(token)), "{}", request.head);
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_request_gets_a_token_for_minutes_and_a_socket_one_to_the_end() {
    let kit = Kit::start().await;
    let token = kit.issuer.token("alice").expires_in(3_000).sign();
    assert_eq!(kit.get("/echo", &token).await.status(), 200);
    let left = seconds_left(&kit.backend);
    assert!((290..=300).contains(&left), "{left}");

    let mut request = kit.socket_url("/live").into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let (mut socket, _) = kit.within(tokio_tungstenite::connect_async(request)).await.unwrap();
    let leeway = 60;
    let left = seconds_left(&kit.backend);
    assert!((2_990 + leeway..=3_000 + leeway).contains(&left), "{left}");
    let _ = socket.send(Message::Close(None)).await;
    while let Some(Ok(_)) = kit.within(socket.next()).await {}

    let head = format!("GET /echo HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\nAccept: text/event-stream\r\n\r\n");
    assert_eq!(kit.raw(head.as_bytes()).await.status, 200);
    assert!(seconds_left(&kit.backend) > 2_990);

    // The token for requests is still the one that was minted for them.
    assert_eq!(kit.get("/echo", &token).await.status(), 200);
    assert!(seconds_left(&kit.backend) <= 300);
    kit.stop().await;
}

#[tokio::test]
async fn what_would_grant_power_is_refused_and_never_forwarded() {
    let kit = Kit::start_with(|config| {
        mint(config, "mint: {claims: {userId: '${user_id}', _couchdb.roles: '${roles}', role: 'x_${claim:extension_role}'}}\n");
    })
    .await;
    for hostile in [
        kit.issuer.token("mallory").claim("roles", json!(["reader", "_admin"])),
        kit.issuer.token("mallory").claim("roles", json!(["reader"])).claim("extension_role", "x,service_role"),
    ] {
        let answer = kit.get("/echo", &hostile.sign()).await;
        assert_eq!(answer.status(), 403);
        assert!(answer.text().await.unwrap().contains("insufficient_scope"));
    }
    kit.assert_metric("syncgate_rejections_total", &[("reason", "powerful_claim")], 2.0).await;
    assert_eq!(kit.backend.received_count(), 0);
    let honest = kit.issuer.token("alice").claim("roles", json!(["reader"])).claim("isAdmin", true).sign();
    assert_eq!(kit.get("/echo", &honest).await.status(), 200);
    let claims = kit.backend.received().pop().unwrap().token.unwrap();
    assert_eq!(claims.names().collect::<Vec<_>>(), ["_couchdb.roles", "exp", "iat", "userId"]);
    kit.stop().await;
}

#[tokio::test]
async fn a_user_whom_the_backend_would_not_take_is_refused() {
    let kit = Kit::start_with(|config| mint(config, "mint: {preset: realm}\n")).await;
    assert_eq!(kit.get("/echo", &kit.issuer.token("alice").sign()).await.status(), 200);
    let answer =
        kit.get("/echo", &kit.issuer.token("alice").claim("oid", "a@contoso.com").claim("sub", "a@contoso.com").sign()).await;
    assert_eq!(answer.status(), 403);
    kit.assert_metric("syncgate_rejections_total", &[("reason", "user_id_unsuitable")], 1.0).await;
    assert_eq!(kit.backend.received_count(), 1);
    kit.stop().await;
}
