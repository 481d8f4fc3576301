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
    bytes: &'a [u8],
}

impl<'a> BearerToken<'a> {
    /// Parses the compact serialization: size, three segments, strict base64url, the header's JSON and its forbidden members.
    pub fn parse(_bytes: &'a [u8], _limits: &TokenLimits) -> Result<Self, Rejection> {
        todo!()
    }

    /// The `alg` of the header, as it stands there.
    pub fn algorithm(&self) -> &str {
        todo!()
    }

    /// The `kid` of the header.
    pub fn key_id(&self) -> Option<&str> {
        todo!()
    }

    /// The `x5t` of the header: an opaque id for tokens without `kid`.
    pub fn x5t(&self) -> Option<&str> {
        todo!()
    }

    /// The `x5t#S256` of the header: an opaque id for tokens without `kid`.
    pub fn x5t_s256(&self) -> Option<&str> {
        todo!()
    }

    /// The `typ` of the header.
    pub fn media_type(&self) -> Option<&str> {
        todo!()
    }

    /// Whether the header has a member `nonce`, as tokens for Microsoft Graph have.
    pub fn has_header_nonce(&self) -> bool {
        todo!()
    }

    /// The decoded payload.
    pub fn payload(&self) -> &[u8] {
        todo!()
    }

    /// What the signature covers: both first segments and the dot between them.
    pub fn signed_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The decoded signature. A `Vec`, since that is what `JwtVerifier` takes.
    pub fn signature(&self) -> &Vec<u8> {
        todo!()
    }
}
