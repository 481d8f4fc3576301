//! [`KeyStore`]: the cell that holds an issuer's trusted keys.

use std::{
    collections::HashSet,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};

use super::{
    JwksSettings,
    demand::{Demand, KeysAwaited},
    denied::Denied,
    merge::{Conflict, HeldKeys, Keep},
    purges::Purges,
};
use crate::{
    metrics::IntCounter,
    token::{IssuerRule, KeyId, KeySet, Timestamp},
};

/// The trusted keys of one issuer, swapped whole by the refresh task and loaded by every request.
///
/// A key that has not been seen for too long ends at its time, whether or not the provider answers: whoever loads the keys after that
/// moment no longer finds it.
#[derive(Debug)]
pub struct KeyStore {
    current: ArcSwap<Published>,
    pub(super) demand: Demand,
    purges: Arc<Purges>,
    /// Which issuer the discovery documents ought to name.
    pub(super) expected: ArcSwapOption<IssuerRule>,
    /// The wrong ones that were logged.
    pub(super) told_misnamed: ArcSwap<Vec<Arc<str>>>,
    /// Why the snapshot could not be written last; none: it was, or there is none.
    snapshot_error: ArcSwapOption<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Published {
    pub(super) held: HeldKeys,
    pub(super) denied: Denied,
    trusted: Arc<KeySet>,
    /// The held keys that an operator does not want.
    untrusted: Arc<KeySet>,
    /// When `trusted` is right: between two ends of keys. A clock that jumps forward and back finds the keys again.
    valid: Range<Timestamp>,
    generation: u64,
    pub(super) answers: Box<[Answer]>,
}

/// What a source last answered with success.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    /// When it was asked.
    pub(super) asked: Option<Timestamp>,
    /// The `kid`s of its usable keys.
    kids: Arc<HashSet<Box<str>>>,
    /// The issuer that its discovery document named first.
    pub(super) issuer: Option<Arc<str>>,
    /// The issuer that it named last, or a template of issuers.
    pub(super) named: Option<Arc<str>>,
}

/// What a fetched set changed.
#[derive(Debug)]
pub(crate) struct Merged {
    pub(crate) changed: bool,
    pub(crate) conflicts: Vec<Conflict>,
}

impl KeyStore {
    /// A store without keys, for sources at these places. What is purged of it is purged of every store that is bound to `purges`.
    pub(super) fn for_sources(
        places: Vec<String>,
        settings: &JwksSettings,
        suppressed: Option<IntCounter>,
        purges: Arc<Purges>,
    ) -> Self {
        Self {
            current: ArcSwap::from_pointee(Published {
                held: HeldKeys::default(),
                denied: Denied::configured(&settings.deny_kids),
                trusted: Arc::default(),
                untrusted: Arc::default(),
                valid: Timestamp::MIN..Timestamp::MAX,
                generation: next_generation(),
                answers: vec![Answer::default(); places.len()].into(),
            }),
            demand: Demand::new(places, &settings.unknown_kid, suppressed),
            purges,
            expected: ArcSwapOption::empty(),
            told_misnamed: ArcSwap::default(),
            snapshot_error: ArcSwapOption::empty(),
        }
    }

    /// The keys that verify tokens at `now`; empty until the first fetch succeeded and after the last key has expired.
    pub fn load(&self, now: Timestamp) -> Arc<KeySet> {
        self.with_current(now, |current| Arc::clone(&current.trusted))
    }

    /// A number that changes whenever the set of trusted keys does, and that no other store has. Costs a few nanoseconds.
    ///
    /// Read before [`load`](Self::load), it is never newer than the keys loaded.
    pub fn generation(&self, now: Timestamp) -> u64 {
        self.with_current(now, |current| current.generation)
    }

    /// Whether there are keys to verify with.
    pub fn is_ready(&self, now: Timestamp) -> bool {
        self.with_current(now, |current| !current.trusted.keys().is_empty())
    }

    /// Whether each source has been asked, with whatever outcome.
    pub fn was_tried(&self) -> bool {
        self.demand.was_tried()
    }

    /// When the keys were last fetched, of several sources the one that was fetched longest ago; none until each was fetched once.
    pub fn last_success(&self) -> Option<Timestamp> {
        self.current.load().answers.iter().map(|answer| answer.asked).min().flatten()
    }

    /// How old the keys are: the time since [`last_success`](Self::last_success).
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        self.last_success().map(|success| now.since(success))
    }

    /// A token names a key that is not here. Joins the fetch that is in progress, or has one started if the budget allows.
    pub fn miss(&self, now: Timestamp) -> KeysAwaited<'_> {
        self.demand.miss(now)
    }

    /// Whether every source was asked at `since` or later and published no key with this `kid`. What was asked long after `now`, the time
    /// of a request that may have waited for it, was asked by a clock that has been set back since: nobody knows when.
    pub fn was_answered_without(&self, kid: Option<&str>, since: Timestamp, now: Timestamp) -> bool {
        /// Longer than a request waits.
        const WAITED: Duration = Duration::from_secs(60);
        let lacks = |answer: &Answer| kid.is_none_or(|kid| !answer.kids.contains(kid));
        let is_in_time = |answer: &Answer| answer.asked.is_some_and(|asked| since <= asked && asked <= now.plus(WAITED));
        self.current.load().answers.iter().all(|answer| is_in_time(answer) && lacks(answer))
    }

    /// The keys that would verify tokens at `now` if an operator did not deny them, by whatever name.
    pub fn denied(&self, now: Timestamp) -> Arc<KeySet> {
        self.with_current(now, |current| Arc::clone(&current.untrusted))
    }

    /// Whether an operator denies keys of this name.
    pub fn denies(&self, kid: &str) -> bool {
        self.current.load().denied.names(kid)
    }

    /// Denies a key by its `kid`, or by its RFC 7638 thumbprint, until the process ends. What it verified before is not used again.
    ///
    /// Returns how many keys that took away; none if too many are denied already.
    pub fn purge(&self, name: &str, now: Timestamp) -> Option<usize> {
        let before = self.load(now);
        let is_denied = self.purges.add(name, self, now);
        // One that waited may have come instead of one that is gone.
        let after = self.load(now);
        is_denied.then(|| before.missing_from(&after))
    }

    /// The keys that are held under this name.
    pub(super) fn keys_named(&self, name: &str) -> Vec<KeyId> {
        self.current.load().held.named(name)
    }

    /// Trusts no key of these names and none of these keys, beside those that the config denies.
    pub(super) fn deny(&self, names: &[String], keys: &[KeyId], now: Timestamp) {
        self.current.rcu(|current| {
            let denied = current.denied.clone().purged(names, keys);
            Arc::new(Published { denied, ..(**current).clone() }.at(now))
        });
    }

    /// Has every source fetched now and waits until each has been, `most` at the longest.
    pub async fn refresh(&self, most: Duration) {
        self.demand.refresh(most).await;
    }

    /// The `iss` values that the discovery documents named when they were first fetched. A later document changes nothing.
    pub fn discovered_issuers(&self) -> Vec<Arc<str>> {
        let mut issuers: Vec<_> = self.current.load().answers.iter().filter_map(|answer| answer.issuer.clone()).collect();
        issuers.sort();
        issuers.dedup();
        issuers
    }

    /// Remembers what a discovery document says of its issuer, unless it said something before; that is returned.
    pub(crate) fn discover(&self, source: usize, issuer: &Arc<str>) -> Option<Arc<str>> {
        let mut known = None;
        self.change_answer(source, |answer| {
            known.clone_from(&answer.issuer);
            answer.issuer.get_or_insert_with(|| Arc::clone(issuer));
        });
        known
    }

    pub(super) fn change_answer(&self, source: usize, mut change: impl FnMut(&mut Answer)) {
        self.current.rcu(|current| {
            let mut next = (**current).clone();
            if let Some(answer) = next.answers.get_mut(source) {
                change(answer);
            }
            next
        });
    }

    /// Adds the keys that a source was found to publish when it was asked at `now`.
    pub(super) fn merge(&self, source: usize, fetched: &KeySet, now: Timestamp, keep: Keep) -> Merged {
        let mut conflicts = Vec::new();
        let mut changed = false;
        let kids = Arc::new(fetched.keys().iter().filter_map(|key| key.kid().map(Into::into)).collect());
        self.current.rcu(|current| {
            let (held, new_conflicts) = current.held.merge(source, fetched, now, keep);
            let mut next = Published { held, ..(**current).clone() }.at(now);
            // One task asks a source, so this answer is the latest, also where the clock was set back.
            if let Some(answer) = next.answers.get_mut(source) {
                answer.asked = Some(now);
                answer.kids = Arc::clone(&kids);
            }
            conflicts = new_conflicts;
            changed = next.generation != current.generation;
            next
        });
        Merged { changed, conflicts }
    }

    /// Replaces what is held, as at the start from a snapshot.
    pub(super) fn restore(&self, held: HeldKeys, now: Timestamp) {
        self.current.rcu(|current| Published { held: held.clone(), ..(**current).clone() }.at(now));
    }

    /// Takes over from the store that had this issuer's keys before: the keys of the sources that are still there, and what they last
    /// answered. `renumber` gives the number of a source there its number here.
    pub(super) fn inherit(&self, old: &Self, now: Timestamp, renumber: impl Fn(usize) -> Option<(usize, Keep)>) {
        let before = old.published();
        self.current.rcu(|current| {
            let mut next = (**current).clone();
            next.held = before.held.under(&renumber);
            for (index, answer) in before.answers.iter().enumerate() {
                if let Some(place) = renumber(index).and_then(|(index, _)| next.answers.get_mut(index)) {
                    *place = answer.clone();
                }
            }
            next.at(now)
        });
        self.demand.inherit(&old.demand);
    }

    /// Records whether writing the snapshot failed, and why.
    pub(super) fn note_snapshot(&self, error: Option<String>) {
        self.snapshot_error.store(error.map(Arc::new));
    }

    /// Why the snapshot could not be written last.
    pub(super) fn snapshot_error(&self) -> Option<String> {
        self.snapshot_error.load().as_deref().cloned()
    }

    pub(super) fn published(&self) -> Arc<Published> {
        self.current.load_full()
    }

    fn with_current<T>(&self, now: Timestamp, read: impl Fn(&Published) -> T) -> T {
        let current = self.current.load();
        if current.valid.contains(&now) {
            return read(&current);
        }
        drop(current);
        self.current.rcu(
            |current| {
                if current.valid.contains(&now) { Arc::clone(current) } else { Arc::new((**current).clone().at(now)) }
            },
        );
        read(&self.current.load())
    }
}

#[cfg(test)]
impl KeyStore {
    /// A store without fetches: an unknown `kid` causes no fetch and does not wait.
    pub(crate) fn new(sources: usize) -> Self {
        let unknown_kid = super::UnknownKidSettings { budget: 0, ..super::UnknownKidSettings::default() };
        let settings = JwksSettings { unknown_kid, ..JwksSettings::new(Vec::new()) };
        Self::for_sources((0..sources).map(|number| number.to_string()).collect(), &settings, None, Arc::default())
    }

    /// Adds the keys that a source was found to publish.
    pub(crate) fn publish(&self, source: usize, fetched: &KeySet, now: Timestamp, keep: Duration) -> Merged {
        self.merge(source, fetched, now, Keep::For(keep))
    }
}

impl Published {
    /// The same with the keys that verify at `now`, and a new generation if those are others.
    fn at(self, now: Timestamp) -> Self {
        let (trusted, valid) = self.held.trusted(now, &self.denied);
        let changed = trusted.keys().len() != self.trusted.keys().len()
            || trusted.keys().iter().any(|key| !self.trusted.keys().iter().any(|old| old.is_equal_to(key)));
        let generation = if changed { next_generation() } else { self.generation };
        let untrusted = Arc::new(self.held.denied(now, &self.denied));
        Self { trusted: Arc::new(trusted), untrusted, valid, generation, ..self }
    }
}

/// Unique in the process, so that what was found in one store is never taken for what is in another.
fn next_generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
#[path = "key_store_tests.rs"]
mod tests;
