//! Merges the known keys and a fetched set. Pure: time is an argument.
//!
//! Microsoft's key sets flap: keys vanish for hours and return. So a key is kept for a time after it was last seen, and a fetch
//! only ever adds keys or extends their time. Keys are removed only by time. A file does not flap: its keys are exactly those
//! in it.

use std::{collections::HashSet, ops::Range, sync::Arc, time::Duration};

use super::denied::Denied;
use crate::token::{KeyId, KeySet, Timestamp, VerificationKey};

/// Maximum number of keys held for one issuer. Real issuers have fewer than 50 within a day; beyond it the ones unseen for longest go.
const MAX_KEYS: usize = 1024;

/// How long a key is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// For a time after it was last seen.
    For(Duration),
    /// As long as its source shows it, and not a moment longer.
    WhileListed,
}

/// A key, and until when it is held.
#[derive(Clone, Debug)]
pub(super) struct HeldKey {
    pub(super) key: Arc<VerificationKey>,
    /// The number of the merge that brought it.
    arrival: u64,
    /// The source that showed it last.
    pub(super) source: usize,
    pub(super) first_seen: Timestamp,
    pub(super) last_seen: Timestamp,
    /// When it was last seen, and the time that keys are kept. None: as long as its source shows it.
    pub(super) end: Option<Timestamp>,
}

impl HeldKey {
    fn lives(&self, now: Timestamp) -> bool {
        self.end.is_none_or(|end| now < end)
    }

    /// A key cannot have been seen long after `now`: the clock was ahead then, and would have the key live longer than it may.
    fn not_seen_after(self, now: Timestamp) -> Self {
        /// Answers come out of order by less than a fetch may take.
        const OUT_OF_ORDER: Duration = Duration::from_secs(120);
        if self.last_seen <= now.plus(OUT_OF_ORDER) {
            return self;
        }
        let end = self.end.map(|end| now.plus(end.since(self.last_seen)));
        Self { first_seen: self.first_seen.min(now), last_seen: now, end, ..self }
    }

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

/// A key published under the `kid` of another one that is still known. It waits until that one has expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    pub(crate) kid: String,
    /// The key that serves.
    pub(crate) known: KeyId,
    /// The one that waits.
    pub(crate) new: KeyId,
}

impl HeldKeys {
    /// Adds what a source was found to publish at `now` and drops expired keys.
    ///
    /// The order of the document decides nothing. A key that comes again under its `kid` is replaced by its newer form, since its other
    /// members may change. A key that comes under the `kid` of another key is reported once, and does not lengthen the time of the other.
    pub(super) fn merge(&self, source: usize, fetched: &KeySet, now: Timestamp, keep: Keep) -> (Self, Vec<Conflict>) {
        let arrival = self.merges.saturating_add(1);
        let end = end(now, keep);
        let is_withdrawn =
            |held: &HeldKey| held.end.is_none() && held.source == source && !fetched.keys().iter().any(|key| held.is(key));
        let known = self.keys.iter().filter(|held| held.lives(now) && !is_withdrawn(held));
        let mut keys: Vec<HeldKey> = known.map(|held| held.clone().not_seen_after(now)).collect();
        let mut conflicts = Vec::new();
        // What is in a file is held beside the same key of another source, since each goes in its own way.
        let is_known = |held: &HeldKey, key: &VerificationKey| {
            held.is(key) && held.end.is_some() == end.is_some() && (end.is_some() || held.source == source)
        };
        // One key may have several entries. Those of its own source are replaced as a whole; another source may say other things.
        let is_replaced =
            |held: &HeldKey, key: &VerificationKey| is_known(held, key) && (held.source == source || held.key.is_equal_to(key));
        let mut fresh = Vec::with_capacity(fetched.keys().len());
        for key in fetched.keys() {
            let known = || keys.iter().filter(|held| is_known(held, key));
            if let (Some(kid), None) = (key.kid(), known().next())
                && let Some(rival) = keys.iter().find(|held| held.conflicts_with(key))
            {
                let conflict = Conflict { kid: kid.to_owned(), known: *rival.key.id(), new: *key.id() };
                if !conflicts.contains(&conflict) {
                    conflicts.push(conflict);
                }
            }
            let replaced = || keys.iter().filter(|held| is_replaced(held, key));
            fresh.push(HeldKey {
                key: Arc::clone(key),
                arrival: known().map(|held| held.arrival).min().unwrap_or(arrival),
                source,
                first_seen: known().map(|held| held.first_seen).min().unwrap_or(now),
                // Sources may answer out of order: an older answer shortens nothing.
                last_seen: replaced().map(|held| held.last_seen).max().unwrap_or(now).max(now),
                end: replaced().map(|held| held.end).max().unwrap_or(end).max(end),
            });
        }
        keys.retain(|held| !fetched.keys().iter().any(|key| is_replaced(held, key)));
        keys.extend(fresh);
        if keys.len() > MAX_KEYS {
            let age = |held: &HeldKey| (held.end.is_some(), std::cmp::Reverse(held.end));
            keys.sort_by(|one, other| age(one).cmp(&age(other)).then_with(|| one.key.compare(&other.key)));
            keys.truncate(MAX_KEYS);
        }
        (Self { keys, merges: arrival }, conflicts)
    }

    /// Takes over keys that were seen before, at the latest `now`. None lives longer than if it had been held all the time.
    ///
    /// `keys`: the key, its source, when it was first and last seen.
    pub(super) fn restore(
        keys: impl IntoIterator<Item = (Arc<VerificationKey>, usize, Timestamp, Timestamp)>,
        now: Timestamp,
        keep: Duration,
    ) -> Self {
        let mut keys: Vec<_> = keys.into_iter().take(MAX_KEYS).collect();
        keys.sort_by_key(|(_, _, first_seen, _)| *first_seen);
        // Keys that were first seen together arrived together: their order says nothing.
        let mut merges = 0;
        let mut latest = None;
        let keys: Vec<_> = keys
            .into_iter()
            .map(|(key, source, first_seen, last_seen)| {
                merges += u64::from(latest.replace(first_seen) != Some(first_seen));
                let arrival = merges;
                let last_seen = last_seen.min(now);
                let end = Some(last_seen.plus(keep));
                HeldKey { key, arrival, source, first_seen: first_seen.min(last_seen), last_seen, end }
            })
            .filter(|held| held.lives(now))
            .collect();
        Self { merges, keys }
    }

    /// The same keys under other settings: `renumber` gives a source its new number and how long its keys are kept now.
    pub(super) fn under(&self, renumber: impl Fn(usize) -> Option<(usize, Keep)>) -> Self {
        let keys = self.keys.iter().filter_map(|held| {
            let (source, keep) = renumber(held.source)?;
            Some(HeldKey { source, end: end(held.last_seen, keep), ..held.clone() })
        });
        Self { keys: keys.collect(), merges: self.merges }
    }

    /// The keys of this name: a `kid`, or a thumbprint.
    pub(super) fn named(&self, name: &str) -> Vec<KeyId> {
        let is_named = |held: &&HeldKey| held.key.kid() == Some(name) || held.key.id().to_string() == name;
        self.keys.iter().filter(is_named).map(|held| *held.key.id()).collect()
    }

    /// The keys that verify tokens at `now`, and the time around `now` in which they do, if nothing is fetched.
    ///
    /// Of different keys with one `kid`, those that were there first.
    pub(super) fn trusted(&self, now: Timestamp, denied: &Denied) -> (KeySet, Range<Timestamp>) {
        let ends = || self.keys.iter().filter_map(|held| held.end);
        let from = ends().filter(|end| *end <= now).max().unwrap_or(Timestamp::MIN);
        let until = ends().filter(|end| now < *end).min().unwrap_or(Timestamp::MAX);
        (self.in_state(KeyState::Trusted, now, denied), from..until)
    }

    /// The keys that would verify tokens at `now` if they were not denied.
    pub(super) fn denied(&self, now: Timestamp, denied: &Denied) -> KeySet {
        self.in_state(KeyState::Denied, now, denied)
    }

    fn in_state(&self, wanted: KeyState, now: Timestamp, denied: &Denied) -> KeySet {
        let live = self.live(now, denied).filter(|(_, state)| *state == wanted);
        KeySet::from_keys(live.map(|(held, _)| Arc::clone(&held.key)))
    }

    /// The keys that have not ended at `now`, and what becomes of each.
    pub(super) fn live(&self, now: Timestamp, denied: &Denied) -> impl Iterator<Item = (&HeldKey, KeyState)> {
        let denied: HashSet<KeyId> = denied.among(self.keys.iter().map(|held| &*held.key));
        let state = move |held: &HeldKey, others: &[HeldKey]| {
            let waits_for = |other: &HeldKey| {
                other.lives(now)
                    && other.arrival < held.arrival
                    && !denied.contains(other.key.id())
                    && other.conflicts_with(&held.key)
            };
            if denied.contains(held.key.id()) {
                KeyState::Denied
            } else if others.iter().any(waits_for) {
                KeyState::Waiting
            } else {
                KeyState::Trusted
            }
        };
        self.keys.iter().filter(move |held| held.lives(now)).map(move |held| (held, state(held, &self.keys)))
    }
}

/// What becomes of a key that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It verifies tokens.
    Trusted,
    /// It was published under the `kid` of another key, and waits until that one has expired.
    Waiting,
    /// An operator does not want it.
    Denied,
}

fn end(seen: Timestamp, keep: Keep) -> Option<Timestamp> {
    match keep {
        Keep::For(keep) => Some(seen.plus(keep)),
        Keep::WhileListed => None,
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
