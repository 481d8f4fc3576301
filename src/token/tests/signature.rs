//! Signatures that do not hold.

use jsonwebtoken::Algorithm;

use super::{
    Row,
    attempt::{Attempt, KID, b2c},
};
use crate::token::{
    Rejection::*,
    testing::{ED25519, OTHER_RSA, P256, RSA, TestKey, base64url},
};

pub(super) fn rows() -> Vec<Row> {
    let bytes = |bytes: &[u8]| {
        let signature = base64url(bytes);
        b2c().token(|token| with_signature(&token, &signature))
    };
    let ec = |signature: &[u8]| {
        let signature = base64url(signature);
        curve("ES256", &P256).token(|token| with_signature(&token, &signature))
    };
    vec![
        b2c().signed_by(&OTHER_RSA, Algorithm::RS256).row("another key with our kid", BadSignature),
        b2c().signed_by(&RSA, Algorithm::RS512).row("RS512 under the name RS256", BadSignature),
        b2c().signed_by(&RSA, Algorithm::PS256).row("PS256 under the name RS256", BadSignature),
        b2c().signed_by(&P256, Algorithm::ES256).row("ES256 under the name RS256", BadSignature),
        b2c().token(flipped).row("one bit of the signature", BadSignature),
        b2c().token(|token| with_signature(&token, "null")).row("the signature null", BadSignature),
        bytes(&[0]).row("a signature of one zero byte", BadSignature),
        bytes(&[0; 256]).row("a signature of zeros", BadSignature),
        bytes(&[0xff; 256]).row("a signature beyond the modulus", BadSignature),
        bytes(&[0; 255]).row("a signature that is too short", BadSignature),
        bytes(&[0; 257]).row("a signature that is too long", BadSignature),
        b2c()
            .token(|token| with_claims_of(&token, &b2c().claim("scp", "docs.admin")))
            .row("other claims under the signature", BadSignature),
        b2c().token(|token| with_header_of(&token, &b2c().header("x", 1))).row("another header under the signature", BadSignature),
        ec(&[0; 64]).row("the psychic signature", BadSignature),
        ec(&[0xff; 64]).row("r and s beyond the order", BadSignature),
        ec(&[&ORDER_OF_P256[..], &ORDER_OF_P256[..]].concat()).row("r and s are the order", BadSignature),
        ec(&[&[0; 32][..], &[1; 32][..]].concat()).row("r is zero", BadSignature),
        ec(&[0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01]).row("a DER signature", BadSignature),
        ec(&[1; 60]).row("an ES256 signature that is too short", BadSignature),
        curve("EdDSA", &ED25519).token(flipped).row("one bit of an Ed25519 signature", BadSignature),
        curve("EdDSA", &ED25519)
            .token(|token| with_signature(&token, &base64url([0; 64])))
            .row("an Ed25519 signature of zeros", BadSignature),
    ]
}

/// The order of the group of P-256 (SEC 2, section 2.4.2).
const ORDER_OF_P256: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
    0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// A token of an issuer with this key and algorithm.
fn curve(name: &str, key: &'static TestKey) -> Attempt {
    let algorithm = if name == "ES256" { Algorithm::ES256 } else { Algorithm::EdDSA };
    b2c().header("alg", name).signed_by(key, algorithm).jwks([key.jwk(KID)]).rule(|rules| rules.algorithms = vec![algorithm])
}

fn with_signature(token: &str, signature: &str) -> String {
    format!("{}.{signature}", token.rsplit_once('.').unwrap().0)
}

fn with_claims_of(token: &str, other: &Attempt) -> String {
    let (header, rest) = token.split_once('.').unwrap();
    format!("{header}.{}.{}", base64url(other.parts().1), rest.split_once('.').unwrap().1)
}

fn with_header_of(token: &str, other: &Attempt) -> String {
    format!("{}.{}", base64url(other.parts().0), token.split_once('.').unwrap().1)
}

/// The token with the first character of its signature changed.
fn flipped(token: String) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{signed}.{first}{}", &signature[1..])
}

#[test]
fn the_tokens_that_are_bent_here_are_accepted_straight() {
    assert!(curve("ES256", &P256).run().is_ok());
    assert!(curve("EdDSA", &ED25519).run().is_ok());
    assert!(curve("Ed25519", &ED25519).run().is_ok());
}
