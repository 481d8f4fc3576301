//! Real key sets and tokens, recorded from providers: every set parses, with the expected number of usable keys.

use std::fs;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use syncgate::token::{
    BearerToken, KeySet, KeySetError, KeySetLimits, SkipReason, SkippedKey, TokenLimits, VerificationKey, algorithm_from_name,
};

use crate::corpus;

/// A set, its usable keys, and why the others are not used, in their order.
type Row = (&'static str, usize, &'static [SkipReason]);

const SETS: &[Row] = &[
    ("jwks/auth0-keats-example.json", 2, &[]),
    // v4 of the container is for encryption; v3 says nothing of its use.
    ("jwks/b2c-2016-IdTokenSigningKeyContainer-v1-v4.json", 3, &[SkipReason::UseNotSig]),
    ("jwks/b2c-robertoprevato-2018.json", 1, &[]),
    ("jwks/dockyard-auth0.json", 2, &[]),
    ("jwks/dockyard-azure.json", 10, &[]),
    ("jwks/dockyard-google.json", 2, &[]),
    ("jwks/dockyard-keycloak.json", 1, &[SkipReason::UseNotSig]),
    ("jwks/dockyard-okta.json", 2, &[]),
    ("jwks/entra-common-identitymodel-10.json", 10, &[]),
    ("jwks/entra-single-tenant-v2-2017.json", 3, &[]),
    ("jwks/google-iap-ec.json", 5, &[]),
    ("jwks/identityserver-demo.json", 1, &[]),
    // One EC key; one RSA key published twice, with two certificates; one encryption key published twice.
    ("jwks/idme-mixed-ec-rsa.json", 2, &[SkipReason::UseNotSig, SkipReason::UseNotSig]),
    ("jwks/jose4j-JwtConsumerTest-6.json", 3, &[]),
    ("jwks/ps256-ps384-ps512.json", 3, &[]),
    ("jwks/wellknown-apple.json", 3, &[]),
    // Both moduli have a leading zero, the other alphabet and padding.
    ("jwks/wellknown-battle-net.json", 2, &[]),
    ("jwks/wellknown-entra-common-cloud_instance_name.json", 9, &[]),
    ("jwks/wellknown-entra-organizations.json", 6, &[]),
    // Seven RSA keys, five of them with a leading zero, and seven on P-256; X25519 is for key agreement.
    ("jwks/wellknown-paypal.json", 14, &[SkipReason::UnsupportedCurve]),
    ("jwks/xero-identityserver.json", 1, &[]),
    // One of the certificates is none, but `n` and `e` are there.
    ("odd/aad-bad-x5c.json", 2, &[]),
    // Names in capitals, then `key_ops` of `signing`, then `n` without `e`.
    ("odd/aad-missing-n.json", 0, &[SkipReason::MemberMissing, SkipReason::NotForVerifying, SkipReason::MemberMissing]),
    ("odd/aad-x5c-only.json", 1, &[]),
    ("odd/auth0-no-kid.json", 1, &[]),
    ("odd/auth0-use-else.json", 0, &[SkipReason::UseNotSig, SkipReason::UseNotSig]),
    ("odd/empty-keys.json", 0, &[]),
    // The last key has 2040 bits.
    ("odd/firezone-ec-okp-rsa-no-use.json", 3, &[SkipReason::RsaTooSmall]),
    // `alg` of the P-521 key is ES521, which does not exist.
    ("odd/identitymodel-ec-3-curves.json", 2, &[SkipReason::UnsupportedAlgorithm]),
    ("odd/jose4j-VerificationJwkSelectorTest-11.json", 6, &[SkipReason::UnsupportedCurve, SkipReason::UnsupportedCurve]),
    ("odd/keycloak-with-RSA-OAEP-enc.json", 1, &[SkipReason::UseNotSig]),
    ("odd/keyfunc-mixed-5.json", 4, &[SkipReason::UnsupportedCurve]),
    ("odd/mod_auth_openidc-set-good-then-bad.json", 1, &[SkipReason::Symmetric, SkipReason::UnsupportedKeyType]),
    ("odd/oct-4keys.json", 0, &[SkipReason::Symmetric, SkipReason::Symmetric, SkipReason::Symmetric, SkipReason::Symmetric]),
    ("odd/okp-ed25519-2keys.json", 2, &[]),
    ("odd/uaa-legacy-value-pem.json", 1, &[]),
];

/// The names of the documents in one folder, sorted.
fn names(folder: &str) -> Option<Vec<String>> {
    let entries = fs::read_dir(corpus::folder()?.join(folder)).expect("the folder is there");
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    Some(names.into_iter().map(|name| format!("{folder}/{name}")).collect())
}

fn parse(name: &str) -> Result<KeySet, KeySetError> {
    let document = corpus::bytes(name).expect("the corpus is there");
    KeySet::parse(&document, &KeySetLimits::default())
}

fn reasons(skipped: &[SkippedKey]) -> Vec<SkipReason> {
    skipped.iter().map(|key| key.reason).collect()
}

#[test]
fn every_set_has_its_usable_keys() {
    let Some(names) = names("jwks").zip(names("odd")).map(|(jwks, odd)| [jwks, odd].concat()) else { return };
    assert_eq!(names, SETS.iter().map(|row| row.0).collect::<Vec<_>>());
    for (name, usable, skipped) in SETS {
        match parse(name) {
            Ok(set) => {
                assert_eq!(set.distinct(), *usable, "{name}: {:?}", set.skipped());
                assert_eq!(reasons(set.skipped()), *skipped, "{name}");
            }
            Err(KeySetError::NoUsableKey { skipped: all }) => {
                assert_eq!(*usable, 0, "{name}: {all:?}");
                assert_eq!(reasons(&all), *skipped, "{name}");
            }
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn a_key_with_two_certificates_is_found_by_its_kid_in_either_order() {
    let Some(mut document) = corpus::json("jwks/idme-mixed-ec-rsa.json") else { return };
    let kid = "9WSOx_eAXYDxiFou_suVIzGiNxBarsylEONVPbv1yTg";
    let token = format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(json!({"alg": "RS256", "kid": kid}).to_string()));
    let bearer = BearerToken::parse(token.as_bytes(), &TokenLimits::default()).unwrap();
    for _ in 0..2 {
        let set = KeySet::parse(document.to_string().as_bytes(), &KeySetLimits::default()).unwrap();
        assert_eq!(set.find(&bearer, algorithm_from_name("RS256").unwrap()).unwrap().kid(), Some(kid));
        document["keys"].as_array_mut().unwrap().reverse();
    }
}

#[test]
fn keys_are_bound_to_their_issuer_and_cloud() {
    if corpus::folder().is_none() {
        return;
    }
    let common = parse("jwks/wellknown-entra-common-cloud_instance_name.json").unwrap();
    let count = |matches: &dyn Fn(&VerificationKey) -> bool| common.keys().iter().filter(|key| matches(key)).count();
    assert_eq!(count(&|key| key.cloud_instance() == Some("microsoftonline.us")), 2);
    assert_eq!(count(&|key| key.cloud_instance() == Some("microsoftonline.com")), 7);
    assert_eq!(count(&|key| key.issuer() == Some("https://login.microsoftonline.com/{tenantid}/v2.0")), 6);
    assert_eq!(count(&|key| key.issuer().is_some_and(|issuer| issuer.contains("/9188040d-"))), 3);
    let b2c = parse("jwks/b2c-robertoprevato-2018.json").unwrap();
    assert!(b2c.keys().iter().all(|key| key.issuer().is_none() && key.cloud_instance().is_none()));
}

#[test]
fn every_set_of_the_history_parses_whole() {
    let Some(names) = names("history") else { return };
    assert_eq!(names.len(), 3);
    for name in names {
        let history = corpus::json(&name).expect("the corpus is there");
        let timeline = history["timeline"].as_array().expect("a timeline");
        assert!(timeline.len() > 10, "{name}");
        for version in timeline {
            // The record counts the versions of one key as `kid#2` and so on.
            let names = version["kids"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
            let keys: Vec<_> = names.map(|name| &history["keys"][name]).collect();
            let kids: Vec<_> = keys.iter().map(|key| key["kid"].as_str().unwrap()).collect();
            let document = json!({"keys": keys}).to_string();
            let set = KeySet::parse(document.as_bytes(), &KeySetLimits::default()).unwrap();
            assert_eq!(set.keys().iter().filter_map(|key| key.kid()).collect::<Vec<_>>(), kids, "{name} {}", version["time"]);
            assert_eq!(set.skipped(), [], "{name}");
        }
    }
}

#[test]
fn real_tokens_verify_with_their_key_and_with_no_other() {
    let Some(tokens) = corpus::json("tokens/real-tokens.json") else { return };
    let tokens = tokens.as_array().unwrap();
    assert_eq!(tokens.len(), 11);
    let sets: Vec<_> = SETS.iter().filter_map(|(name, ..)| parse(name).ok()).collect();
    for token in tokens {
        let bearer = BearerToken::parse(token["token"].as_str().unwrap().as_bytes(), &TokenLimits::default()).unwrap();
        assert_eq!(bearer.algorithm(), token["header"]["alg"]);
        assert_eq!(serde_json::from_slice::<Value>(bearer.payload()).unwrap(), token["payload"]);
        let algorithm = algorithm_from_name(bearer.algorithm()).unwrap();
        let own = token["signature_verifies_with"].as_str().unwrap();
        let set = parse(own).unwrap();
        let key = set.find(&bearer, algorithm).expect(own);
        assert_eq!(key.verify(algorithm, bearer.signed_bytes(), bearer.signature()), Ok(()), "{own}");
        for other in sets.iter().flat_map(KeySet::keys).filter(|other| other.id() != key.id()) {
            assert!(other.verify(algorithm, bearer.signed_bytes(), bearer.signature()).is_err(), "{own} with {:?}", other.kid());
        }
    }
}
