//! The public suites for signed tokens: Project Wycheproof's and the examples of RFC 7515, 7520 and 8037.
//!
//! They test a token against a key, so what is under test here is the parsing of both and the signature, not the claims. Where the
//! gateway differs from a suite it refuses what the suite takes; each difference is in a table with its reason, and the tables stand
//! in docs/verification.md too.

use serde_json::{Value, json};
use syncgate::token::{BearerToken, KeySet, KeySetLimits, Rejection, TokenLimits, algorithm_from_name};

use crate::corpus;

/// Tests that a suite calls valid, how they are refused, and why.
type Difference = (&'static [u64], Rejection, &'static str);

const SIGNATURE: &[Difference] = &[
    (
        &[1, 348, 352, 357, 358, 359, 376, 377],
        Rejection::AlgorithmNotAllowed,
        "HMAC: a key from a published set authenticates nobody",
    ),
    (&[347, 351], Rejection::AlgorithmNotAllowed, "ES512 is not supported"),
    (&[346, 350], Rejection::KeyNotForAlgorithm, "the key is only for PS256, the token says PS384"),
    (&[372, 373], Rejection::TokenMalformed, "`?` is not base64url, though some decoders skip it"),
];

const KEY: &[Difference] =
    &[(&[2, 13, 14, 15], Rejection::AlgorithmNotAllowed, "HMAC: a key from a published set authenticates nobody")];

const CRYPTO: &[Difference] = &[
    (&[1, 48], Rejection::AlgorithmNotAllowed, "HMAC: a key from a published set authenticates nobody"),
    (&[50, 67], Rejection::TokenMalformed, "an encrypted token"),
];

/// The examples of the RFCs that the gateway differs from.
const RFC: &[(&[&str], Rejection, &str)] = &[
    (
        &["rfc7515-A.1", "rfc7520-HMAC-SHA2 Integrity Protection", "rfc7520-Signature with Detached Content"],
        Rejection::AlgorithmNotAllowed,
        "HMAC: a key from a published set authenticates nobody",
    ),
    (&["rfc7515-A.4", "rfc7520-ECDSA Signature"], Rejection::AlgorithmNotAllowed, "ES512 is not supported"),
    (&["rfc7515-A.6", "rfc7515-A.7"], Rejection::TokenMalformed, "the JSON serialization is not a bearer token"),
];

/// The examples of the RFCs that verify.
const RFC_ACCEPTED: &[&str] =
    &["rfc7515-A.2", "rfc7515-A.3", "rfc7520-RSA v1.5 Signature", "rfc7520-RSA-PSS Signature", "rfc8037-A.4/A.5"];

/// How many tests each suite has.
const SIGNATURE_TESTS: u64 = 401;
const KEY_TESTS: u64 = 26;
const CRYPTO_TESTS: u64 = 83;
const RFC_TESTS: u64 = 27;

/// Verifies as the gateway does: the token, the algorithm, the key, the signature. A set without a usable key knows no key.
fn verify(keys: &Value, token: &str) -> Result<(), Rejection> {
    let bearer = BearerToken::parse(token.as_bytes(), &TokenLimits::default())?;
    let algorithm = algorithm_from_name(bearer.algorithm()).ok_or(Rejection::AlgorithmNotAllowed)?;
    let set = KeySet::parse(keys.to_string().as_bytes(), &KeySetLimits::default()).unwrap_or_default();
    set.find(&bearer, algorithm)?.verify(algorithm, bearer.signed_bytes(), bearer.signature())
}

fn wycheproof(name: &str, tests: u64, differences: &[Difference]) {
    let Some(suite) = corpus::json(&format!("vectors/wycheproof/{name}.json")) else { return };
    let mut run = 0;
    for group in suite["testGroups"].as_array().unwrap() {
        // Symmetric keys have no public half.
        let key = group.get("public").unwrap_or(&group["private"]);
        let keys = if key["keys"].is_array() { key.clone() } else { json!({"keys": [key]}) };
        for test in group["tests"].as_array().unwrap() {
            run += 1;
            let id = test["tcId"].as_u64().unwrap();
            let token = test.get("jws").unwrap_or(&test["jwe"]);
            // The JSON serialization is there as an object.
            let token = token.as_str().map_or_else(|| token.to_string(), str::to_owned);
            let difference = differences.iter().find(|(ids, ..)| ids.contains(&id));
            match (verify(&keys, &token), test["result"].as_str().unwrap(), difference) {
                (Ok(()), "valid", None) | (Err(_), "invalid", None) => {}
                (Err(rejection), "valid", Some((_, expected, why))) => assert_eq!(rejection, *expected, "{name} {id}: {why}"),
                (outcome, expected, _) => panic!("{name} {id} {}: {outcome:?}, the suite says {expected}", test["comment"]),
            }
        }
    }
    assert_eq!(run, tests);
    assert_eq!(suite["numberOfTests"], tests);
}

#[test]
fn wycheproof_signatures() {
    wycheproof("json_web_signature_test", SIGNATURE_TESTS, SIGNATURE);
}

#[test]
fn wycheproof_keys() {
    wycheproof("json_web_key_test", KEY_TESTS, KEY);
}

#[test]
fn wycheproof_crypto() {
    wycheproof("json_web_crypto_test", CRYPTO_TESTS, CRYPTO);
}

#[test]
fn rfc_examples() {
    let mut run: u64 = 0;
    for name in ["rfc7515_appendix", "rfc7520_jws", "rfc8037", "must_reject_jwe_none"] {
        let Some(examples) = corpus::json(&format!("vectors/rfc/{name}.json")) else { return };
        for example in examples.as_array().unwrap() {
            run += 1;
            let id = example["id"].as_str().unwrap();
            let keys = json!({"keys": [example["jwk"]]});
            if let Some(thumbprint) = example["thumbprint_sha256"].as_str() {
                let set = KeySet::parse(keys.to_string().as_bytes(), &KeySetLimits::default()).unwrap();
                assert_eq!(set.keys()[0].id().to_string(), thumbprint, "{id}");
                continue;
            }
            let serializations = ["json_general", "json_flat"].map(|form| example.get(form));
            let in_json = serializations.into_iter().flatten().next().map(Value::to_string);
            let token = in_json.unwrap_or_else(|| example["token"].as_str().expect(id).to_owned());
            let difference = RFC.iter().find(|(ids, ..)| ids.contains(&id));
            let expected = match difference {
                Some((_, rejection, _)) => Err(*rejection),
                None if RFC_ACCEPTED.contains(&id) => Ok(()),
                // Without a signature or with five segments: to be refused by the RFC too.
                None => Err(Rejection::TokenMalformed),
            };
            assert_eq!(verify(&keys, &token), expected, "{id}");
        }
    }
    assert_eq!(run, RFC_TESTS);
}

#[test]
fn the_docs_name_every_difference() {
    fn rows<I: std::fmt::Display>(suite: &str, tests: u64, differences: &[(&[I], Rejection, &str)]) -> Vec<String> {
        let count: usize = differences.iter().map(|(ids, ..)| ids.len()).sum();
        let mut rows = vec![format!("| {suite} | {tests} | {count} |")];
        for (ids, rejection, why) in differences {
            let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
            rows.push(format!("| {suite} | {} | `{}` | {why} |", ids.join(", "), rejection.label()));
        }
        rows
    }
    let expected = [
        rows("Wycheproof, signatures", SIGNATURE_TESTS, SIGNATURE),
        rows("Wycheproof, keys", KEY_TESTS, KEY),
        rows("Wycheproof, crypto", CRYPTO_TESTS, CRYPTO),
        rows("RFC 7515, 7519, 7520, 8037", RFC_TESTS, RFC),
    ]
    .concat();
    let docs = include_str!("../../docs/verification.md");
    let missing: Vec<_> = expected.iter().filter(|row| !docs.lines().any(|line| line == *row)).collect();
    assert!(missing.is_empty(), "docs/verification.md lacks:\n{missing:#?}");
}
