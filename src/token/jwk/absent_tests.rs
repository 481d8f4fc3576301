//! Members that are null or empty.

use serde_json::{Value, json};

use super::{
    test_keys::{ed25519, p256, rsa},
    *,
};
use crate::token::json;

fn parse(jwk: &Value) -> Result<VerificationKey, SkipReason> {
    VerificationKey::from_jwk(&json::parse_object(jwk.to_string().as_bytes()).expect("a JSON object"))
}

fn reason(jwk: &Value) -> SkipReason {
    parse(jwk).expect_err("the key must be skipped")
}

/// As serializers write what they have not, and browsers what they do not mean.
#[test]
fn a_null_member_is_not_there_and_an_empty_one_says_nothing() {
    let members = [
        "use",
        "key_ops",
        "kid",
        "alg",
        "x5t",
        "x5t#S256",
        "x5c",
        "x5u",
        "issuer",
        "cloud_instance_name",
        "d",
        "p",
        "q",
        "dp",
        "dq",
        "qi",
        "oth",
    ];
    for key in [rsa(), p256(), ed25519()] {
        for name in members {
            assert!(parse(&key.jwk_with(json!({name: null}))).is_ok(), "{name}");
        }
        let all: serde_json::Map<_, _> = members.iter().map(|name| ((*name).to_owned(), json!(null))).collect();
        assert!(parse(&key.jwk_with(all.into())).is_ok());
        for empty in
            [json!({"key_ops": []}), json!({"key_ops": [null]}), json!({"use": ""}), json!({"alg": ""}), json!({"x5c": []})]
        {
            assert!(parse(&key.jwk_with(empty.clone())).is_ok(), "{empty}");
        }
        assert!(parse(&key.jwk_with(json!({"key_ops": [null, "verify"]}))).is_ok());
        assert_eq!(reason(&key.jwk_with(json!({"key_ops": [null, "sign"]}))), SkipReason::NotForVerifying);
        assert_eq!(reason(&key.jwk_with(json!({"d": ""}))), SkipReason::PrivateKey);
        assert_eq!(reason(&key.jwk_with(json!({"kty": null}))), SkipReason::MemberMissing);
    }
    assert_eq!(reason(&rsa().jwk_with(json!({"n": null}))), SkipReason::MemberMissing);
}
