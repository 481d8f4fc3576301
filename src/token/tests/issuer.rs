//! Tokens of other issuers, tenants, policies and clients.

use serde_json::{Value, json};

use super::{
    Row,
    attempt::{CLIENT, NOW, OTHER_TENANT, TENANT, b2c, entra},
};
use crate::token::{IssuerRule, Rejection::*, TenantRule, TrustedIssuer};

pub(super) fn rows() -> Vec<Row> {
    let ours = format!("https://contoso.b2clogin.com/{TENANT}/v2.0/");
    let b2c_iss = |iss: &str| b2c().claim("iss", iss);
    let of_tenant =
        |tenant: &str| entra().claim("iss", format!("https://login.microsoftonline.com/{tenant}/v2.0")).claim("tid", tenant);
    let policy = || b2c().rule(|rules| rules.policies = vec!["B2C_1_signupin".to_owned(), "B2C_1A_login".to_owned()]);
    let party = || b2c().rule(|rules| rules.authorized_parties = vec![CLIENT.to_owned()]);
    vec![
        b2c().without("iss").row("no iss", UnknownIssuer),
        b2c_iss("").row("iss is empty", UnknownIssuer),
        b2c().claim("iss", Value::Null).row("iss is null", UnknownIssuer),
        b2c().claim("iss", 7).row("iss is a number", UnknownIssuer),
        b2c().claim("iss", json!([ours])).row("iss is an array", UnknownIssuer),
        b2c_iss(&ours[..ours.len() - 1]).row("iss without its slash", UnknownIssuer),
        b2c_iss(&format!("{ours}/")).row("iss with two slashes", UnknownIssuer),
        b2c_iss(&format!("{ours}x")).row("iss starts with ours", UnknownIssuer),
        b2c_iss(&ours.to_uppercase()).row("iss in capitals", UnknownIssuer),
        b2c_iss(&ours.replace("contoso", "Contoso")).row("iss with one capital", UnknownIssuer),
        b2c_iss(&ours.replace("https", "http")).row("iss with http", UnknownIssuer),
        b2c_iss(&ours.replace("contoso", "fabrikam")).row("iss of another host", UnknownIssuer),
        b2c_iss(&ours.replace(".com/", ".com:443/")).row("iss with a port", UnknownIssuer),
        b2c_iss(&ours.replace(".com/", ".com/./")).row("iss with a dot segment", UnknownIssuer),
        b2c_iss(&format!("{ours}?x=1")).row("iss with a query", UnknownIssuer),
        b2c_iss(&format!("{ours}#x")).row("iss with a fragment", UnknownIssuer),
        b2c_iss(&format!(" {ours}")).row("iss with a space", UnknownIssuer),
        b2c_iss(&format!("{ours}\0")).row("iss with a zero byte", UnknownIssuer),
        b2c_iss(&ours.replace(TENANT, OTHER_TENANT)).row("another B2C tenant with the same platform key", UnknownIssuer),
        b2c_iss(&format!("https://contoso.b2clogin.com/tfp/{TENANT}/b2c_1_signupin/v2.0/"))
            .row("the tfp form of iss", UnknownIssuer),
        b2c().claim("ISS", ours.as_str()).without("iss").row("ISS for iss", UnknownIssuer),
        b2c().rule(|rules| rules.issuer = IssuerRule::Exact(Vec::new())).row("no iss is configured", UnknownIssuer),
        of_tenant(OTHER_TENANT).row("a tenant that is not listed", WrongTenant),
        of_tenant("{tenantid}").row("the template itself in iss and tid", UnknownIssuer),
        of_tenant("common").row("tid is no GUID", UnknownIssuer),
        of_tenant("").row("tid is empty", UnknownIssuer),
        of_tenant(&TENANT.to_uppercase()).row("tid and iss in capitals", UnknownIssuer),
        entra().claim("tid", OTHER_TENANT).row("tid of another tenant, iss of ours", UnknownIssuer),
        entra().claim("tid", TENANT.to_uppercase()).row("tid in capitals", UnknownIssuer),
        entra().claim("tid", Value::Null).row("tid is null", UnknownIssuer),
        entra().claim("tid", json!([TENANT])).row("tid is an array", UnknownIssuer),
        entra().without("tid").row("no tid for a template", UnknownIssuer),
        entra().without("tid").claim("TID", TENANT).row("TID for tid", UnknownIssuer),
        entra()
            .claim("iss", format!("https://login.microsoftonline.com/{OTHER_TENANT}/v2.0"))
            .row("iss of another tenant, tid of ours", UnknownIssuer),
        entra().claim("iss", format!("https://login.microsoftonline.us/{TENANT}/v2.0")).row("iss of another cloud", UnknownIssuer),
        entra().claim("iss", format!("https://sts.windows.net/{TENANT}/")).row("iss of version 1 for version 2", UnknownIssuer),
        policy().claim("tfp", "B2C_1_PasswordReset").row("another policy", WrongPolicy),
        policy().claim("tfp", "B2C_1_signupin2").row("a policy that starts with ours", WrongPolicy),
        policy().claim("tfp", "B2C_1_\u{17f}ignupin").row("a policy that folds to ours in Unicode only", WrongPolicy),
        policy().claim("tfp", "B2C_1_reset").claim("acr", "B2C_1A_login").row("tfp of another policy, acr of ours", WrongPolicy),
        policy().without("tfp").claim("acr", "1").row("acr is an authentication strength", WrongPolicy),
        policy().without("tfp").row("policies are listed, the token has none", WrongPolicy),
        policy().claim("tfp", Value::Null).row("tfp is null", WrongPolicy),
        policy().claim("tfp", json!(["B2C_1_signupin"])).row("tfp is an array", ClaimsMalformed),
        party().claim("azp", OTHER_TENANT).row("another client", WrongParty),
        party().claim("azp", CLIENT.to_uppercase()).row("the client in capitals", WrongParty),
        party().claim("azp", OTHER_TENANT).claim("appid", CLIENT).row("azp of another client, appid of ours", WrongParty),
        party().without("azp").row("clients are listed, the token names none", WrongParty),
        party().claim("azp", OTHER_TENANT).claim("client_id", CLIENT).row("azp of another client, client_id of ours", WrongParty),
        party().without("azp").claim("client_id", OTHER_TENANT).row("client_id of another client", WrongParty),
        party().without("azp").claim("cid", OTHER_TENANT).row("cid of another client", WrongParty),
        party()
            .without("azp")
            .claim("client_id", OTHER_TENANT)
            .claim("cid", CLIENT)
            .row("client_id of another, cid of ours", WrongParty),
        party().claim("azp", 7).row("azp is a number", WrongParty),
        party().without("azp").claim("appid", json!({})).row("appid is an object", ClaimsMalformed),
    ]
}

#[test]
fn policies_are_compared_without_regard_to_case() {
    let policies = |attempt: super::attempt::Attempt| attempt.rule(|rules| rules.policies = vec!["b2c_1_signUPin".to_owned()]);
    assert!(policies(b2c()).run().is_ok());
    assert!(policies(b2c().without("tfp").claim("acr", "B2C_1_signupin")).run().is_ok());
}

#[test]
fn parties_come_from_azp_appid_client_id_or_cid() {
    let party = |attempt: super::attempt::Attempt| attempt.rule(|rules| rules.authorized_parties = vec![CLIENT.to_owned()]);
    assert!(party(b2c()).run().is_ok());
    for name in ["appid", "client_id", "cid"] {
        assert!(party(b2c().without("azp").claim(name, CLIENT)).run().is_ok(), "{name}");
    }
}

#[test]
fn any_tenant_is_taken_where_the_rule_says_so() {
    let any = entra()
        .claim("iss", format!("https://login.microsoftonline.com/{OTHER_TENANT}/v2.0"))
        .claim("tid", OTHER_TENANT)
        .rule(|rules| {
            let patterns = vec!["https://login.microsoftonline.com/{tenantid}/v2.0".to_owned()];
            rules.issuer = IssuerRule::Template { patterns, tenants: TenantRule::Any };
        });
    assert!(any.run().unwrap().user_id().starts_with(OTHER_TENANT));
}

#[test]
fn issuers_may_share_a_template_for_different_tenants() {
    let takes = |tenants: &[&str]| {
        let tenants = TenantRule::Only(tenants.iter().map(|tenant| (*tenant).to_owned()).collect());
        let patterns = vec!["https://login.microsoftonline.com/{tenantid}/v2.0".to_owned()];
        entra().rule(|rules| rules.issuer = IssuerRule::Template { patterns, tenants }).issuer()
    };
    let choose = |issuers: &[TrustedIssuer]| entra().choose(issuers);
    assert_eq!(choose(&[b2c().issuer(), takes(&[OTHER_TENANT]), takes(&[TENANT]), takes(&[TENANT])]), Ok(2));
    assert_eq!(choose(&[takes(&[OTHER_TENANT]), b2c().issuer()]), Err(WrongTenant));
    assert_eq!(choose(&[b2c().issuer()]), Err(UnknownIssuer));
    assert_eq!(choose(&[]), Err(UnknownIssuer));
}

#[test]
fn only_a_token_that_lacks_nothing_but_its_key_would_pass() {
    assert!(b2c().jwks([]).would_pass());
    assert!(!b2c().claim("iss", "https://fabrikam.b2clogin.com/").would_pass());
    assert!(!b2c().claim("aud", CLIENT).would_pass());
    assert!(!b2c().claim("exp", NOW - 3600).would_pass());
    assert!(!b2c().header("alg", "RS512").would_pass());
}
