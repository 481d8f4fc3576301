//! Random lives of an exchange beside a reference without a cache: every answer is compared, and so is the work done for it.
//!
//! The reference says what may be answered. Beside it stands what a cache without bounds would remember, by the rules alone: what it
//! must not remember must be verified or signed anew, and what it remembers must not be, unless the bounds made it leave.

mod corpus;
mod memory;
mod reference;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::LazyLock,
    time::Duration,
};

use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};

use self::{
    corpus::{ISSUERS, TOKENS},
    memory::Memory,
    reference::{KEEP, Minted, Published, Settings, Who, verify},
};
use super::{
    testing::{at, key_set, signing_key},
    *,
};

static SIGNING_KEYS: LazyLock<[SigningKey; 3]> = LazyLock::new(|| std::array::from_fn(|_| signing_key()));

/// What may happen next.
#[derive(Clone, Debug)]
enum Event {
    Present { token: usize, profile: usize, lifetime: Lifetime },
    Pass { seconds: i64 },
    Publish { issuer: usize, keys: usize },
    Purge { issuer: usize, key: usize },
    ReplaceSigningKey(usize),
    ReloadWith(usize),
    ReloadTheSame,
    Sweep,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let lifetime = select(vec![Lifetime::Ttl, Lifetime::End]);
    let event = prop_oneof![
        40 => (0..TOKENS.len(), 0..3_usize, lifetime).prop_map(|(token, profile, lifetime)| Event::Present { token, profile, lifetime }),
        // A few tokens often, so that there is something to remember.
        40 => (0..4_usize, 0..3_usize).prop_map(|(token, profile)| Event::Present { token, profile, lifetime: Lifetime::Ttl }),
        12 => select(vec![1, 5, 30, 61, 235, 241, 290, 600]).prop_map(|seconds| Event::Pass { seconds }),
        5 => (0..2_usize, 0..8_usize).prop_map(|(issuer, keys)| Event::Publish { issuer, keys }),
        1 => (0..2_usize, 0..3_usize).prop_map(|(issuer, key)| Event::Purge { issuer, key }),
        2 => (0..3_usize).prop_map(Event::ReplaceSigningKey),
        2 => (0..6_usize).prop_map(Event::ReloadWith),
        3 => Just(Event::ReloadTheSame),
        2 => Just(Event::Sweep),
    ];
    vec(event, 1..120)
}

/// What has been seen in all lives, to show that the test reaches what it is for.
#[derive(Debug, Default)]
struct Seen {
    rejections: BTreeSet<Rejection>,
    counts: BTreeMap<&'static str, usize>,
}

impl Seen {
    fn note(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }
}

struct Life<'s> {
    now: i64,
    settings: Settings,
    published: [Published; 2],
    signing_key: usize,
    memory: Memory,
    /// As sockets hold them, whatever becomes of the cache.
    held: VecDeque<(Arc<Identity>, Who)>,
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
        let held = VecDeque::new();
        let mut life = Self { now: 0, settings, published, signing_key: 0, memory, held, cache, exchange, stores, metrics, seen };
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
            Event::Present { token, profile, lifetime } => self.present(token, profile, lifetime).await?,
            Event::Pass { seconds } => self.now += seconds,
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

    async fn present(&mut self, token: usize, profile: usize, lifetime: Lifetime) -> Result<(), TestCaseError> {
        let (text, now) = (TOKENS[token].as_str(), self.now);
        let expected = verify(text, &self.settings, &self.published, now);
        let is_known = self.memory.recall(token, &expected, &self.settings, &self.published, now);
        let before = self.work();
        let identity = self.exchange.identify(text.as_bytes(), at(now)).await;
        let verified = self.work().0 - before.0;
        let who = match (expected, &identity) {
            (Err(expected), Err(rejection)) => {
                prop_assert_eq!(*rejection, expected);
                prop_assert_eq!(verified, u64::from(costs_a_verification(expected)));
                self.seen.borrow_mut().rejections.insert(expected);
                return Ok(());
            }
            (expected, identity) => {
                let expected = expected.map_err(|rejection| TestCaseError::fail(format!("admitted, not {rejection:?}")))?;
                let identity =
                    identity.as_ref().map_err(|rejection| TestCaseError::fail(format!("{rejection:?}: {expected:?}")))?;
                let token = identity.verified();
                let found = (token.user_id(), &**token.issuer_name(), token.end(), token.scopes().collect::<Vec<_>>());
                prop_assert_eq!(found, (expected.user.as_str(), ISSUERS[expected.issuer].0, at(expected.end), vec!["sync"]));
                expected
            }
        };
        self.check_work("identity", is_known, verified)?;
        if verified == 1 {
            self.memory.verified(token, &who, &self.settings);
        }
        let identity = identity.map_err(|rejection| TestCaseError::fail(rejection.label()))?;
        self.held.truncate(3);
        self.held.push_front((Arc::clone(&identity), who.clone()));
        self.admit(&identity, &who, token, profile, lifetime).await
    }

    async fn admit(
        &mut self,
        identity: &Arc<Identity>,
        who: &Who,
        token: usize,
        profile: usize,
        lifetime: Lifetime,
    ) -> Result<(), TestCaseError> {
        let now = self.now;
        let place = (profile, profile == 1 || lifetime == Lifetime::End);
        let known = self.memory.minted(token, place, who.end, now);
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
        self.check_work("minted", known.is_some(), signed)?;
        prop_assert!(signed == 1 || known == Some(made), "made at {made}, known from {known:?}");
        prop_assert!(signed == 0 || made == now);
        if signed == 1 || is_due {
            let latest = self.settings.mint(who, profile, lifetime, now, &SIGNING_KEYS[self.signing_key]);
            self.memory.signed(token, place, latest);
        }
        Ok(())
    }

    /// Nothing is done for what must be remembered; that and no more for what must not be.
    fn check_work(&self, what: &'static str, is_known: bool, done: u64) -> Result<(), TestCaseError> {
        let outcome = match (is_known, done) {
            (true, 0) => "hit",
            (false, 1) => "miss",
            (true, 1) if !self.is_unbounded() => "left before",
            _ => return Err(TestCaseError::fail(format!("{what}: known {is_known}, work done {done}"))),
        };
        let name = match (what, outcome) {
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
    let config = Config { cases: 256, failure_persistence: None, max_shrink_time: 10_000, ..Config::default() };
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
    for what in ["identity hit", "identity left before", "minted hit", "renewed"] {
        assert!(seen.counts.get(what).is_some_and(|count| *count > 50), "too rare: {what} in {seen:?}");
    }
}
