//! [`PublicKey`]: the public part of a signing key.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::signing::pem;

/// The public half of a signing key, in the forms in which backends pin it.
#[derive(Clone, Debug, PartialEq)]
pub struct PublicKey {
    algorithm: Algorithm,
    pem: String,
    thumbprint: String,
    /// The members that RFC 7638 requires.
    members: Value,
    /// What the bit string of SubjectPublicKeyInfo holds.
    bits: Vec<u8>,
}

impl PublicKey {
    /// `members` are those of the JWK that RFC 7638 section 3.2 requires, and no others.
    pub(super) fn new(algorithm: Algorithm, subject_public_key_info: &[u8], bits: &[u8], members: Value) -> Self {
        Self {
            algorithm,
            pem: pem::encode("PUBLIC KEY", subject_public_key_info).to_string(),
            thumbprint: thumbprint(&members),
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
        let mut jwk = self.members.clone();
        if let Some(members) = jwk.as_object_mut() {
            members.insert("alg".to_owned(), json!(self.algorithm));
            members.insert("use".to_owned(), "sig".into());
        }
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

/// RFC 7638 section 3: the members in the order of their names, without white space. So are values of serde_json written.
fn thumbprint(members: &Value) -> String {
    base64url(digest(&SHA256, members.to_string().as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_the_example_in_rfc_7638() {
        // Section 3.1.
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W\
                 -5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdk\
                 t-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        assert_eq!(thumbprint(&json!({ "kty": "RSA", "n": n, "e": "AQAB" })), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn the_thumbprint_is_that_of_the_example_in_rfc_8037() {
        // Appendix A.3.
        let members = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        assert_eq!(thumbprint(&members), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let key = PublicKey::new(Algorithm::EdDSA, b"spki", b"bits", members);
        let expected = json!({
            "alg": "EdDSA", "crv": "Ed25519", "kty": "OKP", "use": "sig", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        });
        assert_eq!(key.jwk(), expected);
    }
}
