//! [`Issuer`]: an issuer whose tokens the exchange accepts, with the number of its rules, which tells whether a cached identity
//! is up to date.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwapOption;

use super::IssuerKeys;
use crate::{
    jwks::KeyStore,
    token::{IssuerRule, TrustedIssuer},
};

/// One issuer in use.
#[derive(Debug)]
pub(super) struct Issuer {
    /// Unique for these rules: an identity that has it was made by them.
    pub(super) id: u64,
    pub(super) keys: Arc<KeyStore>,
    configured: Arc<TrustedIssuer>,
    /// With what the discovery documents said; for [`IssuerRule::Discovered`] only.
    discovered: ArcSwapOption<TrustedIssuer>,
}

impl Issuer {
    pub(super) fn new(IssuerKeys { issuer, keys }: IssuerKeys) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let id = LAST.fetch_add(1, Ordering::Relaxed);
        Self { id, keys, configured: Arc::new(issuer), discovered: ArcSwapOption::empty() }
    }

    /// The same rules with a store that may be another.
    pub(super) fn with_keys(&self, IssuerKeys { keys, .. }: IssuerKeys) -> Self {
        Self { id: self.id, keys, configured: Arc::clone(&self.configured), discovered: ArcSwapOption::empty() }
    }

    /// Whether this issuer has the rules of that one, what was discovered included.
    pub(super) fn rules_equal(&self, other: &IssuerKeys) -> bool {
        self.configured.settings() == other.issuer.settings()
            && (!self.is_discovered() || self.keys.discovered_issuers() == other.keys.discovered_issuers())
    }

    /// The rules that hold now.
    pub(super) fn trusted(&self) -> Arc<TrustedIssuer> {
        if !self.is_discovered() {
            return Arc::clone(&self.configured);
        }
        let issuers: Vec<String> = self.keys.discovered_issuers().iter().map(ToString::to_string).collect();
        let known = self.discovered.load_full();
        match known.filter(|known| known.settings().issuer == IssuerRule::Exact(issuers.clone())) {
            Some(known) => known,
            None if issuers.is_empty() => Arc::clone(&self.configured),
            None => {
                let discovered = Arc::new(self.configured.discovered(issuers));
                self.discovered.store(Some(Arc::clone(&discovered)));
                discovered
            }
        }
    }

    fn is_discovered(&self) -> bool {
        self.configured.settings().issuer == IssuerRule::Discovered
    }
}
