//! The first layer: the digest of a token to its [`Identity`].

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use aws_lc_rs::digest::{SHA256, digest};
use quick_cache::sync::Cache;

use super::{CacheSettings, Identity, IssuerKeys};
use crate::{
    metrics::{Histogram, IntCounter, Metrics},
    token::{BearerToken, Rejection, Timestamp, TokenLimits, TrustedIssuer, UnverifiedToken},
};

/// SHA-256 of the whole token, signature included.
pub(super) type TokenDigest = [u8; 32];

/// Verifies tokens, each of them once.
#[derive(Debug)]
pub(super) struct Verifying {
    issuers: Vec<IssuerKeys>,
    limits: TokenLimits,
    profiles: usize,
    /// Bounded; a token that came once leaves before one that came often. Its hash is keyed, since clients choose the tokens.
    identities: Cache<TokenDigest, Arc<Identity>>,
    hits: IntCounter,
    misses: IntCounter,
    duration: Histogram,
}

impl Verifying {
    pub(super) fn new(
        issuers: Vec<IssuerKeys>,
        limits: TokenLimits,
        profiles: usize,
        cache: &CacheSettings,
        metrics: &Metrics,
    ) -> Self {
        Self {
            issuers,
            limits,
            profiles,
            identities: Cache::new(cache.entries),
            hits: metrics.exchange.cache_requests.with_label_values(&["identity", "hit"]),
            misses: metrics.exchange.cache_requests.with_label_values(&["identity", "miss"]),
            duration: metrics.exchange.duration.with_label_values(&["verify"]),
        }
    }

    /// The key of the cache. Costs nothing for a token that is too large anyway.
    pub(super) fn digest(&self, token: &[u8]) -> Result<TokenDigest, Rejection> {
        if token.len() > self.limits.token {
            return Err(Rejection::TokenTooLarge);
        }
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
        // Verified anew, if it can be. Another task may have done so meanwhile: only this very entry goes.
        self.identities.remove_if(digest, |cached| Arc::ptr_eq(cached, &identity));
        None
    }

    /// Verifies a token that is not in the cache. Of several tasks with one token, one verifies and the others wait for it; one that
    /// leaves or is refused passes the turn on.
    ///
    /// Verification takes some 20 microseconds for RSA and stays on the calling task: to hand it over would cost as much.
    pub(super) async fn verify(&self, digest: TokenDigest, token: &[u8], now: Timestamp) -> Result<Arc<Identity>, Rejection> {
        let bearer = BearerToken::parse(token, &self.limits)?;
        let token = UnverifiedToken::open(&bearer)?;
        let issuer = TrustedIssuer::choose(self.issuers.iter().map(|entry| &entry.issuer), &token)?;
        match self.identities.get_value_or_guard_async(&digest).await {
            Ok(identity) if self.holds(&identity, now) => {
                self.hits.inc();
                Ok(identity)
            }
            Ok(_) => self.verify_with(issuer, &token, now),
            Err(turn) => {
                let identity = self.verify_with(issuer, &token, now)?;
                // Fails only when the cache was cleared meanwhile.
                let _ = turn.insert(Arc::clone(&identity));
                Ok(identity)
            }
        }
    }

    /// How many identities are cached.
    pub(super) fn cached(&self) -> usize {
        self.identities.len()
    }

    fn verify_with(&self, issuer: usize, token: &UnverifiedToken<'_>, now: Timestamp) -> Result<Arc<Identity>, Rejection> {
        let IssuerKeys { issuer: trusted, keys: store } = self.issuers.get(issuer).ok_or(Rejection::UnknownIssuer)?;
        let generation = store.generation(now);
        let keys = store.load(now);
        self.misses.inc();
        let started = Instant::now();
        let verified = trusted.verify(token, &keys, now);
        self.duration.observe(started.elapsed().as_secs_f64());
        match verified {
            Ok(verified) => Ok(Arc::new(Identity::new(verified, issuer, generation, self.profiles))),
            // Without keys, or with a source that was never fetched, nobody can say. A 401 would log the user out.
            Err(Rejection::UnknownKey) if keys.keys().is_empty() || store.last_success().is_none() => {
                Err(Rejection::KeysUnavailable)
            }
            Err(rejection) => Err(rejection),
        }
    }

    /// Whether the token has not ended and the key that verified it is still trusted.
    fn holds(&self, identity: &Identity, now: Timestamp) -> bool {
        let Some(IssuerKeys { keys, .. }) = self.issuers.get(identity.issuer) else { return false };
        if now >= identity.verified.end() {
            return false;
        }
        let generation = keys.generation(now);
        if identity.trusted_at.load(Ordering::Relaxed) == generation {
            return true;
        }
        // The generation was read first, so the keys are at least as new: what is remembered is never too good.
        let trusted = keys.load(now).contains(identity.verified.key_id());
        if trusted {
            identity.trusted_at.store(generation, Ordering::Relaxed);
        }
        trusted
    }
}
