//! [`Purges`]: what operators have denied since the process began, across reloads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::KeyStore;
use crate::token::{KeyId, Timestamp};

/// Maximum number of names that are denied in memory for one issuer; the config holds as many as its file.
const MAX_NAMES: usize = 256;
/// Maximum number of keys that are known to have had such a name.
const MAX_KEYS: usize = 4096;

/// The names of the keys that are denied of one issuer, and the stores that must not trust them.
///
/// A reload makes a new store for an issuer whose settings have changed. Both stores are here from before the new one serves until the
/// old one is gone, so a purge reaches both, whichever it was asked of. The keys that had a denied name are denied of every issuer: a name
/// says nothing at another one, but a key is the same everywhere, also where a reload has given its issuer another name.
#[derive(Debug)]
pub struct Purges {
    /// Which of the lists.
    list: usize,
    all: Arc<Mutex<All>>,
}

#[derive(Debug, Default)]
struct All {
    lists: Vec<Vec<String>>,
    keys: Vec<KeyId>,
    stores: Vec<(usize, Weak<KeyStore>)>,
}

impl Default for Purges {
    /// Of the first issuer.
    fn default() -> Self {
        Self { list: 0, all: Arc::new(Mutex::new(All { lists: vec![Vec::new()], ..All::default() })) }
    }
}

impl Purges {
    /// Those of one more issuer of the process.
    pub fn of_another(&self) -> Self {
        let mut all = self.lock();
        all.lists.push(Vec::new());
        Self { list: all.lists.len() - 1, all: Arc::clone(&self.all) }
    }

    /// From here on the store trusts no key that has been denied, or will be.
    pub(super) fn bind(&self, store: &Arc<KeyStore>, now: Timestamp) {
        let mut all = self.lock();
        all.stores.retain(|(_, known)| known.strong_count() > 0);
        all.stores.push((self.list, Arc::downgrade(store)));
        all.deny(self.list, store, now);
    }

    /// Denies one more name, for `store` and for every store that is bound. `false`: so many are denied already that this one is not.
    ///
    /// When it returns, no store trusts the key.
    pub(super) fn add(&self, name: &str, store: &KeyStore, now: Timestamp) -> bool {
        let mut all = self.lock();
        let keys: Vec<_> = store.keys_named(name).into_iter().filter(|key| !all.keys.contains(key)).collect();
        if all.keys.len() + keys.len() > MAX_KEYS {
            return false;
        }
        let Some(names) = all.lists.get_mut(self.list) else { return false };
        if !names.iter().any(|known| known == name) {
            if names.len() >= MAX_NAMES {
                return false;
            }
            names.push(name.to_owned());
        }
        all.keys.extend(keys);
        all.deny(self.list, store, now);
        let stores = std::mem::take(&mut all.stores);
        let deny = |(list, store): &(usize, Weak<KeyStore>)| store.upgrade().inspect(|store| all.deny(*list, store, now)).is_some();
        let alive = stores.into_iter().filter(deny).collect();
        all.stores = alive;
        true
    }

    /// Nothing is left half done under this lock.
    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl All {
    fn deny(&self, list: usize, store: &KeyStore, now: Timestamp) {
        let names = self.lists.get(list).map(Vec::as_slice).unwrap_or_default();
        store.deny(names, &self.keys, now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::jwks::test_keys::set;

    const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

    #[test]
    fn so_many_keys_are_denied_and_no_more() {
        let purges = Purges::default();
        let store = KeyStore::new(1);
        let keys = set(&[("a", 0), ("b", 1)]);
        store.publish(0, &keys, NOW, Duration::from_secs(100));
        let other = *set(&[("c", 2)]).keys()[0].id();
        purges.lock().keys = vec![other; MAX_KEYS - 1];
        assert!(purges.add("a", &store, NOW));
        assert_eq!(purges.lock().keys.len(), MAX_KEYS);
        assert!(!purges.add("b", &store, NOW));
        assert!(purges.add("a", &store, NOW), "it is known already");
        assert_eq!(purges.lock().keys.len(), MAX_KEYS);
    }

    #[test]
    fn a_store_that_is_gone_is_forgotten() {
        let purges = Purges::default();
        for _ in 0..3 {
            purges.bind(&Arc::new(KeyStore::new(1)), NOW);
        }
        assert_eq!(purges.lock().stores.len(), 1);
    }
}
