//! A key set as a provider publishes it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use syncgate::token::{BearerToken, KeySet, KeySetLimits, Rejection, TokenLimits, algorithm_from_name};
use syncgate_fuzz::base64url;

const ALGORITHMS: [&str; 9] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

fuzz_target!(|document: &[u8]| {
    let limits = KeySetLimits::default();
    let set = match KeySet::parse(document, &limits) {
        Ok(set) => set,
        Err(error) => {
            assert!(!error.to_string().chars().any(char::is_control));
            return;
        }
    };
    assert!((1..=limits.keys).contains(&set.keys().len()));
    for key in set.keys() {
        assert!(set.contains(key.id()));
        assert!(ALGORITHMS.iter().filter_map(|name| algorithm_from_name(name)).any(|algorithm| key.permits(algorithm)));
        for name in ALGORITHMS {
            let algorithm = algorithm_from_name(name).unwrap();
            let header = match key.kid() {
                Some(kid) => json!({ "alg": name, "kid": kid }),
                None => json!({ "alg": name }),
            };
            let token = format!("{}.e30.{}", base64url(header.to_string().as_bytes()), base64url(&[1; 64]));
            let Ok(bearer) = BearerToken::parse(token.as_bytes(), &TokenLimits::default()) else { continue };
            match set.find(&bearer, algorithm) {
                Ok(found) => {
                    assert!(found.permits(algorithm));
                    assert!(key.kid().is_none() || found.kid() == key.kid());
                    let outcome = found.verify(algorithm, bearer.signed_bytes(), bearer.signature());
                    assert_eq!(outcome, Err(Rejection::BadSignature));
                }
                Err(rejection) => {
                    assert!(matches!(rejection, Rejection::KeyNotForAlgorithm | Rejection::AmbiguousKey), "{rejection:?}");
                    assert!(rejection == Rejection::AmbiguousKey || !key.permits(algorithm));
                }
            }
        }
    }
    // Keys that stand together once stand together again: a merge of a set with itself changes nothing.
    let again = KeySet::from_keys(set.keys().iter().cloned());
    let ids = |set: &KeySet| set.keys().iter().map(|key| (key.kid().map(str::to_owned), *key.id())).collect::<Vec<_>>();
    assert_eq!(ids(&again), ids(&set));
});
