//! RSA public keys (RFC 7518 section 6.3.1).

use aws_lc_rs::signature::{self as aws, RsaParameters, RsaPublicKeyComponents};
use jsonwebtoken::Algorithm;

use super::{SkipReason, members, parsed_key::ParsedKey};
use crate::token::json::Object;

/// An RSA public key, without leading zero bytes. Real providers write them; the cryptography refuses them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RsaKey {
    pub(super) modulus: Vec<u8>,
    pub(super) exponent: Vec<u8>,
}

impl RsaKey {
    pub(super) fn new(modulus: &[u8], exponent: &[u8]) -> Self {
        Self { modulus: without_leading_zeros(modulus), exponent: without_leading_zeros(exponent) }
    }

    /// From `n` and `e`; `None` if the JWK has neither.
    pub(super) fn from_members(jwk: &Object<'_>) -> Result<Option<Self>, SkipReason> {
        match (members::bytes(jwk, "n")?, members::bytes(jwk, "e")?) {
            (Some(modulus), Some(exponent)) => Ok(Some(Self::new(&modulus, &exponent))),
            (None, None) => Ok(None),
            _ => Err(SkipReason::MemberMissing),
        }
    }

    /// The key, parsed for each RSA algorithm in `wanted`.
    pub(super) fn parse(&self, wanted: impl Fn(Algorithm) -> bool) -> Result<Vec<ParsedKey>, SkipReason> {
        self.check()?;
        let components = RsaPublicKeyComponents { n: &self.modulus, e: &self.exponent };
        let algorithms = ALGORITHMS.iter().filter(|(algorithm, _)| wanted(*algorithm));
        algorithms
            .map(|(algorithm, parameters)| match components.to_parsed_public_key(parameters) {
                Ok(key) => Ok(ParsedKey::new(*algorithm, key)),
                Err(_) => Err(SkipReason::Malformed),
            })
            .collect()
    }

    fn check(&self) -> Result<(), SkipReason> {
        let bits = bit_length(&self.modulus);
        if bits < 2048 {
            return Err(SkipReason::RsaTooSmall);
        }
        if bits > 8192 {
            return Err(SkipReason::RsaTooLarge);
        }
        if is_even(&self.modulus) {
            return Err(SkipReason::RsaModulusEven);
        }
        // The least odd number of 17 bits is 65537.
        if !(17..=33).contains(&bit_length(&self.exponent)) || is_even(&self.exponent) {
            return Err(SkipReason::RsaExponent);
        }
        if has_roca_mark(&self.modulus) {
            return Err(SkipReason::RsaModulusWeak);
        }
        Ok(())
    }
}

fn without_leading_zeros(number: &[u8]) -> Vec<u8> {
    number.iter().copied().skip_while(|byte| *byte == 0).collect()
}

/// Bits of a number without leading zero bytes.
fn bit_length(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

fn is_even(number: &[u8]) -> bool {
    number.last().is_none_or(|last| last % 2 == 0)
}

/// Whether the modulus is a power of 65537 modulo each of these primes, as all that Infineon's generator made are (Nemec et al.,
/// "The Return of Coppersmith's Attack", section 2.3). Of the others, one in 2^27 has the mark by chance.
fn has_roca_mark(modulus: &[u8]) -> bool {
    const PRIMES: [u32; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
    PRIMES.iter().all(|prime| {
        let remainder = modulus.iter().fold(0, |remainder, byte| (remainder * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        loop {
            if power == remainder {
                return true;
            }
            power = power * 65537 % prime;
            if power == 1 {
                return false;
            }
        }
    })
}

const ALGORITHMS: [(Algorithm, &RsaParameters); 6] = [
    (Algorithm::RS256, &aws::RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::RS384, &aws::RSA_PKCS1_2048_8192_SHA384),
    (Algorithm::RS512, &aws::RSA_PKCS1_2048_8192_SHA512),
    (Algorithm::PS256, &aws::RSA_PSS_2048_8192_SHA256),
    (Algorithm::PS384, &aws::RSA_PSS_2048_8192_SHA384),
    (Algorithm::PS512, &aws::RSA_PSS_2048_8192_SHA512),
];
