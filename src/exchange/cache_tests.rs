use std::time::Duration;

use crate::{
    exchange::{
        Exchange, IssuerKeys, LastToken, ProfileId, SigningPool,
        testing::{at, claims, key_set, rules, sign, signing_key},
    },
    jwks::KeyStore,
    metrics::Metrics,
    token::{Lifetime, MintingProfile, Rejection, TokenLimits, TrustedIssuer},
};

use super::*;

const END: i64 = 3_600;
const ENTRIES: usize = 500;
const ACTIVE: usize = ENTRIES / 2;
const FLOOD: usize = 10 * ENTRIES;

struct World {
    exchange: Exchange,
    metrics: Arc<Metrics>,
}

impl World {
    /// The claim `groups` is kept.
    fn new(entries: usize, bytes: usize) -> Self {
        let metrics = Arc::new(Metrics::new().unwrap());
        let keys = Arc::new(KeyStore::new(1));
        keys.publish(0, &key_set(&[("a", 0)]), at(0), Duration::from_secs(1_000_000));
        let mut rules = rules("contoso");
        rules.kept_claims = vec!["groups".into()];
        let exchange = Exchange::new(
            vec![IssuerKeys { issuer: TrustedIssuer::new(rules), keys }],
            TokenLimits::default(),
            vec![MintingProfile::default()],
            signing_key(),
            SigningPool::new(1, 8, Arc::clone(&metrics)).unwrap(),
            &CacheSettings { entries, bytes },
            Arc::clone(&metrics),
        );
        Self { exchange, metrics }
    }

    async fn come(&self, token: &str, seconds: i64) -> Arc<Identity> {
        self.exchange.identify(token.as_bytes(), at(seconds)).await.unwrap()
    }

    async fn all_come(&self, tokens: &[String], seconds: i64) {
        for token in tokens {
            self.come(token, seconds).await;
        }
    }

    async fn admit(&self, token: &str) -> Arc<Identity> {
        let identity = self.come(token, 1).await;
        self.exchange.admit(&identity, ProfileId(0), Lifetime::End, at(1)).await.unwrap();
        identity
    }

    fn verified(&self) -> u64 {
        self.metrics.exchange.cache_requests.with_label_values(&["identity", "miss"]).get()
    }

    /// The bytes that are counted are those of the identities that are there.
    fn assert_counted(&self) {
        let cache = &self.exchange.identities;
        let bytes: usize = cache.iter().map(|identity| PLACE + identity.bytes()).sum();
        assert_eq!(cache.bytes(), bytes as u64);
    }
}

fn tokens(name: &str, count: usize, end: i64) -> Vec<String> {
    (0..count).map(|number| sign("a", 0, &claims("contoso", &format!("{name} {number}"), end))).collect()
}

/// A token whose kept claim takes some tens of kilobytes.
fn heavy(user: &str) -> String {
    let mut claims = claims("contoso", user, END);
    claims["groups"] = (0..200).map(|group| format!("00000000-0000-4000-8000-{group:012}")).collect();
    sign("a", 0, &claims)
}

#[tokio::test]
async fn a_flood_of_valid_tokens_that_come_once_takes_no_place_of_active_users() {
    let world = World::new(ENTRIES, 1 << 28);
    let active = tokens("active", ACTIVE, END);
    for _ in 0..3 {
        world.all_come(&active, 1).await;
    }
    world.all_come(&tokens("flood", FLOOD, END), 2).await;
    assert!(world.exchange.cached_identities() <= ENTRIES, "{}", world.exchange.cached_identities());
    assert_eq!(world.verified(), (ACTIVE + FLOOD) as u64);
    world.all_come(&active, 3).await;
    assert_eq!(world.verified(), (ACTIVE + FLOOD) as u64, "every active user is still known");
    world.assert_counted();
}

#[tokio::test]
async fn users_who_come_during_a_flood_soon_have_a_place_and_keep_it() {
    let world = World::new(ENTRIES, 1 << 28);
    let (active, flood) = (tokens("active", 20, END), tokens("flood", FLOOD, END));
    let mut verified = Vec::new();
    // The cache is full of strangers before the first of them comes.
    for strangers in flood.chunks(FLOOD / 10) {
        world.all_come(strangers, 1).await;
        let before = world.verified();
        for _ in 0..2 {
            world.all_come(&active, 1).await;
        }
        verified.push(world.verified() - before);
    }
    assert_eq!(verified[3..], [0; 7], "verified in each round: {verified:?}");
}

#[tokio::test]
async fn users_whose_connections_remember_their_tokens_keep_their_places_too() {
    const ROUNDS: usize = 20;
    let world = World::new(ENTRIES, 1 << 28);
    let (active, idle) = (tokens("active", 20, END), tokens("idle", 20, END));
    let connections: Vec<_> = active.iter().map(|token| (token, Mutex::<LastToken>::default())).collect();
    for _ in 0..3 {
        world.all_come(&idle, 1).await;
    }
    // Others come often for a while: in all twice as many as there are places.
    for others in tokens("other", 2 * ENTRIES, END).chunks(2 * ENTRIES / ROUNDS) {
        for (token, last) in &connections {
            // One of them asks the cache.
            for _ in 0..8 {
                world.exchange.identify_next(last, token.as_bytes(), at(1)).await.unwrap();
            }
        }
        for _ in 0..3 {
            world.all_come(others, 1).await;
        }
    }
    let before = world.verified();
    world.all_come(&active, 1).await;
    assert_eq!(world.verified(), before, "every active user is still known");
    world.all_come(&idle, 1).await;
    assert_eq!(world.verified() - before, idle.len() as u64, "who came as often at first, and no more, is not");
}

#[tokio::test]
async fn what_a_connection_remembers_outlives_its_place_and_takes_it_again() {
    let world = World::new(ENTRIES, 1 << 28);
    let (token, last) = (tokens("alice", 1, END).remove(0), Mutex::<LastToken>::default());
    let come = async |seconds| world.exchange.identify_next(&last, token.as_bytes(), at(seconds)).await;
    let first = come(1).await.unwrap();
    let minted = world.exchange.admit(&first, ProfileId(0), Lifetime::End, at(1)).await.unwrap();
    let is_cached = || world.exchange.identities.iter().any(|identity| Arc::ptr_eq(&identity, &first));
    for others in tokens("other", 2 * ENTRIES, END).chunks(ENTRIES / 2) {
        // Others push it out, or the cache gives it up in another way.
        world.all_come(others, 1).await;
        world.exchange.identities.remove(&first);
        assert!(!is_cached());
        let verified = world.verified();
        for _ in 0..8 {
            let again = come(2).await.unwrap();
            assert!(Arc::ptr_eq(&again, &first));
            let admission = world.exchange.admit(&again, ProfileId(0), Lifetime::End, at(2)).await.unwrap();
            assert_eq!(admission.authorization(), minted.authorization());
        }
        assert_eq!(world.verified(), verified, "nothing is verified again");
        world.assert_counted();
        assert!(world.exchange.cached_identities() <= ENTRIES);
    }
    // What is remembered ends all the same.
    for _ in 0..9 {
        assert_eq!(come(END + 60).await.unwrap_err(), Rejection::Expired);
    }
}

#[tokio::test]
async fn a_flood_of_garbage_takes_no_place_at_all() {
    let world = World::new(ENTRIES, 1 << 28);
    let active = tokens("active", ACTIVE, END);
    world.all_come(&active, 1).await;
    let claims = claims("contoso", "mallory", END);
    let forged = sign("a", 1, &claims);
    for number in 0..FLOOD {
        let (garbage, rejection) = match number % 3 {
            0 => (forged.clone(), Rejection::BadSignature),
            1 => (sign(&format!("random {number}"), 1, &claims), Rejection::KeyNotFetchedYet),
            _ => (format!("{number}"), Rejection::TokenMalformed),
        };
        assert_eq!(world.exchange.identify(garbage.as_bytes(), at(1)).await.unwrap_err(), rejection);
    }
    let verified = world.verified();
    world.all_come(&active, 2).await;
    assert_eq!((world.verified(), world.exchange.cached_identities()), (verified, ACTIVE));
}

#[tokio::test]
async fn large_identities_are_bounded_by_their_bytes_and_push_out_no_active_user() {
    const BYTES: usize = 2 << 20;
    let world = World::new(100_000, BYTES);
    let active = tokens("active", ACTIVE, END);
    for _ in 0..3 {
        world.all_come(&active, 1).await;
    }
    let small = world.exchange.cached_bytes() / ACTIVE as u64;
    assert!((500..1_200).contains(&small), "{small}");

    let heavy: Vec<_> = (0..2_000).map(|number| heavy(&format!("heavy {number}"))).collect();
    let mut most = 0;
    for token in &heavy {
        world.come(token, 2).await;
        most = most.max(world.exchange.cached_bytes());
    }
    assert!(most <= BYTES as u64 && most > BYTES as u64 / 2, "{most}");
    let verified = world.verified();
    world.all_come(&active, 3).await;
    assert_eq!(world.verified(), verified);
    world.assert_counted();
}

#[tokio::test]
async fn user_tokens_count_and_make_others_leave_at_once() {
    let world = World::new(100_000, 256 * 1024);
    let users = tokens("user", 400, END);
    let first = world.admit(&users[0]).await;
    let (bare, minted) = (first.bytes(), world.exchange.cached_bytes());
    assert_eq!(minted as usize, PLACE + bare);
    assert!(bare > tokens("user", 1, END).len() && world.come(&users[1], 1).await.bytes() + 200 < bare);
    for token in &users {
        world.admit(token).await;
        assert!(world.exchange.cached_bytes() <= 256 * 1024, "{}", world.exchange.cached_bytes());
    }
    world.assert_counted();
    // With another key all are minted again, in the place of the old ones.
    let before = world.exchange.cached_bytes();
    world.exchange.replace_signing_key(signing_key());
    let known: Vec<_> = world.exchange.identities.iter().collect();
    for identity in &known {
        world.exchange.admit(identity, ProfileId(0), Lifetime::End, at(2)).await.unwrap();
    }
    assert!(world.exchange.cached_bytes().abs_diff(before) < before / 50);
    world.assert_counted();
}

#[tokio::test]
async fn an_identity_that_is_larger_than_the_cache_is_served_and_not_kept() {
    let world = World::new(1_000, 16 * 1024);
    let heavy = heavy("alice");
    for _ in 0..2 {
        assert!(world.admit(&heavy).await.bytes() > 16 * 1024);
    }
    assert_eq!((world.verified(), world.exchange.cached_identities(), world.exchange.cached_bytes()), (2, 0, 0));
}

#[tokio::test]
async fn what_has_ended_is_swept_out_and_what_holds_is_not() {
    let world = World::new(ENTRIES, 1 << 28);
    let (short, long) = (tokens("short", ACTIVE, 600), tokens("long", 20, END));
    for _ in 0..3 {
        world.all_come(&short, 1).await;
        world.all_come(&long, 1).await;
    }
    world.exchange.sweep(at(659)).await;
    assert_eq!(world.exchange.cached_identities(), ACTIVE + 20);
    world.exchange.sweep(at(660)).await;
    assert_eq!(world.exchange.cached_identities(), 20);
    world.assert_counted();
    let verified = world.verified();
    world.all_come(&long, 661).await;
    assert_eq!(world.verified(), verified);
}

#[tokio::test]
async fn what_has_ended_keeps_nobody_out_once_it_is_swept() {
    let world = World::new(ENTRIES, 1 << 28);
    let ended = tokens("ended", 2 * ENTRIES, 600);
    for _ in 0..3 {
        world.all_come(&ended, 1).await;
    }
    assert!(world.exchange.cached_identities() > ENTRIES * 9 / 10, "{}", world.exchange.cached_identities());
    world.exchange.sweep(at(700)).await;
    assert_eq!((world.exchange.cached_identities(), world.exchange.cached_bytes()), (0, 0));
    let fresh = tokens("fresh", ACTIVE, END);
    let before = world.verified();
    for _ in 0..3 {
        world.all_come(&fresh, 700).await;
    }
    assert_eq!(world.verified() - before, ACTIVE as u64, "each of them once");
}
