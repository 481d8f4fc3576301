//! What a hit and a refusal allocate, so that a flood of either cannot be one of memory.

use allocation_counter::{AllocationInfo, measure};
use futures_util::FutureExt as _;
use serde_json::json;

use super::{
    testing::{at, claims, key_set, rules, sign, sign_with, signing_key},
    *,
};

const PROFILE: ProfileId = ProfileId(0);

fn exchange() -> Exchange {
    let metrics = Arc::new(Metrics::new().unwrap());
    let keys = Arc::new(KeyStore::new(1));
    keys.publish(0, &key_set(&[("a", 0)]), at(0), Duration::from_secs(100_000));
    let issuers = vec![IssuerKeys { issuer: TrustedIssuer::new(rules("contoso")), keys }];
    let pool = SigningPool::new(1, 8, Arc::clone(&metrics)).unwrap();
    let profiles = vec![MintingProfile::default()];
    Exchange::new(issuers, TokenLimits::default(), profiles, signing_key(), pool, &CacheSettings::default(), metrics)
}

/// What it takes to identify a token. Nothing waits here, so it all happens on this thread.
fn identify(exchange: &Exchange, token: &str, expected: Result<(), Rejection>) -> AllocationInfo {
    measure(|| {
        let outcome = exchange.identify(token.as_bytes(), at(1)).now_or_never().unwrap();
        assert_eq!(outcome.map(drop), expected);
    })
}

#[test]
fn a_hit_allocates_nothing() {
    let exchange = exchange();
    let token = sign("a", 0, &claims("contoso", "alice", 3_600));
    identify(&exchange, &token, Ok(()));
    assert_eq!(identify(&exchange, &token, Ok(())).count_total, 0);

    let last = Mutex::default();
    let identify_next = || exchange.identify_next(&last, token.as_bytes(), at(1)).now_or_never().unwrap().unwrap();
    // The first one is remembered; of the others some ask the cache.
    let identity = identify_next();
    let hits = measure(|| assert!((0..20).all(|_| Arc::ptr_eq(&identify_next(), &identity))));
    assert_eq!(hits.count_total, 0, "nor does one on the same connection");

    let admit = || exchange.admit(&identity, PROFILE, Lifetime::Ttl, at(1));
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(admit()).unwrap();
    let hit = measure(|| assert!(admit().now_or_never().unwrap().is_ok()));
    assert_eq!(hit.count_total, 0, "the value of the header is shared");
}

#[test]
fn a_refusal_allocates_less_than_an_identification_and_keeps_nothing() {
    let exchange = exchange();
    // What is made once, such as the numbers of a metric, is nobody's.
    for user in ["alice", "bob"] {
        identify(&exchange, &sign("a", 0, &claims("contoso", user, 3_600)), Ok(()));
    }
    let stranger = identify(&exchange, &sign("a", 0, &claims("contoso", "carol", 3_600)), Ok(()));

    let good = claims("contoso", "alice", 3_600);
    let header = |members: serde_json::Value| sign_with(&members, 0, &good);
    let mut other_audience = good.clone();
    other_audience["aud"] = "other".into();
    for (token, rejection, most) in [
        ("x".repeat(17 * 1024), Rejection::TokenTooLarge, 0),
        ("a b".to_owned(), Rejection::AuthorizationMalformed, 0),
        ("abc".to_owned(), Rejection::TokenMalformed, 2),
        (sign("a", 0, &claims("fabrikam", "alice", 3_600)), Rejection::UnknownIssuer, 30),
        (header(json!({ "alg": "HS256", "kid": "a" })), Rejection::AlgorithmNotAllowed, 30),
        (sign("a", 0, &claims("contoso", "alice", -3_600)), Rejection::Expired, 30),
        (sign("a", 0, &other_audience), Rejection::WrongAudience, 30),
        (sign("unknown", 0, &good), Rejection::KeyNotFetchedYet, 60),
        (sign("a", 1, &good), Rejection::BadSignature, 60),
    ] {
        // Places that grow once are used again.
        identify(&exchange, &token, Err(rejection));
        let refused = identify(&exchange, &token, Err(rejection));
        assert!(refused.count_total <= most.min(stranger.count_total), "{rejection:?}: {refused:?}; a stranger: {stranger:?}");
        assert!(refused.bytes_total <= stranger.bytes_total, "{rejection:?}: {refused:?}; a stranger: {stranger:?}");
        assert_eq!(refused.bytes_current, 0, "{rejection:?} keeps something");
    }
}
