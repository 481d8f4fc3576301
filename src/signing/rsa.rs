//! [`RsaSigner`]: an RSA key, parsed once, that signs.

use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair, RSA_PKCS1_SHA256, RsaEncoding, RsaKeyPair},
};
use jsonwebtoken::{
    Algorithm,
    crypto::JwtSigner,
    signature::{self, Signer},
};
use pkcs8::PrivateKeyInfoRef;

use crate::{
    signing::{KeyProblem, SigningError, content::PrivateKeyDer},
    token::TokenSigner,
};

/// A signature with a longer key takes tens of milliseconds.
const MAX_BITS: usize = 4096;
const RSA_ENCRYPTION: &str = "1.2.840.113549.1.1.1";

/// Signs with RSASSA-PKCS1-v1_5. The library keeps the key and overwrites it when dropped.
pub(super) struct RsaSigner {
    key: RsaKeyPair,
    algorithm: Algorithm,
    encoding: &'static dyn RsaEncoding,
}

impl RsaSigner {
    /// A signer for RS256. Refuses other keys than RSA, less than 2048 and more than 4096 bits.
    pub(super) fn parse(key: &PrivateKeyDer) -> Result<Self, KeyProblem> {
        let key = match key {
            PrivateKeyDer::Pkcs8(der) => {
                check_type(der)?;
                RsaKeyPair::from_pkcs8(der)
            }
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der),
        };
        let key = key.map_err(KeyProblem::Rejected)?;
        let bits = key.public_modulus_len() * 8;
        if bits > MAX_BITS { Err(KeyProblem::TooLong(bits)) } else { Ok(Self::rs256(key)) }
    }

    /// A signer for RS256 with a new key of 2048, 3072 or 4096 bits.
    pub(super) fn generate(bits: u32) -> Result<Self, SigningError> {
        generate_key(bits).map(Self::rs256)
    }

    /// `RSAPublicKey` (RFC 8017 appendix A.1.1).
    pub(super) fn public_key_der(&self) -> &[u8] {
        self.key.public_key().as_ref()
    }

    /// `SubjectPublicKeyInfo` (RFC 5280 section 4.1).
    pub(super) fn subject_public_key_info(&self) -> Result<PublicKeyX509Der<'static>, KeyProblem> {
        self.key.public_key().as_der().map_err(|error| KeyProblem::Damaged(error.to_string()))
    }

    fn rs256(key: RsaKeyPair) -> Self {
        Self { key, algorithm: Algorithm::RS256, encoding: &RSA_PKCS1_SHA256 }
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

impl TokenSigner for RsaSigner {}

impl fmt::Debug for RsaSigner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("RsaSigner").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// A new private key as PKCS#8; overwritten when dropped.
pub(super) fn generate_pkcs8(bits: u32) -> Result<Pkcs8V1Der<'static>, SigningError> {
    generate_key(bits)?.as_der().map_err(|_| SigningError::Generation)
}

fn generate_key(bits: u32) -> Result<RsaKeyPair, SigningError> {
    let size = match bits {
        2048 => KeySize::Rsa2048,
        3072 => KeySize::Rsa3072,
        4096 => KeySize::Rsa4096,
        _ => return Err(SigningError::Bits(bits)),
    };
    RsaKeyPair::generate(size).map_err(|_| SigningError::Generation)
}

/// The library would say no more than that it is not RSA.
fn check_type(pkcs8: &[u8]) -> Result<(), KeyProblem> {
    let key = PrivateKeyInfoRef::try_from(pkcs8).map_err(|error| KeyProblem::Damaged(error.to_string()))?;
    let oid = key.algorithm.oid.to_string();
    let name = match oid.as_str() {
        RSA_ENCRYPTION => return Ok(()),
        "1.2.840.113549.1.1.10" => "RSA-PSS",
        "1.2.840.10040.4.1" => "DSA",
        "1.2.840.10045.2.1" => "EC",
        "1.3.101.112" => "Ed25519",
        "1.3.101.113" => "Ed448",
        other => other,
    };
    Err(KeyProblem::KeyType(name.to_owned()))
}
