//! Headers that choose an algorithm, a key or a meaning for their own token.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::{
    Row,
    attempt::{KID, b2c, entra, jwk_with},
};
use crate::token::{
    Rejection::*,
    testing::{OTHER_RSA, P256, RSA, hmac_token},
};

pub(super) fn rows() -> Vec<Row> {
    let alg = |name: &str| b2c().header("alg", name);
    let unsigned = |name: &str| alg(name).token(|token| format!("{}.e30", token.rsplit_once('.').unwrap().0));
    let jwk = RSA.jwk(KID).to_string();
    let modulus = RSA.jwk(KID)["n"].as_str().unwrap().to_owned();
    let symmetric = |secret: &[u8]| {
        let attempt = alg("HS256").rule(|rules| rules.algorithms = vec![Algorithm::HS256, Algorithm::RS256]);
        let (header, payload) = attempt.parts();
        attempt.bytes(hmac_token(secret, &header, &payload))
    };
    let theirs = |name: &str, value: Value| b2c().header(name, value).signed_by(&OTHER_RSA, Algorithm::RS256);
    vec![
        unsigned("none").row("alg none", AlgorithmNotAllowed),
        unsigned("None").row("alg None", AlgorithmNotAllowed),
        unsigned("NONE").row("alg NONE", AlgorithmNotAllowed),
        unsigned("nOnE").row("alg nOnE", AlgorithmNotAllowed),
        unsigned("").row("alg is empty", AlgorithmNotAllowed),
        unsigned("none\0").row("alg none with a zero byte", AlgorithmNotAllowed),
        b2c().without_header("alg").row("no alg", AlgorithmNotAllowed),
        b2c().without_header("alg").header("ALG", "RS256").row("ALG for alg", AlgorithmNotAllowed),
        b2c().header("alg", Value::Null).row("alg is null", AlgorithmNotAllowed),
        b2c().header("alg", json!(["RS256"])).row("alg is an array", TokenMalformed),
        b2c().header("alg", 256).row("alg is a number", TokenMalformed),
        b2c().header("alg", json!({})).row("alg is an object", TokenMalformed),
        alg("rs256").row("alg in small letters", AlgorithmNotAllowed),
        alg("RS256 ").row("alg with a space", AlgorithmNotAllowed),
        alg("RS1").row("alg RS1", AlgorithmNotAllowed),
        alg("ES512").row("alg ES512", AlgorithmNotAllowed),
        alg("ES256K").row("alg ES256K", AlgorithmNotAllowed),
        alg("RS512").signed_by(&RSA, Algorithm::RS512).row("RS512 is not listed", AlgorithmNotAllowed),
        alg("PS256").signed_by(&RSA, Algorithm::PS256).row("PS256 is not listed", AlgorithmNotAllowed),
        alg("ES256").signed_by(&P256, Algorithm::ES256).row("ES256 is not listed", AlgorithmNotAllowed),
        b2c().rule(|rules| rules.algorithms.clear()).row("no algorithm is listed", AlgorithmNotAllowed),
        alg("HS384").row("alg HS384", AlgorithmNotAllowed),
        alg("HS512").row("alg HS512", AlgorithmNotAllowed),
        symmetric(jwk.as_bytes()).row("HS256 with the JWK as its secret", AlgorithmNotAllowed),
        symmetric(modulus.as_bytes()).row("HS256 with the modulus as its secret", AlgorithmNotAllowed),
        symmetric(format!(" \n{jwk}").as_bytes()).row("HS256 with the JWK after white space", AlgorithmNotAllowed),
        symmetric(b"").row("HS256 with an empty secret", AlgorithmNotAllowed),
        theirs("jwk", OTHER_RSA.jwk(KID)).row("the attacker's key in jwk", BadSignature),
        theirs("jku", json!("https://attacker.example/keys")).row("the attacker's key behind jku", BadSignature),
        theirs("x5u", json!("http://169.254.169.254/cert")).row("the attacker's key behind x5u", BadSignature),
        theirs("x5c", json!(["MIIB"])).row("the attacker's key in x5c", BadSignature),
        theirs("jwk", OTHER_RSA.jwk("mine")).header("kid", "mine").row("the attacker's kid and jwk", UnknownKey),
        b2c().header("crit", json!(["exp"])).row("crit names a known member", ForbiddenHeader),
        b2c().header("crit", json!(["x"])).header("x", 1).row("crit names an unknown member", ForbiddenHeader),
        b2c().header("crit", json!([])).row("crit is empty", ForbiddenHeader),
        b2c().header("crit", "b64").row("crit is a string", ForbiddenHeader),
        b2c().header("crit", Value::Null).row("crit is null", ForbiddenHeader),
        b2c().header("b64", false).row("b64 is false", ForbiddenHeader),
        b2c().header("b64", true).row("b64 is true", ForbiddenHeader),
        b2c().header("b64", false).header("crit", json!(["b64"])).row("b64 in crit", ForbiddenHeader),
        b2c().header("zip", "DEF").row("zip", ForbiddenHeader),
        b2c().header("enc", "A256GCM").row("enc", ForbiddenHeader),
        b2c().header("cty", "JWT").row("cty", ForbiddenHeader),
        b2c().header("kid", 7).row("kid is a number", TokenMalformed),
        b2c().header("kid", Value::Null).jwks([RSA.jwk("a"), OTHER_RSA.jwk("b")]).row("kid is null, two keys fit", AmbiguousKey),
        b2c().header("kid", json!([KID])).row("kid is an array", TokenMalformed),
        b2c().header("typ", 7).row("typ is a number", TokenMalformed),
        b2c().header("x5t", json!({})).row("x5t is an object", TokenMalformed),
        b2c().header("kid", "").row("kid is empty", UnknownKey),
        b2c().header("kid", "../../../../dev/null").row("kid is a path", UnknownKey),
        b2c().header("kid", "x' UNION SELECT 'secret'--").row("kid is SQL", UnknownKey),
        b2c().header("kid", "|sleep 10").row("kid is a command", UnknownKey),
        b2c().header("kid", format!("{KID}\0")).row("kid with a zero byte", UnknownKey),
        b2c().header("kid", KID.to_lowercase()).row("kid in small letters", UnknownKey),
        b2c().header("kid", "https://attacker.example/key").row("kid is an address", UnknownKey),
    ]
}

#[test]
fn members_that_choose_a_key_are_ignored() {
    let ignored = b2c().header("jwk", OTHER_RSA.jwk(KID)).header("jku", "https://attacker.example/keys").header("x5c", json!([""]));
    assert!(ignored.run().is_ok());
}

#[test]
fn a_listed_algorithm_is_accepted_with_a_key_that_does_not_name_another() {
    let both = |attempt: super::attempt::Attempt| {
        attempt.rule(|rules| rules.algorithms = vec![Algorithm::RS256, Algorithm::PS256]).header("alg", "PS256")
    };
    let ps256 = both(b2c()).signed_by(&RSA, Algorithm::PS256);
    assert!(ps256.run().is_ok());
    assert_eq!(ps256.jwks([jwk_with(&[("alg", json!("RS256"))])]).run().err(), Some(KeyNotForAlgorithm));
}

/// Serializers write null for what they have not.
#[test]
fn null_means_that_it_is_not_there() {
    for name in ["kid", "typ", "x5t", "x5t#S256", "nonce"] {
        assert!(b2c().header(name, Value::Null).run().is_ok(), "{name}");
    }
    for name in [
        "nonce",
        "azp",
        "appid",
        "client_id",
        "cid",
        "nbf",
        "iat",
        "scope",
        "roles",
        "idtyp",
        "gty",
        "sub",
        "token_use",
        "typ",
        "events",
        "cnf",
        "at_hash",
        "c_hash",
        "acr",
        "tid",
        "name",
        "_claim_names",
        "hasgroups",
        "at",
    ] {
        assert!(b2c().claim(name, Value::Null).run().is_ok(), "{name}");
        assert!(name == "tid" || entra().claim(name, Value::Null).run().is_ok(), "{name}");
    }
    assert!(b2c().claim("roles", json!([null, "Writer"])).run().is_ok());
    assert!(b2c().claim("tfp", Value::Null).claim("acr", "B2C_1_SignUpIn").run().is_ok());
}
