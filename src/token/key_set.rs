//! [`KeySet`]: the trusted keys of one issuer.

use std::sync::Arc;

use jsonwebtoken::Algorithm;

use crate::token::{BearerToken, KeyId, Rejection, SkipReason, VerificationKey};

/// Bounds on a key set document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySetLimits {
    /// Most bytes of the document. Default 512 KiB.
    pub bytes: usize,
    /// Most keys in it. Default 256.
    pub keys: usize,
}

impl Default for KeySetLimits {
    fn default() -> Self {
        Self { bytes: 512 * 1024, keys: 256 }
    }
}

/// A document that is no key set at all, or one without a usable key.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// Not a JSON object with an array `keys`.
    #[error("not a key set: {0}")]
    Malformed(String),
    /// No key of the set can be used.
    #[error("no usable key among {skipped}")]
    NoUsableKey {
        /// How many keys were skipped.
        skipped: usize,
    },
}

/// A key that was passed over, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its `kid`, if it has one.
    pub kid: Option<String>,
    /// Why.
    pub reason: SkipReason,
}

/// The keys of one issuer, found by `kid`.
#[derive(Debug, Default)]
pub struct KeySet {
    _keys: Vec<Arc<VerificationKey>>,
}

impl KeySet {
    /// Parses a JWKS document key by key: one odd key never costs the others.
    pub fn parse(_document: &[u8], _limits: &KeySetLimits) -> Result<Self, KeySetError> {
        todo!()
    }

    /// A set of these keys.
    pub fn from_keys(_keys: impl IntoIterator<Item = Arc<VerificationKey>>) -> Self {
        todo!()
    }

    /// The key that a token names by `kid`, or by `x5t` where it has no `kid`, for this algorithm.
    pub fn find(&self, _bearer: &BearerToken<'_>, _algorithm: Algorithm) -> Result<&Arc<VerificationKey>, Rejection> {
        todo!()
    }

    /// The keys, in the order of the document.
    pub fn keys(&self) -> &[Arc<VerificationKey>] {
        todo!()
    }

    /// The keys that were passed over.
    pub fn skipped(&self) -> &[SkippedKey] {
        todo!()
    }

    /// Whether the set holds this very key.
    pub fn contains(&self, _id: &KeyId) -> bool {
        todo!()
    }
}
