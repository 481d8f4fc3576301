//! What operators are told: for each check an example that passes and one that fails, word for word.

use std::{collections::BTreeSet, time::Duration};

use jsonwebtoken::Algorithm;
use serde_json::json;

use super::attempt::{Attempt, CLIENT, KID, NOW, OTHER_TENANT, TENANT, b2c, entra, jwk_with};
use crate::token::{
    Check, IssuerRule, NonceRule, Outcome, Rejection, SkipReason, SkippedKey, Step, Verdict,
    testing::{self, OTHER_RSA, RSA},
};

/// A check, a token, what came of it, what was expected, what was found.
type Example = (Check, Attempt, Result<(), Rejection>, &'static str, &'static str);

fn examples() -> Vec<Example> {
    let contoso = "\"https://contoso.b2clogin.com/775527ff-9a37-4307-8b3d-cc311f58d925/v2.0/\"";
    let own_key = "the key \"X5eXk4xyojNFum1kl2Ytv8dlNP4-c57dO6QGTVBwaNk\"";
    let listed = |mut attempt: Attempt| {
        attempt = attempt.rule(|rules| rules.policies = vec!["B2C_1_signupin".into()]);
        attempt.rule(|rules| rules.authorized_parties = vec![CLIENT.into()])
    };
    let limited = || b2c().rule(|rules| rules.max_lifetime = Some(Duration::from_secs(7_200)));
    vec![
        (Check::Algorithm, b2c(), Ok(()), "one of \"RS256\"", "\"RS256\""),
        (Check::Algorithm, b2c().header("alg", "HS256"), Err(Rejection::AlgorithmNotAllowed), "one of \"RS256\"", "\"HS256\""),
        (Check::Issuer, b2c(), Ok(()), contoso, contoso),
        (
            Check::Issuer,
            b2c().claim("iss", "https://login.contoso.com/"),
            Err(Rejection::UnknownIssuer),
            contoso,
            "\"https://login.contoso.com/\"",
        ),
        (Check::Expiry, b2c(), Ok(()), "after 2023-11-14T22:12:20Z", "2023-11-14T23:13:20Z, in 60 min"),
        (
            Check::Expiry,
            b2c().claim("exp", NOW - 7_200),
            Err(Rejection::Expired),
            "after 2023-11-14T22:12:20Z",
            "2023-11-14T20:13:20Z, 2 h ago",
        ),
        (Check::NotBefore, b2c().without("nbf"), Ok(()), "none, or at most 2023-11-14T22:14:20Z", "none"),
        (
            Check::NotBefore,
            b2c().claim("nbf", NOW as f64 + 61.5),
            Err(Rejection::NotYetValid),
            "none, or at most 2023-11-14T22:14:20Z",
            "2023-11-14T22:14:21.5Z, in 61 s",
        ),
        (Check::IssuedAt, b2c(), Ok(()), "none, or at most 2023-11-14T22:14:20Z", "2023-11-14T22:12:20Z, 60 s ago"),
        (
            Check::IssuedAt,
            b2c().claim("iat", NOW),
            Ok(()),
            "none, or at most 2023-11-14T22:14:20Z",
            "2023-11-14T22:13:20Z, 0 s ago",
        ),
        (
            Check::IssuedAt,
            b2c().claim("iat", "yesterday"),
            Err(Rejection::ClaimsMalformed),
            "none, or at most 2023-11-14T22:14:20Z",
            "\"yesterday\"",
        ),
        (Check::Lifetime, limited(), Ok(()), "at most 2 h", "61 min"),
        (Check::Lifetime, limited().without("iat"), Err(Rejection::LifetimeTooLong), "at most 2 h", "unknown without exp and iat"),
        (
            Check::Audience,
            b2c(),
            Ok(()),
            "one of \"90c0fe63-bcf2-44d5-8fb7-b8bbc0b29dc6\"",
            "\"90c0fe63-bcf2-44d5-8fb7-b8bbc0b29dc6\"",
        ),
        (
            Check::Audience,
            b2c().claim("aud", json!(["a", "b"])),
            Err(Rejection::WrongAudience),
            "one of \"90c0fe63-bcf2-44d5-8fb7-b8bbc0b29dc6\"",
            "\"a\", \"b\"",
        ),
        (
            Check::Tenant,
            entra(),
            Ok(()),
            "one of \"775527ff-9a37-4307-8b3d-cc311f58d925\"",
            "\"775527ff-9a37-4307-8b3d-cc311f58d925\"",
        ),
        (
            Check::Tenant,
            entra()
                .claim("tid", OTHER_TENANT)
                .claim("iss", format!("https://login.microsoftonline.com/{OTHER_TENANT}/v2.0").as_str()),
            Err(Rejection::WrongTenant),
            "one of \"775527ff-9a37-4307-8b3d-cc311f58d925\"",
            "\"9bc40aaf-e150-4c30-bb3c-a8b3b677266e\"",
        ),
        (Check::Policy, listed(b2c()), Ok(()), "one of \"B2C_1_signupin\"", "tfp \"B2C_1_SignUpIn\""),
        (
            Check::Policy,
            listed(b2c()).without("tfp").claim("acr", "B2C_1_reset"),
            Err(Rejection::WrongPolicy),
            "one of \"B2C_1_signupin\"",
            "acr \"B2C_1_reset\"",
        ),
        (
            Check::AuthorizedParty,
            listed(b2c()),
            Ok(()),
            "one of \"fabd2a77-8a0c-4f0a-9d54-5d4a5a0c3b5f\"",
            "azp \"fabd2a77-8a0c-4f0a-9d54-5d4a5a0c3b5f\"",
        ),
        (
            Check::AuthorizedParty,
            listed(b2c()).without("azp"),
            Err(Rejection::WrongParty),
            "one of \"fabd2a77-8a0c-4f0a-9d54-5d4a5a0c3b5f\"",
            "none",
        ),
        (Check::Kind, b2c(), Ok(()), "an access token of a user", "an access token of a user: scopes"),
        (
            Check::Kind,
            b2c().without("scp").claim("nonce", "n"),
            Err(Rejection::IdToken),
            "an access token of a user",
            "an id token: a nonce, and neither scopes nor typ at+jwt",
        ),
        (Check::SenderConstraint, b2c(), Ok(()), "any", "no cnf"),
        (
            Check::SenderConstraint,
            b2c().claim("cnf", json!({ "jkt": "x" })).rule(|rules| rules.takes_sender_constrained = false),
            Err(Rejection::SenderConstrained),
            "no cnf but x5t#S256",
            "cnf with jkt",
        ),
        (
            Check::SenderConstraint,
            b2c()
                .claim("cnf", json!({ "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" }))
                .rule(|rules| rules.takes_sender_constrained = false),
            Err(Rejection::ClaimsMalformed),
            "no cnf but x5t#S256",
            "cnf with x5t#S256: accepted only on a connection with that certificate",
        ),
        (Check::GroupOverage, entra(), Ok(()), "any", "complete"),
        (
            Check::GroupOverage,
            entra().claim("hasgroups", true).rule(|rules| rules.takes_group_overage = false),
            Err(Rejection::GroupOverage),
            "all groups in the token",
            "groups is not in the token, since the user has too many groups",
        ),
        (
            Check::UserId,
            b2c().without("sub"),
            Ok(()),
            "oid, or else sub, which must agree",
            "oid \"ab3ec3b2-a435-45e4-b93a-56a005e88bb7\", sub none: \"ab3ec3b2-a435-45e4-b93a-56a005e88bb7\"",
        ),
        (
            Check::UserId,
            b2c().claim("sub", "other"),
            Err(Rejection::UserIdConflict),
            "oid, or else sub, which must agree",
            "oid \"ab3ec3b2-a435-45e4-b93a-56a005e88bb7\", sub \"other\"",
        ),
        (Check::Key, b2c(), Ok(()), own_key, "kid \"X5eXk4xyojNFum1kl2Ytv8dlNP4-c57dO6QGTVBwaNk\""),
        (Check::Key, b2c().header("kid", "another"), Err(Rejection::UnknownKey), own_key, "kid \"another\""),
        (
            Check::KeyIssuer,
            entra(),
            Ok(()),
            "a key of the token's issuer and cloud \"microsoftonline.com\", or one without an issuer",
            "a key of \"https://login.microsoftonline.com/{tenantid}/v2.0\" in cloud \"microsoftonline.com\"",
        ),
        (
            Check::KeyIssuer,
            b2c().jwks([jwk_with(&[("issuer", json!("https://login.contoso.com/"))])]),
            Err(Rejection::KeyOfOtherIssuer),
            "a key of the token's issuer, or one without an issuer",
            "a key of \"https://login.contoso.com/\"",
        ),
        (Check::Signature, b2c(), Ok(()), "valid for the key", "valid"),
        (Check::Signature, b2c().jwks([OTHER_RSA.jwk(KID)]), Err(Rejection::BadSignature), "valid for the key", "not valid"),
    ]
}

fn step(attempt: &Attempt, name: &str) -> Step {
    attempt.explain().steps.into_iter().find(|step| step.name == name).unwrap()
}

#[test]
fn every_check_says_what_it_expected_and_found() {
    for (check, attempt, outcome, expected, found) in examples() {
        let outcome = outcome.map_or_else(Outcome::Failed, |()| Outcome::Passed);
        let wanted = Step { name: check.label(), expected: expected.to_owned(), found: found.to_owned(), outcome };
        assert_eq!(step(&attempt, check.label()), wanted);
    }
}

#[test]
fn every_check_has_an_example_of_both_kinds() {
    let kinds: BTreeSet<_> = examples().iter().map(|(check, _, outcome, ..)| (*check, outcome.is_ok())).collect();
    let all: BTreeSet<_> = Check::ALL.iter().flat_map(|check| [(*check, true), (*check, false)]).collect();
    assert_eq!(kinds, all);
}

#[test]
fn the_form_of_the_token_is_told_without_the_token() {
    let form = |attempt: Attempt| {
        let explanation = attempt.explain();
        let [step] = explanation.steps.as_slice() else { panic!("{explanation:?}") };
        (step.found.clone(), explanation.verdict())
    };
    let malformed = Verdict::Refused(Rejection::TokenMalformed);
    assert_eq!(form(b2c().bytes(*b"0.AbC_opaque")), ("12 bytes, 2 segments, so it is not a JWT".into(), malformed));
    assert_eq!(form(b2c().bytes(*b"EwBwA8l6BAAU")), ("12 bytes, 1 segment, so it is opaque".into(), malformed));
    assert_eq!(form(b2c().bytes([b'a'; 16_384])), ("16384 bytes, 1 segment, so it is opaque".into(), malformed));
    assert_eq!(form(b2c().bytes(*b"eyJ.A.A.A.A")), ("11 bytes, 5 segments, so it is encrypted (JWE)".into(), malformed));
    let Step { expected, found, .. } = step(&b2c(), "token");
    assert_eq!(expected, "three base64url segments, at most 16384 bytes; a header without critical parameters");
    assert!(found.ends_with(" bytes, 3 segments, alg \"RS256\", kid \"X5eXk4xyojNFum1kl2Ytv8dlNP4-c57dO6QGTVBwaNk\", typ \"JWT\""));
}

#[test]
fn checks_go_on_after_the_first_failure() {
    let explanation = b2c().claim("aud", "a").claim("exp", NOW - 100).header("kid", "another").explain();
    assert_eq!(explanation.verdict(), Verdict::Refused(Rejection::Expired));
    let not_passed: Vec<_> = explanation.steps.iter().filter(|step| step.outcome != Outcome::Passed).collect();
    let wanted = [
        ("expiry", Outcome::Failed(Rejection::Expired)),
        ("audience", Outcome::Failed(Rejection::WrongAudience)),
        ("key", Outcome::Failed(Rejection::UnknownKey)),
        ("key_issuer", Outcome::NotMade),
        ("signature", Outcome::NotMade),
        ("permission", Outcome::NotMade),
    ];
    assert_eq!(not_passed.iter().map(|step| (step.name, step.outcome)).collect::<Vec<_>>(), wanted);
    assert_eq!(step(&b2c().header("alg", "HS256"), "key").outcome, Outcome::NotMade);
}

#[test]
fn a_token_of_no_issuer_is_held_against_the_only_one() {
    let stranger = b2c().claim("iss", "https://login.contoso.com/");
    assert_eq!(stranger.explain().issuer.as_deref(), Some("contoso"));
    let alone = stranger.explain_with(&[b2c().issuer(), entra().issuer()], None, &[]);
    assert_eq!(alone.issuer, None);
    assert_eq!(alone.steps.last().unwrap().outcome, Outcome::Failed(Rejection::UnknownIssuer));
    let expected = &alone.steps.last().unwrap().expected;
    let b2c_issuer = format!("contoso: \"https://contoso.b2clogin.com/{TENANT}/v2.0/\"");
    assert_eq!(
        *expected,
        format!("{b2c_issuer}; contoso: \"https://login.microsoftonline.com/{{tenantid}}/v2.0\" for tid \"{TENANT}\"")
    );
}

#[test]
fn without_all_keys_nothing_is_said_of_a_key_that_is_missing() {
    let unknown = b2c().header("kid", "another");
    let explanation = unknown.explain_with(&[unknown.issuer()], Some("https://login.contoso.com/keys: no answer"), &[]);
    assert_eq!(explanation.verdict(), Verdict::Unknown);
    assert_eq!(explanation.decisive().unwrap().found, "kid \"another\"; https://login.contoso.com/keys: no answer");
    // A key that is there is there, and an expired token has expired.
    assert_eq!(b2c().explain_with(&[b2c().issuer()], Some("no answer"), &[]).verdict(), Verdict::Accepted);
    let expired = unknown.claim("exp", NOW - 100);
    let explanation = expired.explain_with(&[expired.issuer()], Some("no answer"), &[]);
    assert_eq!(explanation.verdict(), Verdict::Refused(Rejection::Expired));
}

#[test]
fn an_issuer_that_is_not_discovered_yet_may_be_the_one() {
    let undiscovered = || b2c().rule(|rules| rules.issuer = IssuerRule::Discovered);
    assert_eq!(undiscovered().explain().verdict(), Verdict::Unknown);
    assert_eq!(step(&undiscovered(), "issuer").outcome, Outcome::Unknown);
    assert_eq!(
        undiscovered().claim("aud", "https://graph.microsoft.com").explain().verdict(),
        Verdict::Refused(Rejection::GraphToken)
    );
}

#[test]
fn a_key_that_is_skipped_is_told_with_its_reason() {
    let attempt = b2c().header("kid", "weak");
    let skipped = |kid: &str, reason| SkippedKey { kid: Some(kid.into()), reason };
    let several = [
        SkippedKey { kid: None, reason: SkipReason::MemberMissing },
        skipped("other", SkipReason::MemberType),
        skipped("weak", SkipReason::RsaTooSmall),
    ];
    let explanation = attempt.explain_with(&[attempt.issuer()], None, &several);
    assert_eq!(explanation.decisive().unwrap().found, "kid \"weak\", which is published but not used: rsa_too_small");
    // One of two keys under one name is used.
    let explanation = b2c().explain_with(&[b2c().issuer()], None, &[skipped(KID, SkipReason::RsaTooSmall)]);
    assert_eq!(explanation.steps.iter().find(|step| step.name == "key").unwrap().found, format!("kid \"{KID}\""));
    assert_eq!(step(&b2c().header("kid", "denied"), "key").found, "kid \"denied\", which the config denies");
}

#[test]
fn a_key_that_is_denied_by_its_thumbprint_is_told() {
    let thumbprint = testing::key_set(&[jwk_with(&[])]).keys()[0].id().to_string();
    let denied = || b2c().deny_keys();
    // Whatever name the token has for it, if any, and even if other keys may be missing.
    let told = |attempt: Attempt, named: &str| {
        let explanation = attempt.explain_with(&[attempt.issuer()], Some("no answer"), &[]);
        assert_eq!(explanation.verdict(), Verdict::Refused(Rejection::UnknownKey));
        assert_eq!(explanation.decisive().unwrap().found, format!("{named}: the key {thumbprint}, which the config denies"));
    };
    told(denied(), &format!("kid \"{KID}\""));
    told(denied().without_header("kid"), "neither kid nor x5t");
    let by_both = b2c().header("kid", "denied").jwks([RSA.jwk("denied")]).deny_keys();
    assert_eq!(step(&by_both, "key").found, "kid \"denied\", which the config denies");
    // A signature of another key under that name proves nothing.
    let other = denied().signed_by(&OTHER_RSA, Algorithm::RS256);
    assert_eq!(other.explain_with(&[other.issuer()], Some("no answer"), &[]).verdict(), Verdict::Unknown);
}

#[test]
fn the_permission_of_a_route_is_told() {
    let demanding = || {
        b2c().rule(|rules| rules.kept_claims = vec!["ver".into()]).demand(|demands| {
            demands.all_scopes = vec!["docs.read".into(), "docs.admin".into()];
            demands.any_roles = vec!["Writer".into()];
            demands.all_claims = vec![crate::token::ClaimRule { claim: "ver".into(), values: vec!["1.0".into(), "2.0".into()] }];
            demands.nonce = NonceRule::EqualsHeader("x-nonce".into());
        })
    };
    let told = |attempt: Attempt| {
        let Step { expected, found, outcome, .. } = step(&attempt, "permission");
        assert_eq!(
            expected,
            "scopes \"docs.read\", \"docs.admin\"; one of the roles \"Writer\"; claims \"ver=1.0|2.0\"; a nonce that equals the header x-nonce"
        );
        (found, outcome)
    };
    let with_nonce = || demanding().claim("nonce", "secret");
    assert_eq!(
        told(demanding()),
        (
            "scopes \"docs.read\", \"docs.write\"; no roles; ver \"\\\"1.0\\\"\"; no nonce".into(),
            Outcome::Failed(Rejection::NonceMismatch)
        )
    );
    let (found, _) = told(with_nonce());
    assert!(found.ends_with("a nonce, and no header value to compare it with"));
    let (found, _) = told(with_nonce().nonce("other"));
    assert!(found.ends_with("; another nonce"));
    let (found, outcome) = told(with_nonce().nonce("secret").claim("scp", "docs.read docs.admin").claim("roles", "Writer"));
    assert_eq!(outcome, Outcome::Passed);
    assert!(found.ends_with("; the same nonce") && !found.contains("secret"));
    assert_eq!(step(&b2c(), "permission").expected, "nothing but a verified token");
}

#[test]
fn hostile_texts_are_quoted_escaped_and_cut() {
    let found = |audience: serde_json::Value| step(&b2c().claim("aud", audience), "audience").found;
    assert_eq!(found("\u{1b}[31m\n\u{202e}\u{7f}é".into()), "\"\\u{1b}[31m\\u{a}\\u{202e}\\u{7f}\\u{e9}\"");
    assert_eq!(found("x\"; expected \\ <- refused here".into()), "\"x\\\"; expected \\\\ <- refused here\"");
    assert_eq!(found("x".repeat(121).into()), format!("\"{}\"...", "x".repeat(120)));
    assert_eq!(found(vec!["a"; 10].into()), "\"a\", \"a\", \"a\", \"a\", \"a\", \"a\", \"a\", \"a\" and 2 more");
    assert_eq!(found(json!({ "a": 1 })), "an object");
    assert_eq!(found(json!([1, "a"])), "an array that does not hold only strings");
    assert_eq!(found(json!(null)), "none");
    assert_eq!(found(json!(true)), "true");
    assert_eq!(found(json!(1e300)), "1e+300");
}

#[test]
fn a_token_in_a_claim_is_not_shown() {
    let inner = entra().compact();
    let explanation =
        b2c().rule(|rules| rules.issuer = IssuerRule::Exact(vec![inner.clone()])).claim("iss", inner.as_str()).explain();
    assert_eq!(explanation.steps.iter().find(|step| step.name == "issuer").unwrap().found, "(a token, not shown)");
    assert!(!format!("{explanation:?}").contains("eyJ"));
}
