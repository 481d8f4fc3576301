//! [`Identity`], the first layer of the cache, with the slots of the second; [`Admission`], the result for a request.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use tokio::sync::Mutex;

use super::{ProfileId, cache::TokenDigest};
use crate::token::{Lifetime, Timestamp, VerifiedToken};

/// A verified identity, as the cache holds it.
#[derive(Debug)]
pub struct Identity {
    pub(super) verified: VerifiedToken,
    digest: TokenDigest,
    /// The number of the rules that made it.
    pub(super) issuer: u64,
    /// The generation of the issuer's keys at which the key was last found among them.
    pub(super) trusted_at: AtomicU64,
    /// The latest time at which it was verified, or a token was minted for it, in milliseconds since the epoch.
    latest: AtomicI64,
    /// One for each minting profile and lifetime.
    slots: Box<[Slot]>,
}

/// The place of a user token for one identity, one profile and one lifetime.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) minted: ArcSwapOption<Minted>,
    /// Held by the task that mints.
    pub(super) turn: Mutex<()>,
}

/// A user token, ready to be sent.
#[derive(Debug)]
pub(super) struct Minted {
    pub(super) authorization: HeaderValue,
    /// Its own `exp`.
    pub(super) expires: Timestamp,
    /// From when on it is due to be renewed.
    pub(super) due: Timestamp,
    /// From when on it is not used: never later than its own `exp`.
    pub(super) usable_until: Timestamp,
    /// From when on a request has it renewed in the background, in milliseconds since the epoch; each attempt puts it off.
    pub(super) renew_at: AtomicI64,
    /// Which of our signing keys signed it.
    pub(super) key: u64,
}

impl Identity {
    /// One that was verified at `now`.
    pub(super) fn new(
        verified: VerifiedToken,
        digest: TokenDigest,
        issuer: u64,
        generation: u64,
        profiles: usize,
        now: Timestamp,
    ) -> Self {
        let slots = std::iter::repeat_with(Slot::default).take(profiles * LIFETIMES.len()).collect();
        let latest = AtomicI64::new(now.as_millis());
        Self { verified, digest, issuer, trusted_at: AtomicU64::new(generation), latest, slots }
    }

    /// The time at which a token is minted for it `now`: never earlier than for its tokens before, since some backends refuse an older
    /// `iat`, and never so late that the token would have ended.
    pub(super) fn minting_time(&self, now: Timestamp) -> Timestamp {
        let latest = Timestamp::from_millis(self.latest.fetch_max(now.as_millis(), Ordering::Relaxed));
        let last_moment = Timestamp::from_seconds(self.verified.end().as_seconds()).minus(Duration::from_millis(1));
        latest.min(last_moment).max(now)
    }

    /// Whether the clock was ahead when this was verified, or when a token was minted for it: by more than clocks are corrected in
    /// passing. What was found out by such a clock is not used, and its tokens would be of the future.
    pub(super) fn is_of_the_future(&self, now: Timestamp) -> bool {
        /// How far a clock that is kept right is ever set back.
        const CORRECTION: Duration = Duration::from_secs(60);
        self.latest.load(Ordering::Relaxed) > now.plus(CORRECTION).as_millis()
    }

    /// The digest of its token.
    pub(super) fn digest(&self) -> &TokenDigest {
        &self.digest
    }

    /// How much memory it takes, with the user tokens that it has now. Bytes, estimated.
    pub(super) fn bytes(&self) -> usize {
        let minted = self.slots.iter().filter_map(|slot| slot.minted.load().as_ref().map(|minted| minted.bytes()));
        COUNTS + size_of::<Self>() + self.verified.heap_bytes() + size_of_val(&*self.slots) + minted.sum::<usize>()
    }

    /// The place of the token for this profile and this lifetime.
    pub(super) fn slot(&self, profile: ProfileId, lifetime: Lifetime) -> Option<&Slot> {
        let lifetime = LIFETIMES.iter().position(|known| *known == lifetime)?;
        self.slots.get(profile.0 * LIFETIMES.len() + lifetime)
    }

    /// What was verified.
    pub fn verified(&self) -> &VerifiedToken {
        &self.verified
    }
}

impl Minted {
    fn bytes(&self) -> usize {
        COUNTS + size_of::<Self>() + self.authorization.len() + SHARED
    }
}

/// A request may go upstream, with this user token. Only the exchange makes one.
#[derive(Clone, Debug)]
pub struct Admission {
    pub(super) minted: Arc<Minted>,
    end: Timestamp,
}

impl Admission {
    pub(super) fn new(minted: Arc<Minted>, end: Timestamp) -> Self {
        Self { minted, end }
    }

    /// `Bearer <user token>`, marked as sensitive.
    pub fn authorization(&self) -> &HeaderValue {
        &self.minted.authorization
    }

    /// The `exp` of the user token.
    pub fn expires(&self) -> Timestamp {
        self.minted.expires
    }

    /// When it ends, and with it the sockets and feeds that rest on it.
    pub fn end(&self) -> Timestamp {
        self.end
    }
}

/// The two counts of an `Arc`. Bytes.
const COUNTS: usize = 16;
/// What a header value takes to be shared, beside its text. Bytes.
const SHARED: usize = 32;
const LIFETIMES: [Lifetime; 2] = [Lifetime::Ttl, Lifetime::End];
