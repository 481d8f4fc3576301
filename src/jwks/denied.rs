//! [`Denied`]: the keys that an operator does not want, whatever the provider says. Pure.

use std::collections::HashSet;

use crate::token::{KeyId, VerificationKey};

/// Most keys that are denied in memory; the config holds as many as its file.
const MOST_PURGED: usize = 256;

/// Names of keys: a `kid`, or the RFC 7638 thumbprint of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Denied {
    configured: Vec<String>,
    purged: Vec<String>,
}

impl Denied {
    /// What the config says.
    pub(super) fn configured(names: &[String]) -> Self {
        Self { configured: names.to_vec(), purged: Vec::new() }
    }

    /// Denies one more, until the process ends. `false`: so many are denied already that this one is not.
    pub(super) fn purge(&mut self, name: &str) -> bool {
        if self.names(name) {
            return true;
        }
        let has_room = self.purged.len() < MOST_PURGED;
        if has_room {
            self.purged.push(name.to_owned());
        }
        has_room
    }

    /// Takes over what was denied in memory.
    pub(super) fn inherit(&mut self, old: &Self) {
        for name in &old.purged {
            self.purge(name);
        }
    }

    /// Whether this very name is denied.
    pub(super) fn names(&self, name: &str) -> bool {
        self.configured.iter().chain(&self.purged).any(|denied| denied == name)
    }

    /// The denied ones of these keys. A key that is denied under one `kid` is denied under every other too.
    pub(super) fn among<'k>(&self, keys: impl Iterator<Item = &'k VerificationKey>) -> HashSet<KeyId> {
        if self.configured.is_empty() && self.purged.is_empty() {
            return HashSet::new();
        }
        let is_denied = |key: &&VerificationKey| key.kid().is_some_and(|kid| self.names(kid)) || self.names(&key.id().to_string());
        keys.filter(is_denied).map(|key| *key.id()).collect()
    }

    /// What the config says, and what was denied since.
    pub(super) fn lists(&self) -> (&[String], &[String]) {
        (&self.configured, &self.purged)
    }
}
