//! [`KeyStore`]: the cell that holds an issuer's trusted keys.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::token::KeySet;

/// The trusted keys of one issuer, swapped whole by the refresh task and loaded by every request.
#[derive(Debug)]
pub struct KeyStore {
    _current: ArcSwap<KeySet>,
}

impl KeyStore {
    /// The keys as they are now; empty until the first fetch succeeded.
    pub fn load(&self) -> Arc<KeySet> {
        todo!()
    }

    /// Whether a fetch has ever succeeded and keys are there.
    pub fn is_ready(&self) -> bool {
        todo!()
    }
}
