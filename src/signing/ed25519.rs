//! [`Ed25519Signer`]: an Ed25519 key, parsed once, that signs.

use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    pkcs8::Document,
    signature::{Ed25519KeyPair, KeyPair},
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

/// Signs with Ed25519 (RFC 8037 section 3.1). The library keeps the key and overwrites it when dropped.
pub(super) struct Ed25519Signer {
    key: Ed25519KeyPair,
    public: PublicKey,
}

impl Ed25519Signer {
    pub(super) fn parse(key: &PrivateKeyDer) -> Result<Self, KeyProblem> {
        let PrivateKeyDer::Pkcs8(der) = key else { return Err(KeyProblem::KeyType("RSA or EC".to_owned())) };
        let key = Ed25519KeyPair::from_pkcs8(der).map_err(|rejected| KeyProblem::Damaged(rejected.to_string()))?;
        let public = key.public_key();
        let spki: PublicKeyX509Der<'_> = public.as_der().map_err(|error| KeyProblem::Damaged(error.to_string()))?;
        let members = [("kty", "OKP".to_owned()), ("crv", "Ed25519".to_owned()), ("x", base64url(public.as_ref()))];
        let public = PublicKey::new(Algorithm::EdDSA, spki.as_ref(), public.as_ref(), members);
        Ok(Self { key, public })
    }

    pub(super) fn public(&self) -> &PublicKey {
        &self.public
    }
}

impl Signer<Vec<u8>> for Ed25519Signer {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.key.try_sign(message).map_err(signature::Error::from_source)?.as_ref().to_vec())
    }
}

impl JwtSigner for Ed25519Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

impl TokenSigner for Ed25519Signer {
    fn thumbprint(&self) -> Option<&str> {
        Some(self.public.thumbprint())
    }
}

impl fmt::Debug for Ed25519Signer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Ed25519Signer").finish_non_exhaustive()
    }
}

/// A new private key as PKCS#8; overwritten when dropped.
pub(super) fn generate() -> Result<Document, SigningError> {
    Ed25519KeyPair::generate().and_then(|key| key.to_pkcs8v1()).map_err(|_| SigningError::Generation)
}
