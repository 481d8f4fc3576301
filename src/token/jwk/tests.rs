use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    test_keys::{TestKey, ed25519, encode, other_rsa, p256, p384, roca_modulus, rsa},
    *,
};
use crate::token::json;

fn parse(jwk: &Value) -> Result<VerificationKey, SkipReason> {
    let text = jwk.to_string();
    VerificationKey::from_jwk(&json::parse_object(text.as_bytes()).expect("a JSON object"))
}

fn reason(jwk: &Value) -> SkipReason {
    parse(jwk).expect_err("the key must be skipped")
}

fn without(jwk: &Value, name: &str) -> Value {
    let mut jwk = jwk.clone();
    jwk.as_object_mut().unwrap().remove(name);
    jwk
}

fn decode(text: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
}

fn modulus() -> Vec<u8> {
    decode(&rsa().jwk["n"])
}

fn rsa_with(modulus: &[u8], exponent: &[u8]) -> Value {
    json!({"kty": "RSA", "n": encode(modulus), "e": encode(exponent)})
}

const ALL: [Algorithm; 12] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
    Algorithm::HS256,
    Algorithm::HS384,
    Algorithm::HS512,
];

fn permitted(key: &VerificationKey) -> Vec<Algorithm> {
    ALL.into_iter().filter(|algorithm| key.permits(*algorithm)).collect()
}

const RSA: [Algorithm; 6] = [ALL[0], ALL[1], ALL[2], ALL[3], ALL[4], ALL[5]];

#[test]
fn each_type_of_key_verifies_what_it_signed_and_nothing_else() {
    let cases: [(&TestKey, &[Algorithm]); 4] =
        [(rsa(), &RSA), (p256(), &[Algorithm::ES256]), (p384(), &[Algorithm::ES384]), (ed25519(), &[Algorithm::EdDSA])];
    for (pair, algorithms) in cases {
        let key = parse(&pair.jwk).unwrap();
        assert_eq!(permitted(&key), algorithms, "{}", pair.jwk);
        assert_eq!(key.type_name(), pair.jwk["kty"]);
        for algorithm in algorithms {
            let signature = pair.sign(*algorithm, b"message");
            assert_eq!(key.verify(*algorithm, b"message", &signature), Ok(()));
            assert_eq!(key.verify(*algorithm, b"messagE", &signature), Err(Rejection::BadSignature));
            assert_eq!(key.verify(*algorithm, b"message", &signature[1..].to_vec()), Err(Rejection::BadSignature));
            assert_eq!(key.verify(*algorithm, b"message", &[&signature[..], &[0]].concat()), Err(Rejection::BadSignature));
            assert_eq!(key.verify(*algorithm, b"message", &Vec::new()), Err(Rejection::BadSignature));
            for other in ALL.iter().filter(|other| *other != algorithm) {
                let refusal = if algorithms.contains(other) { Rejection::BadSignature } else { Rejection::KeyNotForAlgorithm };
                assert_eq!(key.verify(*other, b"message", &signature), Err(refusal), "{algorithm:?} as {other:?}");
            }
        }
    }
}

#[test]
fn trivial_ecdsa_signatures_do_not_hold() {
    let order = decode(&json!("_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE"));
    let key = parse(&p256().jwk).unwrap();
    for (r, s) in [(vec![0; 32], vec![0; 32]), (order.clone(), order.clone()), (vec![0; 32], vec![1; 32]), (vec![1; 32], order)] {
        assert_eq!(key.verify(Algorithm::ES256, b"message", &[r, s].concat()), Err(Rejection::BadSignature));
    }
}

#[test]
fn ecdsa_signatures_in_der_do_not_hold() {
    let raw = p256().sign(Algorithm::ES256, b"message");
    let integer = |bytes: &[u8]| {
        let digits: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        let sign = if digits[0] >= 0x80 { vec![0] } else { vec![] };
        [vec![2, (sign.len() + digits.len()) as u8], sign, digits].concat()
    };
    let body = [integer(&raw[..32]), integer(&raw[32..])].concat();
    let der = [vec![0x30, body.len() as u8], body].concat();
    assert_eq!(parse(&p256().jwk).unwrap().verify(Algorithm::ES256, b"message", &der), Err(Rejection::BadSignature));
}

#[test]
fn the_own_alg_narrows_what_a_key_permits() {
    for (name, algorithm) in [("RS256", Algorithm::RS256), ("PS512", Algorithm::PS512)] {
        assert_eq!(permitted(&parse(&rsa().jwk_with(json!({"alg": name}))).unwrap()), [algorithm]);
    }
    for name in ["EdDSA", "Ed25519"] {
        assert_eq!(permitted(&parse(&ed25519().jwk_with(json!({"alg": name}))).unwrap()), [Algorithm::EdDSA]);
    }
    for (pair, name) in [(rsa(), "ES256"), (p256(), "ES384"), (p256(), "RS256"), (p384(), "ES256"), (ed25519(), "ES256")] {
        assert_eq!(reason(&pair.jwk_with(json!({"alg": name}))), SkipReason::AlgorithmMismatch, "{name}");
    }
    for name in ["RSA-OAEP", "RSA1_5", "HS256", "none", "SHA256", "EC", "rs256", "ES512", "ES521", "ES256K", "ECDH-ES"] {
        assert_eq!(reason(&rsa().jwk_with(json!({"alg": name}))), SkipReason::UnsupportedAlgorithm, "{name}");
    }
}

#[test]
fn use_and_key_ops_must_allow_verifying() {
    for members in [
        json!({}),
        json!({"use": "sig"}),
        json!({"key_ops": ["verify"]}),
        json!({"key_ops": ["verify", "sign"]}),
        json!({"key_ops": ["verify", "encrypt"]}),
        json!({"use": "sig", "key_ops": ["sign", "verify"]}),
    ] {
        assert!(parse(&rsa().jwk_with(members.clone())).is_ok(), "{members}");
    }
    for usage in ["enc", "else", "SIG", "x509-svid"] {
        assert_eq!(reason(&rsa().jwk_with(json!({"use": usage}))), SkipReason::UseNotSig, "{usage}");
    }
    for operations in [json!(["sign"]), json!(["signing"]), json!(["encrypt"]), json!(["VERIFY"])] {
        assert_eq!(reason(&rsa().jwk_with(json!({"key_ops": operations}))), SkipReason::NotForVerifying, "{operations}");
    }
    assert_eq!(reason(&rsa().jwk_with(json!({"use": "sig", "key_ops": ["verify", "encrypt"]}))), SkipReason::UseConflict);
}

#[test]
fn types_that_cannot_verify_are_skipped() {
    assert_eq!(reason(&json!({"kty": "oct", "k": "AAAA", "alg": "HS256"})), SkipReason::Symmetric);
    assert_eq!(reason(&json!({"kty": "oct"})), SkipReason::Symmetric);
    for kty in ["rsa", "ec", "", "nope", "AKP", "OCT"] {
        assert_eq!(reason(&json!({"kty": kty})), SkipReason::UnsupportedKeyType, "{kty}");
    }
    assert_eq!(reason(&json!({})), SkipReason::MemberMissing);
    assert_eq!(reason(&json!({"Kty": "RSA"})), SkipReason::MemberMissing);
    for curve in ["P-521", "secp256k1", "p-256", "", "Ed25519"] {
        assert_eq!(reason(&p256().jwk_with(json!({"crv": curve}))), SkipReason::UnsupportedCurve, "{curve}");
    }
    for curve in ["X25519", "Ed448", "X448", "ed25519", "P-256"] {
        assert_eq!(reason(&ed25519().jwk_with(json!({"crv": curve}))), SkipReason::UnsupportedCurve, "{curve}");
    }
}

#[test]
fn half_a_key_is_none() {
    for (pair, names) in [(rsa(), &["kty", "n", "e"][..]), (p256(), &["kty", "crv", "x", "y"]), (ed25519(), &["kty", "crv", "x"])] {
        for name in names {
            assert_eq!(reason(&without(&pair.jwk, name)), SkipReason::MemberMissing, "{name}");
        }
    }
    let jwk = json!({"kty": "RSA", "n": rsa().jwk["n"], "x5c": [rsa().certificate]});
    assert_eq!(reason(&jwk), SkipReason::MemberMissing);
}

#[test]
fn members_have_their_types() {
    for name in ["kty", "use", "key_ops", "kid", "alg", "n", "e", "x5t", "x5t#S256", "issuer", "cloud_instance_name"] {
        for value in [json!(1), json!({}), json!([1])] {
            assert_eq!(reason(&rsa().jwk_with(json!({name: value}))), SkipReason::MemberType, "{name} {value}");
        }
    }
    assert_eq!(reason(&rsa().jwk_with(json!({"key_ops": "verify"}))), SkipReason::MemberType);
    assert!(parse(&rsa().jwk_with(json!({"nbf": "soon", "acr": ["a"], "value": 1, "x5u": 0}))).is_ok());
}

#[test]
fn key_members_are_base64_of_any_kind() {
    let n = rsa().jwk["n"].as_str().unwrap();
    let (start, end) = n.split_at(100);
    for text in [
        format!("{n}="),
        format!("{n}=="),
        n.replace('-', "+").replace('_', "/"),
        format!("{start}\n{end}"),
        format!(" {start}\r\n{end}==\n"),
    ] {
        assert_eq!(parse(&rsa().jwk_with(json!({"n": text}))).unwrap().id(), parse(&rsa().jwk).unwrap().id(), "{text}");
    }
    for text in
        [format!("={n}"), format!("{start}={end}"), format!("{n}AAA"), format!("{n}*"), format!("{n}é"), "AB".into(), "A".into()]
    {
        assert_eq!(reason(&rsa().jwk_with(json!({"n": text}))), SkipReason::MemberEncoding, "{text}");
    }
    assert_eq!(reason(&ed25519().jwk_with(json!({"x": "*"}))), SkipReason::MemberEncoding);
}

#[test]
fn leading_zeros_of_an_rsa_key_change_nothing() {
    let padded = rsa_with(&[&[0, 0], modulus().as_slice()].concat(), &[0, 1, 0, 1]);
    let key = parse(&padded).unwrap();
    assert_eq!(key.id(), parse(&rsa().jwk).unwrap().id());
    let signature = rsa().sign(Algorithm::RS256, b"message");
    assert_eq!(key.verify(Algorithm::RS256, b"message", &signature), Ok(()));
}

#[test]
fn weak_rsa_keys_are_skipped() {
    let modulus = modulus();
    let mut short = modulus.clone();
    short[0] = 0x7f;
    assert_eq!(reason(&rsa_with(&short, &[1, 0, 1])), SkipReason::RsaTooSmall, "2047 bits");
    assert_eq!(reason(&rsa_with(&[&[0], &modulus[1..]].concat(), &[1, 0, 1])), SkipReason::RsaTooSmall, "2040 bits in 256 bytes");
    assert_eq!(reason(&rsa_with(&[], &[1, 0, 1])), SkipReason::RsaTooSmall);
    assert_eq!(reason(&rsa_with(&[0; 256], &[1, 0, 1])), SkipReason::RsaTooSmall);
    let mut even = modulus.clone();
    even[255] &= 0xfe;
    assert_eq!(reason(&rsa_with(&even, &[1, 0, 1])), SkipReason::RsaModulusEven);
    for exponent in [&[][..], &[0], &[1], &[3], &[0xff, 0xff], &[1, 0, 0], &[1, 0, 2], &[2, 0, 0, 0, 1], &[1; 9]] {
        assert_eq!(reason(&rsa_with(&modulus, exponent)), SkipReason::RsaExponent, "{exponent:?}");
    }
    for exponent in [&[1, 0, 1][..], &[1, 0, 3], &[0xff, 0xff, 0xff, 0xff], &[1, 0xff, 0xff, 0xff, 0xff]] {
        assert!(parse(&rsa_with(&modulus, exponent)).is_ok(), "{exponent:?}");
    }
}

#[test]
fn the_longest_rsa_key_has_8192_bits() {
    let mut longest = vec![0x55; 1024];
    longest[0] = 0x80;
    assert!(parse(&rsa_with(&longest, &[1, 0, 1])).is_ok());
    assert_eq!(reason(&rsa_with(&[&[1], longest.as_slice()].concat(), &[1, 0, 1])), SkipReason::RsaTooLarge);
    assert_eq!(reason(&rsa_with(&vec![0x55; 100_000], &[1, 0, 1])), SkipReason::RsaTooLarge);
}

#[test]
fn keys_of_the_roca_generator_are_skipped() {
    assert_eq!(reason(&rsa_with(&roca_modulus(), &[1, 0, 1])), SkipReason::RsaModulusWeak);
    let mut other = roca_modulus();
    other[5] ^= 1;
    assert!(parse(&rsa_with(&other, &[1, 0, 1])).is_ok());
}

#[test]
fn points_are_on_their_curve_and_of_its_length() {
    for pair in [p256(), p384()] {
        let (x, y) = (decode(&pair.jwk["x"]), decode(&pair.jwk["y"]));
        let mut moved = y.clone();
        moved[0] ^= 1;
        let zeros = vec![0; x.len()];
        for (x, y) in [(&x, &moved), (&y, &x), (&zeros, &zeros)] {
            assert_eq!(reason(&pair.jwk_with(json!({"x": encode(x), "y": encode(y)}))), SkipReason::EcPointInvalid);
        }
        for wrong in [&x[1..], &[&[0], x.as_slice()].concat(), &[]] {
            assert_eq!(reason(&pair.jwk_with(json!({"x": encode(wrong)}))), SkipReason::EcPointLength);
            assert_eq!(reason(&pair.jwk_with(json!({"y": encode(wrong)}))), SkipReason::EcPointLength);
        }
    }
    assert_eq!(reason(&p256().jwk_with(json!({"crv": "P-384"}))), SkipReason::EcPointLength);
    for length in [0, 31, 33, 64] {
        assert_eq!(reason(&ed25519().jwk_with(json!({"x": encode(vec![1; length])}))), SkipReason::Ed25519Length, "{length}");
    }
}

#[test]
fn published_private_keys_are_skipped() {
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth"] {
        assert_eq!(reason(&rsa().jwk_with(json!({name: "AQAB"}))), SkipReason::PrivateKey, "{name}");
    }
    assert_eq!(reason(&p256().jwk_with(json!({"d": 1}))), SkipReason::PrivateKey);
}

#[test]
fn a_certificate_alone_gives_the_key_whatever_its_dates() {
    for (pair, kty) in [(rsa(), "RSA"), (p256(), "EC"), (p384(), "EC"), (ed25519(), "OKP")] {
        let key = parse(&json!({"kty": kty, "x5c": [pair.certificate, "ignored"]})).unwrap();
        assert_eq!(key.id(), parse(&pair.jwk).unwrap().id(), "{kty}");
        let algorithm = permitted(&key)[0];
        assert_eq!(key.verify(algorithm, b"message", &pair.sign(algorithm, b"message")), Ok(()));
    }
    assert!(parse(&json!({"kty": "EC", "crv": "P-256", "x5c": [p256().certificate]})).is_ok());
    let (start, end) = rsa().certificate.trim_end_matches('=').split_at(64);
    assert!(parse(&json!({"kty": "RSA", "x5c": [format!("{start}\n{end}\n")]})).is_ok());
}

#[test]
fn a_certificate_must_agree_with_the_members() {
    assert!(parse(&rsa().jwk_with(json!({"x5c": [rsa().certificate]}))).is_ok());
    assert!(parse(&p384().jwk_with(json!({"x5c": [p384().certificate]}))).is_ok());
    for jwk in [
        rsa().jwk_with(json!({"x5c": [other_rsa().certificate]})),
        rsa().jwk_with(json!({"x5c": [p256().certificate]})),
        p256().jwk_with(json!({"x5c": [p384().certificate]})),
        json!({"kty": "RSA", "x5c": [p256().certificate]}),
        json!({"kty": "EC", "x5c": [rsa().certificate]}),
        json!({"kty": "EC", "crv": "P-384", "x5c": [p256().certificate]}),
    ] {
        assert_eq!(reason(&jwk), SkipReason::CertificateMismatch, "{jwk}");
    }
}

#[test]
fn an_unreadable_certificate_is_a_key_only_to_those_who_have_no_other() {
    let cut = &rsa().certificate[..400];
    let longer = format!("{}AAAA", rsa().certificate.trim_end_matches('='));
    for (chain, expected) in [
        (json!([]), SkipReason::MemberMissing),
        (json!([""]), SkipReason::CertificateMalformed),
        (json!(["no certificate"]), SkipReason::CertificateMalformed),
        (json!(["AAAA"]), SkipReason::CertificateMalformed),
        (json!([cut]), SkipReason::CertificateMalformed),
        (json!([longer]), SkipReason::CertificateMalformed),
        (json!([1]), SkipReason::MemberType),
        (json!("text"), SkipReason::MemberType),
    ] {
        assert_eq!(reason(&json!({"kty": "RSA", "x5c": chain})), expected, "{chain}");
        assert!(parse(&rsa().jwk_with(json!({"x5c": chain}))).is_ok(), "{chain}");
    }
}

#[test]
fn ids_are_rfc_7638_thumbprints() {
    // RFC 7638 section 3.1.
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMst\
             n64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n9\
             1CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let key = parse(&json!({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"})).unwrap();
    assert_eq!(key.id().to_string(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    // RFC 8037 appendix A.3.
    let key = parse(&json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})).unwrap();
    assert_eq!(key.id().to_string(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn the_members_that_bind_a_key_are_kept() {
    let key = parse(&rsa().jwk_with(json!({
        "kid": "k", "issuer": "https://login.contoso.example/{tenantid}/v2.0", "cloud_instance_name": "contoso.example",
    })))
    .unwrap();
    assert_eq!(key.kid(), Some("k"));
    assert_eq!(key.issuer(), Some("https://login.contoso.example/{tenantid}/v2.0"));
    assert_eq!(key.cloud_instance(), Some("contoso.example"));
    let key = parse(&rsa().jwk).unwrap();
    assert_eq!((key.kid(), key.issuer(), key.cloud_instance()), (None, None, None));
}

#[test]
fn a_kid_has_a_longest_length() {
    assert!(parse(&rsa().jwk_with(json!({"kid": "k".repeat(MAX_KID)}))).is_ok());
    assert_eq!(reason(&rsa().jwk_with(json!({"kid": "k".repeat(MAX_KID + 1)}))), SkipReason::KidTooLong);
}

proptest! {
    #[test]
    fn no_member_panics(
        kty in "RSA|EC|OKP",
        name in "n|e|x|y|crv|x5c|kid|alg|use|key_ops",
        text in prop_oneof!["[A-Za-z0-9_=-]{0,90}", any::<String>()],
        in_array in any::<bool>(),
    ) {
        let value = if in_array { json!([text]) } else { json!(text) };
        for pair in [rsa(), p256(), ed25519()] {
            let _ = parse(&pair.jwk_with(json!({"kty": kty, name.as_str(): value})));
        }
    }

    #[test]
    fn no_certificate_panics(position in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut der = STANDARD.decode(&p256().certificate).unwrap();
        let position = position.index(der.len());
        der[position] = byte;
        let _ = parse(&json!({"kty": "EC", "x5c": [STANDARD.encode(der)]}));
    }
}
