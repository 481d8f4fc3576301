//! [`PublicKey`]: what may be shown of a signing key.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use x509_parser::{prelude::FromDer, public_key::RSAPublicKey};

use crate::signing::{KeyProblem, pem, rsa::RsaSigner};

/// The public half, written in the ways that others want it.
#[derive(Clone)]
pub(super) struct PublicKey {
    /// SubjectPublicKeyInfo in PEM.
    pub(super) pem: String,
    /// RFC 7638, SHA-256, base64url.
    pub(super) thumbprint: String,
}

impl PublicKey {
    pub(super) fn of(signer: &RsaSigner) -> Result<Self, KeyProblem> {
        let spki = signer.subject_public_key_info()?;
        Ok(Self { pem: pem::encode("PUBLIC KEY", spki.as_ref()).to_string(), thumbprint: thumbprint(signer.public_key_der())? })
    }
}

/// RFC 7638 section 3.2: the required members in the order of their names, without white space.
fn thumbprint(public_key_der: &[u8]) -> Result<String, KeyProblem> {
    let (_, key) = RSAPublicKey::from_der(public_key_der).map_err(|error| KeyProblem::Damaged(error.to_string()))?;
    let [e, n] = [key.exponent, key.modulus].map(|integer| URL_SAFE_NO_PAD.encode(without_sign(integer)));
    let jwk = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
    Ok(URL_SAFE_NO_PAD.encode(digest(&SHA256, jwk.as_bytes())))
}

/// A DER integer has a leading zero byte where its first bit is set; a JWK has none (RFC 7518 section 2).
fn without_sign(integer: &[u8]) -> &[u8] {
    integer.strip_prefix(&[0]).unwrap_or(integer)
}
