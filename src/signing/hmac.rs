//! [`HmacSigner`]: a secret shared with the backend.

use std::fmt;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use jsonwebtoken::{
    Algorithm,
    crypto::JwtSigner,
    signature::{self, Signer},
};

use crate::token::TokenSigner;

/// Shortest secret for HS256 (RFC 7518 section 3.2). Bytes.
pub(super) const MIN_BYTES: usize = 32;

/// Signs with HMAC-SHA256. Anyone who can verify can mint.
pub(super) struct HmacSigner(Key);

impl HmacSigner {
    /// None if the secret has less than 32 bytes.
    pub(super) fn new(secret: &[u8]) -> Option<Self> {
        (secret.len() >= MIN_BYTES).then(|| Self(Key::new(HMAC_SHA256, secret)))
    }
}

impl Signer<Vec<u8>> for HmacSigner {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(sign(&self.0, message).as_ref().to_vec())
    }
}

impl JwtSigner for HmacSigner {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl TokenSigner for HmacSigner {
    /// None: a digest of the secret would help to guess it.
    fn thumbprint(&self) -> Option<&str> {
        None
    }
}

impl fmt::Debug for HmacSigner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("HmacSigner").finish_non_exhaustive()
    }
}
