//! A provider that behaves badly: what clients see, and what the provider saw.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use syncgate::{
    demo::{
        DemoKey,
        issuer::{Behaviour, Endpoint},
        world::WorldOptions,
    },
    jwks::UnknownKidSettings,
};

use crate::{key_admin, kit::Kit};

/// A world in which nothing is fetched but at the start, after a failure and for unknown kids.
async fn calm(budget: u32) -> Kit {
    Kit::start_with(move |config| {
        let jwks = &mut config.issuers[0].jwks;
        jwks.refresh = Duration::from_secs(3600);
        jwks.timeout = Duration::from_secs(2);
        jwks.unknown_kid = UnknownKidSettings { budget, ..UnknownKidSettings::default() };
    })
    .await
}

/// How a new user with a known key and one with a key that nobody has heard of are answered, and the second's reason.
async fn answers(kit: &Kit, unique: &str) -> (u16, u16, Value) {
    let known = kit.issuer.token("alice").claim("jti", unique).sign();
    let unknown = kit.issuer.token("alice").claim("jti", unique).header("kid", format!("unknown-{unique}")).sign();
    let known = kit.get("/echo", &known).await.status().as_u16();
    let answer = kit.get("/echo", &unknown).await;
    let status = answer.status().as_u16();
    assert_eq!(answer.headers().contains_key("retry-after"), status == 503);
    assert_eq!(answer.headers().contains_key("www-authenticate"), status == 401, "a 503 must not log the user out");
    (known, status, answer.json().await.unwrap())
}

/// Whatever the provider answers instead of a set: users whose key is known are served, one whose key is not is told to come back, and
/// the provider is asked as often as the budget says.
async fn assert_harmless(behaviour: Behaviour) {
    let kit = calm(2).await;
    let before = kit.issuer.fetches(Endpoint::Keys);
    kit.issuer.behave(Endpoint::Keys, behaviour.clone());
    for attempt in 0..6 {
        let (known, unknown, body) = answers(&kit, &attempt.to_string()).await;
        assert_eq!((known, unknown), (200, 503), "{behaviour:?}");
        assert_eq!(body["error"], "key_not_fetched_yet", "{behaviour:?}");
    }
    let retries = kit.metric("syncgate_jwks_refresh_total", &[("trigger", "retry")]) as u64;
    let for_kids = kit.metric("syncgate_jwks_refresh_total", &[("trigger", "unknown_kid")]) as u64;
    assert!((1..=2).contains(&for_kids), "{behaviour:?}: {for_kids}");
    assert!(kit.issuer.fetches(Endpoint::Keys) - before <= for_kids + retries + 1, "{behaviour:?}");
    assert_eq!(kit.admin("/readyz").await.status(), 200, "{behaviour:?}");

    kit.issuer.behave(Endpoint::Keys, Behaviour::Normal);
    let good = || kit.metric("syncgate_jwks_refresh_total", &[("trigger", "retry"), ("result", "unchanged")]) >= 1.0;
    kit.eventually(good).await;
    let (known, unknown, _) = answers(&kit, "after").await;
    assert!(known == 200 && [401, 503].contains(&unknown), "{behaviour:?}: {unknown}");
    kit.stop().await;
}

#[tokio::test]
async fn errors_of_the_provider() {
    assert_harmless(Behaviour::Status(500)).await;
    assert_harmless(Behaviour::Status(404)).await;
}

#[tokio::test]
async fn documents_that_are_none() {
    assert_harmless(Behaviour::InvalidJson).await;
    assert_harmless(Behaviour::Document("<html>Please sign in</html>".into())).await;
}

#[tokio::test]
async fn an_empty_set() {
    assert_harmless(Behaviour::EmptySet).await;
}

#[tokio::test]
async fn a_huge_body() {
    assert_harmless(Behaviour::Oversized(4 * 1024 * 1024)).await;
}

#[tokio::test]
async fn silence() {
    assert_harmless(Behaviour::Silent).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = syncgate::demo::DemoIssuer::start().await.unwrap();
    assert_harmless(Behaviour::Redirect(elsewhere.keys_url())).await;
    assert_eq!(elsewhere.fetches(Endpoint::Keys), 0, "the other host was asked");
}

#[tokio::test]
async fn a_slow_provider_holds_nobody_up_for_longer_than_the_wait() {
    let kit = key_admin::calm().await;
    kit.issuer.behave(Endpoint::Keys, Behaviour::Slow(Duration::from_secs(4)));
    let new = kit.issuer.rotate().await.unwrap();
    let token = kit.issuer.token("alice").header("kid", new.kid()).signed_by(&new).sign();
    let started = Instant::now();
    let early = kit.get("/echo", &token).await;
    assert_eq!(early.status(), 503);
    assert!(started.elapsed() > Duration::from_millis(900), "{:?}", started.elapsed());
    kit.assert_serves_key(&kit.issuer.published_keys()[0]).await;
    // However busy the machine is: both were answered while the provider was not done.
    assert_eq!(kit.metric("syncgate_jwks_keys", &[]), 1.0, "{:?}", started.elapsed());
    kit.eventually(|| kit.metric("syncgate_jwks_keys", &[]) == 2.0).await;
    assert_eq!(kit.get("/echo", &token).await.status(), 200);
    assert_eq!(kit.issuer.fetches(Endpoint::Keys), 2);
    kit.stop().await;
}

#[tokio::test]
async fn a_wait_of_zero_waits_for_nothing() {
    let kit = Kit::start_with(|config| {
        config.issuers[0].jwks.refresh = Duration::from_secs(3600);
        config.issuers[0].jwks.unknown_kid.wait = Duration::ZERO;
    })
    .await;
    kit.issuer.behave(Endpoint::Keys, Behaviour::Silent);
    let started = Instant::now();
    assert_eq!(kit.get("/echo", &kit.issuer.token("a").header("kid", "x").sign()).await.status(), 503);
    assert!(started.elapsed() < Duration::from_millis(700), "{:?}", started.elapsed());
    kit.stop().await;
}

#[tokio::test]
async fn a_set_that_flaps_refuses_nobody() {
    let kit = Kit::start_with(|config| config.issuers[0].jwks.refresh = Duration::from_millis(20)).await;
    let stays = kit.issuer.signing_key();
    let comes_and_goes = kit.issuer.announce().await.unwrap();
    kit.eventually(|| kit.metric("syncgate_jwks_keys", &[]) == 2.0).await;
    for round in 0..20 {
        let shown = if round % 2 == 0 { vec![stays.clone()] } else { vec![comes_and_goes.clone()] };
        kit.issuer.publish(shown);
        let fetches = kit.issuer.fetches(Endpoint::Keys);
        kit.eventually(|| kit.issuer.fetches(Endpoint::Keys) >= fetches + 2).await;
        for key in [&stays, &comes_and_goes] {
            kit.assert_serves_key(key).await;
        }
    }
    assert_eq!(kit.metric("syncgate_rejections_total", &[]), 0.0);
    kit.stop().await;
}

#[tokio::test]
async fn a_poisoned_key_costs_itself_alone() {
    let kit = calm(2).await;
    let key = kit.issuer.signing_key();
    let good = json!({ "kty": "RSA", "use": "sig", "kid": key.kid(), "n": key.modulus(), "e": key.exponent() });
    let poisoned = json!({ "kty": "oct", "kid": "poisoned", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0" });
    kit.issuer.behave(Endpoint::Keys, Behaviour::Document(json!({ "keys": [poisoned, 7, good] }).to_string()));
    let hmac = kit.issuer.token("mallory").header("kid", "poisoned").hmac("secretsecretsecretsecret").sign();
    assert_eq!(kit.get("/echo", &hmac).await.status(), 401, "the algorithm is refused before any key is asked for");
    assert_eq!(kit.issuer.fetches(Endpoint::Keys), 1, "such a token spends no refresh");
    let forged = kit.issuer.token("mallory").header("kid", "poisoned").signed_by(&DemoKey::shared(6).unwrap()).sign();
    assert_eq!(kit.get("/echo", &forged).await.status(), 401, "the provider was asked, and has no such key");
    kit.assert_serves_key(&key).await;
    assert_eq!(kit.metric("syncgate_jwks_skipped_keys", &[("reason", "symmetric")]), 1.0);
    assert_eq!(kit.metric("syncgate_jwks_skipped_keys", &[("reason", "malformed")]), 1.0);
    kit.stop().await;
}

#[tokio::test]
async fn another_key_under_a_known_kid_is_an_alarm_and_the_known_one_serves() {
    let kit = calm(2).await;
    let (key, other) = (kit.issuer.signing_key(), DemoKey::shared(6).unwrap());
    let changed = json!({ "kty": "RSA", "use": "sig", "kid": key.kid(), "n": other.modulus(), "e": other.exponent() });
    kit.issuer.behave(Endpoint::Keys, Behaviour::Document(json!({ "keys": [changed] }).to_string()));
    kit.get("/echo", &kit.issuer.token("a").header("kid", "x").sign()).await;
    assert_eq!(kit.metric("syncgate_jwks_conflicts_total", &[]), 1.0);
    kit.assert_serves_key(&key).await;
    let with_other = kit.issuer.token("mallory").header("kid", key.kid()).signed_by(&other).sign();
    assert_eq!(kit.get("/echo", &with_other).await.status(), 401);
    kit.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_far_off_makes_no_valid_user_unauthorized() {
    let kit = calm(100).await;
    let new = kit.issuer.rotate().await.unwrap();
    kit.issuer.publish(vec![kit.issuer.published_keys()[0].clone()]);
    // Behind by half a minute: the set was fetched after the token says it was made, and before it was.
    let behind = kit.issuer.token("alice").begins_in(-30).header("kid", new.kid()).signed_by(&new).sign();
    kit.issuer.behave(Endpoint::Keys, Behaviour::Status(500));
    let answer = kit.get("/echo", &behind).await;
    assert_eq!(answer.status(), 503);
    kit.issuer.publish(vec![new.clone()]);
    kit.issuer.behave(Endpoint::Keys, Behaviour::Normal);
    assert_eq!(kit.get("/echo", &behind).await.status(), 200);
    // Ahead within the leeway: valid, and its key is known now.
    let ahead = kit.issuer.token("alice").begins_in(50).header("kid", new.kid()).signed_by(&new).sign();
    assert_eq!(kit.get("/echo", &ahead).await.status(), 200);
    // Ahead beyond it: refused for its time, and no refresh is spent on it.
    let fetches = kit.issuer.fetches(Endpoint::Keys);
    let far = kit.issuer.token("alice").begins_in(600).header("kid", "x").sign();
    assert_eq!(kit.get("/echo", &far).await.status(), 401);
    assert_eq!(kit.issuer.fetches(Endpoint::Keys), fetches);
    kit.stop().await;
}

#[tokio::test]
async fn only_a_token_that_would_pass_may_spend_a_refresh() {
    let kit = calm(100).await;
    let token = || kit.issuer.token("mallory").header("kid", "x");
    for hopeless in [
        token().issuer("https://fabrikam.com/"),
        token().audience("another"),
        token().expires_in(-3600),
        token().claim("tfp", "B2C_1_other"),
        token().without("exp"),
        token().without("oid").without("sub"),
    ] {
        assert_eq!(kit.get("/echo", &hopeless.sign()).await.status(), 401);
    }
    assert_eq!(kit.issuer.fetches(Endpoint::Keys), 1);
    assert_eq!(kit.metric("syncgate_jwks_refresh_suppressed_total", &[]), 0.0);
    kit.stop().await;
}

#[tokio::test]
async fn random_kids_are_401_once_the_provider_was_asked_and_then_503_without_asking() {
    let kit = calm(2).await;
    kit.assert_serves().await;
    let mut statuses = Vec::new();
    for number in 0..50 {
        let forged = kit.issuer.token("mallory").header("kid", format!("random-{number}")).signed_by(&DemoKey::shared(6).unwrap());
        statuses.push(kit.get("/echo", &forged.sign()).await.status().as_u16());
    }
    assert_eq!(statuses[..2], [401, 401]);
    assert!(statuses[2..].iter().all(|status| *status == 503), "made after the last fetch: nobody knows");
    assert_eq!(kit.issuer.fetches(Endpoint::Keys), 3);
    assert_eq!(kit.metric("syncgate_jwks_refresh_suppressed_total", &[]), 48.0);
    kit.assert_serves().await;
    kit.stop().await;
}

#[tokio::test]
async fn one_issuer_that_is_down_leaves_the_other_alone() {
    let second = syncgate::demo::DemoIssuer::start_with(syncgate::demo::issuer::IssuerOptions {
        tenant: "fabrikam".into(),
        tenant_id: "1c0c1f5e-0000-4000-8000-000000000000".into(),
        ..Default::default()
    })
    .await
    .unwrap();
    second.behave(Endpoint::Discovery, Behaviour::Silent);
    let trusted = syncgate::demo::world::trust(&second);
    let options = WorldOptions::default().config(move |config| {
        config.issuers.push(trusted);
        config.issuers[1].jwks.timeout = Duration::from_millis(500);
    });
    let kit = Kit::start_unready(options).await;
    // Each issuer has to be tried first.
    assert_eq!(kit.admin("/readyz").await.status(), 503);
    kit.await_ready().await;
    kit.assert_serves().await;
    assert_eq!(kit.get("/echo", &second.token("bob").sign()).await.status(), 503);
    let body: Value = kit.admin("/readyz").await.json().await.unwrap();
    let state = |name: &str| body["issuers"].as_array().unwrap().iter().find(|issuer| issuer["name"] == name).cloned().unwrap();
    assert_eq!((&state("contoso")["ready"], &state("fabrikam")["ready"]), (&json!(true), &json!(false)));
    assert_eq!((&state("fabrikam")["tried"], &state("fabrikam")["keys"]), (&json!(true), &json!(0)));
    kit.stop().await;
}

#[tokio::test]
async fn keys_that_ended_in_an_outage_are_a_503_and_never_a_401() {
    let kit = Kit::start_with(|config| {
        config.issuers[0].jwks.refresh = Duration::from_millis(200);
        config.issuers[0].jwks.keep = Duration::from_secs(2);
    })
    .await;
    let token = kit.issuer.token("alice").sign();
    assert_eq!(kit.get("/echo", &token).await.status(), 200);
    kit.issuer.behave(Endpoint::Keys, Behaviour::Status(500));
    let mut statuses = Vec::new();
    let ended = async {
        while statuses.last() != Some(&503) {
            statuses.push(kit.get("/echo", &token).await.status().as_u16());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    kit.within(ended).await;
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    kit.issuer.behave(Endpoint::Keys, Behaviour::Normal);
    kit.await_ready().await;
    assert_eq!(kit.get("/echo", &token).await.status(), 200);
    kit.stop().await;
}
