//! Tokens bent at random, and at every place.

use proptest::prelude::*;
use serde_json::{Number, Value};

use super::attempt::{Attempt, b2c, entra};
use crate::token::{IssuerSettings, Rejection, algorithm_from_name, testing::base64url};

#[test]
fn no_character_of_a_token_can_be_changed() {
    let mut accepted = Vec::new();
    let straight = b2c().compact();
    for index in 0..straight.len() {
        let mut bent = straight.clone().into_bytes();
        bent[index] = if bent[index] == b'B' { b'C' } else { b'B' };
        if b2c().bytes(bent).run().is_ok() {
            accepted.push(index);
        }
    }
    assert!(accepted.is_empty(), "changed at {accepted:?}");
}

#[test]
fn no_start_of_a_token_is_accepted() {
    let straight = b2c().compact();
    assert!((0..straight.len()).all(|end| b2c().bytes(&straight.as_bytes()[..end]).run().is_err()));
}

const ALGORITHMS: [&str; 9] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// The claims that something here reads.
const CLAIMS: [&str; 20] = [
    "iss",
    "aud",
    "exp",
    "nbf",
    "iat",
    "tid",
    "oid",
    "sub",
    "tfp",
    "acr",
    "azp",
    "appid",
    "scp",
    "scope",
    "roles",
    "nonce",
    "idtyp",
    "gty",
    "client_id",
    "at_hash",
];

fn json() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| Number::from_f64(number).into()),
        ".{0,40}".prop_map(Value::from),
    ];
    scalar.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,8}", inner, 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn bent(attempt: Attempt, claims: &[(usize, Value)]) -> Attempt {
    claims.iter().fold(attempt, |attempt, (index, value)| attempt.claim(CLAIMS[index % CLAIMS.len()], value.clone()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Nothing is accepted with a signature that the key did not make, of any length and for any algorithm that is taken.
    #[test]
    fn nothing_unsigned_is_accepted(signature in prop::collection::vec(any::<u8>(), 1..600), length in 0..2_usize) {
        let length = if length == 0 { signature.len() } else { 256 };
        let signature: Vec<_> = signature.into_iter().cycle().take(length).collect();
        let all = |rules: &mut IssuerSettings| rules.algorithms = ALGORITHMS.iter().filter_map(|name| algorithm_from_name(name)).collect();
        for algorithm in ALGORITHMS {
            let forged = |token: String| format!("{}.{}", token.rsplit_once('.').unwrap().0, base64url(&signature));
            let attempt = b2c().header("alg", algorithm).rule(all).token(forged);
            prop_assert!(matches!(attempt.run(), Err(Rejection::BadSignature | Rejection::KeyNotForAlgorithm)));
        }
    }

    /// Whatever claims say, nothing panics; and what is accepted names a user in bounds and ends after now.
    #[test]
    fn any_claims_are_refused_or_make_sense(claims in prop::collection::vec((any::<usize>(), json()), 1..4)) {
        for attempt in [bent(b2c(), &claims), bent(entra(), &claims)] {
            if let Ok(verified) = attempt.run() {
                prop_assert!((1..=256).contains(&verified.user_id().len()));
                prop_assert!(verified.end() > attempt.now());
            }
        }
    }
}
