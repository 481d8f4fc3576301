//! The second layer: from an [`Identity`] and a profile to a user token, signed on the pool.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use http::HeaderValue;
use tokio::{runtime::Handle, time::timeout};

use super::{
    Admission, Exchange, Identity, ProfileId, SigningPool, SigningRefused,
    cache::IdentityCache,
    identity::{Minted, Slot},
};
use crate::{
    metrics::{Histogram, IntCounter, Metrics},
    signing::SigningKey,
    token::{AssertedUser, Lifetime, Minter, MintingProfile, Rejection, Timestamp, TokenKeyId, UserToken},
};

/// A token is renewed when this part of its life is left ...
const RENEWED_LIFE: u32 = 5;
/// ... or this much of it.
const MIN_LEFT_TO_RENEW: Duration = Duration::from_secs(10);
/// One with less left is not used, unless its identity ends with it.
const MIN_LEFT_TO_USE: Duration = Duration::from_secs(5);
/// Between two attempts to renew a token. A failed attempt has no effect: the old token is still used.
const RENEWAL_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Mints user tokens, each of them once.
#[derive(Debug)]
pub(super) struct Minting {
    profiles: Vec<MintingProfile>,
    minters: Vec<Arc<Minter>>,
    /// Shared, as the threads are, by the exchanges before and after a change of the settings.
    active: Arc<ArcSwap<ActiveKey>>,
    pub(super) pool: Arc<SigningPool>,
    identities: Arc<IdentityCache>,
    metrics: Arc<Metrics>,
    hits: IntCounter,
    misses: IntCounter,
    renewals: IntCounter,
    duration: Histogram,
}

/// The key that signs, and how many were active before it.
#[derive(Debug)]
struct ActiveKey {
    key: SigningKey,
    number: u64,
}

/// What is asked for, and where it is kept.
struct Order<'a> {
    minter: &'a Arc<Minter>,
    lifetime: Lifetime,
    slot: &'a Slot,
}

impl Minting {
    pub(super) fn new(
        profiles: Vec<MintingProfile>,
        key: SigningKey,
        pool: SigningPool,
        identities: Arc<IdentityCache>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let requests = |result| metrics.exchange.cache_requests.with_label_values(&["minted", result]);
        let minting = Self {
            minters: minters(&profiles),
            profiles,
            active: Arc::new(ArcSwap::from_pointee(ActiveKey { key, number: 0 })),
            pool: Arc::new(pool),
            identities,
            hits: requests("hit"),
            misses: requests("miss"),
            renewals: requests("renewal"),
            duration: metrics.exchange.duration.with_label_values(&["mint"]),
            metrics,
        };
        minting.show_key(None);
        minting
    }

    /// The same key and threads with other profiles.
    pub(super) fn reconfigured(&self, profiles: Vec<MintingProfile>) -> Self {
        Self {
            minters: minters(&profiles),
            profiles,
            active: Arc::clone(&self.active),
            pool: Arc::clone(&self.pool),
            identities: Arc::clone(&self.identities),
            renewals: self.renewals.clone(),
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
        let before = self.active.rcu(|active| ActiveKey { key: key.clone(), number: active.number.wrapping_add(1) });
        self.show_key(Some(&before.key));
    }

    /// The admission, if the token was minted before by the key that is active now. If it is time, has the token renewed.
    pub(super) fn recall(
        self: &Arc<Self>,
        identity: &Arc<Identity>,
        profile: ProfileId,
        lifetime: Lifetime,
        now: Timestamp,
    ) -> Option<Admission> {
        let minted = self.look_up(self.order(identity, profile, lifetime).ok()?.slot, now)?;
        self.hits.inc();
        if minted.claim_renewal(now) {
            let (minting, identity, old) = (Arc::clone(self), Arc::clone(identity), Arc::clone(&minted));
            let renewal = async move {
                let renewal = minting.renew(&identity, profile, lifetime, &old, now);
                // What failed is tried again by a later request, and reported by the first that must wait for it.
                let _ = timeout(Exchange::SIGNING_TIMEOUT, renewal).await;
            };
            // Without a runtime nothing is renewed in the background, and the first that finds the token ended waits for another.
            if let Ok(runtime) = Handle::try_current() {
                runtime.spawn(renewal);
            }
        }
        Some(Admission::new(minted, identity.verified.end()))
    }

    /// Mints a token that is not there. Of several tasks, one mints and the others wait for it; one that leaves passes the turn on.
    pub(super) async fn mint(
        &self,
        identity: &Arc<Identity>,
        profile: ProfileId,
        lifetime: Lifetime,
        now: Timestamp,
        may_mint: impl FnOnce() -> Result<(), Rejection>,
    ) -> Result<Admission, Rejection> {
        // One deadline for the turn and the signature, so that those who wait do not wait for each other's deadlines.
        timeout(Exchange::SIGNING_TIMEOUT, self.mint_in_turn(identity, profile, lifetime, now, may_mint))
            .await
            .unwrap_or(Err(Rejection::SigningOverloaded))
    }

    async fn mint_in_turn(
        &self,
        identity: &Arc<Identity>,
        profile: ProfileId,
        lifetime: Lifetime,
        now: Timestamp,
        may_mint: impl FnOnce() -> Result<(), Rejection>,
    ) -> Result<Admission, Rejection> {
        let order = self.order(identity, profile, lifetime)?;
        let _turn = order.slot.turn.lock().await;
        let minted = match self.look_up(order.slot, now) {
            Some(minted) => {
                self.hits.inc();
                minted
            }
            None => {
                may_mint()?;
                self.misses.inc();
                self.sign(&order, identity, now).await?
            }
        };
        Ok(Admission::new(minted, identity.verified.end()))
    }

    /// Mints a token for a user whom a caller vouches for. It lives as the profile says, and never beyond the user's end.
    pub(super) async fn vouch(&self, user: AssertedUser, profile: ProfileId, now: Timestamp) -> Result<UserToken, Rejection> {
        let minter = Arc::clone(self.minters.get(profile.0).ok_or(Rejection::SigningFailed)?);
        let active = self.active.load_full();
        let started = Instant::now();
        let job = move || minter.mint(&user, active.key.signer().as_ref(), Lifetime::End, now, random()?);
        let signed = timeout(Exchange::SIGNING_TIMEOUT, self.pool.run(job)).await.map_err(|_| Rejection::SigningOverloaded)?;
        let token = signed.map_err(refused)??;
        self.duration.observe(started.elapsed().as_secs_f64());
        Ok(token)
    }

    /// The same admission with a new token, if its own is due to be renewed. Without one within the time for signatures, the old one serves.
    pub(super) async fn renewed(
        &self,
        admission: Admission,
        identity: &Arc<Identity>,
        profile: ProfileId,
        lifetime: Lifetime,
        now: Timestamp,
    ) -> Admission {
        if now < admission.minted.due {
            return admission;
        }
        let renewal = self.renew(identity, profile, lifetime, &admission.minted, now);
        let _ = timeout(Exchange::SIGNING_TIMEOUT, renewal).await;
        let order = self.order(identity, profile, lifetime).ok();
        let minted = order.and_then(|order| self.look_up(order.slot, now));
        minted.map_or(admission, |minted| Admission::new(minted, identity.verified.end()))
    }

    /// Replaces a token, unless it was replaced already.
    async fn renew(
        &self,
        identity: &Arc<Identity>,
        profile: ProfileId,
        lifetime: Lifetime,
        old: &Arc<Minted>,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let order = self.order(identity, profile, lifetime)?;
        let _turn = order.slot.turn.lock().await;
        if order.slot.minted.load().as_ref().is_some_and(|minted| Arc::ptr_eq(minted, old)) {
            self.sign(&order, identity, now).await?;
            self.renewals.inc();
        }
        Ok(())
    }

    /// The profile decides on the lifetime. An unknown profile is our own mistake.
    fn order<'a>(&'a self, identity: &'a Identity, profile: ProfileId, lifetime: Lifetime) -> Result<Order<'a>, Rejection> {
        let minter = self.minters.get(profile.0).ok_or(Rejection::SigningFailed)?;
        let lifetime = minter.lifetime(lifetime);
        let slot = identity.slot(profile, lifetime).ok_or(Rejection::SigningFailed)?;
        Ok(Order { minter, lifetime, slot })
    }

    /// Signs on the pool and puts the token into its place. The caller has the turn.
    async fn sign(&self, order: &Order<'_>, identity: &Arc<Identity>, now: Timestamp) -> Result<Arc<Minted>, Rejection> {
        if now >= identity.verified.end() {
            return Err(Rejection::Expired);
        }
        let now = identity.minting_time(now);
        let active = self.active.load_full();
        let (minter, user, lifetime) = (Arc::clone(order.minter), Arc::clone(identity), order.lifetime);
        let started = Instant::now();
        let minted = self.pool.run(move || mint(&minter, &user, &active, lifetime, now)).await.map_err(refused)??;
        let (minted, is_short_of_groups) = minted;
        if is_short_of_groups {
            let profile = order.minter.profile().name.as_str();
            self.metrics.exchange.minted_without_groups.with_label_values(&[profile]).inc();
        }
        self.duration.observe(started.elapsed().as_secs_f64());
        let minted = Arc::new(minted);
        order.slot.minted.store(Some(Arc::clone(&minted)));
        self.identities.weigh_again(identity);
        Ok(minted)
    }

    fn look_up(&self, slot: &Slot, now: Timestamp) -> Option<Arc<Minted>> {
        let minted = slot.minted.load_full()?;
        (now < minted.usable_until && minted.key == self.active.load().number).then_some(minted)
    }

    /// Shows the active key instead of the one before, and both rather than none in between.
    fn show_key(&self, before: Option<&SigningKey>) {
        let labels = |key: &SigningKey| {
            let signer = key.signer();
            [format!("{:?}", signer.algorithm()), signer.thumbprint().unwrap_or("none").to_owned()]
        };
        let shown = labels(&self.active.load().key);
        self.metrics.exchange.signing_key.with_label_values(&shown).set(1);
        if let Some(before) = before.map(labels).filter(|before| *before != shown) {
            // Fails only where it is not shown.
            let _ = self.metrics.exchange.signing_key.remove_label_values(&[before[0].as_str(), before[1].as_str()]);
        }
    }

    /// The public half of the key that signs, once for each `kid` that tokens name it by; nothing for a shared secret.
    pub(super) fn jwks(&self) -> Vec<serde_json::Value> {
        let active = self.active.load();
        let Some(public) = active.key.public() else { return Vec::new() };
        let kid = |profile: &MintingProfile| match &profile.key_id {
            TokenKeyId::Text(text) => text.clone(),
            TokenKeyId::None | TokenKeyId::Thumbprint => public.thumbprint().to_owned(),
        };
        let kids: BTreeSet<_> = self.profiles.iter().map(kid).collect();
        let named = |kid: String| {
            let mut jwk = public.jwk();
            if let Some(members) = jwk.as_object_mut() {
                members.insert("kid".to_owned(), kid.into());
            }
            jwk
        };
        kids.into_iter().map(named).collect()
    }

    /// The thumbprint of the key that signs (RFC 7638); none for a shared secret.
    pub(super) fn thumbprint(&self) -> Option<String> {
        self.active.load().key.signer().thumbprint().map(str::to_owned)
    }
}

fn minters(profiles: &[MintingProfile]) -> Vec<Arc<Minter>> {
    profiles.iter().map(|profile| Arc::new(Minter::new(profile.clone()))).collect()
}

impl Minted {
    /// One that was minted `at`, for an identity with this `end`. If nothing later can be had, there is nothing to renew.
    fn new(authorization: HeaderValue, key: u64, at: Timestamp, expires: Timestamp, end: Timestamp) -> Self {
        let (renew_at, usable_until) = if expires.as_seconds() < end.as_seconds() {
            let left = (expires.since(at) / RENEWED_LIFE).max(MIN_LEFT_TO_RENEW);
            (expires.minus(left), expires.minus(MIN_LEFT_TO_USE))
        } else {
            (Timestamp::MAX, expires)
        };
        Self { authorization, expires, due: renew_at, usable_until, renew_at: AtomicI64::new(renew_at.as_millis()), key }
    }

    /// Whether the caller is to renew it. Of several callers one is told so, and again none before the pause is over.
    fn claim_renewal(&self, now: Timestamp) -> bool {
        let due = self.renew_at.load(Ordering::Relaxed);
        let next = now.plus(RENEWAL_RETRY_INTERVAL).as_millis();
        now.as_millis() >= due && self.renew_at.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

fn refused(refused: SigningRefused) -> Rejection {
    match refused {
        SigningRefused::QueueFull => Rejection::SigningOverloaded,
        SigningRefused::Panicked => Rejection::SigningFailed,
    }
}

/// What a `jti` is made of.
fn random() -> Result<[u8; 16], Rejection> {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| Rejection::SigningFailed)?;
    Ok(random)
}

fn mint(
    minter: &Minter,
    identity: &Identity,
    active: &ActiveKey,
    lifetime: Lifetime,
    now: Timestamp,
) -> Result<(Minted, bool), Rejection> {
    let token = minter.mint(&identity.verified, active.key.signer().as_ref(), lifetime, now, random()?)?;
    let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.as_str())).map_err(|_| Rejection::SigningFailed)?;
    authorization.set_sensitive(true);
    let minted = Minted::new(authorization, active.number, now, token.expires(), identity.verified.end());
    Ok((minted, token.is_short_of_groups()))
}
