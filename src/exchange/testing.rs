//! An issuer for tests that make many tokens: it signs with Ed25519, which is fast and gives one token for one set of claims.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::{CacheSettings, Exchange, IssuerKeys, SigningPool};
use crate::{
    jwks::KeyStore,
    metrics::Metrics,
    signing::{NewKey, PrivateKeyPem, SigningKey},
    token::{
        IssuerRule, IssuerSettings, KeySet, KeySetLimits, MintingProfile, Timestamp, TokenLimits, TrustedIssuer, UserIdRule,
        testing::TestKey,
    },
};

/// This many keys can be told apart.
const KEYS: usize = 5;

static PAIRS: LazyLock<[TestKey; KEYS]> =
    LazyLock::new(|| std::array::from_fn(|_| TestKey::Ed25519(Ed25519KeyPair::generate().unwrap())));

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_000 + seconds)
}

/// The `iss` of an issuer of this name.
pub(super) fn iss(name: &str) -> String {
    format!("https://{name}.example/v2.0/")
}

/// The rules for tokens of an issuer of this name.
pub(super) fn rules(name: &str) -> IssuerSettings {
    IssuerSettings {
        algorithms: vec![Algorithm::EdDSA],
        user_id: UserIdRule::Claims(vec!["oid".into()]),
        ..IssuerSettings::new(name, IssuerRule::Exact(vec![iss(name)]), vec!["app".into()])
    }
}

/// Claims that the rules accept, from second 0 until `end`.
pub(crate) fn claims(issuer: &str, user: &str, end: i64) -> Value {
    let (from, to) = (at(0).as_seconds(), at(end).as_seconds());
    json!({
        "iss": iss(issuer), "aud": "app", "oid": user, "sub": "pairwise", "scp": "sync", "tfp": "B2C_1_signin",
        "iat": from, "nbf": from, "exp": to,
    })
}

/// A token with these claims, signed by the key of this number.
pub(crate) fn sign(kid: &str, number: usize, claims: &Value) -> String {
    sign_with(&json!({ "alg": "EdDSA", "typ": "JWT", "kid": kid }), number, claims)
}

/// The same with any header.
pub(super) fn sign_with(header: &Value, number: usize, claims: &Value) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = PAIRS[number].sign(Algorithm::EdDSA, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The key set with these kids and key numbers.
pub(super) fn key_set(keys: &[(&str, usize)]) -> KeySet {
    let keys: Vec<_> = keys.iter().map(|(kid, number)| PAIRS[*number].jwk(kid)).collect();
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), &KeySetLimits::default()).unwrap()
}

/// Whether the key of this number made the signature.
pub(super) fn is_signed_by(number: usize, signed: &str, signature: &[u8]) -> bool {
    PAIRS[number].sign(Algorithm::EdDSA, signed.as_bytes()) == signature
}

/// A signing key of our own.
pub(super) fn signing_key() -> SigningKey {
    PrivateKeyPem::generate(NewKey::Ed25519).unwrap().signing_key().unwrap()
}

/// An exchange for tokens of the issuer `contoso`, signed by its key `a`, which is the one with number 0.
pub(crate) fn exchange() -> Arc<Exchange> {
    let metrics = Arc::new(Metrics::new().unwrap());
    let keys = Arc::new(KeyStore::new(1));
    keys.publish(0, &key_set(&[("a", 0)]), at(0), Duration::from_secs(1_000_000));
    let issuer = TrustedIssuer::new(rules("contoso"));
    Arc::new(Exchange::new(
        vec![IssuerKeys { issuer, keys }],
        TokenLimits::default(),
        vec![MintingProfile::default()],
        signing_key(),
        SigningPool::new(1, 8, Arc::clone(&metrics)).unwrap(),
        &CacheSettings::default(),
        metrics,
    ))
}
