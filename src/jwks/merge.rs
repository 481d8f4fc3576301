//! The keys at hand and a fetched set to the keys from now on. Pure: time is an argument.
//!
//! Microsoft's key sets flap: keys vanish for hours and return. So a key is kept for a time after it was last seen, and a fetch only
//! ever adds keys or lengthens their time. Removal is a matter of time alone.

use std::{ops::Range, sync::Arc, time::Duration};

use crate::token::{KeySet, Timestamp, VerificationKey};

/// Most keys held for one issuer. Real issuers have fewer than 50 within a day; beyond it the ones unseen for longest go.
const MOST_KEYS: usize = 1024;

/// A key, and until when it is held.
#[derive(Clone, Debug)]
struct HeldKey {
    key: Arc<VerificationKey>,
    /// The number of the merge that brought it.
    arrival: u64,
    /// When it was last seen, and the time that keys are kept.
    end: Timestamp,
}

impl HeldKey {
    fn is(&self, key: &VerificationKey) -> bool {
        self.key.id() == key.id() && self.key.kid() == key.kid()
    }

    /// Whether both have one `kid` and are different keys, be it of different types: one document may hold such a pair, a later one
    /// that adds to it is an alarm.
    fn conflicts_with(&self, key: &VerificationKey) -> bool {
        key.kid().is_some() && self.key.kid() == key.kid() && self.key.id() != key.id()
    }
}

/// Every key that an issuer was seen to publish and whose time is not over.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldKeys {
    keys: Vec<HeldKey>,
    /// How many sets were merged so far.
    merges: u64,
}

/// A key that arrived under the `kid` of another one that is still held. It waits until that one has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    pub(crate) kid: String,
}

impl HeldKeys {
    /// Adds what was fetched at `now` and drops what has ended. Each key of the set is held until `now` and `keep`.
    ///
    /// A key that comes again under its `kid` is replaced by its newer form, since its other members may change. A key that comes
    /// under the `kid` of another key is reported once, and does not lengthen the time of the other.
    pub(super) fn merge(&self, fetched: &KeySet, now: Timestamp, keep: Duration) -> (Self, Vec<Conflict>) {
        let (arrival, end) = (self.merges.saturating_add(1), now.plus(keep));
        let mut keys: Vec<HeldKey> = self.keys.iter().filter(|held| now < held.end).cloned().collect();
        let mut conflicts = Vec::new();
        for key in fetched.keys() {
            if let Some(same) = keys.iter_mut().find(|held| held.is(key)) {
                same.key = Arc::clone(key);
                // Sources may answer out of order: an older answer shortens nothing.
                same.end = same.end.max(end);
                continue;
            }
            if let Some(kid) = key.kid()
                && keys.iter().any(|held| held.arrival < arrival && held.conflicts_with(key))
            {
                conflicts.push(Conflict { kid: kid.to_owned() });
            }
            keys.push(HeldKey { key: Arc::clone(key), arrival, end });
        }
        if keys.len() > MOST_KEYS {
            keys.sort_by_key(|held| std::cmp::Reverse(held.end));
            keys.truncate(MOST_KEYS);
        }
        (Self { keys, merges: arrival }, conflicts)
    }

    /// The keys that verify tokens at `now`, and the time around `now` in which they do, if nothing is fetched.
    ///
    /// Of different keys with one `kid`, those that were there first.
    pub(super) fn trusted(&self, now: Timestamp) -> (KeySet, Range<Timestamp>) {
        let live = || self.keys.iter().filter(|held| now < held.end);
        let waits = |key: &HeldKey| live().any(|other| other.arrival < key.arrival && other.conflicts_with(&key.key));
        let ends = || self.keys.iter().map(|held| held.end);
        let from = ends().filter(|end| *end <= now).max().unwrap_or(Timestamp::MIN);
        let until = ends().filter(|end| now < *end).min().unwrap_or(Timestamp::MAX);
        let keys = KeySet::from_keys(live().filter(|held| !waits(held)).map(|held| Arc::clone(&held.key)));
        (keys, from..until)
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
