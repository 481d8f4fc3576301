//! Keys of an imagined provider, for tests.

use std::sync::LazyLock;

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::token::{KeySet, KeySetLimits};

static KEYS: LazyLock<[KeyPair; 3]> = LazyLock::new(|| std::array::from_fn(|_| KeyPair::generate(KeySize::Rsa2048).unwrap()));

/// The key pair of this number.
pub(crate) fn key_pair(number: usize) -> &'static KeyPair {
    &KEYS[number]
}

/// A key as B2C publishes it.
pub(crate) fn jwk(kid: &str, number: usize) -> Value {
    let public = KEYS[number].public_key();
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    json!({
        "kid": kid, "nbf": 1493763266, "use": "sig", "kty": "RSA",
        "e": part(public.exponent().big_endian_without_leading_zero()),
        "n": part(public.modulus().big_endian_without_leading_zero()),
    })
}

/// A new EC key.
pub(crate) fn ec_jwk(kid: &str) -> Value {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    json!({ "kid": kid, "kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) })
}

/// A JWKS document of these kids and key numbers.
pub(crate) fn document(keys: &[(&str, usize)]) -> String {
    json!({ "keys": keys.iter().map(|(kid, number)| jwk(kid, *number)).collect::<Vec<_>>() }).to_string()
}

/// The same, parsed.
pub(crate) fn set(keys: &[(&str, usize)]) -> KeySet {
    KeySet::parse(document(keys).as_bytes(), &KeySetLimits::default()).unwrap()
}

/// An RS256 token with these claims.
pub(crate) fn sign(kid: &str, number: usize, claims: &Value) -> String {
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": kid });
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let mut signature = vec![0; KEYS[number].public_modulus_len()];
    KEYS[number].sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
