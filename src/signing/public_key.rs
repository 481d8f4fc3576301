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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_the_example_in_rfc_7638() {
        // Section 3.1.
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W\
                 -5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdk\
                 t-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        // RSAPublicKey: a modulus of 257 bytes, the first of them zero, and the exponent 65537.
        let mut der = vec![0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00];
        der.extend(URL_SAFE_NO_PAD.decode(n).unwrap());
        der.extend([0x02, 0x03, 0x01, 0x00, 0x01]);
        assert_eq!(thumbprint(&der).unwrap(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }
}
