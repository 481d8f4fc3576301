//! [`Denied`]: the keys that an operator denies, whatever the provider publishes. Pure.

use std::collections::HashSet;

use crate::token::{KeyId, VerificationKey};

/// Names of keys: a `kid`, or the RFC 7638 thumbprint of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Denied {
    configured: Vec<String>,
    purged: Vec<String>,
    /// Those that had such a name, here or at another issuer.
    keys: HashSet<KeyId>,
}

impl Denied {
    /// What the config says.
    pub(super) fn configured(names: &[String]) -> Self {
        Self { configured: names.to_vec(), ..Self::default() }
    }

    /// The same, with these names and keys denied in memory.
    pub(super) fn purged(self, names: &[String], keys: &[KeyId]) -> Self {
        Self { purged: names.to_vec(), keys: keys.iter().copied().collect(), ..self }
    }

    /// Whether this very name is denied.
    pub(super) fn names(&self, name: &str) -> bool {
        self.configured.iter().chain(&self.purged).any(|denied| denied == name)
    }

    /// The denied ones of these keys. A key that is denied under one `kid` is denied under every other too.
    pub(super) fn among<'k>(&self, keys: impl Iterator<Item = &'k VerificationKey>) -> HashSet<KeyId> {
        if self.configured.is_empty() && self.purged.is_empty() && self.keys.is_empty() {
            return HashSet::new();
        }
        let is_denied = |key: &&VerificationKey| {
            self.keys.contains(key.id()) || key.kid().is_some_and(|kid| self.names(kid)) || self.names(&key.id().to_string())
        };
        keys.filter(is_denied).map(|key| *key.id()).collect()
    }

    /// What the config says, and what was denied since.
    pub(super) fn lists(&self) -> (&[String], &[String]) {
        (&self.configured, &self.purged)
    }
}
