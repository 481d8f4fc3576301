//! Random lives of an exchange beside a reference without a cache: every answer is compared, and so is the work done for it.
//!
//! The reference says what may be answered. Beside it stands what a cache without bounds would remember, by the rules alone: what it
//! must not remember must be verified or signed again, and what it remembers must not be, unless the bounds made it leave. Tokens come on
//! connections and without one. An answer never depends on the connection; the work may be spared, for the token that it brought last.

mod corpus;
mod event;
mod memory;
mod reference;
mod seen;

use std::{
    array,
    cell::RefCell,
    collections::{BTreeSet, VecDeque},
    rc::Rc,
    sync::LazyLock,
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};

use self::{
    corpus::{ISSUERS, TOKENS},
    event::{Event, events},
    memory::{CONNECTIONS, Memory, Remembered},
    reference::{KEEP, Minted, Published, Settings, Who, verify},
    seen::{ON_CONNECTIONS, Seen},
};
use super::{
    testing::{at, key_set, signing_key},
    *,
};

static SIGNING_KEYS: LazyLock<[SigningKey; 3]> = LazyLock::new(|| array::from_fn(|_| signing_key()));

/// A connection of a client.
#[derive(Default)]
struct Connection {
    last: Mutex<LastToken>,
    /// The token that came last, whatever became of it.
    brought: usize,
}

struct Life<'s> {
    now: i64,
    settings: Settings,
    published: [Published; 2],
    signing_key: usize,
    memory: Memory,
    /// As sockets hold them, whatever becomes of the cache.
    held: VecDeque<(Arc<Identity>, Who)>,
    connections: [Connection; CONNECTIONS],
    cache: CacheSettings,
    exchange: Exchange,
    stores: [Arc<KeyStore>; 2],
    metrics: Arc<Metrics>,
    seen: &'s RefCell<Seen>,
}

impl<'s> Life<'s> {
    fn new(cache: CacheSettings, seen: &'s RefCell<Seen>) -> Self {
        let settings = Settings::FIRST;
        let metrics = Arc::new(Metrics::new().unwrap());
        let stores = [(); 2].map(|()| Arc::new(KeyStore::new(1)));
        let pool = SigningPool::new(1, 8, Arc::clone(&metrics)).unwrap();
        let (limits, profiles, key) = (settings.limits(), settings.profiles(), SIGNING_KEYS[0].clone());
        let exchange = Exchange::new(issuers(&settings, &stores), limits, profiles, key, pool, &cache, Arc::clone(&metrics));
        let (published, memory) = (Default::default(), Memory::default());
        let (held, connections, signing_key) = (VecDeque::new(), array::from_fn(|_| Connection::default()), 0);
        let mut life =
            Self { now: 0, settings, published, signing_key, memory, held, connections, cache, exchange, stores, metrics, seen };
        // Most lives begin with keys.
        life.publish(0, 0b011);
        life.publish(1, 0b11);
        life
    }

    fn publish(&mut self, issuer: usize, keys: usize) {
        let chosen: Vec<_> =
            ISSUERS[issuer].1.iter().enumerate().filter(|(bit, _)| keys >> bit & 1 == 1).map(|(_, key)| *key).collect();
        if chosen.is_empty() {
            return;
        }
        let kids: Vec<_> = chosen.iter().map(|(kid, _)| *kid).collect();
        self.stores[issuer].publish(0, &key_set(&chosen), at(self.now), Duration::from_secs(KEEP.unsigned_abs()));
        self.published[issuer].publish(&kids, self.now);
    }

    async fn undergo(&mut self, event: Event) -> Result<(), TestCaseError> {
        match event {
            Event::Present { connection, token, profile, lifetime } => self.present(connection, token, profile, lifetime).await?,
            Event::PresentAgain { connection, profile, times } => {
                for _ in 0..times {
                    let token = self.connections[connection].brought;
                    self.present(Some(connection), token, profile, Lifetime::Ttl).await?;
                }
            }
            Event::Pass { seconds } => self.now += seconds,
            Event::PassToEnd { seconds_before } => {
                let end = self.held.front().map(|(_, who)| who.end - seconds_before);
                self.now = end.map_or(self.now, |end| end.max(self.now));
            }
            Event::Publish { issuer, keys } => self.publish(issuer, keys),
            Event::Purge { issuer, key } => {
                if let Some((kid, _)) = ISSUERS[issuer].1.get(key) {
                    self.stores[issuer].purge(kid, at(self.now));
                    self.published[issuer].purge(kid);
                }
            }
            Event::ReplaceSigningKey(number) => {
                self.signing_key = number;
                self.exchange.replace_signing_key(SIGNING_KEYS[number].clone());
                self.memory.signing_key_replaced();
            }
            Event::ReloadWith(setting) => self.reload(self.settings.with(setting)),
            Event::ReloadTheSame => self.reload(self.settings),
            Event::Sweep => {
                self.exchange.sweep(at(self.now)).await;
                self.memory.sweep(&self.settings, &self.published, self.now);
            }
        }
        for (identity, Who { issuer, kid, .. }) in &self.held {
            let is_in_use = *issuer == 0 || self.settings.partner;
            let expected = is_in_use && self.published[*issuer].trusts(kid, self.now);
            prop_assert_eq!(self.exchange.trusts(identity, at(self.now)), expected);
        }
        self.check_cache()
    }

    fn reload(&mut self, settings: Settings) {
        self.memory.reloaded(&self.settings, &settings);
        self.settings = settings;
        self.exchange = self.exchange.reconfigured(issuers(&settings, &self.stores), settings.limits(), settings.profiles());
    }

    async fn present(
        &mut self,
        connection: Option<usize>,
        token: usize,
        profile: usize,
        lifetime: Lifetime,
    ) -> Result<(), TestCaseError> {
        let (text, now) = (TOKENS[token].as_str(), self.now);
        let expected = verify(text, &self.settings, &self.published, now);
        let is_cached = self.has_cached(text);
        let (known, is_on_connection) = self.recall(connection, token, is_cached, &expected);
        if let Some(number) = connection {
            self.connections[number].brought = token;
        }
        let before = (self.work().0, self.hits());
        let identity = self.identify(connection, text).await;
        let (verified, hits) = (self.work().0 - before.0, self.hits() - before.1);
        let who = match (expected, &identity) {
            (Err(expected), Err(rejection)) => {
                prop_assert_eq!(*rejection, expected);
                prop_assert_eq!((verified, hits), (u64::from(costs_a_verification(expected)), 0));
                self.seen.borrow_mut().rejections.insert(expected);
                return Ok(());
            }
            (expected, identity) => {
                let expected = expected.map_err(|rejection| TestCaseError::fail(format!("admitted, not {rejection:?}")))?;
                let identity =
                    identity.as_ref().map_err(|rejection| TestCaseError::fail(format!("{rejection:?}: {expected:?}")))?;
                prop_assert!(is_of(identity, text));
                let token = identity.verified();
                let found = (token.user_id(), &**token.issuer_name(), token.end(), token.scopes().collect::<Vec<_>>());
                prop_assert_eq!(found, (expected.user.as_str(), ISSUERS[expected.issuer].0, at(expected.end), vec!["sync"]));
                expected
            }
        };
        prop_assert_eq!(verified + hits, 1);
        // What a connection remembers is there, whatever has left the cache.
        let has_left = !is_cached && !is_on_connection;
        self.check_work(if is_on_connection { "connection" } else { "identity" }, known.is_some(), has_left, verified)?;
        if is_on_connection && !is_cached {
            self.seen.borrow_mut().note("connection: known, left the cache");
        }
        let known = known.filter(|_| verified == 0);
        let remembered = known.unwrap_or_else(|| self.memory.verified(token, &who, &self.settings));
        if let Some(number) = connection.filter(|_| !is_on_connection) {
            self.memory.taken_on(number, token, &remembered);
        }
        let identity = identity.map_err(|rejection| TestCaseError::fail(rejection.label()))?;
        self.held.truncate(3);
        self.held.push_front((Arc::clone(&identity), who.clone()));
        self.admit(&identity, &who, &remembered, profile, lifetime).await
    }

    /// The identity that must be remembered for a token, and whether by the connection.
    fn recall(
        &mut self,
        connection: Option<usize>,
        token: usize,
        is_cached: bool,
        expected: &Result<Who, Rejection>,
    ) -> (Option<Rc<Remembered>>, bool) {
        if let Some(number) = connection {
            match self.memory.recall_on((number, token), is_cached, &self.settings, &self.published, self.now) {
                Ok(known) => return (Some(known), true),
                Err(why) => self.seen.borrow_mut().note(why),
            }
        }
        (self.memory.recall(token, expected, &self.settings, &self.published, self.now), false)
    }

    async fn identify(&self, connection: Option<usize>, text: &str) -> Result<Arc<Identity>, Rejection> {
        match connection {
            Some(number) => self.exchange.identify_next(&self.connections[number].last, text.as_bytes(), at(self.now)).await,
            None => self.exchange.identify(text.as_bytes(), at(self.now)).await,
        }
    }

    /// Whether the bounds have left a place to the identity of this token. To look is no use of it.
    fn has_cached(&self, text: &str) -> bool {
        self.exchange.identities.iter().any(|identity| is_of(&identity, text))
    }

    async fn admit(
        &mut self,
        identity: &Arc<Identity>,
        who: &Who,
        remembered: &Rc<Remembered>,
        profile: usize,
        lifetime: Lifetime,
    ) -> Result<(), TestCaseError> {
        let now = self.now;
        let place = (profile, profile == 1 || lifetime == Lifetime::End);
        let known = self.memory.minted(remembered, place, now);
        let (before, renewals) = (self.work().1, self.renewals());
        let admission = self.exchange.admit(identity, ProfileId(profile), lifetime, at(now)).await;
        let admission = admission.map_err(|rejection| TestCaseError::fail(format!("not admitted: {rejection:?}")))?;
        prop_assert_eq!(admission.end(), at(who.end));

        let sent = admission.authorization().to_str().ok().and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        let made = Minted::read_date(sent);
        // Ed25519 signs the same text alike each time, so the whole token can be compared.
        let expected = self.settings.mint(who, profile, lifetime, made, &SIGNING_KEYS[self.signing_key]);
        prop_assert_eq!(sent, expected.text.as_str());
        prop_assert!(expected.is_usable(who.end, now) && made <= now, "made at {made}, now {now}: {expected:?}");

        let is_due = made < now && expected.is_due(who.end, now);
        if is_due {
            self.await_renewals(renewals + 1).await?;
            self.seen.borrow_mut().note("renewed");
        }
        let signed = self.work().1 - before - u64::from(is_due);
        self.check_work("minted", known.is_some(), false, signed)?;
        prop_assert!(signed == 1 || known == Some(made), "made at {made}, known from {known:?}");
        prop_assert!(signed == 0 || made == now);
        if signed == 1 || is_due {
            let latest = self.settings.mint(who, profile, lifetime, now, &SIGNING_KEYS[self.signing_key]);
            self.memory.signed(remembered, place, latest);
        }
        Ok(())
    }

    /// Nothing is done for what must be remembered; that and no more for what must not be, and for what the bounds made leave.
    fn check_work(&self, what: &'static str, is_known: bool, has_left: bool, done: u64) -> Result<(), TestCaseError> {
        let outcome = match (is_known, has_left, done) {
            (true, false, 0) => "hit",
            (false, _, 1) => "miss",
            (true, true, 1) if !self.is_unbounded() => "left before",
            _ => return Err(TestCaseError::fail(format!("{what}: known {is_known}, has left {has_left}, work done {done}"))),
        };
        let name = match (what, outcome) {
            ("connection", "hit") => "connection: known",
            ("identity", "hit") => "identity hit",
            ("identity", "left before") => "identity left before",
            ("minted", "hit") => "minted hit",
            _ => "other",
        };
        self.seen.borrow_mut().note(name);
        Ok(())
    }

    fn check_cache(&self) -> Result<(), TestCaseError> {
        let (count, bytes) = (self.exchange.cached_identities(), self.exchange.cached_bytes());
        let held: usize = self.exchange.identities.iter().map(|identity| identity.bytes()).sum();
        prop_assert!(count <= self.cache.entries && bytes <= self.cache.bytes as u64, "{count} of {bytes} bytes");
        prop_assert!(held as u64 <= bytes, "{held} bytes counted as {bytes}");
        if self.is_unbounded() {
            prop_assert_eq!(count, self.memory.len());
        }
        Ok(())
    }

    fn is_unbounded(&self) -> bool {
        self.cache == CacheSettings::default()
    }

    /// Verifications and signatures so far.
    fn work(&self) -> (u64, u64) {
        let done = |stage| self.metrics.exchange.duration.with_label_values(&[stage]).get_sample_count();
        (done("verify"), done("mint"))
    }

    /// Identities that were not verified again.
    fn hits(&self) -> u64 {
        self.metrics.exchange.cache_requests.with_label_values(&["identity", "hit"]).get()
    }

    async fn await_renewals(&self, count: u64) -> Result<(), TestCaseError> {
        let renewed = async {
            while self.renewals() != count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), renewed).await.map_err(|_| TestCaseError::fail("not renewed"))
    }

    fn renewals(&self) -> u64 {
        self.metrics.exchange.cache_requests.with_label_values(&["minted", "renewal"]).get()
    }
}

fn issuers(settings: &Settings, stores: &[Arc<KeyStore>; 2]) -> Vec<IssuerKeys> {
    let rules = settings.rules().into_iter().zip(stores);
    rules.map(|(rules, keys)| IssuerKeys { issuer: TrustedIssuer::new(rules), keys: Arc::clone(keys) }).collect()
}

/// Whether it was made from this token.
fn is_of(identity: &Identity, text: &str) -> bool {
    identity.digest() == digest(&SHA256, text.as_bytes()).as_ref()
}

/// What is refused before any rule of an issuer is asked is not counted as a verification.
fn costs_a_verification(rejection: Rejection) -> bool {
    !matches!(rejection, Rejection::TokenTooLarge | Rejection::TokenMalformed | Rejection::UnknownIssuer)
}

#[test]
fn every_answer_is_that_of_an_exchange_without_a_cache() {
    let unbounded = CacheSettings::default();
    let few = CacheSettings { entries: 3, ..unbounded };
    let small = CacheSettings { bytes: 4 * 1024, ..unbounded };
    let caches = prop_oneof![2 => Just(unbounded), 1 => Just(few), 1 => Just(small)];
    let seen = RefCell::default();
    let config = Config { cases: 384, failure_persistence: None, max_shrink_time: 10_000, ..Config::default() };
    // The same lives in every run.
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let outcome = runner.run(&(caches, events()), |(cache, events)| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut life = Life::new(cache, &seen);
            for event in events {
                life.undergo(event).await?;
            }
            Ok(())
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }

    let seen = seen.into_inner();
    let expected = BTreeSet::from([
        Rejection::TokenTooLarge,
        Rejection::TokenMalformed,
        Rejection::UnknownIssuer,
        Rejection::AlgorithmNotAllowed,
        Rejection::ExpiryMissing,
        Rejection::Expired,
        Rejection::NotYetValid,
        Rejection::IssuedInFuture,
        Rejection::WrongAudience,
        Rejection::UnknownKey,
        Rejection::KeyNotFetchedYet,
        Rejection::KeysUnavailable,
        Rejection::BadSignature,
    ]);
    assert_eq!(seen.rejections, expected);
    let often = ["identity hit", "identity left before", "minted hit", "renewed"].map(|what| (what, 50));
    for (what, least) in often.into_iter().chain(ON_CONNECTIONS.map(|what| (what, 20))) {
        assert!(seen.counts.get(what).is_some_and(|count| *count > least), "too rare: {what} in {seen:?}");
    }
}
