//! Ed25519 public keys (RFC 8037 section 2).

use aws_lc_rs::signature::{self as aws, ParsedPublicKey};
use jsonwebtoken::Algorithm;

use super::{SkipReason, members, parsed_key::ParsedKey};
use crate::token::json::Object;

/// 32 bytes: `y`, least byte first, and the sign of `x` in the topmost bit (RFC 8032 section 5.1.2). A `y` that no point has passes
/// here and verifies nothing.
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
        self.check()?;
        let key = ParsedPublicKey::new(&aws::ED25519, self.x).map_err(|_| SkipReason::Ed25519Length)?;
        Ok(if wanted(Algorithm::EdDSA) { vec![ParsedKey::new(Algorithm::EdDSA, key)] } else { Vec::new() })
    }

    /// A key has one spelling, and is no point under which signatures can be made without the private half.
    fn check(&self) -> Result<(), SkipReason> {
        let mut y = self.x;
        y[31] &= 0x7f;
        if !y.iter().rev().lt(PRIME.iter().rev()) {
            return Err(SkipReason::Ed25519NotCanonical);
        }
        if SMALL_ORDER.contains(&y) { Err(SkipReason::Ed25519SmallOrder) } else { Ok(()) }
    }
}

/// 2^255 - 19: `y` is below it (RFC 8032 section 5.1.3, step 1).
const PRIME: [u8; 32] = ends_of(0xed, 0xff, 0x7f);

/// The `y` of the eight points whose order divides 8 (the cofactor): of order 4, 1, 2, and of order 8 the two solutions of
/// `d y^4 + 2 y^2 = 1`. The list is libsodium's (`ge25519_has_small_order`) without the spellings that are not canonical.
const SMALL_ORDER: [[u8; 32]; 5] = [
    ends_of(0, 0, 0),
    ends_of(1, 0, 0),
    ends_of(0xec, 0xff, 0x7f),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05,
        0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa,
        0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// 32 bytes that are alike but for the first and the last.
const fn ends_of(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::UnparsedPublicKey;

    use super::*;

    /// Each sign of `x`.
    fn signs(y: [u8; 32]) -> [[u8; 32]; 2] {
        let mut negative = y;
        negative[31] |= 0x80;
        [y, negative]
    }

    #[test]
    fn points_of_small_order_are_weak_and_refused() {
        // R is the neutral point and S is 0: where [k]A is the neutral point too, this is a signature, and nobody made it.
        let mut forged = [0; 64];
        forged[0] = 1;
        for key in SMALL_ORDER.into_iter().flat_map(signs) {
            assert_eq!(Ed25519Key { x: key }.parse(|_| true).unwrap_err(), SkipReason::Ed25519SmallOrder, "{key:x?}");
        }
        for key in SMALL_ORDER {
            let verifies =
                |message: &u32| UnparsedPublicKey::new(&aws::ED25519, key).verify(&message.to_be_bytes(), &forged).is_ok();
            assert!((0..1000).any(|message| verifies(&message)), "{key:x?}");
        }
    }

    #[test]
    fn a_y_that_is_not_below_the_prime_is_refused() {
        for low in 0xed..=0xff {
            for key in signs(ends_of(low, 0xff, 0x7f)) {
                assert_eq!(Ed25519Key { x: key }.parse(|_| true).unwrap_err(), SkipReason::Ed25519NotCanonical, "{key:x?}");
            }
        }
        let mut largest = ends_of(0xeb, 0xff, 0x7f);
        assert!(Ed25519Key { x: largest }.check().is_ok());
        // A smaller high byte decides before the low ones do.
        (largest[0], largest[30]) = (0xff, 0xfe);
        assert!(Ed25519Key { x: largest }.check().is_ok());
    }
}
