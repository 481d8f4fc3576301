use super::*;

/// What is said of a token of second 0 with an unknown key, at this time.
async fn told(world: &World, seconds: i64) -> Rejection {
    world.identify(&token_of("alice", "b", 1), at(seconds)).await.unwrap_err()
}

#[tokio::test]
async fn an_unknown_key_is_a_401_only_when_the_provider_was_asked_since_the_token_was_made() {
    let world = World::without_keys(2, 100);
    let publish = |source, seconds| world.keys.publish(source, &set(&[("a", 0)]), at(seconds), KEEP);
    publish(0, -10);
    publish(1, -10);
    assert_eq!(told(&world, 30).await, Rejection::KeyNotFetchedYet);
    publish(0, 40);
    assert_eq!(told(&world, 40).await, Rejection::KeyNotFetchedYet, "one source was asked before");
    publish(1, 40);
    assert_eq!(told(&world, 40).await, Rejection::UnknownKey, "the token was there when they were asked");
    assert_eq!(told(&world, 41).await, Rejection::KeyNotFetchedYet, "the provider's clock may be behind by the leeway");
    publish(0, LEEWAY);
    publish(1, LEEWAY);
    assert_eq!(told(&world, LEEWAY + 1).await, Rejection::KeyNotFetchedYet, "an iat is cut: it may have been made a moment later");
    publish(0, LEEWAY + 1);
    publish(1, LEEWAY + 1);
    assert_eq!(told(&world, LEEWAY + 1).await, Rejection::UnknownKey);
    assert_eq!(told(&world, 3_000).await, Rejection::KeysUnavailable, "keys ended");
    publish(0, 3_000);
    assert_eq!(told(&world, 3_001).await, Rejection::UnknownKey);
}

#[tokio::test]
async fn a_token_that_does_not_say_when_it_was_made_was_made_now() {
    let world = World::without_keys(1, 100);
    let undated = sign(
        "b",
        1,
        &json!({ "iss": ISSUER, "aud": "app", "oid": "alice", "sub": "pairwise", "scp": "sync", "tfp": "B2C_1_signin", "exp": at(LIFETIME).as_seconds() }),
    );
    world.keys.publish(0, &set(&[("a", 0)]), at(10), KEEP);
    assert_eq!(world.identify(&undated, at(11)).await.unwrap_err(), Rejection::KeyNotFetchedYet);
    assert_eq!(world.identify(&undated, at(10)).await.unwrap_err(), Rejection::UnknownKey);
}

#[tokio::test]
async fn a_key_that_ended_while_its_source_was_away_is_our_trouble_and_one_that_was_withdrawn_is_not() {
    let world = World::without_keys(2, 100);
    world.keys.publish(0, &set(&[("b", 1)]), at(100), KEEP);
    world.keys.publish(1, &set(&[("a", 0)]), at(1_000), KEEP);
    // The first source has been away since. Its key ended, and nobody said that it was withdrawn.
    assert_eq!(told(&world, 1_500).await, Rejection::KeyNotFetchedYet);
    world.keys.publish(0, &set(&[("c", 2)]), at(1_600), KEEP);
    assert_eq!(told(&world, 1_700).await, Rejection::UnknownKey);
}

#[tokio::test]
async fn a_purged_key_ends_the_identities_that_it_verified_with_the_next_request() {
    let world = World::new();
    let token = token("alice");
    world.identify(&token, at(1)).await.unwrap();
    world.keys.publish(0, &set(&[("a", 0), ("b", 1)]), at(1), KEEP);
    world.keys.purge("a", at(2));
    assert_eq!(world.identify(&token, at(2)).await.unwrap_err(), Rejection::UnknownKey);
    world.identify(&token_of("alice", "b", 1), at(2)).await.unwrap();
    world.keys.purge("b", at(3));
    assert_eq!(world.identify(&token, at(3)).await.unwrap_err(), Rejection::UnknownKey, "denied, not ended");
}

#[tokio::test]
async fn random_kids_find_no_place_in_the_cache() {
    let world = World::new();
    let good = token("alice");
    world.identify(&good, at(1)).await.unwrap();
    let claims = json!({ "iss": ISSUER, "aud": "app", "oid": "x", "sub": "pairwise", "scp": "sync", "tfp": "B2C_1_signin", "iat": at(0).as_seconds(), "exp": at(LIFETIME).as_seconds() });
    for number in 0..2_000 {
        let header = URL_SAFE_NO_PAD.encode(json!({ "alg": "RS256", "kid": format!("random-{number}") }).to_string());
        let forged = format!("{header}.{}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()), URL_SAFE_NO_PAD.encode([7; 256]));
        assert_eq!(world.identify(&forged, at(1)).await.unwrap_err(), Rejection::KeyNotFetchedYet);
    }
    world.identify(&good, at(1)).await.unwrap();
    assert_eq!((world.exchange.cached_identities(), world.work().0), (1, 2_001));
    assert_eq!(world.lookups("identity", "hit"), 1);
}

/// The exchange under these rules, with the same cache.
fn reconfigured(world: &World, change: impl FnOnce(&mut IssuerSettings), limits: TokenLimits, claims: [&str; 2]) -> Exchange {
    let mut rules = world.rules.clone();
    change(&mut rules);
    let issuers = vec![IssuerKeys { issuer: TrustedIssuer::new(rules), keys: Arc::clone(&world.keys) }];
    world.exchange.reconfigured(issuers, limits, profiles(claims).into())
}

#[tokio::test]
async fn other_settings_end_what_they_concern_and_nothing_else() {
    let world = World::new();
    let token = token("alice");
    let before = world.exchange(&token, USER_ID, at(1)).await.unwrap();
    assert_eq!(world.work(), (1, 1));

    let same = reconfigured(&world, |_| {}, TokenLimits::default(), CLAIMS);
    let identity = same.identify(token.as_bytes(), at(2)).await.unwrap();
    assert_eq!(same.admit(&identity, USER_ID, Lifetime::End, at(2)).await.unwrap().authorization(), before.authorization());
    assert_eq!(world.work(), (1, 1), "neither a verification nor a signature");

    let stricter = reconfigured(&world, |rules| rules.audiences = vec!["another".into()], TokenLimits::default(), CLAIMS);
    assert_eq!(stricter.identify(token.as_bytes(), at(2)).await.unwrap_err(), Rejection::WrongAudience);
    let shorter = TokenLimits { header: 10, ..TokenLimits::default() };
    let shorter = reconfigured(&world, |_| {}, shorter, CLAIMS);
    assert_eq!(shorter.identify(token.as_bytes(), at(2)).await.unwrap_err(), Rejection::TokenTooLarge);

    let renamed = reconfigured(&world, |_| {}, TokenLimits::default(), ["sub", "uid"]);
    let identity = renamed.identify(token.as_bytes(), at(2)).await.unwrap();
    let admission = renamed.admit(&identity, USER_ID, Lifetime::End, at(2)).await.unwrap();
    assert_eq!((payload(&admission)["sub"].as_str(), payload(&admission).get("userId")), (Some("alice"), None));
}

#[tokio::test]
async fn an_issuer_that_is_not_discovered_yet_is_our_trouble_and_then_its_rules_hold() {
    let world = World::new();
    let rules = IssuerSettings { issuer: IssuerRule::Discovered, ..world.rules.clone() };
    let issuers = vec![IssuerKeys { issuer: TrustedIssuer::new(rules), keys: Arc::clone(&world.keys) }];
    let exchange = world.exchange.reconfigured(issuers, TokenLimits::default(), profiles(CLAIMS).into());
    let token = token("alice");
    assert_eq!(exchange.identify(token.as_bytes(), at(1)).await.unwrap_err(), Rejection::KeysUnavailable);
    world.keys.discover(0, &ISSUER.into());
    exchange.identify(token.as_bytes(), at(1)).await.unwrap();
    let foreign = sign("a", 0, &json!({ "iss": "https://fabrikam.com/", "aud": "app", "oid": "x", "exp": at(100).as_seconds() }));
    assert_eq!(exchange.identify(foreign.as_bytes(), at(1)).await.unwrap_err(), Rejection::UnknownIssuer);
}

#[tokio::test]
async fn the_last_token_of_a_connection_counts_no_longer_than_what_it_rests_on() {
    let world = World::new();
    let (alice, bob) = (token("alice"), token("bob"));
    let last = Mutex::default();
    let user = async |exchange: &Exchange, token: &str, now| {
        exchange.identify_next(&last, token.as_bytes(), now).await.map(|identity| identity.verified().user_id().to_owned())
    };
    for (token, name) in [(&alice, "alice"), (&alice, "alice"), (&bob, "bob"), (&alice, "alice"), (&alice, "alice")] {
        assert_eq!(user(&world.exchange, token, at(1)).await, Ok(name.to_owned()));
    }
    // Its end.
    assert_eq!(user(&world.exchange, &alice, at(LIFETIME + LEEWAY)).await, Err(Rejection::Expired));
    assert_eq!(user(&world.exchange, &alice, at(2)).await, Ok("alice".to_owned()));
    // Settings.
    let narrower = reconfigured(&world, |rules| rules.audiences = vec!["other".into()], TokenLimits::default(), CLAIMS);
    assert_eq!(user(&narrower, &alice, at(2)).await, Err(Rejection::WrongAudience));
    assert_eq!(user(&world.exchange, &alice, at(2)).await, Ok("alice".to_owned()));
    // Its key.
    assert_eq!(world.keys.purge("a", at(3)), Some(1));
    assert!(user(&world.exchange, &alice, at(3)).await.is_err());
}

#[tokio::test]
async fn what_a_connection_was_refused_it_does_not_remember() {
    let world = World::without_keys(1, 100);
    world.keys.publish(0, &set(&[("a", 0)]), at(0), KEEP);
    let (last, token) = (Mutex::default(), token("alice"));
    let come = async |now| world.exchange.identify_next(&last, token.as_bytes(), at(now)).await.map(drop);
    assert_eq!((come(1).await, come(2).await, world.work().0), (Ok(()), Ok(()), 1));
    assert_eq!(come(1_000).await, Err(Rejection::KeysUnavailable));
    // The key is back.
    world.keys.publish(0, &set(&[("a", 0)]), at(1_600), KEEP);
    let before = world.work().0;
    assert_eq!((come(1_601).await, world.work().0 - before), (Ok(()), 1));
}

#[tokio::test]
async fn an_unknown_key_is_no_fault_of_the_client_while_a_source_was_never_fetched() {
    let world = World::without_keys(2, 100);
    let token = token_of("alice", "b", 1);
    world.keys.publish(0, &set(&[("a", 0)]), at(0), KEEP);
    assert_eq!(world.identify(&token, at(1)).await.unwrap_err(), Rejection::KeysUnavailable);
    world.keys.publish(1, &set(&[("c", 2)]), at(0), KEEP);
    assert_eq!(world.identify(&token, at(1)).await.unwrap_err(), Rejection::KeyNotFetchedYet);
}
