use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::token::{
    TokenLimits,
    jwk::test_keys::{ed25519, encode, other_rsa, p256, p384, roca_modulus, rsa},
};

pub(super) fn parse(document: impl AsRef<[u8]>) -> Result<KeySet, KeySetError> {
    KeySet::parse(document.as_ref(), &KeySetLimits::default())
}

fn set(keys: &[Json]) -> KeySet {
    parse(json!({"keys": keys}).to_string()).expect("a key set")
}

fn find(set: &KeySet, header: Json, algorithm: Algorithm) -> Result<KeyId, Rejection> {
    let token = format!("{}.e30.AA", encode(header.to_string()));
    let bearer = BearerToken::parse(token.as_bytes(), &TokenLimits::default()).expect("a token");
    set.find(&bearer, algorithm).map(|key| *key.id())
}

fn id(jwk: &Json) -> KeyId {
    *set(std::slice::from_ref(jwk)).keys()[0].id()
}

fn kid(kid: &str) -> Json {
    json!({"alg": "RS256", "kid": kid})
}

fn skipped(set: &KeySet) -> Vec<(Option<&str>, SkipReason)> {
    set.skipped().iter().map(|key| (key.kid.as_deref(), key.reason)).collect()
}

const RS256: Algorithm = Algorithm::RS256;

#[test]
fn keys_are_found_by_kid() {
    let set = set(&[rsa().jwk_with(json!({"kid": "a"})), other_rsa().jwk_with(json!({"kid": "b"}))]);
    assert_eq!(set.keys().iter().map(|key| key.kid()).collect::<Vec<_>>(), [Some("a"), Some("b")]);
    assert_eq!(find(&set, kid("a"), RS256), Ok(id(&rsa().jwk)));
    assert_eq!(find(&set, kid("b"), RS256), Ok(id(&other_rsa().jwk)));
    for unknown in ["c", "A", "a ", "", "../a", "a\0"] {
        assert_eq!(find(&set, kid(unknown), RS256), Err(Rejection::UnknownKey), "{unknown:?}");
    }
    assert_eq!(find(&set, kid("a"), Algorithm::ES256), Err(Rejection::KeyNotForAlgorithm));
    assert_eq!(find(&KeySet::default(), kid("a"), RS256), Err(Rejection::UnknownKey));
    assert_eq!(find(&KeySet::default(), json!({"alg": "RS256"}), RS256), Err(Rejection::UnknownKey));
}

#[test]
fn the_own_alg_of_a_key_decides() {
    let set = set(&[rsa().jwk_with(json!({"kid": "a", "alg": "PS256"}))]);
    assert_eq!(find(&set, kid("a"), RS256), Err(Rejection::KeyNotForAlgorithm));
    assert_eq!(find(&set, kid("a"), Algorithm::PS256), Ok(id(&rsa().jwk)));
    assert_eq!(find(&set, kid("a"), Algorithm::HS256), Err(Rejection::KeyNotForAlgorithm));
}

#[test]
fn thumbprints_count_only_without_kid() {
    let set = set(&[
        rsa().jwk_with(json!({"kid": "a", "x5t": "one"})),
        other_rsa().jwk_with(json!({"x5t": "other", "x5t#S256": "two"})),
        p256().jwk_with(json!({"x5t": "other"})),
    ]);
    assert_eq!(find(&set, json!({"alg": "RS256", "x5t": "one"}), RS256), Ok(id(&rsa().jwk)));
    assert_eq!(find(&set, json!({"alg": "RS256", "x5t#S256": "two"}), RS256), Ok(id(&other_rsa().jwk)));
    assert_eq!(find(&set, json!({"alg": "RS256", "x5t": "other"}), RS256), Ok(id(&other_rsa().jwk)));
    assert_eq!(find(&set, json!({"alg": "RS256", "x5t": "none", "x5t#S256": "two"}), RS256), Ok(id(&other_rsa().jwk)));
    assert_eq!(find(&set, json!({"alg": "RS256", "x5t": "one", "x5t#S256": "two"}), RS256), Err(Rejection::AmbiguousKey));
    assert_eq!(find(&set, json!({"alg": "RS256", "x5t": "two"}), RS256), Err(Rejection::UnknownKey));
    assert_eq!(find(&set, json!({"alg": "RS256", "x5t": "one"}), Algorithm::ES256), Err(Rejection::KeyNotForAlgorithm));
    assert_eq!(find(&set, json!({"alg": "RS256", "kid": "b", "x5t": "one"}), RS256), Err(Rejection::UnknownKey));
}

#[test]
fn a_token_that_names_no_key_gets_the_only_one() {
    let header = json!({"alg": "RS256"});
    let mixed = set(&[rsa().jwk_with(json!({"kid": "a"})), p256().jwk.clone()]);
    assert_eq!(find(&mixed, header.clone(), RS256), Ok(id(&rsa().jwk)));
    assert_eq!(find(&mixed, header.clone(), Algorithm::ES256), Ok(id(&p256().jwk)));
    assert_eq!(find(&mixed, header.clone(), Algorithm::EdDSA), Err(Rejection::KeyNotForAlgorithm));
    let two = set(&[rsa().jwk_with(json!({"kid": "a"})), other_rsa().jwk.clone()]);
    assert_eq!(find(&two, header.clone(), RS256), Err(Rejection::AmbiguousKey));
    let narrowed = set(&[rsa().jwk.clone(), other_rsa().jwk_with(json!({"alg": "PS256"}))]);
    assert_eq!(find(&narrowed, header.clone(), RS256), Ok(id(&rsa().jwk)));
    let twice = set(&[rsa().jwk_with(json!({"kid": "a"})), rsa().jwk_with(json!({"kid": "b"}))]);
    assert_eq!(find(&twice, header, RS256), Ok(id(&rsa().jwk)));
}

#[test]
fn a_key_without_kid_is_not_for_tokens_with_one() {
    let set = set(&[rsa().jwk.clone()]);
    assert_eq!(find(&set, kid("a"), RS256), Err(Rejection::UnknownKey));
    assert_eq!(find(&set, json!({"alg": "RS256"}), RS256), Ok(id(&rsa().jwk)));
}

#[test]
fn equal_keys_under_one_kid_are_one() {
    let mut keys = [
        rsa().jwk_with(json!({"kid": "a", "x5t": "first"})),
        rsa().jwk_with(json!({"kid": "a", "x5t": "second"})),
        other_rsa().jwk.clone(),
        other_rsa().jwk.clone(),
    ];
    for _ in 0..2 {
        let set = set(&keys);
        assert_eq!(skipped(&set), []);
        // Both certificates of the first are known, so it has two entries; it is one key.
        assert_eq!((set.keys().len(), set.distinct()), (3, 2));
        assert_eq!(find(&set, kid("a"), RS256), Ok(id(&rsa().jwk)));
        for x5t in ["first", "second"] {
            assert_eq!(find(&set, json!({"alg": "RS256", "x5t": x5t}), RS256), Ok(id(&rsa().jwk)));
        }
        keys.reverse();
    }
    let twice = self::set(&[rsa().jwk_with(json!({"kid": "a"})), rsa().jwk_with(json!({"kid": "a"}))]);
    assert_eq!(twice.keys().len(), 1);
}

#[test]
fn two_entries_under_one_kid_are_told_apart_by_the_algorithm() {
    let ps256 = |key: &Json| named(key, json!({"alg": "PS256"}));
    let rs256 = |key: &Json| named(key, json!({"alg": "RS256"}));
    // Two keys, or one key listed twice, in either order.
    for (one, two) in [(other_rsa(), rsa()), (rsa(), rsa())] {
        let (one, two) = (ps256(&one.jwk), rs256(&two.jwk));
        for keys in [[one.clone(), two.clone()], [two.clone(), one.clone()]] {
            let set = set(&keys);
            assert_eq!(skipped(&set), []);
            assert_eq!(find(&set, kid("a"), RS256), Ok(id(&two)));
            assert_eq!(find(&set, kid("a"), Algorithm::PS256), Ok(id(&one)));
            assert_eq!(find(&set, kid("a"), Algorithm::RS512), Err(Rejection::KeyNotForAlgorithm));
        }
    }
    // A key for every algorithm and another one for one of them: nobody can say which is meant.
    let (any, one) = (named(&rsa().jwk, json!({})), ps256(&other_rsa().jwk));
    for keys in [[any.clone(), one.clone()], [one, any]] {
        assert!(matches!(parse(json!({"keys": keys}).to_string()), Err(KeySetError::NoUsableKey { .. })));
    }
}

fn named(jwk: &Json, more: Json) -> Json {
    let mut jwk = jwk.clone();
    jwk["kid"] = "a".into();
    jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    jwk
}

#[test]
fn one_key_for_two_issuers_speaks_for_both() {
    let keys = ["https://a.contoso.com", "https://b.contoso.com"].map(|issuer| named(&rsa().jwk, json!({"issuer": issuer})));
    for keys in [keys.clone(), [keys[1].clone(), keys[0].clone()]] {
        let set = set(&keys);
        for key in &keys {
            let token = format!("{}.e30.AA", encode(kid("a").to_string()));
            let bearer = BearerToken::parse(token.as_bytes(), &TokenLimits::default()).unwrap();
            let found = set.find_for(&bearer, RS256, |found| found.issuer() == key["issuer"].as_str()).unwrap();
            assert_eq!(found.issuer(), key["issuer"].as_str());
        }
    }
}

#[test]
fn keys_of_different_types_may_share_a_kid() {
    let named = |jwk: &Json| [jwk.as_object().unwrap().clone(), json!({"kid": "a"}).as_object().unwrap().clone()];
    let keys: Vec<Json> = [rsa(), p256(), ed25519()].iter().map(|key| named(&key.jwk).into_iter().flatten().collect()).collect();
    let set = set(&keys);
    assert_eq!(set.keys().len(), 3);
    assert_eq!(find(&set, kid("a"), RS256), Ok(id(&rsa().jwk)));
    assert_eq!(find(&set, kid("a"), Algorithm::ES256), Ok(id(&p256().jwk)));
    assert_eq!(find(&set, kid("a"), Algorithm::EdDSA), Ok(id(&ed25519().jwk)));
    assert_eq!(find(&set, kid("a"), Algorithm::ES384), Err(Rejection::KeyNotForAlgorithm));
}

#[test]
fn different_keys_under_one_kid_for_one_algorithm_are_all_passed_over() {
    let set = set(&[
        rsa().jwk_with(json!({"kid": "a"})),
        p256().jwk_with(json!({"kid": "a"})),
        other_rsa().jwk_with(json!({"kid": "a"})),
        rsa().jwk_with(json!({"kid": "a"})),
        p384().jwk_with(json!({"kid": "b"})),
        p256().jwk_with(json!({"kid": "b"})),
    ]);
    let a = (Some("a"), SkipReason::DuplicateKid);
    assert_eq!(skipped(&set), [a, a, a]);
    assert_eq!(find(&set, kid("a"), RS256), Err(Rejection::KeyNotForAlgorithm));
    assert_eq!(find(&set, kid("a"), Algorithm::ES256), Ok(id(&p256().jwk)));
    // Their curves differ, so the algorithm tells them apart.
    assert_eq!(find(&set, kid("b"), Algorithm::ES256), Ok(id(&p256().jwk)));
    assert_eq!(find(&set, kid("b"), Algorithm::ES384), Ok(id(&p384().jwk)));
}

#[test]
fn one_odd_key_never_costs_the_others() {
    let good = rsa().jwk_with(json!({"kid": "good"}));
    let document = format!(
        r#"{{"comment":{{"x":1,"x":2}},"keys":[null,1,"text",[],{{"kid":"twice","kid":"twice"}},{{"kid":"deep","a":{}{}}},
            {{"kid":"big","a":1e400}},{{"kid":"oct","kty":"oct","k":"AA"}},{{"kid":5}},{{}},{good}]}}"#,
        "[".repeat(500),
        "]".repeat(500),
    );
    let set = parse(document).unwrap();
    assert_eq!(find(&set, kid("good"), RS256), Ok(id(&rsa().jwk)));
    let malformed = (None, SkipReason::Malformed);
    assert_eq!(
        skipped(&set),
        [
            malformed,
            malformed,
            malformed,
            (None, SkipReason::DuplicateMember),
            malformed,
            malformed,
            (Some("oct"), SkipReason::Symmetric),
            (None, SkipReason::MemberMissing),
            (None, SkipReason::MemberMissing),
        ]
    );
}

#[test]
fn every_reason_to_skip_a_key_occurs() {
    let modulus = |bytes: &[u8]| rsa().jwk_with(json!({"n": encode(bytes)}));
    let cases = [
        (rsa().jwk_with(json!({"alg": "ES256"})), SkipReason::AlgorithmMismatch),
        (json!({"kty": "RSA", "x5c": ["AAAA"]}), SkipReason::CertificateMalformed),
        (rsa().jwk_with(json!({"x5c": [other_rsa().certificate]})), SkipReason::CertificateMismatch),
        (p256().jwk_with(json!({"x": p256().jwk["y"]})), SkipReason::EcPointInvalid),
        (p256().jwk_with(json!({"x": "AAAA"})), SkipReason::EcPointLength),
        (ed25519().jwk_with(json!({"x": "AAAA"})), SkipReason::Ed25519Length),
        (ed25519().jwk_with(json!({"x": encode([0xff; 32])})), SkipReason::Ed25519NotCanonical),
        (ed25519().jwk_with(json!({"x": encode([0; 32])})), SkipReason::Ed25519SmallOrder),
        (rsa().jwk_with(json!({"kid": "k".repeat(5000)})), SkipReason::KidTooLong),
        (json!([]), SkipReason::Malformed),
        (rsa().jwk_with(json!({"n": "*"})), SkipReason::MemberEncoding),
        (json!({"kty": "RSA"}), SkipReason::MemberMissing),
        (json!({"kty": "RSA", "n": 1, "e": 1}), SkipReason::MemberType),
        (rsa().jwk_with(json!({"key_ops": ["sign"]})), SkipReason::NotForVerifying),
        (rsa().jwk_with(json!({"d": "AQ"})), SkipReason::PrivateKey),
        (rsa().jwk_with(json!({"e": "Aw"})), SkipReason::RsaExponent),
        (modulus(&[0x80; 256]), SkipReason::RsaModulusEven),
        (modulus(&roca_modulus()), SkipReason::RsaModulusWeak),
        (modulus(&[0xff; 1025]), SkipReason::RsaTooLarge),
        (modulus(&[0xff; 255]), SkipReason::RsaTooSmall),
        (json!({"kty": "oct", "k": "AAAA"}), SkipReason::Symmetric),
        (rsa().jwk_with(json!({"alg": "HS256"})), SkipReason::UnsupportedAlgorithm),
        (p256().jwk_with(json!({"crv": "P-521"})), SkipReason::UnsupportedCurve),
        (json!({"kty": "AKP"}), SkipReason::UnsupportedKeyType),
        (rsa().jwk_with(json!({"use": "sig", "key_ops": ["verify", "wrapKey"]})), SkipReason::UseConflict),
        (rsa().jwk_with(json!({"use": "enc"})), SkipReason::UseNotSig),
        (rsa().jwk_with(json!({"kid": "a"})), SkipReason::DuplicateKid),
        (other_rsa().jwk_with(json!({"kid": "a"})), SkipReason::DuplicateKid),
    ];
    let mut keys: Vec<String> = cases.iter().map(|(jwk, _)| jwk.to_string()).collect();
    keys.push(r#"{"kty":"RSA","kty":"RSA"}"#.into());
    let Err(KeySetError::NoUsableKey { skipped }) = parse(format!(r#"{{"keys":[{}]}}"#, keys.join(","))) else {
        panic!("every key must be skipped")
    };
    let mut occurred: Vec<_> = skipped.iter().map(|key| key.reason).collect();
    let mut expected: Vec<_> = cases.iter().map(|(_, reason)| *reason).chain([SkipReason::DuplicateMember]).collect();
    occurred.sort();
    expected.sort();
    assert_eq!(occurred, expected);
    occurred.dedup();
    assert_eq!(occurred, SkipReason::ALL);
}

#[test]
fn what_is_no_key_set_is_refused() {
    let no_object = "not a key set: the document is not a JSON object";
    let no_keys = "not a key set: exactly one member `keys` with an array is required";
    for (document, expected) in [
        ("", no_object),
        ("[]", no_object),
        ("[[]]", no_object),
        ("null", no_object),
        ("<html>", no_object),
        ("{}", no_keys),
        (r#"{"Keys":[]}"#, no_keys),
        (r#"{"keys":null}"#, no_keys),
        (r#"{"keys":{}}"#, no_keys),
        (r#"{"keys":"text"}"#, no_keys),
        (r#"{"keys":[],"keys":[]}"#, no_keys),
        (r#"{"keys":[]"#, "not a key set: the JSON is truncated or invalid at line 1, column 10"),
        (r#"{"keys":[{]}"#, "not a key set: the JSON is truncated or invalid at line 1, column 11"),
        (r#"{"keys":[]} x"#, "not a key set: the JSON is truncated or invalid at line 1, column 13"),
    ] {
        let error = parse(document).unwrap_err();
        assert!(matches!(error, KeySetError::Malformed(_)), "{document}: {error:?}");
        assert_eq!(error.to_string(), expected, "{document}");
    }
    assert!(matches!(parse(b"{\"keys\":[\"\xff\"]}"), Err(KeySetError::Malformed(_))));
}

#[test]
fn a_set_without_a_usable_key_is_an_error_that_says_why() {
    assert_eq!(parse(r#"{"keys":[]}"#).unwrap_err(), KeySetError::NoUsableKey { skipped: vec![] });
    let error = parse(r#"{"keys":[{"kty":"oct","kid":"a"},{"kty":"oct"},{"kty":"nope"}]}"#).unwrap_err();
    assert_eq!(error.to_string(), "no usable key among 3 (symmetric, unsupported_key_type)");
    let both = json!({"keys": [rsa().jwk_with(json!({"kid": "a"})), other_rsa().jwk_with(json!({"kid": "a"}))]}).to_string();
    assert_eq!(parse(both).unwrap_err().to_string(), "no usable key among 2 (duplicate_kid)");
}

#[test]
fn both_bounds_hold_exactly() {
    let document = json!({"keys": [rsa().jwk_with(json!({"kid": "a"})), {"kty": "oct"}]}).to_string();
    let exact = KeySetLimits { bytes: document.len(), keys: 2 };
    assert!(KeySet::parse(document.as_bytes(), &exact).is_ok());
    let shorter = KeySetLimits { bytes: document.len() - 1, ..exact.clone() };
    let error = KeySet::parse(document.as_bytes(), &shorter).unwrap_err();
    assert_eq!(error, KeySetError::TooLarge { limit: document.len() - 1, unit: "bytes" });
    let error = KeySet::parse(document.as_bytes(), &KeySetLimits { keys: 1, ..exact }).unwrap_err();
    assert_eq!(error.to_string(), "the key set has more than 1 keys");
}

#[test]
fn sets_are_made_of_the_keys_of_others() {
    let one = set(&[rsa().jwk_with(json!({"kid": "a"}))]);
    let other = set(&[rsa().jwk_with(json!({"kid": "a"})), p256().jwk_with(json!({"kid": "b"}))]);
    let merged = KeySet::from_keys(one.keys().iter().chain(other.keys()).cloned());
    assert_eq!(merged.keys().len(), 2);
    assert!(Arc::ptr_eq(&merged.keys()[0], &one.keys()[0]));
    assert!(merged.contains(&id(&rsa().jwk)) && merged.contains(&id(&p256().jwk)));
    assert!(!merged.contains(&id(&other_rsa().jwk)));
    let changed = set(&[other_rsa().jwk_with(json!({"kid": "a"}))]);
    let disputed = KeySet::from_keys(one.keys().iter().chain(changed.keys()).cloned());
    assert!(disputed.keys().is_empty());
    assert_eq!(disputed.skipped().len(), 2);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = parse(bytes);
    }

    #[test]
    fn no_document_panics(body in r#"[{}\[\]:,"a-e0-9 ktynx=]{0,120}"#) {
        let _ = parse(format!(r#"{{"keys":[{body}]}}"#));
    }
}
