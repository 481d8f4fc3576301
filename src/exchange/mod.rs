//! Bearer token in, admitted identity and user token out, fast.
//!
//! Two layers: the verified identity is found by the SHA-256 of the whole token; the minted header values are stored with it,
//! one per minting profile and lifetime, so that a token minted for one backend can never reach another.
//!
//! ```text
//! identify   hit: digest, lookup, three compares      miss: parse, issuer, keys, verify; one task per token does it
//!            again on the same connection: one comparison of all bytes instead of digest and lookup
//! admit      hit: load, two compares                   miss: mint on a thread of the signing pool; one task per user and profile
//! ```
//!
//! A hit is valid only while the token has not expired, the settings that verified it are in use, the key that verified it is
//! trusted, and the signing key is the active one. A minted token that expires before its identity is renewed in the background
//! when a fifth of its lifetime is left, and is used meanwhile. Refusals are not cached: a flood of bad tokens costs its own
//! verification and evicts nobody. The cache is limited in number and in bytes; a token seen once is evicted before one seen
//! often.

mod cache;
mod identity;
mod issuer;
mod last_token;
mod minting;
mod signing_pool;
mod verifying;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

pub use identity::{Admission, Identity};
pub use last_token::LastToken;
use last_token::Recalled;
pub use signing_pool::{SigningPool, SigningRefused};

use self::{cache::IdentityCache, minting::Minting, verifying::Verifying};
use crate::{
    jwks::KeyStore,
    metrics::Metrics,
    signing::SigningKey,
    token::{AssertedUser, Lifetime, MintingProfile, Rejection, TakenAt, Timestamp, TokenLimits, TrustedIssuer, UserToken},
};

/// Bounds of the cache. Whichever is reached first makes the least useful identities leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// Maximum number of identities. Default 100,000; at least 2, or nothing is kept.
    pub entries: usize,
    /// Most memory that identities and their user tokens take, estimated to a tenth or so. Bytes. Default 256 MiB.
    pub bytes: usize,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self { entries: 100_000, bytes: 256 * 1024 * 1024 }
    }
}

/// Which minting profile: an index into the profiles the exchange was built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProfileId(pub usize);

/// An issuer and where its keys are.
#[derive(Debug)]
pub struct IssuerKeys {
    /// Whose tokens are accepted.
    pub issuer: TrustedIssuer,
    /// The keys that verify them.
    pub keys: Arc<KeyStore>,
}

/// Exchanges bearer tokens for user tokens.
#[derive(Debug)]
pub struct Exchange {
    identities: Arc<IdentityCache>,
    verifying: Verifying,
    /// Of those who vouch for users at endpoints. Apart, so that no such token is ever found where one of a client is looked for.
    callers: Verifying,
    minting: Arc<Minting>,
}

impl Exchange {
    /// Callers are few: each is a service, with one token at a time.
    const CALLERS: CacheSettings = CacheSettings { entries: 256, bytes: 2 * 1024 * 1024 };

    /// How long a signature may take, the wait for a thread included, before the request is refused.
    pub const SIGNING_TIMEOUT: Duration = Duration::from_secs(10);

    /// An exchange with an empty cache. Of issuers that claim the same token the first one counts.
    pub fn new(
        issuers: Vec<IssuerKeys>,
        limits: TokenLimits,
        profiles: Vec<MintingProfile>,
        key: SigningKey,
        pool: SigningPool,
        cache: &CacheSettings,
        metrics: Arc<Metrics>,
    ) -> Self {
        let identities = Arc::new(IdentityCache::new(cache));
        let [issuers, callers] = by_use(issuers);
        let verifying = Verifying::new(issuers, limits.clone(), profiles.len(), Arc::clone(&identities), &metrics);
        let callers = Verifying::new(callers, limits, 0, Arc::new(IdentityCache::new(&Self::CALLERS)), &metrics);
        let minting = Arc::new(Minting::new(profiles, key, pool, Arc::clone(&identities), metrics));
        Self { identities, verifying, callers, minting }
    }

    /// This exchange under other settings, with the same cache, signing threads and signing key. Identities that the new settings would
    /// make alike are kept, and so are their user tokens; the others are not used again.
    pub fn reconfigured(&self, issuers: Vec<IssuerKeys>, limits: TokenLimits, profiles: Vec<MintingProfile>) -> Self {
        let keeps_profiles = self.minting.has_profiles(&profiles);
        let [issuers, callers] = by_use(issuers);
        let verifying = self.verifying.reconfigured(issuers, limits.clone(), profiles.len(), keeps_profiles);
        let callers = self.callers.reconfigured(callers, limits, 0, true);
        let minting = Arc::new(self.minting.reconfigured(profiles));
        Self { identities: Arc::clone(&self.identities), verifying, callers, minting }
    }

    /// Hot: one digest, one lookup, a few compares. Miss: the token is verified, once however many requests bring it. The bytes may be
    /// anything: what is not one word of visible ASCII is refused as [`Rejection::AuthorizationMalformed`].
    pub async fn identify(&self, token: &[u8], now: Timestamp) -> Result<Arc<Identity>, Rejection> {
        self.identify_if(token, now, || Ok(())).await
    }

    /// The same; on a miss, only if it may. Of several that miss the same token, one is asked about.
    pub async fn identify_if(
        &self,
        token: &[u8],
        now: Timestamp,
        may_verify: impl FnOnce() -> Result<(), Rejection>,
    ) -> Result<Arc<Identity>, Rejection> {
        let digest = self.verifying.digest(token)?;
        match self.verifying.recall(&digest, now) {
            Some(identity) => Ok(identity),
            None => {
                may_verify()?;
                // Boxed, so that the rare case does not make every request's future large.
                Box::pin(self.verifying.verify(digest, token, now)).await
            }
        }
    }

    /// The same for one of the requests of a connection, which remembers its last token. Hottest: a comparison and a few compares.
    pub async fn identify_next(&self, last: &Mutex<LastToken>, token: &[u8], now: Timestamp) -> Result<Arc<Identity>, Rejection> {
        self.identify_next_if(last, token, now, || Ok(())).await
    }

    /// The same; on a miss, only if it may. Of several that miss the same token, one is asked about.
    pub async fn identify_next_if(
        &self,
        last: &Mutex<LastToken>,
        token: &[u8],
        now: Timestamp,
        may_verify: impl FnOnce() -> Result<(), Rejection>,
    ) -> Result<Arc<Identity>, Rejection> {
        let last = || last.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last().recall(token);
        if let Some(Recalled { identity, is_cache_due }) = known {
            if is_cache_due && let Some(cached) = self.verifying.recall(identity.digest(), now) {
                if !Arc::ptr_eq(&cached, &identity) {
                    last().remember(token, &cached);
                }
                return Ok(cached);
            }
            if self.verifying.holds_again(&identity, now) {
                // What the cache has given up comes back, since its user is still there.
                if is_cache_due {
                    self.identities.put_back(&identity);
                }
                return Ok(identity);
            }
            last().forget();
        }
        let identity = self.identify_if(token, now, may_verify).await?;
        last().remember(token, &identity);
        Ok(identity)
    }

    /// The same for the token of a caller who vouches for users at an endpoint: of an issuer whose tokens are
    /// [taken at endpoints](crate::token::TakenAt), and of no other.
    pub async fn identify_caller(&self, token: &[u8], now: Timestamp) -> Result<Arc<Identity>, Rejection> {
        let digest = self.callers.digest(token)?;
        match self.callers.recall(&digest, now) {
            Some(identity) => Ok(identity),
            None => self.callers.verify(digest, token, now).await,
        }
    }

    /// Mints a token for a user whom an authenticated caller vouches for, off the event loop. Nothing of it is kept: sign-ins are rare.
    pub async fn vouch(&self, user: AssertedUser, profile: ProfileId, now: Timestamp) -> Result<UserToken, Rejection> {
        self.minting.vouch(user, profile, now).await
    }

    /// Hot: a prepared header value. Miss: the token is minted, off the event loop. Call only after the permission was checked.
    ///
    /// In a runtime of tokio, a token that is about to end is renewed in the background.
    ///
    /// An identity may be admitted as long as it has not ended; whether its key is still trusted is what [`identify`](Self::identify)
    /// has said. For a socket or stream ask for [`Lifetime::End`], for a request for [`Lifetime::Ttl`].
    pub async fn admit(
        &self,
        identity: &Arc<Identity>,
        profile: ProfileId,
        lifetime: Lifetime,
        now: Timestamp,
    ) -> Result<Admission, Rejection> {
        self.admit_if(identity, profile, lifetime, now, || Ok(())).await
    }

    /// The same; on a miss, only if it may. Of several that miss the same token, one is asked about.
    pub async fn admit_if(
        &self,
        identity: &Arc<Identity>,
        profile: ProfileId,
        lifetime: Lifetime,
        now: Timestamp,
        may_mint: impl FnOnce() -> Result<(), Rejection>,
    ) -> Result<Admission, Rejection> {
        match self.minting.recall(identity, profile, lifetime, now) {
            Some(admission) => Ok(admission),
            None => Box::pin(self.minting.mint(identity, profile, lifetime, now, may_mint)).await,
        }
    }

    /// As [`admit`](Self::admit), for those who keep the token: one that is due to be renewed is not given out if another can be had.
    pub async fn admit_renewed(
        &self,
        identity: &Arc<Identity>,
        profile: ProfileId,
        lifetime: Lifetime,
        now: Timestamp,
    ) -> Result<Admission, Rejection> {
        let admission = self.admit(identity, profile, lifetime, now).await?;
        Ok(self.minting.renewed(admission, identity, profile, lifetime, now).await)
    }

    /// Signs with another key from now on. Nothing that the old key signed is used again; identities stay.
    pub fn replace_signing_key(&self, key: SigningKey) {
        self.minting.replace_key(key);
    }

    /// The RFC 7638 thumbprint of the key that signs; none where it is a shared secret.
    pub fn signing_thumbprint(&self) -> Option<String> {
        self.minting.thumbprint()
    }

    /// The public half of the key that signs, as JWKs (RFC 7517): one for each `kid` that tokens name it by, the thumbprint where they name
    /// none. Nothing for a shared secret.
    pub fn signing_jwks(&self) -> Vec<serde_json::Value> {
        self.minting.jwks()
    }

    /// Drops every cached identity that can no longer be used: ended, of a key that is not trusted any more, of settings that are not in
    /// use. None of them would be used again; this gives back their memory and lets others have their places. Takes about 0.2
    /// microseconds for each cached identity, in small pieces.
    pub async fn sweep(&self, now: Timestamp) {
        self.verifying.sweep(now).await;
        self.callers.sweep(now).await;
    }

    /// Whether the key that verified this identity is trusted at `now`, by the issuer of that name. For what lasts longer than a request.
    pub fn trusts(&self, identity: &Identity, now: Timestamp) -> bool {
        self.verifying.trusts(identity, now)
    }

    /// The generation of each issuer's keys: as long as these stay the same, [`trusts`](Self::trusts) says the same.
    pub fn key_generations(&self, now: Timestamp) -> Vec<u64> {
        self.verifying.key_generations(now)
    }

    /// How many identities the cache holds, for the metric `syncgate_cache_entries`.
    pub fn cached_identities(&self) -> usize {
        self.identities.len()
    }

    /// How much memory they and their user tokens take, for the metric `syncgate_cache_bytes`. Estimated as for
    /// [`CacheSettings::bytes`].
    pub fn cached_bytes(&self) -> u64 {
        self.identities.bytes()
    }
}

/// Those whose tokens are taken on routes, and those whose are taken at endpoints.
fn by_use(issuers: Vec<IssuerKeys>) -> [Vec<IssuerKeys>; 2] {
    let (routes, endpoints) = issuers.into_iter().partition(|one| one.issuer.settings().taken_at == TakenAt::Routes);
    [routes, endpoints]
}

#[cfg(test)]
mod allocation_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod renewal_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod upkeep_tests;
