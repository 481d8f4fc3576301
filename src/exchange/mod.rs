//! Bearer token in, admitted identity and user token out, at full speed.
//!
//! Two layers: the verified identity is found by the SHA-256 of the whole token; the minted header values hang on it, one per
//! minting profile, so that a token minted for one backend can never reach another.

mod signing_pool;

use std::{sync::Arc, time::Duration};

use http::HeaderValue;
pub use signing_pool::{SigningPool, SigningRefused};

use crate::token::{Rejection, Timestamp, VerifiedToken};

/// Bounds of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// Most identities. Default 100,000.
    pub entries: usize,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self { entries: 100_000 }
    }
}

/// Which minting profile: an index into the profiles the exchange was built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProfileId(pub(crate) usize);

/// A verified identity, as the cache holds it.
#[derive(Debug)]
pub struct Identity {
    _verified: VerifiedToken,
}

impl Identity {
    /// What was verified.
    pub fn verified(&self) -> &VerifiedToken {
        todo!()
    }
}

/// A request may go upstream, with this user token. Only the exchange makes one.
#[derive(Clone, Debug)]
pub struct Admission {
    _private: (),
}

impl Admission {
    /// `Bearer <user token>`, marked as sensitive.
    pub fn authorization(&self) -> &HeaderValue {
        todo!()
    }

    /// When it ends, and with it the sockets and feeds that rest on it.
    pub fn end(&self) -> Timestamp {
        todo!()
    }
}

/// Exchanges bearer tokens for user tokens.
#[derive(Debug)]
pub struct Exchange {}

impl Exchange {
    /// Hot: one digest, one look-up, a few compares. Miss: the token is verified, once however many requests bring it.
    pub async fn identify(&self, _token: &[u8], _now: Timestamp) -> Result<Arc<Identity>, Rejection> {
        todo!()
    }

    /// Hot: a prepared header value. Miss: the token is minted, off the event loop. Call only after the permission was checked.
    pub async fn admit(&self, _identity: &Arc<Identity>, _profile: ProfileId, _now: Timestamp) -> Result<Admission, Rejection> {
        todo!()
    }

    /// How long a signature may take before the request is refused.
    pub const SIGNING_TIMEOUT: Duration = Duration::from_secs(10);
}
