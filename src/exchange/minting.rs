//! The second layer: an [`Identity`] and a profile to a user token, signed on the pool.

use std::{sync::Arc, time::Instant};

use arc_swap::ArcSwap;
use http::HeaderValue;
use tokio::time::timeout;

use super::{
    Admission, Exchange, Identity, ProfileId, SigningPool, SigningRefused,
    identity::{Minted, Slot},
};
use crate::{
    metrics::{Histogram, IntCounter, Metrics},
    signing::SigningKey,
    token::{Minter, MintingProfile, Rejection, Timestamp},
};

/// Mints user tokens, each of them once.
#[derive(Debug)]
pub(super) struct Minting {
    profiles: Vec<MintingProfile>,
    minters: Vec<Arc<Minter>>,
    /// Shared, as the threads are, by the exchanges before and after a change of the settings.
    active: Arc<ArcSwap<ActiveKey>>,
    pub(super) pool: Arc<SigningPool>,
    metrics: Arc<Metrics>,
    hits: IntCounter,
    misses: IntCounter,
    duration: Histogram,
}

/// The key that signs, and how many were active before it.
#[derive(Debug)]
struct ActiveKey {
    key: SigningKey,
    number: u64,
}

impl Minting {
    pub(super) fn new(profiles: Vec<MintingProfile>, key: SigningKey, pool: SigningPool, metrics: Arc<Metrics>) -> Self {
        let minting = Self {
            minters: minters(&profiles),
            profiles,
            active: Arc::new(ArcSwap::from_pointee(ActiveKey { key, number: 0 })),
            pool: Arc::new(pool),
            hits: metrics.exchange.cache_requests.with_label_values(&["minted", "hit"]),
            misses: metrics.exchange.cache_requests.with_label_values(&["minted", "miss"]),
            duration: metrics.exchange.duration.with_label_values(&["mint"]),
            metrics,
        };
        minting.show_key();
        minting
    }

    /// The same key and threads with other profiles.
    pub(super) fn reconfigured(&self, profiles: Vec<MintingProfile>) -> Self {
        Self {
            minters: minters(&profiles),
            profiles,
            active: Arc::clone(&self.active),
            pool: Arc::clone(&self.pool),
            metrics: Arc::clone(&self.metrics),
            hits: self.hits.clone(),
            misses: self.misses.clone(),
            duration: self.duration.clone(),
        }
    }

    /// Whether these are the profiles.
    pub(super) fn has_profiles(&self, profiles: &[MintingProfile]) -> bool {
        self.profiles == profiles
    }

    pub(super) fn replace_key(&self, key: SigningKey) {
        self.active.rcu(|active| ActiveKey { key: key.clone(), number: active.number.wrapping_add(1) });
        self.show_key();
    }

    /// The admission, if the token was minted before by the key that is active now.
    pub(super) fn recall(&self, identity: &Identity, profile: ProfileId, now: Timestamp) -> Option<Admission> {
        let admission = self.look_up(identity, identity.slots.get(profile.0)?, now)?;
        self.hits.inc();
        Some(admission)
    }

    /// Mints a token that is not there. Of several tasks, one mints and the others wait for it; one that leaves passes the turn on.
    pub(super) async fn mint(&self, identity: &Arc<Identity>, profile: ProfileId, now: Timestamp) -> Result<Admission, Rejection> {
        // One deadline for the turn and the signature, so that those who wait do not wait for each other's deadlines.
        timeout(Exchange::SIGNING_TIMEOUT, self.mint_in_turn(identity, profile, now))
            .await
            .unwrap_or(Err(Rejection::SigningOverloaded))
    }

    async fn mint_in_turn(&self, identity: &Arc<Identity>, profile: ProfileId, now: Timestamp) -> Result<Admission, Rejection> {
        let slot = identity.slots.get(profile.0).ok_or(Rejection::SigningFailed)?;
        let minter = self.minters.get(profile.0).ok_or(Rejection::SigningFailed)?;
        let _turn = slot.turn.lock().await;
        if let Some(admission) = self.look_up(identity, slot, now) {
            self.hits.inc();
            return Ok(admission);
        }
        self.misses.inc();
        let active = self.active.load_full();
        let (minter, user) = (Arc::clone(minter), Arc::clone(identity));
        let started = Instant::now();
        let minted = self.pool.run(move || sign(&minter, &user, &active, now)).await.map_err(|refused| match refused {
            SigningRefused::QueueFull => Rejection::SigningOverloaded,
            SigningRefused::Panicked => Rejection::SigningFailed,
        })??;
        self.duration.observe(started.elapsed().as_secs_f64());
        let minted = Arc::new(minted);
        slot.minted.store(Some(Arc::clone(&minted)));
        Ok(Admission::new(minted, identity.verified.end()))
    }

    fn look_up(&self, identity: &Identity, slot: &Slot, now: Timestamp) -> Option<Admission> {
        let minted = slot.minted.load_full()?;
        let fits = now < minted.end && minted.key == self.active.load().number;
        fits.then(|| Admission::new(minted, identity.verified.end()))
    }

    fn show_key(&self) {
        let active = self.active.load();
        let algorithm = format!("{:?}", active.key.signer().algorithm());
        self.metrics.exchange.signing_key.reset();
        self.metrics.exchange.signing_key.with_label_values(&[algorithm, active.key.thumbprint()]).set(1);
    }
}

fn minters(profiles: &[MintingProfile]) -> Vec<Arc<Minter>> {
    profiles.iter().map(|profile| Arc::new(Minter::new(profile.clone()))).collect()
}

fn sign(minter: &Minter, identity: &Identity, active: &ActiveKey, now: Timestamp) -> Result<Minted, Rejection> {
    let token = minter.mint(&identity.verified, active.key.signer().as_ref(), now)?;
    let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.as_str())).map_err(|_| Rejection::SigningFailed)?;
    authorization.set_sensitive(true);
    Ok(Minted { authorization, end: token.expires(), key: active.number })
}
