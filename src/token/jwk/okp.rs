//! Ed25519 public keys (RFC 8037 section 2).

use aws_lc_rs::signature::{self as aws, ParsedPublicKey};
use jsonwebtoken::Algorithm;

use super::{SkipReason, members, parsed_key::ParsedKey};
use crate::token::json::Object;

/// 32 bytes. Bytes that are no point pass here and verify nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ed25519Key {
    pub(super) x: [u8; 32],
}

impl Ed25519Key {
    /// From `crv` and `x`; `None` if the JWK has no `x`.
    pub(super) fn from_members(jwk: &Object<'_>) -> Result<Option<Self>, SkipReason> {
        let Some(x) = members::bytes(jwk, "x")? else { return Ok(None) };
        match members::string(jwk, "crv")? {
            Some("Ed25519") => Self::new(&x).map(Some),
            Some(_) => Err(SkipReason::UnsupportedCurve),
            None => Err(SkipReason::MemberMissing),
        }
    }

    pub(super) fn new(x: &[u8]) -> Result<Self, SkipReason> {
        x.try_into().map(|x| Self { x }).map_err(|_| SkipReason::Ed25519Length)
    }

    /// The key, parsed for EdDSA if that is wanted.
    pub(super) fn parse(&self, wanted: impl Fn(Algorithm) -> bool) -> Result<Vec<ParsedKey>, SkipReason> {
        let key = ParsedPublicKey::new(&aws::ED25519, self.x).map_err(|_| SkipReason::Ed25519Length)?;
        Ok(if wanted(Algorithm::EdDSA) { vec![ParsedKey::new(Algorithm::EdDSA, key)] } else { Vec::new() })
    }
}
