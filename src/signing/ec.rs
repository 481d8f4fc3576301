//! [`EcSigner`]: a key on P-256 or P-384, parsed once, that signs.

use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    pkcs8::Document,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use jsonwebtoken::{
    Algorithm,
    crypto::JwtSigner,
    signature::{self, Signer},
};

use crate::{
    signing::{KeyProblem, PublicKey, SigningError, content::PrivateKeyDer, public_key::base64url},
    token::TokenSigner,
};

/// Signs with ECDSA; the signature is R and S side by side (RFC 7518 section 3.4). The library keeps the key and overwrites it when
/// dropped.
pub(super) struct EcSigner {
    key: EcdsaKeyPair,
    algorithm: Algorithm,
    public: PublicKey,
}

impl EcSigner {
    pub(super) fn parse(key: &PrivateKeyDer, algorithm: Algorithm) -> Result<Self, KeyProblem> {
        let (signing, curve) = match algorithm {
            Algorithm::ES256 => (&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            Algorithm::ES384 => (&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
            _ => return Err(KeyProblem::KeyType("EC".to_owned())),
        };
        let key = match key {
            PrivateKeyDer::Pkcs8(der) => EcdsaKeyPair::from_pkcs8(signing, der),
            PrivateKeyDer::Sec1(der) => EcdsaKeyPair::from_private_key_der(signing, der),
            PrivateKeyDer::Pkcs1(_) => return Err(KeyProblem::KeyType("RSA".to_owned())),
        };
        let key = key.map_err(|rejected| KeyProblem::Damaged(rejected.to_string()))?;
        let public = public_key(&key, algorithm, curve)?;
        Ok(Self { key, algorithm, public })
    }

    pub(super) fn public(&self) -> &PublicKey {
        &self.public
    }
}

impl Signer<Vec<u8>> for EcSigner {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        let signature = self.key.sign(&SystemRandom::new(), message).map_err(signature::Error::from_source)?;
        Ok(signature.as_ref().to_vec())
    }
}

impl JwtSigner for EcSigner {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl TokenSigner for EcSigner {
    fn thumbprint(&self) -> Option<&str> {
        Some(self.public.thumbprint())
    }
}

impl fmt::Debug for EcSigner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("EcSigner").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// A new private key of 256 or 384 bits as PKCS#8; overwritten when dropped.
pub(super) fn generate(bits: u32) -> Result<Document, SigningError> {
    let signing = match bits {
        256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
        384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        _ => return Err(SigningError::Bits { family: "EC", bits, accepted: "256 or 384" }),
    };
    EcdsaKeyPair::generate(signing).and_then(|key| key.to_pkcs8v1()).map_err(|_| SigningError::Generation)
}

fn public_key(key: &EcdsaKeyPair, algorithm: Algorithm, curve: &str) -> Result<PublicKey, KeyProblem> {
    let damaged = || KeyProblem::Damaged("its public key cannot be computed".to_owned());
    let public = key.public_key();
    let spki: PublicKeyX509Der<'_> = public.as_der().map_err(|_| damaged())?;
    // An uncompressed point: 4, x, y.
    let coordinates = public.as_ref().get(1..).ok_or_else(damaged)?;
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    let members = [("kty", "EC".to_owned()), ("crv", curve.to_owned()), ("x", base64url(x)), ("y", base64url(y))];
    Ok(PublicKey::new(algorithm, spki.as_ref(), public.as_ref(), members))
}
