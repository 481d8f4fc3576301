use std::sync::{Barrier, mpsc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::*;
use crate::{
    jwks::test_keys::{set, sign},
    token::{IssuerRule, IssuerSettings, UserIdRule},
};

/// Keys that are unknown, ended, purged, and settings that change.
#[path = "changing_tests.rs"]
mod changing;

const ISSUER: &str = "https://contoso.b2clogin.com/tenant/v2.0/";
pub(super) const USER_ID: ProfileId = ProfileId(0);
pub(super) const OTHER: ProfileId = ProfileId(1);
const KEEP: Duration = Duration::from_secs(1_000);
const LEEWAY: i64 = 60;
pub(super) const LIFETIME: i64 = 3_600;

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_000 + seconds)
}

/// A token of the first key, valid from second 0 on.
pub(super) fn token(user: &str) -> String {
    token_of(user, "a", 0)
}

fn token_of(user: &str, kid: &str, key: usize) -> String {
    token_until(LIFETIME, user, kid, key)
}

/// One that ends at this second, leeway not included.
pub(super) fn token_until(end: i64, user: &str, kid: &str, key: usize) -> String {
    let (from, to) = (at(0).as_seconds(), at(end).as_seconds());
    sign(
        kid,
        key,
        &json!({ "iss": ISSUER, "aud": "app", "oid": user, "sub": "pairwise", "scp": "sync", "tfp": "B2C_1_signin", "iat": from, "nbf": from, "exp": to }),
    )
}

pub(super) fn payload(admission: &Admission) -> Value {
    let header = admission.authorization();
    assert!(header.is_sensitive());
    let token = header.to_str().unwrap().strip_prefix("Bearer ").unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

const CLAIMS: [&str; 2] = ["userId", "uid"];

fn profiles(claims: [&str; 2]) -> [MintingProfile; 2] {
    claims.map(|claim| MintingProfile::new(claim, claim))
}

pub(super) struct World {
    pub(super) exchange: Arc<Exchange>,
    rules: IssuerSettings,
    keys: Arc<KeyStore>,
    metrics: Arc<Metrics>,
}

impl World {
    /// An issuer whose key `a` was fetched at second 0, one signing thread with two places in its queue, two profiles.
    pub(super) fn new() -> Self {
        let world = Self::without_keys(1, 100);
        world.keys.publish(0, &set(&[("a", 0)]), at(0), Duration::from_secs(100_000));
        world
    }

    /// The same with the first profile changed.
    pub(super) fn with_profile(change: impl FnOnce(&mut MintingProfile)) -> Self {
        let world = Self::build(1, 100, change);
        world.keys.publish(0, &set(&[("a", 0)]), at(0), Duration::from_secs(100_000));
        world
    }

    fn without_keys(sources: usize, entries: usize) -> Self {
        Self::build(sources, entries, |_| {})
    }

    fn build(sources: usize, entries: usize, change: impl FnOnce(&mut MintingProfile)) -> Self {
        let metrics = Arc::new(Metrics::new().unwrap());
        let keys = Arc::new(KeyStore::new(sources));
        let rules = IssuerSettings {
            user_id: UserIdRule::Claims(vec!["oid".into()]),
            leeway: Duration::from_secs(LEEWAY as u64),
            ..IssuerSettings::new("contoso", IssuerRule::Exact(vec![ISSUER.into()]), vec!["app".into()])
        };
        let issuer = TrustedIssuer::new(rules.clone());
        let mut profiles = profiles(CLAIMS);
        change(&mut profiles[0]);
        let exchange = Exchange::new(
            vec![IssuerKeys { issuer, keys: Arc::clone(&keys) }],
            TokenLimits::default(),
            profiles.into(),
            SigningKey::generate_rsa(2048).unwrap(),
            SigningPool::new(1, 2, Arc::clone(&metrics)).unwrap(),
            &CacheSettings { entries, ..CacheSettings::default() },
            Arc::clone(&metrics),
        );
        Self { exchange: Arc::new(exchange), rules, keys, metrics }
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(super) async fn identify(&self, token: &str, now: Timestamp) -> Result<Arc<Identity>, Rejection> {
        self.exchange.identify(token.as_bytes(), now).await
    }

    /// With a user token that lives as long as the client's.
    pub(super) async fn exchange(&self, token: &str, profile: ProfileId, now: Timestamp) -> Result<Admission, Rejection> {
        let identity = self.identify(token, now).await?;
        self.exchange.admit(&identity, profile, Lifetime::End, now).await
    }

    /// Verifications and signatures so far.
    pub(super) fn work(&self) -> (u64, u64) {
        let done = |stage| self.metrics.exchange.duration.with_label_values(&[stage]).get_sample_count();
        (done("verify"), done("mint"))
    }

    pub(super) fn lookups(&self, cache: &str, result: &str) -> u64 {
        self.metrics.exchange.cache_requests.with_label_values(&[cache, result]).get()
    }

    /// Occupies the signing thread and its relief until the sender is dropped.
    pub(super) async fn block_signing(&self) -> mpsc::Sender<()> {
        let (blocker, blocked) = mpsc::channel::<()>();
        let blocked = std::sync::Mutex::new(blocked);
        let (started, mut is_started) = tokio::sync::mpsc::unbounded_channel();
        let exchange = Arc::clone(&self.exchange);
        // What the one has begun and does not end is shown to the other, and stays in the queue if the relief is first.
        let job = move || (started.send(()).unwrap(), blocked.lock().unwrap().recv());
        tokio::spawn(async move { exchange.minting.pool.run(job).await });
        for _ in 0..2 {
            is_started.recv().await.unwrap();
        }
        blocker
    }
}

pub(super) async fn until(done: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(std::time::Instant::now() < deadline, "not within 20 s");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_token_becomes_a_user_token_and_a_second_request_neither_verifies_nor_signs() {
    let world = World::new();
    let token = token("alice");
    let first = world.exchange(&token, USER_ID, at(1)).await.unwrap();
    assert_eq!(
        payload(&first),
        json!({ "userId": "alice", "iat": at(1 - 10).as_seconds(), "exp": at(LIFETIME + LEEWAY).as_seconds() })
    );
    assert_eq!(first.end(), at(LIFETIME + LEEWAY));
    let second = world.exchange(&token, USER_ID, at(2)).await.unwrap();
    assert_eq!(second.authorization(), first.authorization());
    assert_eq!(world.work(), (1, 1));
    for cache in ["identity", "minted"] {
        assert_eq!((world.lookups(cache, "miss"), world.lookups(cache, "hit")), (1, 1), "{cache}");
    }
    assert_eq!(world.exchange.cached_identities(), 1);
}

#[tokio::test]
async fn a_cached_identity_ends_with_its_token() {
    let world = World::new();
    let (token, end) = (token("alice"), at(LIFETIME + LEEWAY));
    let identity = world.identify(&token, at(1)).await.unwrap();
    let last_moment = end.minus(Duration::from_millis(1));
    world.exchange(&token, USER_ID, last_moment).await.unwrap();
    assert_eq!(world.work(), (1, 1));
    assert_eq!(world.identify(&token, end).await.unwrap_err(), Rejection::Expired);
    assert_eq!(world.exchange.admit(&identity, USER_ID, Lifetime::End, end).await.unwrap_err(), Rejection::Expired);
    assert_eq!(world.exchange.admit(&identity, OTHER, Lifetime::End, end).await.unwrap_err(), Rejection::Expired);
    assert_eq!(world.exchange.cached_identities(), 0);
}

#[tokio::test]
async fn a_cached_identity_ends_with_the_key_that_verified_it() {
    let world = World::without_keys(1, 100);
    world.keys.publish(0, &set(&[("a", 0)]), at(0), KEEP);
    let token = token("alice");
    world.identify(&token, at(1)).await.unwrap();
    // The set changes, the key is still in it: no need to verify again.
    world.keys.publish(0, &set(&[("b", 1)]), at(500), KEEP);
    world.identify(&token, at(501)).await.unwrap();
    assert_eq!(world.work().0, 1);
    assert_eq!(world.identify(&token, at(1_000)).await.unwrap_err(), Rejection::UnknownKey);
    // No key is left: our trouble, not the client's.
    assert_eq!(world.identify(&token, at(1_500)).await.unwrap_err(), Rejection::KeysUnavailable);
    // The key is back: what was remembered before is not.
    world.keys.publish(0, &set(&[("a", 0)]), at(1_600), KEEP);
    world.identify(&token, at(1_601)).await.unwrap();
    assert_eq!((world.lookups("identity", "hit"), world.exchange.cached_identities()), (1, 1));
}

#[tokio::test]
async fn another_key_under_the_same_kid_does_not_keep_an_identity_alive() {
    let world = World::without_keys(1, 100);
    world.keys.publish(0, &set(&[("a", 0)]), at(0), KEEP);
    let token = token("alice");
    world.identify(&token, at(1)).await.unwrap();
    world.keys.publish(0, &set(&[("a", 1)]), at(500), KEEP);
    world.identify(&token, at(999)).await.unwrap();
    assert_eq!(world.identify(&token, at(1_000)).await.unwrap_err(), Rejection::BadSignature);
    world.identify(&token_of("alice", "a", 1), at(1_000)).await.unwrap();
}

#[tokio::test]
async fn one_token_with_two_profiles_gets_two_tokens_that_never_mix() {
    let world = World::new();
    let token = token("alice");
    for _ in 0..3 {
        let (one, other) =
            (world.exchange(&token, USER_ID, at(1)).await.unwrap(), world.exchange(&token, OTHER, at(1)).await.unwrap());
        assert_eq!((payload(&one)["userId"].as_str(), payload(&one).get("uid")), (Some("alice"), None));
        assert_eq!((payload(&other)["uid"].as_str(), payload(&other).get("userId")), (Some("alice"), None));
    }
    assert_eq!(world.work(), (1, 2));
    let unknown = world.exchange(&token, ProfileId(2), at(1)).await.unwrap_err();
    assert_eq!(unknown, Rejection::SigningFailed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_first_requests_verify_once_and_sign_once() {
    let world = Arc::new(World::new());
    let token = Arc::new(token("alice"));
    let start = Arc::new(Barrier::new(4));
    let requests: Vec<_> = (0..64)
        .map(|number| {
            let (world, token, start) = (Arc::clone(&world), Arc::clone(&token), Arc::clone(&start));
            tokio::spawn(async move {
                if number < 4 {
                    start.wait();
                }
                world.exchange(&token, USER_ID, at(1)).await.unwrap().authorization().clone()
            })
        })
        .collect();
    let mut answers = Vec::new();
    for request in requests {
        answers.push(request.await.unwrap());
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(world.work(), (1, 1));
    assert_eq!((world.lookups("identity", "hit"), world.lookups("minted", "hit")), (63, 63));
}

#[tokio::test]
async fn a_leader_that_leaves_passes_the_turn_on() {
    let world = World::new();
    let identity = world.identify(&token("alice"), at(1)).await.unwrap();
    let blocker = world.block_signing().await;
    let admit = || {
        let (exchange, identity) = (Arc::clone(&world.exchange), Arc::clone(&identity));
        tokio::spawn(async move { exchange.admit(&identity, USER_ID, Lifetime::End, at(1)).await })
    };
    let leader = admit();
    until(|| world.lookups("minted", "miss") == 1).await;
    let followers = [admit(), admit()];
    tokio::task::yield_now().await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    drop(blocker);
    for follower in followers {
        assert_eq!(payload(&follower.await.unwrap().unwrap())["userId"], "alice");
    }
    assert_eq!(world.work(), (1, 1));
}

#[tokio::test]
async fn a_full_signing_queue_refuses_new_users_and_no_admitted_one() {
    let world = World::new();
    let admitted = token("alice");
    world.exchange(&admitted, USER_ID, at(1)).await.unwrap();
    let blocker = world.block_signing().await;
    let mut waiting = Vec::new();
    for user in ["bob", "bert"] {
        let identity = world.identify(&token(user), at(1)).await.unwrap();
        let exchange = Arc::clone(&world.exchange);
        waiting.push(tokio::spawn(async move { exchange.admit(&identity, USER_ID, Lifetime::End, at(1)).await }));
    }
    until(|| world.lookups("minted", "miss") == 3).await;

    let late = token("carol");
    assert_eq!(world.exchange(&late, USER_ID, at(1)).await.unwrap_err(), Rejection::SigningOverloaded);
    world.exchange(&admitted, USER_ID, at(1)).await.unwrap();
    drop(blocker);
    for admission in waiting {
        admission.await.unwrap().unwrap();
    }
    world.exchange(&late, USER_ID, at(1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_signature_that_takes_too_long_is_given_up_by_all_who_wait_for_it() {
    let world = World::new();
    let identity = world.identify(&token("alice"), at(1)).await.unwrap();
    let _blocker = world.block_signing().await;
    let started = tokio::time::Instant::now();
    let admit = || world.exchange.admit(&identity, USER_ID, Lifetime::End, at(1));
    let (first, second) = tokio::join!(admit(), admit());
    assert_eq!((first.unwrap_err(), second.unwrap_err()), (Rejection::SigningOverloaded, Rejection::SigningOverloaded));
    assert_eq!(started.elapsed().as_secs(), Exchange::SIGNING_TIMEOUT.as_secs());
}

#[tokio::test]
async fn what_a_replaced_signing_key_signed_is_not_used_again() {
    let world = World::new();
    let token = token("alice");
    let before = world.exchange(&token, USER_ID, at(1)).await.unwrap();
    let next = SigningKey::generate_rsa(2048).unwrap();
    let thumbprint = next.signer().thumbprint().unwrap().to_owned();
    world.exchange.replace_signing_key(next);
    let after = world.exchange(&token, USER_ID, at(1)).await.unwrap();
    assert_ne!(after.authorization(), before.authorization());
    assert_eq!(world.exchange(&token, USER_ID, at(1)).await.unwrap().authorization(), after.authorization());
    assert_eq!(world.work(), (1, 2));
    let text = world.metrics.render().unwrap();
    let shown: Vec<&str> = text.lines().filter(|line| line.starts_with("syncgate_signing_key_info{")).collect();
    assert_eq!(shown, [format!("syncgate_signing_key_info{{algorithm=\"RS256\",thumbprint=\"{thumbprint}\"}} 1")]);
}

#[tokio::test]
async fn refusals_are_not_kept_and_take_nobodys_place() {
    let world = World::without_keys(1, 2);
    world.keys.publish(0, &set(&[("a", 0)]), at(0), KEEP);
    let good = token("alice");
    world.identify(&good, at(1)).await.unwrap();
    let forged = token_of("alice", "a", 1);
    for _ in 0..200 {
        assert_eq!(world.identify(&forged, at(1)).await.unwrap_err(), Rejection::BadSignature);
        assert_eq!(world.identify("a.b.c", at(1)).await.unwrap_err(), Rejection::TokenMalformed);
    }
    assert_eq!(world.lookups("identity", "miss"), 201);
    world.identify(&good, at(1)).await.unwrap();
    assert_eq!((world.lookups("identity", "hit"), world.exchange.cached_identities()), (1, 1));
}

#[tokio::test]
async fn valid_tokens_that_come_once_do_not_push_out_one_that_comes_often() {
    let world = World::without_keys(1, 64);
    world.keys.publish(0, &set(&[("a", 0)]), at(0), KEEP);
    let good = token("alice");
    for _ in 0..4 {
        world.identify(&good, at(1)).await.unwrap();
    }
    for number in 0..300 {
        world.identify(&token(&number.to_string()), at(1)).await.unwrap();
    }
    let before = world.lookups("identity", "hit");
    world.identify(&good, at(1)).await.unwrap();
    assert_eq!(world.lookups("identity", "hit"), before + 1);
    assert!(world.exchange.cached_identities() <= 64 + 64, "bounded, give or take the rounding of each shard");
}

#[tokio::test]
async fn without_keys_the_answer_is_503_but_an_expired_token_is_expired() {
    let world = World::without_keys(1, 100);
    assert_eq!(world.identify(&token("alice"), at(1)).await.unwrap_err(), Rejection::KeysUnavailable);
    assert_eq!(world.identify(&token("alice"), at(10_000)).await.unwrap_err(), Rejection::Expired);
}

#[tokio::test]
async fn tokens_of_strangers_and_oversized_ones_are_refused_before_any_key_is_touched() {
    let world = World::new();
    let foreign = sign("a", 0, &json!({ "iss": "https://fabrikam.com/", "aud": "app", "oid": "x", "exp": at(100).as_seconds() }));
    assert_eq!(world.identify(&foreign, at(1)).await.unwrap_err(), Rejection::UnknownIssuer);
    assert_eq!(world.identify(&"x".repeat(16 * 1024 + 1), at(1)).await.unwrap_err(), Rejection::TokenTooLarge);
    for no_word in ["", " ", " a.b.c", "a.b.c ", "a.b.c d", "a\tb", "a.b.\u{e9}"] {
        let refused = world.exchange.identify_next(&Mutex::default(), no_word.as_bytes(), at(1)).await;
        assert_eq!(refused.unwrap_err(), Rejection::AuthorizationMalformed, "{no_word:?}");
    }
    assert_eq!(world.work(), (0, 0));
}
