//! The keys at hand and a fetched set to the keys from now on. Pure: time is an argument.
//!
//! Microsoft's key sets flap: keys vanish for hours and return. So a key is kept for a time after it was last seen, and a fetch only
//! ever adds keys or lengthens their time. Removal is a matter of time alone.

use std::{sync::Arc, time::Duration};

use crate::token::{KeySet, Timestamp, VerificationKey};

/// Most keys held for one issuer. Real issuers have fewer than 50 within a day; beyond it the ones unseen for longest go.
const MOST_KEYS: usize = 1024;

/// A key, since when and until when it is held.
#[derive(Clone, Debug)]
pub(super) struct HeldKey {
    key: Arc<VerificationKey>,
    first_seen: Timestamp,
    last_seen: Timestamp,
    /// `last_seen` and the time that keys are kept.
    end: Timestamp,
}

impl HeldKey {
    fn is(&self, key: &VerificationKey) -> bool {
        self.key.id() == key.id() && self.key.kid() == key.kid()
    }

    /// Whether both have one `kid` and are different keys.
    fn conflicts_with(&self, key: &VerificationKey) -> bool {
        key.kid().is_some() && self.key.kid() == key.kid() && self.key.id() != key.id()
    }
}

/// Every key that an issuer was seen to publish and whose time is not over, in the order of arrival.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldKeys(Vec<HeldKey>);

/// A key that arrived under the `kid` of another one that is still held. It waits until that one has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    pub(super) kid: String,
}

impl HeldKeys {
    /// Adds what was fetched at `now` and drops what has ended. Each key of the set is held until `now` and `keep`.
    ///
    /// A key that comes again under its `kid` is replaced by its newer form, since its other members may change. A key that comes
    /// under the `kid` of another key is reported once, and does not lengthen the time of the other.
    pub(super) fn merge(&self, fetched: &KeySet, now: Timestamp, keep: Duration) -> (Self, Vec<Conflict>) {
        let mut held: Vec<HeldKey> = self.0.iter().filter(|held| now < held.end).cloned().collect();
        let known = held.len();
        let mut conflicts = Vec::new();
        for key in fetched.keys() {
            // Sources answer out of order: an older answer must not shorten a key's time.
            let (last_seen, end) = (now, now.plus(keep));
            if let Some(same) = held.iter_mut().find(|held| held.is(key)) {
                same.key = Arc::clone(key);
                same.last_seen = same.last_seen.max(last_seen);
                same.end = same.end.max(end);
                continue;
            }
            if let Some(kid) = key.kid()
                && held.iter().take(known).any(|held| held.conflicts_with(key))
            {
                conflicts.push(Conflict { kid: kid.to_owned() });
            }
            held.push(HeldKey { key: Arc::clone(key), first_seen: now, last_seen, end });
        }
        if held.len() > MOST_KEYS {
            held.sort_by_key(|held| std::cmp::Reverse(held.last_seen));
            held.truncate(MOST_KEYS);
        }
        (Self(held), conflicts)
    }

    /// The keys that verify tokens at `now`, and when that changes if nothing is fetched.
    ///
    /// Of different keys with one `kid`, those that were there first.
    pub(super) fn trusted(&self, now: Timestamp) -> (KeySet, Timestamp) {
        let live = || self.0.iter().filter(|held| now < held.end);
        let waits = |key: &HeldKey| live().any(|other| other.first_seen < key.first_seen && other.conflicts_with(&key.key));
        let until = live().map(|held| held.end).min().unwrap_or(Timestamp::MAX);
        let keys = KeySet::from_keys(live().filter(|held| !waits(held)).map(|held| Arc::clone(&held.key)));
        (keys, until)
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
