//! Keys and tokens for tests, legal and illegal ones: any text can be in for header and payload.

use std::{sync::LazyLock, time::Duration};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm,
    crypto::JwtSigner,
    signature::{Error, Signer},
};
use serde_json::{Value, json};

use crate::token::{
    BearerToken, IssuerRule, IssuerSettings, KeySet, KeySetLimits, Timestamp, TokenLimits, TokenSigner, TrustedIssuer,
    UnverifiedToken, VerifiedToken,
};

/// A private key.
#[derive(Debug)]
pub(crate) enum TestKey {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// RSA with 2048 bits; one for the whole test run, since it takes long to make.
pub(crate) static RSA: LazyLock<TestKey> = LazyLock::new(|| TestKey::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()));

/// Another one.
pub(crate) static OTHER_RSA: LazyLock<TestKey> = LazyLock::new(|| TestKey::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()));

/// P-256.
pub(crate) static P256: LazyLock<TestKey> =
    LazyLock::new(|| TestKey::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()));

/// P-384.
pub(crate) static P384: LazyLock<TestKey> =
    LazyLock::new(|| TestKey::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()));

/// Ed25519.
pub(crate) static ED25519: LazyLock<TestKey> = LazyLock::new(|| TestKey::Ed25519(Ed25519KeyPair::generate().unwrap()));

impl TestKey {
    /// The public half in B2C's shape (`kid`, `use`, `kty` and the numbers). More members can be put into it.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let coordinates = |pair: &EcdsaKeyPair, curve: &str| {
            let (x, y) = pair.public_key().as_ref()[1..].split_at((pair.public_key().as_ref().len() - 1) / 2);
            json!({ "kid": kid, "use": "sig", "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) })
        };
        match self {
            Self::Rsa(pair) => {
                let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
                let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
                json!({ "kid": kid, "use": "sig", "kty": "RSA", "e": base64url(e), "n": base64url(n) })
            }
            Self::P256(pair) => coordinates(pair, "P-256"),
            Self::P384(pair) => coordinates(pair, "P-384"),
            Self::Ed25519(pair) => {
                json!({ "kid": kid, "use": "sig", "kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key().as_ref()) })
            }
        }
    }

    /// The signature of `message`. Panics if key and algorithm do not fit.
    pub(crate) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut bytes = vec![0; pair.public_modulus_len()];
                pair.sign(rsa_encoding(algorithm), &random, message, &mut bytes).unwrap();
                bytes
            }
            Self::P256(pair) | Self::P384(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with this header and payload, text unchanged, and a signature that holds.
    pub(crate) fn token(&self, algorithm: Algorithm, header: &str, payload: &str) -> String {
        let signed = signed_part(header, payload);
        format!("{signed}.{}", base64url(self.sign(algorithm, signed.as_bytes())))
    }
}

/// Signs user tokens too: RS256 with an RSA key, else what the curve says.
impl TokenSigner for TestKey {
    fn thumbprint(&self) -> Option<&str> {
        Some("thumbprint-of-a-test-key")
    }
}

impl JwtSigner for TestKey {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa(_) => Algorithm::RS256,
            Self::P256(_) => Algorithm::ES256,
            Self::P384(_) => Algorithm::ES384,
            Self::Ed25519(_) => Algorithm::EdDSA,
        }
    }
}

impl Signer<Vec<u8>> for TestKey {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.sign(self.algorithm(), message))
    }
}

/// What a signature covers.
pub(crate) fn signed_part(header: &str, payload: &str) -> String {
    format!("{}.{}", base64url(header), base64url(payload))
}

/// A token whose signature is an HMAC-SHA256 with this secret.
pub(crate) fn hmac_token(secret: &[u8], header: &str, payload: &str) -> String {
    let signed = signed_part(header, payload);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", base64url(tag))
}

/// A key set of these JWKs.
pub(crate) fn key_set(jwks: &[Value]) -> KeySet {
    KeySet::parse(json!({ "keys": jwks }).to_string().as_bytes(), &KeySetLimits::default()).unwrap()
}

/// Base64url without padding.
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa_encoding(algorithm: Algorithm) -> &'static dyn RsaEncoding {
    match algorithm {
        Algorithm::RS256 => &signature::RSA_PKCS1_SHA256,
        Algorithm::RS384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::RS512 => &signature::RSA_PKCS1_SHA512,
        Algorithm::PS256 => &signature::RSA_PSS_SHA256,
        Algorithm::PS384 => &signature::RSA_PSS_SHA384,
        Algorithm::PS512 => &signature::RSA_PSS_SHA512,
        other => panic!("not an RSA algorithm: {other:?}"),
    }
}

/// A verified token of this user with this end, and without any claim that is kept.
pub(crate) fn verified(user: &str, end: Timestamp) -> VerifiedToken {
    let issuer = TrustedIssuer::new(IssuerSettings {
        leeway: Duration::ZERO,
        ..IssuerSettings::new("contoso", IssuerRule::Exact(vec!["https://login.contoso.com".to_owned()]), vec!["api".to_owned()])
    });
    let claims = json!({
        "iss": "https://login.contoso.com", "aud": "api", "sub": user, "scp": "sync", "exp": end.as_seconds(),
    });
    let compact = RSA.token(Algorithm::RS256, r#"{"alg":"RS256","kid":"a"}"#, &claims.to_string());
    let bearer = BearerToken::parse(compact.as_bytes(), &TokenLimits::default()).unwrap();
    let token = UnverifiedToken::open(&bearer).unwrap();
    issuer.verify(&token, &key_set(&[RSA.jwk("a")]), end.minus(Duration::from_secs(1))).unwrap()
}
