//! The issuer whose tokens are measured: B2C-shaped, RS256 and ES256.

use std::io;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use syncgate::{
    demo::{
        DemoIssuer, DemoKey,
        issuer::{Behaviour, Endpoint, TokenBuilder},
        world,
    },
    token::IssuerSettings,
};

use super::short_token::short;

const EC_KID: &str = "ec";

/// The demo's issuer with a second key, for ES256.
pub struct Issuer {
    demo: DemoIssuer,
    ec_key: EcdsaKeyPair,
}

impl Issuer {
    pub async fn start() -> io::Result<Self> {
        let ec_key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(io::Error::other)?;
        let issuer = Self { demo: DemoIssuer::start().await?, ec_key };
        issuer.demo.behave(Endpoint::Keys, Behaviour::Document(issuer.key_set(&[])));
        Ok(issuer)
    }

    /// The rules for its tokens, as for a B2C tenant.
    pub fn settings(&self) -> IssuerSettings {
        IssuerSettings { algorithms: vec![Algorithm::RS256, Algorithm::ES256], ..world::trust(&self.demo).rules }
    }

    pub fn demo(&self) -> &DemoIssuer {
        &self.demo
    }

    /// A B2C access token of a user, RS256, of about 770 bytes.
    pub fn rs256(&self, user: &str) -> TokenBuilder {
        short(self.demo.token(user))
    }

    /// A longer one, ES256: as long in the end, since the signature is shorter.
    pub fn es256(&self, user: &str) -> String {
        let token = self.demo.token(user).header("alg", "ES256").header("kid", EC_KID);
        let signature = self.ec_key.sign(&SystemRandom::new(), token.signed_bytes().as_bytes());
        token.signature(signature.map_or(Vec::new(), |signature| signature.as_ref().to_vec())).sign()
    }

    /// Its two keys, and others.
    pub fn key_set(&self, others: &[DemoKey]) -> String {
        let keys: Vec<_> = [self.ec_jwk()].into_iter().chain([self.demo.signing_key()].iter().chain(others).map(rsa_jwk)).collect();
        json!({ "keys": keys }).to_string()
    }

    fn ec_jwk(&self) -> Value {
        let (x, y) = self.ec_key.public_key().as_ref()[1..].split_at(32);
        let encode = |number: &[u8]| URL_SAFE_NO_PAD.encode(number);
        json!({ "kid": EC_KID, "use": "sig", "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y) })
    }
}

/// In B2C's shape.
fn rsa_jwk(key: &DemoKey) -> Value {
    json!({ "kid": key.kid(), "nbf": 1_493_763_266, "use": "sig", "kty": "RSA", "e": key.exponent(), "n": key.modulus() })
}
