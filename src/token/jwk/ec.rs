//! Elliptic curve public keys on P-256 and P-384 (RFC 7518 section 6.2.1).

use aws_lc_rs::signature::{self as aws, EcdsaVerificationAlgorithm, ParsedPublicKey};
use jsonwebtoken::Algorithm;

use super::{SkipReason, members, parsed_key::ParsedKey};
use crate::token::json::Object;

/// The curves that [`Algorithm`] has a signature for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
}

impl Curve {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "P-256" => Some(Self::P256),
            "P-384" => Some(Self::P384),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
        }
    }

    /// Bytes of a coordinate.
    fn coordinate_length(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    /// JOSE signatures are `r || s`, not DER (RFC 7518 section 3.4).
    fn algorithm(self) -> (Algorithm, &'static EcdsaVerificationAlgorithm) {
        match self {
            Self::P256 => (Algorithm::ES256, &aws::ECDSA_P256_SHA256_FIXED),
            Self::P384 => (Algorithm::ES384, &aws::ECDSA_P384_SHA384_FIXED),
        }
    }
}

/// An uncompressed point.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EcKey {
    pub(super) curve: Curve,
    pub(super) x: Vec<u8>,
    pub(super) y: Vec<u8>,
}

impl EcKey {
    /// From `crv`, `x` and `y`; `None` if the JWK has no coordinates.
    pub(super) fn from_members(jwk: &Object<'_>) -> Result<Option<Self>, SkipReason> {
        let (x, y) = match (members::bytes(jwk, "x")?, members::bytes(jwk, "y")?) {
            (Some(x), Some(y)) => (x, y),
            (None, None) => return Ok(None),
            _ => return Err(SkipReason::MemberMissing),
        };
        let curve = members::string(jwk, "crv")?.ok_or(SkipReason::MemberMissing)?;
        let curve = Curve::from_name(curve).ok_or(SkipReason::UnsupportedCurve)?;
        Self::new(curve, x, y).map(Some)
    }

    /// From `0x04 || x || y` (SEC 1 section 2.3.3), as certificates hold it.
    pub(super) fn from_point(curve: Curve, point: &[u8]) -> Result<Self, SkipReason> {
        let coordinates = point.strip_prefix(&[4]).ok_or(SkipReason::EcPointInvalid)?;
        let (x, y) = coordinates.split_at_checked(curve.coordinate_length()).ok_or(SkipReason::EcPointLength)?;
        Self::new(curve, x.to_vec(), y.to_vec())
    }

    fn new(curve: Curve, x: Vec<u8>, y: Vec<u8>) -> Result<Self, SkipReason> {
        let length = curve.coordinate_length();
        if x.len() == length && y.len() == length { Ok(Self { curve, x, y }) } else { Err(SkipReason::EcPointLength) }
    }

    /// The key, parsed for its curve's algorithm if that is wanted. Parsing proves that the point lies on the curve.
    pub(super) fn parse(&self, wanted: impl Fn(Algorithm) -> bool) -> Result<Vec<ParsedKey>, SkipReason> {
        let (algorithm, parameters) = self.curve.algorithm();
        let point = [&[4], self.x.as_slice(), self.y.as_slice()].concat();
        let key = ParsedPublicKey::new(parameters, point).map_err(|_| SkipReason::EcPointInvalid)?;
        Ok(if wanted(algorithm) { vec![ParsedKey::new(algorithm, key)] } else { Vec::new() })
    }
}
