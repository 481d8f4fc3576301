//! The first layer: from the digest of a token to its [`Identity`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use aws_lc_rs::digest::{SHA256, digest};
use tokio::task::yield_now;

use super::{
    Identity, IssuerKeys,
    cache::{IdentityCache, TokenDigest},
    issuer::Issuer,
};
use crate::{
    metrics::{Histogram, IntCounter, IntCounterVec, Metrics},
    token::{BearerToken, Check, IssuerRule, Rejection, Timestamp, TokenLimits, TrustedIssuer, UnverifiedToken, one_token},
};

/// Verifies tokens, each of them once.
#[derive(Debug)]
pub(super) struct Verifying {
    issuers: Vec<Arc<Issuer>>,
    limits: TokenLimits,
    profiles: usize,
    /// Outlives a change of the settings.
    identities: Arc<IdentityCache>,
    hits: IntCounter,
    misses: IntCounter,
    duration: Histogram,
    group_overage: IntCounterVec,
    /// When a malformed claim was last logged. Milliseconds.
    told: Arc<AtomicI64>,
}

/// Between two log lines about malformed claims.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

impl Verifying {
    pub(super) fn new(
        issuers: Vec<IssuerKeys>,
        limits: TokenLimits,
        profiles: usize,
        identities: Arc<IdentityCache>,
        metrics: &Metrics,
    ) -> Self {
        Self {
            issuers: issuers.into_iter().map(|entry| Arc::new(Issuer::new(entry))).collect(),
            limits,
            profiles,
            identities,
            hits: metrics.exchange.cache_requests.with_label_values(&["identity", "hit"]),
            misses: metrics.exchange.cache_requests.with_label_values(&["identity", "miss"]),
            duration: metrics.exchange.duration.with_label_values(&["verify"]),
            group_overage: metrics.exchange.group_overage.clone(),
            told: Arc::new(AtomicI64::new(Timestamp::MIN.as_millis())),
        }
    }

    /// The same cache under other settings. What was verified under settings that have changed is not used again; `keeps_profiles` says
    /// whether the minting profiles are the same.
    pub(super) fn reconfigured(
        &self,
        issuers: Vec<IssuerKeys>,
        limits: TokenLimits,
        profiles: usize,
        keeps_profiles: bool,
    ) -> Self {
        let keeps_all = keeps_profiles && limits == self.limits;
        let successor = |entry: IssuerKeys| {
            let same = self.issuers.iter().find(|old| keeps_all && old.rules_equal(&entry));
            Arc::new(match same {
                Some(old) => old.with_keys(entry),
                None => Issuer::new(entry),
            })
        };
        Self {
            issuers: issuers.into_iter().map(successor).collect(),
            limits,
            profiles,
            identities: Arc::clone(&self.identities),
            hits: self.hits.clone(),
            misses: self.misses.clone(),
            duration: self.duration.clone(),
            group_overage: self.group_overage.clone(),
            told: Arc::clone(&self.told),
        }
    }

    /// The key of the cache, for what can be a token at all. Costs nothing for what is too large anyway.
    pub(super) fn digest(&self, token: &[u8]) -> Result<TokenDigest, Rejection> {
        if token.len() > self.limits.token {
            return Err(Rejection::TokenTooLarge);
        }
        let token = one_token(token)?;
        let mut key = TokenDigest::default();
        key.copy_from_slice(digest(&SHA256, token).as_ref());
        Ok(key)
    }

    /// The identity, if the token was verified before and all that it rests on still holds.
    pub(super) fn recall(&self, digest: &TokenDigest, now: Timestamp) -> Option<Arc<Identity>> {
        let identity = self.identities.get(digest)?;
        if self.holds(&identity, now) {
            self.hits.inc();
            return Some(identity);
        }
        // Verified again, if it can be. Another task may have done so meanwhile: only this very entry goes.
        self.identities.remove(&identity);
        None
    }

    /// Whether an identity that was recalled without the cache still holds; counted as a hit if so.
    pub(super) fn holds_again(&self, identity: &Identity, now: Timestamp) -> bool {
        let holds = self.holds(identity, now);
        if holds {
            self.hits.inc();
        }
        holds
    }

    /// Verifies a token that is not in the cache. One whose key is unknown may have the keys fetched again, and may wait a moment for
    /// a fetch that is in progress.
    pub(super) async fn verify(&self, digest: TokenDigest, token: &[u8], now: Timestamp) -> Result<Arc<Identity>, Rejection> {
        let bearer = BearerToken::parse(token, &self.limits)?;
        let token = UnverifiedToken::open(&bearer)?;
        let issuer = self.choose(&token)?;
        let mut awaited = None;
        loop {
            let generation = issuer.keys.generation(now);
            match self.verify_in_turn(digest, &issuer, &token, now).await {
                Err(Rejection::UnknownKey) => {}
                outcome => return outcome,
            }
            let keys = &issuer.keys;
            // A name may be that of another key too, which is not here yet. A signature is proof.
            let is_of_denied = || issuer.trusted().check(Check::Signature, &token, &keys.denied(now), now).is_ok();
            if bearer.key_id().is_some_and(|kid| keys.denies(kid)) || !issuer.trusted().would_pass(&token, now) || is_of_denied() {
                return Err(Rejection::UnknownKey);
            }
            let is_news = awaited.get_or_insert_with(|| keys.miss(now)).next().await;
            // Keys may have come in between without anybody having waited for them.
            if !is_news && keys.generation(now) == generation {
                return Err(unknown_key(&issuer, &token, now));
            }
        }
    }

    /// Of several tasks with one token, one verifies and the others wait for it; one that leaves or is refused passes the turn on.
    ///
    /// Verification takes some 20 microseconds for RSA and stays on the calling task: to hand it over would cost as much.
    async fn verify_in_turn(
        &self,
        digest: TokenDigest,
        issuer: &Arc<Issuer>,
        token: &UnverifiedToken<'_>,
        now: Timestamp,
    ) -> Result<Arc<Identity>, Rejection> {
        match self.identities.get_or_turn(&digest).await {
            Ok(identity) if self.holds(&identity, now) => {
                self.hits.inc();
                Ok(identity)
            }
            Ok(_) => self.verify_with(digest, issuer, token, now),
            Err(turn) => {
                let identity = self.verify_with(digest, issuer, token, now)?;
                turn.keep(&identity);
                Ok(identity)
            }
        }
    }

    /// Drops every identity that no longer holds.
    pub(super) async fn sweep(&self, now: Timestamp) {
        /// Identities looked at without a pause: some 50 microseconds.
        const AT_ONCE: usize = 256;
        for (number, identity) in self.identities.iter().enumerate() {
            if !self.holds(&identity, now) {
                self.identities.remove(&identity);
            }
            if number % AT_ONCE == AT_ONCE - 1 {
                yield_now().await;
            }
        }
    }

    /// Whether an issuer of the same name still has the key. The issuer's other rules may have changed since.
    pub(super) fn trusts(&self, identity: &Identity, now: Timestamp) -> bool {
        let verified = &identity.verified;
        let mut namesakes = self.issuers.iter().filter(|issuer| issuer.trusted().settings().name == **verified.issuer_name());
        namesakes.any(|issuer| issuer.keys.load(now).contains(verified.key_id()))
    }

    pub(super) fn key_generations(&self, now: Timestamp) -> Vec<u64> {
        self.issuers.iter().map(|issuer| issuer.keys.generation(now)).collect()
    }

    /// The issuer that the token says it comes from. While an issuer has not been discovered, an unknown one may be that; and one that a
    /// provider's own discovery document names is unknown by a mistake in the config.
    fn choose(&self, token: &UnverifiedToken<'_>) -> Result<Arc<Issuer>, Rejection> {
        let trusted: Vec<_> = self.issuers.iter().map(|issuer| issuer.trusted()).collect();
        match TrustedIssuer::choose(trusted.iter().map(AsRef::as_ref), token) {
            Ok(index) => self.issuers.get(index).map(Arc::clone).ok_or(Rejection::UnknownIssuer),
            Err(Rejection::UnknownIssuer) if trusted.iter().any(|one| one.settings().issuer == IssuerRule::Discovered) => {
                Err(Rejection::KeysUnavailable)
            }
            Err(Rejection::UnknownIssuer)
                if token.issuer().is_some_and(|iss| self.issuers.iter().any(|issuer| issuer.keys.is_misnamed(iss))) =>
            {
                Err(Rejection::IssuerMismatch)
            }
            Err(rejection) => Err(rejection),
        }
    }

    fn verify_with(
        &self,
        digest: TokenDigest,
        issuer: &Arc<Issuer>,
        token: &UnverifiedToken<'_>,
        now: Timestamp,
    ) -> Result<Arc<Identity>, Rejection> {
        let generation = issuer.keys.generation(now);
        let keys = issuer.keys.load(now);
        self.misses.inc();
        let started = Instant::now();
        let verified = issuer.trusted().verify(token, &keys, now);
        self.duration.observe(started.elapsed().as_secs_f64());
        if verified.as_ref().err() == Some(&Rejection::ClaimsMalformed) {
            self.tell_malformed(issuer, token, now);
        }
        let verified = verified?;
        if verified.has_group_overage() {
            self.group_overage.with_label_values(&[issuer.trusted().name()]).inc();
        }
        Ok(Arc::new(Identity::new(verified, digest, issuer.id, generation, self.profiles, now)))
    }

    /// Logs the claim whose type is wrong, rate-limited: the client does not learn it, and the access log has only the reason.
    fn tell_malformed(&self, issuer: &Issuer, token: &UnverifiedToken<'_>, now: Timestamp) {
        let told = self.told.load(Ordering::Relaxed);
        let is_due = now >= Timestamp::from_millis(told).plus(LOG_INTERVAL) || now < Timestamp::from_millis(told);
        let won = || self.told.compare_exchange(told, now.as_millis(), Ordering::Relaxed, Ordering::Relaxed).is_ok();
        let rules = issuer.trusted();
        if let Some(claim) = token.malformed_claim(&rules.settings().role_claim)
            && is_due
            && won()
        {
            tracing::info!(
                issuer = rules.name(),
                claim,
                "tokens are refused since a claim has the wrong type (logged at most every 10 s)"
            );
        }
    }

    /// Whether the token has not ended, the settings and the clock that it was verified by are those of now, and its key is still trusted.
    fn holds(&self, identity: &Identity, now: Timestamp) -> bool {
        let Some(issuer) = self.issuers.iter().find(|issuer| issuer.id == identity.issuer) else { return false };
        if now >= identity.verified.end() || identity.is_of_the_future(now) {
            return false;
        }
        let generation = issuer.keys.generation(now);
        if identity.trusted_at.load(Ordering::Relaxed) == generation {
            return true;
        }
        // The generation was read first, so the keys are at least as new: what is remembered is never too good.
        let trusted = issuer.keys.load(now).contains(identity.verified.key_id());
        if trusted {
            identity.trusted_at.store(generation, Ordering::Relaxed);
        }
        trusted
    }
}

/// What to say of a token whose key is not there.
///
/// A 401 logs the user out, so it needs proof: that the provider was asked after the token was made and did not have the key. The
/// provider's clock may differ from ours by the leeway, and an `iat` is cut to the second; whatever it says, the token was made before it
/// came here.
fn unknown_key(issuer: &Issuer, token: &UnverifiedToken<'_>, now: Timestamp) -> Rejection {
    let Issuer { keys, .. } = issuer;
    /// What an `iat` may have lost.
    const CUT: Duration = Duration::from_secs(1);
    let leeway = issuer.trusted().settings().leeway;
    let made = token.issued_at().map_or(now, |issued_at| issued_at.plus(CUT).plus(leeway).min(now));
    if !keys.is_ready(now) || keys.last_success().is_none() {
        Rejection::KeysUnavailable
    } else if keys.was_answered_without(token.bearer().key_id(), made, now) {
        Rejection::UnknownKey
    } else {
        Rejection::KeyNotFetchedYet
    }
}
