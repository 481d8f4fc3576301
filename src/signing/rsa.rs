//! [`RsaSigner`]: an RSA key, parsed once, that signs.

use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    error::KeyRejected,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{self as algorithms, KeyPair, RsaEncoding, RsaKeyPair},
};
use der::{AnyRef, Decode, SliceReader};
use jsonwebtoken::{
    Algorithm,
    crypto::JwtSigner,
    signature::{self, Signer},
};
use pkcs8::PrivateKeyInfoRef;

use crate::{
    signing::{KeyProblem, PublicKey, SigningError, content::PrivateKeyDer, pss::RSASSA_PSS, public_key::base64url},
    token::TokenSigner,
};

/// A signature with a longer key takes tens of milliseconds.
const MAX_BITS: usize = 4096;

/// Signs with RSASSA-PKCS1-v1_5 or RSASSA-PSS (salt as long as the digest, RFC 7518 section 3.5). The library keeps the key and
/// overwrites it when dropped.
pub(super) struct RsaSigner {
    key: RsaKeyPair,
    algorithm: Algorithm,
    encoding: &'static dyn RsaEncoding,
    public: PublicKey,
}

impl RsaSigner {
    /// Refuses less than 2048 and more than 4096 bits.
    pub(super) fn parse(key: &PrivateKeyDer, algorithm: Algorithm) -> Result<Self, KeyProblem> {
        if has_many_primes(key) {
            return Err(KeyProblem::ManyPrimes);
        }
        let key = match key {
            PrivateKeyDer::Pkcs8(der) => from_pkcs8(der),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der),
            PrivateKeyDer::Sec1(_) => return Err(KeyProblem::KeyType("EC".to_owned())),
        };
        let key = key.map_err(KeyProblem::Rejected)?;
        let bits = key.public_modulus_len() * 8;
        if bits > MAX_BITS {
            return Err(KeyProblem::TooLong(bits));
        }
        let encoding = encoding(algorithm).ok_or_else(|| KeyProblem::KeyType("RSA".to_owned()))?;
        let public = public_key(&key, algorithm)?;
        Ok(Self { key, algorithm, encoding, public })
    }

    pub(super) fn public(&self) -> &PublicKey {
        &self.public
    }
}

impl Signer<Vec<u8>> for RsaSigner {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(self.encoding, &SystemRandom::new(), message, &mut signature).map_err(signature::Error::from_source)?;
        Ok(signature)
    }
}

impl JwtSigner for RsaSigner {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl TokenSigner for RsaSigner {
    fn thumbprint(&self) -> Option<&str> {
        Some(self.public.thumbprint())
    }
}

impl fmt::Debug for RsaSigner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("RsaSigner").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// A new private key of 2048, 3072 or 4096 bits as PKCS#8; overwritten when dropped.
pub(super) fn generate(bits: u32) -> Result<Pkcs8V1Der<'static>, SigningError> {
    let size = match bits {
        2048 => KeySize::Rsa2048,
        3072 => KeySize::Rsa3072,
        4096 => KeySize::Rsa4096,
        _ => return Err(SigningError::Bits { family: "RSA", bits, accepted: "2048, 3072 or 4096" }),
    };
    RsaKeyPair::generate(size).and_then(|key| key.as_der()).map_err(|_| SigningError::Generation)
}

/// The library does not support PSS-only keys; their content is the same (RFC 4055 section 1.2).
fn from_pkcs8(der: &[u8]) -> Result<RsaKeyPair, KeyRejected> {
    match PrivateKeyInfoRef::try_from(der) {
        Ok(key) if key.algorithm.oid == RSASSA_PSS => RsaKeyPair::from_der(key.private_key.as_bytes()),
        _ => RsaKeyPair::from_pkcs8(der),
    }
}

/// Whether the version of `RSAPrivateKey` says so: 1 instead of 0 (RFC 8017 appendix A.1.2).
fn has_many_primes(key: &PrivateKeyDer) -> bool {
    let version = |der: &[u8]| {
        let whole = AnyRef::from_der(der).ok()?;
        AnyRef::decode(&mut SliceReader::new(whole.value()).ok()?).ok()?.decode_as::<u8>().ok()
    };
    let version = match key {
        PrivateKeyDer::Pkcs8(der) => {
            PrivateKeyInfoRef::try_from(der.as_slice()).ok().and_then(|key| version(key.private_key.as_bytes()))
        }
        PrivateKeyDer::Pkcs1(der) => version(der),
        PrivateKeyDer::Sec1(_) => None,
    };
    version == Some(1)
}

fn encoding(algorithm: Algorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        Algorithm::RS256 => &algorithms::RSA_PKCS1_SHA256,
        Algorithm::RS384 => &algorithms::RSA_PKCS1_SHA384,
        Algorithm::RS512 => &algorithms::RSA_PKCS1_SHA512,
        Algorithm::PS256 => &algorithms::RSA_PSS_SHA256,
        Algorithm::PS384 => &algorithms::RSA_PSS_SHA384,
        Algorithm::PS512 => &algorithms::RSA_PSS_SHA512,
        _ => return None,
    })
}

fn public_key(key: &RsaKeyPair, algorithm: Algorithm) -> Result<PublicKey, KeyProblem> {
    let public = key.public_key();
    let spki: PublicKeyX509Der<'_> = public.as_der().map_err(|error| KeyProblem::Damaged(error.to_string()))?;
    let [n, e] = [public.modulus(), public.exponent()].map(|number| base64url(number.big_endian_without_leading_zero()));
    let members = [("kty", "RSA".to_owned()), ("n", n), ("e", e)];
    Ok(PublicKey::new(algorithm, spki.as_ref(), public.as_ref(), members))
}
