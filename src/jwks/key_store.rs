//! [`KeyStore`]: the cell that holds an issuer's trusted keys.

use std::{ops::Range, sync::Arc, time::Duration};

use arc_swap::ArcSwap;

use super::merge::{Conflict, HeldKeys};
use crate::token::{KeySet, Timestamp};

/// The trusted keys of one issuer, swapped whole by the refresh task and loaded by every request.
///
/// A key that has not been seen for too long ends at its time, whether or not the provider answers: whoever loads the keys after that
/// moment no longer finds it.
#[derive(Debug)]
pub struct KeyStore {
    current: ArcSwap<Published>,
}

#[derive(Clone, Debug)]
struct Published {
    held: HeldKeys,
    trusted: Arc<KeySet>,
    /// When `trusted` is right: between two ends of keys. A clock that jumps forward and back finds the keys again.
    valid: Range<Timestamp>,
    generation: u64,
    /// When each source was last fetched with success.
    fetched: Box<[Option<Timestamp>]>,
}

/// What a fetched set changed.
#[derive(Debug)]
pub(crate) struct Merged {
    pub(crate) changed: bool,
    pub(crate) conflicts: Vec<Conflict>,
}

impl KeyStore {
    /// A store without keys, for so many sources.
    pub(crate) fn new(sources: usize) -> Self {
        Self {
            current: ArcSwap::from_pointee(Published {
                held: HeldKeys::default(),
                trusted: Arc::default(),
                valid: Timestamp::MIN..Timestamp::MAX,
                generation: 0,
                fetched: vec![None; sources].into(),
            }),
        }
    }

    /// The keys that verify tokens at `now`; empty until the first fetch succeeded and after the last key has ended.
    pub fn load(&self, now: Timestamp) -> Arc<KeySet> {
        self.with_current(now, |current| Arc::clone(&current.trusted))
    }

    /// A number that changes whenever the set of trusted keys does. Costs a few nanoseconds.
    ///
    /// Read before [`load`](Self::load), it is never newer than the keys loaded.
    pub fn generation(&self, now: Timestamp) -> u64 {
        self.with_current(now, |current| current.generation)
    }

    /// Whether there are keys to verify with.
    pub fn is_ready(&self, now: Timestamp) -> bool {
        self.with_current(now, |current| !current.trusted.keys().is_empty())
    }

    /// When the keys were last fetched, of several sources the one that was fetched longest ago; none until each was fetched once.
    pub fn last_success(&self) -> Option<Timestamp> {
        self.current.load().fetched.iter().copied().min().flatten()
    }

    /// How old the keys are: the time since [`last_success`](Self::last_success).
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        self.last_success().map(|success| now.since(success))
    }

    /// Adds the keys that a source was found to publish at `now`.
    pub(crate) fn merge(&self, source: usize, fetched: &KeySet, now: Timestamp, keep: Duration) -> Merged {
        let mut conflicts = Vec::new();
        let mut changed = false;
        self.current.rcu(|current| {
            let (held, new_conflicts) = current.held.merge(fetched, now, keep);
            let mut next = current.with_keys(held, now);
            if let Some(last) = next.fetched.get_mut(source) {
                *last = (*last).max(Some(now));
            }
            conflicts = new_conflicts;
            changed = next.generation != current.generation;
            next
        });
        Merged { changed, conflicts }
    }

    fn with_current<T>(&self, now: Timestamp, read: impl Fn(&Published) -> T) -> T {
        let current = self.current.load();
        if current.valid.contains(&now) {
            return read(&current);
        }
        drop(current);
        self.current.rcu(|current| {
            if current.valid.contains(&now) { Arc::clone(current) } else { Arc::new(current.with_keys(current.held.clone(), now)) }
        });
        read(&self.current.load())
    }
}

impl Published {
    fn with_keys(&self, held: HeldKeys, now: Timestamp) -> Self {
        let (trusted, valid) = held.trusted(now);
        let changed = trusted.keys().len() != self.trusted.keys().len()
            || trusted
                .keys()
                .iter()
                .any(|key| !self.trusted.keys().iter().any(|old| old.id() == key.id() && old.kid() == key.kid()));
        Self {
            held,
            trusted: Arc::new(trusted),
            valid,
            generation: if changed { self.generation.wrapping_add(1) } else { self.generation },
            fetched: self.fetched.clone(),
        }
    }
}

#[cfg(test)]
#[path = "key_store_tests.rs"]
mod tests;
