//! [`Purges`]: what an operator has denied of one issuer since the process began, whatever reloads come between.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::KeyStore;
use crate::token::Timestamp;

/// Most keys that are denied in memory; the config holds as many as its file.
const MOST: usize = 256;

/// The names of denied keys, and the stores that must not trust them.
///
/// A reload makes a new store for an issuer whose settings have changed. Both stores are here from before the new one serves until the
/// old one is gone, so a purge reaches both, whichever it was asked of.
#[derive(Debug, Default)]
pub struct Purges(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    names: Vec<String>,
    stores: Vec<Weak<KeyStore>>,
}

impl Purges {
    /// From here on the store trusts no key that has been denied, or will be.
    pub(super) fn bind(&self, store: &Arc<KeyStore>, now: Timestamp) {
        let mut state = self.lock();
        state.stores.retain(|known| known.strong_count() > 0);
        state.stores.push(Arc::downgrade(store));
        store.deny(&state.names, now);
    }

    /// Denies one more name, for `store` and for every store that is bound. `false`: so many are denied already that this one is not.
    ///
    /// When it returns, no store trusts the key.
    pub(super) fn add(&self, name: &str, store: &KeyStore, now: Timestamp) -> bool {
        let mut state = self.lock();
        let State { names, stores } = &mut *state;
        if !names.iter().any(|known| known == name) {
            if names.len() >= MOST {
                return false;
            }
            names.push(name.to_owned());
        }
        store.deny(names, now);
        stores.retain(|known| known.upgrade().inspect(|store| store.deny(names, now)).is_some());
        true
    }

    /// Nothing is left half done under this lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
