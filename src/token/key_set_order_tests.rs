//! The order of a key set's document decides nothing.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{tests::parse, *};
use crate::token::{
    TokenLimits,
    jwk::test_keys::{ed25519, encode, other_rsa, p256, p384, rsa},
};

/// Keys that collide in every way: in kid, type, algorithm, issuer and thumbprint.
fn colliding_keys() -> Vec<Json> {
    let mut keys = Vec::new();
    for key in [rsa(), other_rsa(), p256(), p384(), ed25519()] {
        for kid in [json!("a"), json!("b"), json!(null)] {
            for more in [
                json!({}),
                json!({"issuer": "https://a.contoso.com"}),
                json!({"issuer": "https://b.contoso.com", "x5t": "t"}),
                json!({"x5t": "u", "key_ops": []}),
            ] {
                let algorithms: &[Json] =
                    if key.jwk["kty"] == "RSA" { &[json!(null), json!("RS256"), json!("PS256")] } else { &[json!(null)] };
                for alg in algorithms {
                    let mut jwk = key.jwk_with(more.clone());
                    (jwk["kid"], jwk["alg"]) = (kid.clone(), alg.clone());
                    keys.push(jwk);
                }
            }
        }
    }
    keys
}

/// What every token would be told.
fn verdicts(set: &KeySet) -> Vec<Result<(KeyId, Option<String>), Rejection>> {
    let headers =
        ["a", "b", "c"].map(|kid| json!({"kid": kid})).into_iter().chain([json!({}), json!({"x5t": "t"}), json!({"x5t": "u"})]);
    let mut verdicts = Vec::new();
    for mut header in headers {
        header["alg"] = "RS256".into();
        let token = format!("{}.e30.AA", encode(header.to_string()));
        let bearer = BearerToken::parse(token.as_bytes(), &TokenLimits::default()).unwrap();
        for algorithm in [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA] {
            for issuer in ["https://a.contoso.com", "https://b.contoso.com"] {
                let speaks = |key: &VerificationKey| key.issuer().is_none_or(|own| own == issuer);
                let found = set.find_for(&bearer, algorithm, speaks);
                verdicts.push(found.map(|key| (*key.id(), key.issuer().map(str::to_owned))));
            }
        }
    }
    verdicts
}

proptest! {
    /// The order of a document decides nothing, nor does the order of a key's members.
    #[test]
    fn a_shuffled_document_says_the_same(
        (keys, shuffled) in prop::sample::subsequence(colliding_keys(), 1..7)
            .prop_flat_map(|keys| (Just(keys.clone()), Just(keys).prop_shuffle())),
    ) {
        let reversed = |jwk: &Json| {
            let members: Vec<_> = jwk.as_object().unwrap().iter().rev().map(|(name, value)| format!("{name:?}:{value}")).collect();
            format!("{{{}}}", members.join(","))
        };
        let one = parse(json!({"keys": keys}).to_string());
        let other = parse(format!("{{\"keys\":[{}]}}", shuffled.iter().map(reversed).collect::<Vec<_>>().join(",")));
        match (one, other) {
            (Ok(one), Ok(other)) => prop_assert_eq!(verdicts(&one), verdicts(&other)),
            (one, other) => prop_assert!(one.is_err() && other.is_err()),
        }
    }
}
