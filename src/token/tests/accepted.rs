//! The shapes that providers send: all of them must be accepted.

use std::time::Duration;

use serde_json::{Value, json};

use super::attempt::{API, NOW, OTHER_TENANT, TENANT, USER, b2c, entra};
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
