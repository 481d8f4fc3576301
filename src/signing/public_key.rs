//! [`PublicKey`]: the public part of a signing key.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::{signing::pem, token::KeyId};

/// The public half of a signing key, in the forms in which backends pin it.
#[derive(Clone, Debug, PartialEq)]
pub struct PublicKey {
    algorithm: Algorithm,
    pem: String,
    thumbprint: String,
    /// The members that RFC 7638 requires.
    members: BTreeMap<&'static str, String>,
    /// What the bit string of SubjectPublicKeyInfo holds.
    bits: Vec<u8>,
}

impl PublicKey {
    /// `members` are those of the JWK that RFC 7638 section 3.2 requires, and no others.
    pub(super) fn new<const N: usize>(
        algorithm: Algorithm,
        subject_public_key_info: &[u8],
        bits: &[u8],
        members: [(&'static str, String); N],
    ) -> Self {
        let members = BTreeMap::from(members);
        Self {
            algorithm,
            pem: pem::encode("PUBLIC KEY", subject_public_key_info).to_string(),
            thumbprint: KeyId::of_members(&members).to_string(),
            members,
            bits: bits.to_vec(),
        }
    }

    /// SubjectPublicKeyInfo in PEM, byte for byte what `openssl pkey -pubout` prints.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The JWK (RFC 7517) with `alg` and `use`. Without `kid`, since minted tokens have none by default, and some backends take a
    /// token without `kid` only for a key without it.
    pub fn jwk(&self) -> Value {
        let mut jwk = json!(self.members);
        jwk["alg"] = json!(self.algorithm);
        jwk["use"] = "sig".into();
        jwk
    }

    /// The RFC 7638 thumbprint (SHA-256), base64url: identifies the key in logs and metrics.
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    pub(super) fn bits(&self) -> &[u8] {
        &self.bits
    }
}

/// Base64url without padding, as the members of a JWK are written.
pub(super) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jwk_has_the_members_of_the_key_and_what_it_is_for() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let members = [("kty", "OKP"), ("crv", "Ed25519"), ("x", x)].map(|(name, value)| (name, value.to_owned()));
        let key = PublicKey::new(Algorithm::EdDSA, b"spki", b"bits", members);
        assert_eq!(key.jwk(), json!({ "alg": "EdDSA", "crv": "Ed25519", "kty": "OKP", "use": "sig", "x": x }));
        // RFC 8037 appendix A.3.
        assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
