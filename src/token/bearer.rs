//! Bytes to [`BearerToken`]: a strict compact JWS (RFC 7515 section 7.1), before any cryptography.

use crate::token::Rejection;

/// How large the parts of a client's token may be. Bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenLimits {
    /// The whole token. Default 16 KiB; 1 KiB to 64 KiB.
    pub token: usize,
    /// The decoded header. Default 4 KiB; 256 B to 16 KiB.
    pub header: usize,
    /// The key id in the header. Default 512 B; 64 B to 4 KiB.
    pub kid: usize,
}

impl Default for TokenLimits {
    fn default() -> Self {
        Self { token: 16 * 1024, header: 4 * 1024, kid: 512 }
    }
}

/// A client's token: well formed, unverified.
#[derive(Debug)]
pub struct BearerToken<'a> {
    _bytes: &'a [u8],
}

impl<'a> BearerToken<'a> {
    /// Parses the compact serialization.
    pub fn parse(_bytes: &'a [u8], _limits: &TokenLimits) -> Result<Self, Rejection> {
        todo!()
    }

    /// The `iss` claim, unverified: good for choosing the issuer, for nothing else.
    pub fn unverified_issuer(&self) -> Option<&str> {
        todo!()
    }

    /// The `kid` of the header.
    pub fn key_id(&self) -> Option<&str> {
        todo!()
    }
}
