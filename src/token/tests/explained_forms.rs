//! What operators are told of texts that no check can look into, and in whose words.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::attempt::{Attempt, CLIENT, NOW, TENANT, USER, b2c, entra, jwk_with};
use crate::token::{
    Explanation, IssuerRule, Outcome, Provider, Rejection, SkipReason, SkippedKey, Step, UserIdRule, Verdict,
    testing::{OTHER_RSA, RSA},
};

fn step(attempt: &Attempt, name: &str) -> Step {
    attempt.explain().steps.into_iter().find(|step| step.name == name).unwrap()
}

#[test]
fn the_form_is_told_as_it_is() {
    let found = |attempt: Attempt| step(&attempt, "token").found;
    let ends = |attempt: Attempt, trouble: &str| {
        let found = found(attempt);
        assert!(found.ends_with(trouble), "{found}");
    };
    ends(b2c().bytes(""), "0 bytes, 1 segment, nothing");
    ends(b2c().bytes("a.b"), "2 segments, so it is not a JWT");
    ends(b2c().bytes("Bearer eyJ.A.A"), "the header has a space or a line break in it");
    ends(b2c().bytes("\"eyJ.A.A\""), "the header has a character that is not base64url");
    ends(b2c().token(|token| token.replacen('.', "=.", 1)), "the header ends in padding (=), which a JWT does not have");
    ends(b2c().token(|token| token + "=="), "the signature ends in padding (=), which a JWT does not have");
    ends(b2c().token(|token| token.replacen('.', ".\n", 1)), "the payload has a space or a line break in it");
    ends(b2c().token(|token| token.replacen('.', ".+", 1)), "the payload has + or / in it: it is base64, but a JWT uses base64url");
    ends(b2c().token(|token| token.rsplit_once('.').unwrap().0.to_owned() + "."), "the signature is empty");
    ends(b2c().token(|token| token[..token.len() - 1].to_owned()), "the signature is cut short, or its last character is wrong");
    ends(b2c().header("kid", 7), "kid in the header is a number, not a string");
    ends(b2c().header("typ", json!(["JWT"])), "typ in the header is an array, not a string");
    ends(b2c().header("crit", json!(["x"])), "the header has crit");
    ends(b2c().raw_header("{\"alg\":\"RS256\""), "the header is not JSON at line 1, column 14");
    ends(b2c().raw_header("{\"alg\":\"RS256\",\"alg\":\"RS256\"}"), "the header has a duplicate member");
    ends(b2c().raw_header("{}"), "the header has no alg");
    ends(b2c().claim("x", "a".repeat(16 * 1024)), "more than the limit of 16384 bytes (`token.max_bytes`)");
    ends(b2c().header("kid", "a".repeat(513)), "its header or its kid is longer than the limits of `token`");
}

#[test]
fn a_payload_that_is_no_claims_is_told_as_it_is() {
    for (payload, trouble) in [
        ("\u{feff}{}", "5 bytes, which begin with a byte order mark"),
        (r#"{"x":"\ud800"}"#, "14 bytes, which have a lone surrogate (\\ud800 to \\udfff) at line 1, column 13"),
        ("[]", "2 bytes, which are JSON, but not an object"),
        ("{", "1 byte, which is not JSON at line 1, column 1"),
        (r#"{"a":1,"a":2}"#, "13 bytes, which have a duplicate member"),
    ] {
        let attempt = b2c().raw_payload(payload);
        assert_eq!(step(&attempt, "claims").found, trouble);
    }
    let explanation = b2c().raw_payload("[]").explain();
    let change = explanation.change(explanation.decisive().unwrap()).unwrap();
    assert!(change.starts_with("Provider: the payload must be one JSON object in UTF-8"), "{change}");

    // Latin-1.
    let signed = format!(
        "{}.{}",
        crate::token::testing::base64url(r#"{"alg":"RS256"}"#),
        crate::token::testing::base64url(b"{\"a\":\"\xe9\"}")
    );
    let signature = crate::token::testing::base64url(RSA.sign(Algorithm::RS256, signed.as_bytes()));
    assert_eq!(step(&b2c().bytes(format!("{signed}.{signature}")), "claims").found, "9 bytes, which are not UTF-8 at byte 7");
}

#[test]
fn a_claim_of_the_wrong_type_is_named_and_not_shown() {
    let told = |name: &str, value: Value, check: &str| {
        let attempt = b2c().claim(name, value);
        let Step { found, outcome, .. } = step(&attempt, check);
        assert_eq!(outcome, Outcome::Failed(Rejection::ClaimsMalformed), "{name}");
        found
    };
    for name in ["nonce", "azp", "appid", "client_id", "cid", "idtyp", "gty"] {
        assert_eq!(told(name, json!({}), "kind"), format!("unknown: the claim {name} is an object"));
    }
    assert_eq!(told("roles", json!({ "Writer": true }), "kind"), "unknown: the claim roles is an object");
    assert_eq!(
        told("roles", json!(["Writer", 77]), "kind"),
        "unknown: the claim roles is an array that does not hold only strings"
    );
    assert_eq!(told("scp", json!(true), "kind"), "unknown: the claim scp is true or false");
}

#[test]
fn the_sign_that_told_the_kind_is_said() {
    let kind = |attempt: Attempt| step(&attempt, "kind").found;
    let plain = || entra().without("scp").without("roles").without("azp");
    assert_eq!(kind(plain()), "an id token: no sign of an access token: no scp or scope, no typ at+jwt, no client_id");
    assert_eq!(kind(plain().claim("typ", "Bearer")), "an access token of a user: token_use or typ");
    assert_eq!(
        kind(b2c().claim("events", json!({}))),
        "another kind of token: the claim events: a logout token or a security event"
    );
    assert_eq!(kind(b2c().without("tfp")), "a token of an application: B2C, and neither tfp nor acr names a policy");
    let signed_request = b2c().without("iss").claim("at", "a.b.c").explain();
    assert_eq!(signed_request.verdict(), Verdict::Refused(Rejection::OtherKind));
    let found = &signed_request.decisive().unwrap().found;
    assert_eq!(found, "iss none; it is a signed request, whose claim at holds the token");
}

#[test]
fn keys_that_are_published_and_not_used_are_told_where_there_is_no_other() {
    let attempt = b2c().jwks([]);
    let skipped =
        [SkippedKey { kid: None, reason: SkipReason::MemberType }, SkippedKey { kid: None, reason: SkipReason::RsaTooSmall }];
    let explanation = attempt.explain_with(&[attempt.issuer()], None, &skipped);
    let key = explanation.steps.iter().find(|step| step.name == "key").unwrap();
    assert_eq!(key.expected, "a key of the issuer; none of its published keys can be used: member_type, rsa_too_small");
    assert_eq!(step(&attempt, "key").expected, "a key of the issuer; it has none");
}

#[test]
fn a_rule_of_one_claim_is_told_as_its_name() {
    let one = b2c().rule(|rules| rules.user_id = UserIdRule::Claims(vec!["oid".into()]));
    let Step { expected, found, .. } = step(&one, "user_id");
    assert_eq!((expected.as_str(), found), ("oid", format!("oid \"{USER}\"")));
}

#[test]
fn the_words_are_those_of_the_provider() {
    let change = |provider: Provider, attempt: Attempt| {
        let explanation: Explanation = attempt.rule(|rules| rules.provider = provider).explain();
        explanation.change(explanation.decisive().unwrap()).unwrap()
    };
    assert!(change(Provider::Entra, entra().header("kid", "x")).contains("?appid="));
    assert!(!change(Provider::Other, entra().header("kid", "x")).contains("?appid="));
    assert!(change(Provider::Entra, entra().bytes([b'a'; 20_000])).contains("groups assigned to the application"));
    assert!(change(Provider::B2c, b2c().claim("iss", "x")).starts_with("Client: log in with the tenant and policy"));
    assert!(change(Provider::Other, b2c().claim("iss", "x")).starts_with("Client: log in with the provider"));
}

/// What the remedy says, done, makes the token accepted.
#[test]
fn remedies_are_followed() {
    let followed = |attempt: Attempt, rejection: Rejection, words: &str, done: fn(Attempt) -> Attempt| {
        assert_eq!(attempt.run().err(), Some(rejection));
        let remedy = Provider::Entra;
        assert!([rejection.remedy(), rejection.remedy_of(remedy)].iter().any(|text| text.contains(words)), "{words}");
        assert!(done(attempt).run().is_ok(), "{words}");
    };
    let version_1 = || {
        let iss = format!("https://sts.windows.net/{TENANT}/");
        entra().claim("iss", iss.as_str()).rule(|rules| rules.issuer = IssuerRule::Exact(vec![iss]))
    };
    let own = || jwk_with(&[("issuer", json!(format!("https://login.microsoftonline.com/{TENANT}/v2.0")))]);
    let foreign = jwk_with(&[("issuer", json!("https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"))]);
    followed(version_1().jwks([foreign]), Rejection::KeyOfOtherIssuer, "use the keys of the tenant and cloud", |attempt| {
        attempt.jwks([jwk_with(&[("issuer", json!(format!("https://login.microsoftonline.com/{TENANT}/v2.0")))])])
    });
    assert!(version_1().jwks([own()]).run().is_ok());
    followed(
        b2c().claim("iss", "https://x/"),
        Rejection::UnknownIssuer,
        "add the token's `iss`, byte for byte, to `issuer`",
        |attempt| attempt.rule(|rules| rules.issuer = IssuerRule::Exact(vec!["https://x/".into()])),
    );
    followed(entra().claim("aud", "api://x"), Rejection::WrongAudience, "add the token's `aud` to `audiences`", |attempt| {
        attempt.rule(|rules| rules.audiences.push("api://x".into()))
    });
    followed(
        entra().without("aud").claim("client_id", CLIENT),
        Rejection::WrongAudience,
        "list their `client_id` in `client_ids`",
        |a| a.rule(|rules| rules.client_ids.push(CLIENT.into())),
    );
    followed(b2c().without("scp"), Rejection::IdToken, "add a `scope` to it", |attempt| attempt.claim("scope", "x"));
    followed(b2c().without("scp"), Rejection::IdToken, "`typ: at+jwt`", |attempt| attempt.header("typ", "at+jwt"));
    followed(b2c().without("tfp"), Rejection::AppOnlyToken, "client credentials", |attempt| attempt.claim("acr", "B2C_1A_x"));
    let bound = b2c().claim("cnf", json!({ "jkt": "x" })).rule(|rules| rules.takes_sender_constrained = false);
    followed(bound, Rejection::SenderConstrained, "`sender_constrained: accept`", |attempt| {
        attempt.rule(|rules| rules.takes_sender_constrained = true)
    });
    let overage = entra().claim("hasgroups", true).rule(|rules| rules.takes_group_overage = false);
    followed(overage, Rejection::GroupOverage, "`group_overage: accept`", |attempt| {
        attempt.rule(|rules| rules.takes_group_overage = true)
    });
    followed(b2c().claim("exp", NOW - 100), Rejection::Expired, "get a new token", |attempt| attempt.claim("exp", NOW + 100));
    followed(b2c().jwks([OTHER_RSA.jwk("x")]), Rejection::UnknownKey, "publish its key", |a| a.jwks([jwk_with(&[])]));
}
