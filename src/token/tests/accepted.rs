//! The shapes that providers send: all of them must be accepted.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::attempt::{API, Attempt, NOW, OTHER_TENANT, TENANT, USER, b2c, entra};
use crate::token::{IssuerRule, Timestamp, UserIdRule, testing::RSA};

#[test]
fn b2c_user_flow() {
    let verified = b2c().run().unwrap();
    assert_eq!(&**verified.issuer_name(), "contoso");
    assert_eq!(verified.user_id(), USER);
    assert_eq!(verified.end(), Timestamp::from_seconds(NOW + 3600).plus(Duration::from_secs(60)));
    assert_eq!(verified.issued_at(), Some(Timestamp::from_seconds(NOW - 60)));
    assert_eq!(verified.scopes().collect::<Vec<_>>(), ["docs.read", "docs.write"]);
    assert_eq!(verified.roles().count(), 0);
    assert_eq!(verified.nonce(), None);
    assert!(super::super::testing::key_set(&[RSA.jwk("x")]).contains(verified.key_id()));
}

#[test]
fn b2c_custom_policy_with_sub_only() {
    let custom =
        b2c().without("oid").claim("tfp", "B2C_1A_SIGNUP_SIGNIN").claim("nonce", "defaultNonce").claim("auth_time", NOW - 60);
    assert_eq!(custom.run().unwrap().user_id(), USER);
    let older = b2c().without("oid").without("tfp").claim("acr", "b2c_1a_signup_signin");
    assert_eq!(older.run().unwrap().user_id(), USER);
}

#[test]
fn b2c_issuers_of_every_form() {
    for issuer in [
        format!("https://contoso.b2clogin.com/tfp/{TENANT}/b2c_1_signupin/v2.0/"),
        format!("https://login.contoso.com/{TENANT}/v2.0/"),
        format!("https://login.microsoftonline.com/{TENANT}/v2.0/"),
    ] {
        let attempt = b2c().claim("iss", issuer.as_str()).rule(|rules| match &mut rules.issuer {
            IssuerRule::Exact(issuers) => issuers.push(issuer.clone()),
            IssuerRule::Template { .. } | IssuerRule::Discovered => unreachable!(),
        });
        assert!(attempt.run().is_ok(), "{issuer}");
    }
}

#[test]
fn entra_version_2() {
    let verified = entra().run().unwrap();
    assert_eq!(verified.user_id(), format!("{TENANT}_{USER}"));
    assert_eq!(verified.roles().collect::<Vec<_>>(), ["Writer"]);
}

#[test]
fn entra_version_1() {
    let issuer = format!("https://sts.windows.net/{TENANT}/");
    let version_1 = entra()
        .without("azp")
        .without("azpacr")
        .claim("appid", OTHER_TENANT)
        .claim("appidacr", "1")
        .claim("acr", "1")
        .claim("aud", format!("api://{API}/"))
        .claim("ver", "1.0")
        .claim("iss", issuer.as_str())
        .header("x5t", super::attempt::KID)
        .jwks([RSA.jwk(super::attempt::KID)])
        .rule(|rules| {
            rules.issuer = IssuerRule::Exact(vec![issuer]);
            rules.audiences = vec![format!("api://{API}/")];
        });
    assert!(version_1.run().is_ok());
}

#[test]
fn external_id() {
    let issuer = format!("https://{TENANT}.ciamlogin.com/{TENANT}/v2.0");
    let external = entra().claim("iss", issuer.as_str()).jwks([RSA.jwk(super::attempt::KID)]).rule(|rules| {
        rules.issuer = IssuerRule::Exact(vec![issuer]);
        rules.user_id = UserIdRule::Claims(vec!["oid".to_owned()]);
    });
    assert_eq!(external.run().unwrap().user_id(), USER);
}

#[test]
fn only_kept_claims_are_kept() {
    let kept = b2c()
        .claim("extension_tier", json!({ "level": [1, null, "x"] }))
        .claim("emails", json!(["chris@contoso.com"]))
        .rule(|rules| rules.kept_claims = vec!["extension_tier".to_owned(), "absent".to_owned()])
        .run()
        .unwrap();
    assert_eq!(kept.claim("extension_tier"), Some(&json!({ "level": [1, null, "x"] })));
    assert_eq!(kept.claim("absent"), None::<&Value>);
    assert_eq!(kept.claim("emails"), None);
    assert_eq!(kept.claim("oid"), None);
}

#[test]
fn a_verified_token_is_small() {
    assert!(size_of::<crate::token::VerifiedToken>() <= 200, "{}", size_of::<crate::token::VerifiedToken>());
}

#[test]
fn a_token_that_is_printed_shows_nothing_of_its_user() {
    let printed = format!("{:?}", b2c().claim("nonce", "n-0S6").run().unwrap());
    assert!(printed.starts_with("VerifiedToken { issuer: \"contoso\", end: "), "{printed}");
    for secret in [USER, "docs.read", "n-0S6", "Chris"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    assert_eq!(b2c().opened(|token| format!("{token:?}")), "UnverifiedToken { .. }");
}

#[test]
fn what_a_token_holds_is_counted_in_whole_units_of_memory() {
    const UNIT: usize = 16;
    let kept = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        b2c().rule(|rules| rules.kept_claims = names)
    };
    let bytes = |attempt: Attempt| attempt.run().unwrap().heap_bytes();
    // The user id has 36 bytes, the scopes have 20.
    let alone = 3 * UNIT + 2 * UNIT;
    assert_eq!(bytes(b2c()), alone);
    assert_eq!(bytes(b2c().claim("nonce", "a".repeat(17))), alone + 2 * UNIT);
    let role = size_of::<Box<str>>() + UNIT;
    assert_eq!(bytes(b2c().claim("roles", json!(["Reader", "Writer"]))), alone + 2 * role);
    // The name of a claim is the issuer's and shared.
    let claim = size_of::<(Arc<str>, Value)>();
    let (one, two) = (claim.next_multiple_of(UNIT), (2 * claim).next_multiple_of(UNIT));
    assert_eq!(bytes(kept(&["given_name"])), alone + one + UNIT);
    assert_eq!(bytes(kept(&["given_name", "ver"]).claim("roles", "Writer")), alone + two + 2 * UNIT + role);
    let elsewhere = size_of::<Arc<str>>();
    let overage = kept(&["given_name", "groups"]).claim("hasgroups", true);
    assert_eq!(bytes(overage), alone + one + UNIT + elsewhere);
}

#[test]
fn what_is_elsewhere_is_known() {
    let overage = |attempt: Attempt| attempt.run().unwrap().has_group_overage();
    let keeping = |claim: &str| {
        let claim = claim.to_owned();
        entra().claim("hasgroups", true).rule(|rules| rules.kept_claims = vec![claim])
    };
    assert!(overage(keeping("groups")));
    assert!(!overage(keeping("ver")), "nobody asks for the groups");
    assert!(!overage(entra().rule(|rules| rules.kept_claims = vec!["groups".to_owned()])), "the user has none");
    assert!(overage(entra().claim("hasgroups", true).rule(|rules| rules.role_claim = "groups".to_owned())));
}
