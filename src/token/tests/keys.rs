//! Keys that are not there, fit twice, or belong to somebody else.

use jsonwebtoken::Algorithm;
use serde_json::json;

use super::{
    Row,
    attempt::{KID, OTHER_TENANT, TENANT, b2c, entra, jwk_with},
};
use crate::token::{
    IssuerRule,
    Rejection::*,
    UserIdRule,
    testing::{OTHER_RSA, P256, P384, RSA},
};

const MSA: &str = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0";
const TEMPLATE: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";

pub(super) fn rows() -> Vec<Row> {
    let es256 =
        |attempt: super::attempt::Attempt| attempt.header("alg", "ES256").rule(|rules| rules.algorithms.push(Algorithm::ES256));
    let bound = |issuer: &str| entra().jwks([jwk_with(&[("issuer", json!(issuer))])]);
    let cloud = |name: &str| entra().jwks([jwk_with(&[("cloud_instance_name", json!(name))])]);
    let no_kid = || b2c().without_header("kid");
    let version_1 = |bound: &str| {
        let iss = format!("https://sts.windows.net/{TENANT}/");
        let entra = entra().claim("iss", iss.as_str()).rule(|rules| rules.issuer = IssuerRule::Exact(vec![iss]));
        entra.jwks([jwk_with(&[("issuer", json!(bound))])])
    };
    vec![
        b2c().header("kid", "nobody").row("an unknown kid", UnknownKey),
        b2c().jwks([]).row("no keys at all", UnknownKey),
        b2c().jwks([OTHER_RSA.jwk("other")]).row("the key is gone", UnknownKey),
        no_kid().jwks([RSA.jwk("one"), OTHER_RSA.jwk("two")]).row("no kid, two keys fit", AmbiguousKey),
        no_kid()
            .header("x5t", "unknown")
            .jwks([jwk_with(&[("x5t", json!("known"))]), OTHER_RSA.jwk("two")])
            .row("no kid, an unknown x5t", UnknownKey),
        es256(b2c()).signed_by(&P256, Algorithm::ES256).row("ES256 with the kid of an RSA key", KeyNotForAlgorithm),
        es256(b2c())
            .signed_by(&P384, Algorithm::ES384)
            .jwks([P384.jwk(KID)])
            .row("ES256 with the kid of a P-384 key", KeyNotForAlgorithm),
        b2c().jwks([jwk_with(&[("alg", json!("RS512"))])]).row("RS256 with a key for RS512", KeyNotForAlgorithm),
        b2c().jwks([P256.jwk(KID)]).row("RS256 with the kid of an EC key", KeyNotForAlgorithm),
        bound(MSA).row("a key of personal accounts", KeyOfOtherIssuer),
        bound(&TEMPLATE.replace(".com", ".us")).row("a key template of another cloud", KeyOfOtherIssuer),
        bound(&TEMPLATE.replace("{tenantid}", OTHER_TENANT)).row("a key of another tenant", KeyOfOtherIssuer),
        b2c().published_by("https://login.contoso.com/").row("a key of another provider's discovery document", KeyOfOtherIssuer),
        b2c()
            .published_by("https://contoso.b2clogin.com/9bc40aaf-e150-4c30-bb3c-a8b3b677266e/v2.0/")
            .row("a key of the discovery document of another tenant", KeyOfOtherIssuer),
        entra()
            .published_by("https://sts.windows.net/9bc40aaf-e150-4c30-bb3c-a8b3b677266e/")
            .row("a key for all tenants, from the discovery document of another tenant", KeyOfOtherIssuer),
        bound("").row("a key whose issuer is empty", KeyOfOtherIssuer),
        bound(&format!("{TEMPLATE}/")).row("a key template with a slash at its end", KeyOfOtherIssuer),
        cloud("microsoftonline.us").row("a key of another cloud", KeyOfOtherIssuer),
        cloud("MicrosoftOnline.com").row("a key of our cloud in capitals", KeyOfOtherIssuer),
        b2c().jwks([jwk_with(&[("issuer", json!(TEMPLATE))])]).row("a key template, a token without tid", KeyOfOtherIssuer),
        version_1(&TEMPLATE.replace(".com", ".us")).row("version 1 tokens with a key template of another cloud", KeyOfOtherIssuer),
        version_1(&TEMPLATE.replace("{tenantid}", OTHER_TENANT))
            .row("version 1 tokens with a key of another tenant", KeyOfOtherIssuer),
        version_1(&format!("https://sts.windows.net/{TENANT}/"))
            .claim("tid", OTHER_TENANT)
            .row("a key of the token's iss, version 1, and the tid of another tenant", KeyOfOtherIssuer),
        bound(&TEMPLATE.replace("{tenantid}", TENANT))
            .rule(|rules| rules.issuer = IssuerRule::Exact(vec![TEMPLATE.replace("{tenantid}", TENANT)]))
            .claim("tid", OTHER_TENANT)
            .row("a key of the token's iss, version 2, and the tid of another tenant", KeyOfOtherIssuer),
        version_1(MSA).row("version 1 tokens with a key of personal accounts", KeyOfOtherIssuer),
        version_1(TEMPLATE)
            .claim("tid", OTHER_TENANT)
            .row("version 1 tokens of one tenant with the tid of another", KeyOfOtherIssuer),
        version_1(&TEMPLATE.replace("{tenantid}", TENANT))
            .without("tid")
            .rule(|rules| rules.user_id = UserIdRule::Claims(vec!["oid".to_owned()]))
            .row("version 1 tokens without tid, with a key of the tenant", KeyOfOtherIssuer),
    ]
}

#[test]
fn tokens_without_kid_find_the_one_key_that_fits() {
    let no_kid = || b2c().without_header("kid");
    assert!(no_kid().run().is_ok());
    let two = [jwk_with(&[("x5t", json!("thumb"))]), OTHER_RSA.jwk("two")];
    assert!(no_kid().header("x5t", "thumb").jwks(two).run().is_ok());
}

#[test]
fn a_key_may_be_bound_to_the_tokens_own_issuer() {
    let bound = |issuer: &str| entra().jwks([jwk_with(&[("issuer", json!(issuer))])]).run().is_ok();
    assert!(bound(TEMPLATE));
    assert!(bound(&TEMPLATE.replace("{tenantid}", TENANT)));
    assert!(entra().rule(|rules| rules.cloud_instance = None).run().is_ok());
    let of_no_tenant = b2c().jwks([jwk_with(&[("issuer", json!(format!("https://contoso.b2clogin.com/{TENANT}/v2.0/")))])]);
    assert!(of_no_tenant.run().is_ok(), "only Microsoft's own names need a tid");
}

#[test]
fn a_key_speaks_for_the_party_of_its_discovery_document_in_each_of_its_names() {
    for document in [
        "https://contoso.b2clogin.com/775527ff-9a37-4307-8b3d-cc311f58d925/v2.0/",
        "https://contoso.b2clogin.com/tfp/775527ff-9a37-4307-8b3d-cc311f58d925/b2c_1_other/v2.0/",
        "https://login.contoso.com/775527ff-9a37-4307-8b3d-cc311f58d925/v2.0/",
    ] {
        assert!(b2c().published_by(document).run().is_ok(), "{document}");
    }
    for document in
        [TEMPLATE, "https://sts.windows.net/{tenantid}/", "https://sts.windows.net/775527ff-9a37-4307-8b3d-cc311f58d925/"]
    {
        assert!(entra().published_by(document).run().is_ok(), "{document}");
    }
    let single = b2c().published_by("https://login.contoso.com/").rule(|rules| rules.binds_keys = false);
    assert!(single.run().is_ok(), "with one source there are no keys of anybody else");
}

#[test]
fn a_tenant_has_one_set_of_keys_for_both_versions() {
    let (one, two) = (format!("https://sts.windows.net/{TENANT}/"), TEMPLATE.replace("{tenantid}", TENANT));
    let alone = || entra().claim("iss", one.as_str()).rule(|rules| rules.issuer = IssuerRule::Exact(vec![one.clone()]));
    assert!(alone().run().is_ok());
    assert!(alone().jwks([jwk_with(&[("issuer", json!(two))])]).run().is_ok());
    let both = entra().claim("iss", one.clone()).rule(|rules| rules.issuer = IssuerRule::Exact(vec![one, two]));
    assert!(both.run().is_ok());
    let two_tenants = both.rule(|rules| match &mut rules.issuer {
        IssuerRule::Exact(issuers) => issuers.push(TEMPLATE.replace("{tenantid}", OTHER_TENANT)),
        IssuerRule::Template { .. } | IssuerRule::Discovered => unreachable!(),
    });
    assert_eq!(two_tenants.claim("tid", OTHER_TENANT).run().err(), Some(KeyOfOtherIssuer));
}
