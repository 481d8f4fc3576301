//! [`IdentityCache`]: verified identities by the digest of their token, limited in number and in bytes.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use quick_cache::{
    DefaultHashBuilder, Lifecycle, Weighter,
    sync::{Cache, PlaceholderGuard},
};

use super::{CacheSettings, Identity};

/// SHA-256 of the whole token, signature included.
pub(super) type TokenDigest = [u8; 32];

/// What a place takes beside its identity, in bytes: digest, links and hash table, with the room that they keep for growth, and half a
/// place for one that has left and may return.
const PLACE: usize = 136;

/// A token that came once leaves before one that came often, and a flood of new ones takes no place of those. The hash is keyed, since
/// clients choose the tokens.
#[derive(Debug)]
pub(super) struct IdentityCache {
    identities: Cache<TokenDigest, Cached, Weights, DefaultHashBuilder, Held>,
    held: Held,
    /// Held while an identity is weighed again, so that an older weight never replaces a newer one.
    weighing: Mutex<()>,
}

/// The right to verify a token while others with the same token wait. Dropped without [`keep`](Self::keep), it goes to one of them.
pub(super) struct Turn<'c> {
    place: PlaceholderGuard<'c, TokenDigest, Cached, Weights, DefaultHashBuilder, Held>,
    held: &'c Held,
}

impl IdentityCache {
    pub(super) fn new(settings: &CacheSettings) -> Self {
        let (entries, bytes) = (settings.entries.max(1), settings.bytes as u64);
        let weights = Weights { least: bytes.div_ceil(entries as u64) };
        let held = Held::default();
        let identities = Cache::with(entries, bytes, weights, DefaultHashBuilder::default(), held.clone());
        Self { identities, held, weighing: Mutex::new(()) }
    }

    /// The identity of a token. Counts as a use of it.
    pub(super) fn get(&self, digest: &TokenDigest) -> Option<Arc<Identity>> {
        self.identities.get(digest).map(|cached| cached.identity)
    }

    /// The same, or else the turn to verify the token. Waits for another who has it.
    pub(super) async fn get_or_turn(&self, digest: &TokenDigest) -> Result<Arc<Identity>, Turn<'_>> {
        let found = self.identities.get_value_or_guard_async(digest).await;
        found.map(|cached| cached.identity).map_err(|place| Turn { place, held: &self.held })
    }

    /// Drops this very identity, if it is still there.
    pub(super) fn remove(&self, identity: &Arc<Identity>) {
        let removed = self.identities.remove_if(identity.digest(), |cached| Arc::ptr_eq(&cached.identity, identity));
        if let Some((_, cached)) = removed {
            self.held.release(cached.bytes);
        }
    }

    /// Puts an identity that was evicted back into its place.
    pub(super) fn put_back(&self, identity: &Arc<Identity>) {
        let cached = Cached::weighed(identity);
        self.held.add(cached.bytes);
        // What is there under this digest, or finds no room, is released by the cache.
        self.identities.insert(*identity.digest(), cached);
    }

    /// To be called after user tokens were added to an identity: makes room for them, if it is still there.
    pub(super) fn weigh_again(&self, identity: &Arc<Identity>) {
        let _weighing = self.weighing.lock().unwrap_or_else(PoisonError::into_inner);
        let is_here = self.identities.peek(identity.digest()).is_some_and(|cached| Arc::ptr_eq(&cached.identity, identity));
        if is_here {
            let cached = Cached::weighed(identity);
            let bytes = self.held.add(cached.bytes);
            // Fails when it has left meanwhile, or has become too large. What it was counted for before is released by the cache.
            if self.identities.replace(*identity.digest(), cached, true).is_err() {
                self.held.release(bytes);
            }
        }
    }

    /// All identities, those excepted that come or go meanwhile.
    pub(super) fn iter(&self) -> impl Iterator<Item = Arc<Identity>> + Send {
        self.identities.iter().map(|(_, cached)| cached.identity)
    }

    /// How many identities there are.
    pub(super) fn len(&self) -> usize {
        self.identities.len()
    }

    /// How much memory they take, user tokens included. Bytes, estimated.
    pub(super) fn bytes(&self) -> u64 {
        self.held.0.load(Ordering::Relaxed)
    }
}

impl Turn<'_> {
    /// Puts the identity of this token into the cache, if it finds a place there.
    pub(super) fn keep(self, identity: &Arc<Identity>) {
        let cached = Cached::weighed(identity);
        let bytes = self.held.add(cached.bytes);
        // Fails when somebody has removed the place.
        if self.place.insert(cached).is_err() {
            self.held.release(bytes);
        }
    }
}

impl fmt::Debug for Turn<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Turn").finish_non_exhaustive()
    }
}

/// An identity as it was weighed. The cache counts on a weight that does not change by itself.
#[derive(Clone, Debug)]
struct Cached {
    identity: Arc<Identity>,
    bytes: u64,
}

impl Cached {
    fn weighed(identity: &Arc<Identity>) -> Self {
        Self { identity: Arc::clone(identity), bytes: (PLACE + identity.bytes()) as u64 }
    }
}

/// One weight for both bounds: no identity weighs less than its share if there were as many as may be.
#[derive(Clone, Debug)]
struct Weights {
    least: u64,
}

impl Weighter<TokenDigest, Cached> for Weights {
    fn weight(&self, _: &TokenDigest, cached: &Cached) -> u64 {
        cached.bytes.max(self.least)
    }
}

/// The bytes of all identities in the cache.
#[derive(Clone, Debug, Default)]
struct Held(Arc<AtomicU64>);

impl Held {
    fn add(&self, bytes: u64) -> u64 {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        bytes
    }

    fn release(&self, bytes: u64) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Lifecycle<TokenDigest, Cached> for Held {
    /// What was evicted, to be dropped when the lock is no longer held.
    type RequestState = Vec<Cached>;

    fn on_evict(&self, evicted: &mut Vec<Cached>, _: TokenDigest, cached: Cached) {
        self.release(cached.bytes);
        evicted.push(cached);
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
