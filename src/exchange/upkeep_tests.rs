//! What the exchange shows of itself, and what it keeps up beside requests.

use std::{pin::pin, sync::Mutex};

use futures_util::poll;
use serde_json::json;

use super::{
    identity::Minted,
    testing::{self, claims, rules, sign, signing_key},
    tests::{USER_ID, World, at, token},
    *,
};
use crate::{
    jwks::{KeyStore, test_log::Log},
    token::{IssuerRule, TokenKeyId},
};

/// An exchange for tokens of `contoso` under changed rules.
fn exchange(change: impl FnOnce(&mut crate::token::IssuerSettings)) -> (Exchange, Arc<KeyStore>, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new().unwrap());
    let keys = Arc::new(KeyStore::new(1));
    keys.publish(0, &testing::key_set(&[("a", 0)]), at(0), Duration::from_secs(1_000_000));
    let mut rules = rules("contoso");
    change(&mut rules);
    let exchange = Exchange::new(
        vec![IssuerKeys { issuer: TrustedIssuer::new(rules), keys: Arc::clone(&keys) }],
        TokenLimits::default(),
        vec![MintingProfile::default()],
        signing_key(),
        SigningPool::new(1, 8, Arc::clone(&metrics)).unwrap(),
        &CacheSettings::default(),
        Arc::clone(&metrics),
    );
    (exchange, keys, metrics)
}

#[test]
fn the_public_key_is_shown_under_every_name_that_tokens_give_it() {
    let world = World::with_profile(|profile| profile.key_id = TokenKeyId::Text("2026-a".to_owned()));
    let thumbprint = world.exchange.signing_thumbprint().unwrap();
    let jwks = world.exchange.signing_jwks();
    let members = |name: &str| jwks.iter().map(|jwk| jwk[name].clone()).collect::<Vec<_>>();
    assert_eq!(members("kid"), [json!("2026-a"), json!(thumbprint)]);
    assert_eq!(members("kty"), ["RSA", "RSA"]);
    assert_eq!(jwks[0]["n"], jwks[1]["n"]);
    assert!(jwks[0].get("d").is_none());
    world.exchange.replace_signing_key(signing_key());
    assert_ne!(world.exchange.signing_thumbprint().unwrap(), thumbprint);
    assert_eq!(world.exchange.signing_jwks()[0]["kty"], "OKP");
}

#[test]
fn the_generations_change_with_the_keys_and_with_nothing_else() {
    let (exchange, keys, _) = exchange(|_| {});
    let before = exchange.key_generations(at(1));
    assert_eq!((before.len(), exchange.key_generations(at(2))), (1, before.clone()));
    keys.publish(0, &testing::key_set(&[("a", 0), ("b", 1)]), at(3), Duration::from_secs(1_000_000));
    assert_ne!(exchange.key_generations(at(3)), before);
}

#[tokio::test]
async fn who_keeps_a_token_gets_a_new_one_when_it_is_due() {
    let world = World::new();
    let identity = world.identify(&token("alice"), at(0)).await.unwrap();
    let renewed = async |seconds| world.exchange.admit_renewed(&identity, USER_ID, Lifetime::Ttl, at(seconds)).await.unwrap();
    let first = renewed(0).await;
    // A fifth of 300 s is left then.
    assert_eq!(renewed(239).await.authorization(), first.authorization());
    assert_eq!(world.work().1, 1);
    let next = renewed(240).await;
    assert_ne!(next.authorization(), first.authorization());
    assert_eq!((next.expires(), next.end()), (at(540), first.end()));
}

#[tokio::test]
async fn a_user_token_is_weighed_with_all_that_it_takes() {
    let (exchange, ..) = exchange(|_| {});
    let identity = exchange.identify(sign("a", 0, &claims("contoso", "alice", 3_600)).as_bytes(), at(1)).await.unwrap();
    let before = identity.bytes();
    let admission = exchange.admit(&identity, ProfileId(0), Lifetime::Ttl, at(1)).await.unwrap();
    let (counts, shared) = (2 * size_of::<usize>(), 4 * size_of::<usize>());
    assert_eq!(identity.bytes() - before, counts + size_of::<Minted>() + admission.authorization().len() + shared);
}

#[tokio::test]
async fn a_connection_puts_back_what_the_cache_has_given_up() {
    let world = World::new();
    let (last, token) = (Mutex::default(), token("alice"));
    let come = async || world.exchange.identify_next(&last, token.as_bytes(), at(1)).await.unwrap();
    let identity = come().await;
    world.exchange.identities.remove(&identity);
    assert_eq!(world.exchange.cached_identities(), 0);
    for _ in 0..8 {
        come().await;
    }
    assert_eq!(world.exchange.cached_identities(), 1);
    world.identify(&token, at(1)).await.unwrap();
    assert_eq!(world.work().0, 1);
    let turn = world.exchange.identities.get_or_turn(&Default::default()).await.unwrap_err();
    assert_eq!(format!("{turn:?} {last:?}"), "Turn { .. } Mutex { data: LastToken { .. }, poisoned: false, .. }");
}

#[tokio::test]
async fn who_waited_while_another_verified_gets_what_that_found_if_it_still_holds() {
    let (exchange, ..) = exchange(|_| {});
    let token = sign("a", 0, &claims("contoso", "alice", 3_600));
    let digest = exchange.verifying.digest(token.as_bytes()).unwrap();
    let verify = async |seconds| exchange.verifying.verify(digest, token.as_bytes(), at(seconds)).await;
    let first = verify(1).await.unwrap();
    assert!(Arc::ptr_eq(&first, &verify(2).await.unwrap()));
    assert_eq!(verify(3_660).await.unwrap_err(), Rejection::Expired);
}

#[tokio::test]
async fn a_token_of_the_greatest_length_is_looked_at() {
    let (exchange, ..) = exchange(|_| {});
    let refused = async |bytes| exchange.identify("x".repeat(bytes).as_bytes(), at(1)).await.unwrap_err();
    assert_eq!(refused(16 * 1024).await, Rejection::TokenMalformed);
    assert_eq!(refused(16 * 1024 + 1).await, Rejection::TokenTooLarge);
}

#[tokio::test]
async fn a_token_that_would_be_refused_anyway_has_no_keys_fetched() {
    let unknown = |claims: &serde_json::Value| sign("b", 1, claims);
    let (exchange, ..) = exchange(|rules| rules.takes_group_overage = false);
    let mut overage = claims("contoso", "alice", 3_600);
    assert_eq!(exchange.identify(unknown(&overage).as_bytes(), at(30)).await.unwrap_err(), Rejection::KeyNotFetchedYet);
    (overage["hasgroups"], overage["iat"]) = (json!(true), json!(at(20).as_seconds()));
    assert_eq!(exchange.identify(unknown(&overage).as_bytes(), at(30)).await.unwrap_err(), Rejection::UnknownKey);
}

#[tokio::test]
async fn an_issuer_that_the_config_has_wrong_is_our_trouble() {
    let (exchange, keys, _) = exchange(|_| {});
    let foreign = sign("a", 0, &claims("fabrikam", "alice", 3_600));
    assert_eq!(exchange.identify(foreign.as_bytes(), at(1)).await.unwrap_err(), Rejection::UnknownIssuer);
    keys.expect_issuer("contoso", rules("contoso").issuer);
    keys.name(0, &testing::iss("fabrikam").into(), "contoso");
    assert_eq!(exchange.identify(foreign.as_bytes(), at(1)).await.unwrap_err(), Rejection::IssuerMismatch);
}

#[tokio::test]
async fn a_sweep_pauses_after_so_many() {
    let (exchange, ..) = exchange(|_| {});
    let sweep = async |count: usize, seconds| {
        for number in exchange.cached_identities()..count {
            exchange.identify(sign("a", 0, &claims("contoso", &number.to_string(), 3_600)).as_bytes(), at(1)).await.unwrap();
        }
        let mut sweep = pin!(exchange.sweep(at(seconds)));
        let mut pauses = 0;
        while poll!(&mut sweep).is_pending() {
            pauses += 1;
        }
        pauses
    };
    assert_eq!((sweep(255, 1).await, sweep(256, 1).await, sweep(520, 1).await), (0, 1, 2));
    assert_eq!((sweep(520, 3_660).await, exchange.cached_identities()), (2, 0));
}

#[test]
fn the_rules_of_an_issuer_are_those_of_its_discovery_document_where_it_is_discovered() {
    let store = |named: &str| {
        let keys = Arc::new(KeyStore::new(1));
        keys.discover(0, &named.into());
        keys
    };
    let entry = |issuer: IssuerRule, keys: &Arc<KeyStore>| {
        let rules = crate::token::IssuerSettings { issuer, ..rules("contoso") };
        IssuerKeys { issuer: TrustedIssuer::new(rules), keys: Arc::clone(keys) }
    };
    let (one, other) = (store("https://one/"), store("https://other/"));
    let exact = |issuer: &str| IssuerRule::Exact(vec![issuer.to_owned()]);

    let discovered = issuer::Issuer::new(entry(IssuerRule::Discovered, &one));
    assert!(discovered.rules_equal(&entry(IssuerRule::Discovered, &one)));
    assert!(!discovered.rules_equal(&entry(IssuerRule::Discovered, &other)));
    assert!(!discovered.rules_equal(&entry(exact("https://one/"), &one)));
    let rules = discovered.trusted();
    assert_eq!(rules.settings().issuer, exact("https://one/"));
    assert!(Arc::ptr_eq(&rules, &discovered.trusted()), "made once");

    let configured = issuer::Issuer::new(entry(exact("https://x/"), &one));
    assert!(configured.rules_equal(&entry(exact("https://x/"), &other)));
    assert!(!configured.rules_equal(&entry(exact("https://y/"), &one)));
    assert_eq!(configured.trusted().settings().issuer, exact("https://x/"));
}

#[tokio::test]
async fn a_claim_of_the_wrong_type_is_logged_now_and_then() {
    let (log, _guard) = Log::listen();
    let (exchange, ..) = exchange(|_| {});
    let mut claims = claims("contoso", "alice", 3_600);
    let lines = || log.lines().iter().filter(|line| line.contains("a claim has the wrong type")).cloned().collect::<Vec<_>>();
    let mut come = async |claim: &str, value, seconds| {
        claims[claim] = value;
        exchange.identify(sign("a", 0, &claims).as_bytes(), at(seconds)).await.map(drop)
    };
    assert_eq!(come("oid", json!("alice"), 1).await, Ok(()));
    assert_eq!(come("tfp", json!("B2C_1_signin"), 10_000).await, Err(Rejection::Expired));
    assert!(lines().is_empty());
    // The clock may be set back, too.
    for (seconds, logged) in [(1_000, 1), (1_000, 1), (1_009, 1), (1_010, 2), (500, 3), (501, 3), (510, 4)] {
        assert_eq!(come("nonce", json!({}), seconds).await, Err(Rejection::ClaimsMalformed));
        assert_eq!(lines().len(), logged, "{seconds}");
    }
    assert!(lines()[0].contains("issuer=\"contoso\"") && lines()[0].contains("claim=\"nonce\""), "{:?}", lines());
}
