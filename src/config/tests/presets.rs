use std::time::Duration;

use serde_json::{Value, json};

use super::{TENANT_ID, config, problems, small, with};
use crate::{
    config::IssuerConfig,
    jwks::KeySource,
    token::{IssuerRule, TenantRule, UserIdRule},
};

/// The one issuer of a config whose `issuers[0]` is this.
#[track_caller]
fn expand(issuer: Value) -> IssuerConfig {
    config(&with(&[("/issuers/0", issuer)])).issuers.remove(0)
}

/// What is wrong with it.
fn wrong(issuer: Value) -> Vec<String> {
    problems(&with(&[("/issuers/0", issuer)]))
}

fn discovery(urls: &[&str]) -> Vec<KeySource> {
    urls.iter().map(|url| KeySource::Discovery((*url).to_owned())).collect()
}

fn exact(issuers: &[&str]) -> IssuerRule {
    IssuerRule::Exact(issuers.iter().map(|issuer| (*issuer).to_owned()).collect())
}

fn claims(names: &[&str]) -> UserIdRule {
    UserIdRule::Claims(names.iter().map(|name| (*name).to_owned()).collect())
}

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn b2c_takes_both_forms_of_iss_on_every_host() {
    let mut issuer = small()["issuers"][0].clone();
    issuer["policies"] = json!(["B2C_1_signin", "B2C_1A_Edit"]);
    issuer["domains"] = json!(["Login.Contoso.com"]);
    let IssuerConfig { rules, jwks } = expand(issuer);
    assert_eq!(rules.name, "contoso");
    assert_eq!(
        jwks.sources,
        discovery(&[
            "https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1_signin/v2.0/.well-known/openid-configuration",
            "https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1A_Edit/v2.0/.well-known/openid-configuration",
        ])
    );
    assert_eq!(
        rules.issuer,
        exact(&[
            "https://contoso.b2clogin.com/9c0c1f5e-0000-4000-8000-000000000000/v2.0/",
            "https://contoso.b2clogin.com/tfp/9c0c1f5e-0000-4000-8000-000000000000/b2c_1_signin/v2.0/",
            "https://contoso.b2clogin.com/tfp/9c0c1f5e-0000-4000-8000-000000000000/b2c_1a_edit/v2.0/",
            "https://login.contoso.com/9c0c1f5e-0000-4000-8000-000000000000/v2.0/",
            "https://login.contoso.com/tfp/9c0c1f5e-0000-4000-8000-000000000000/b2c_1_signin/v2.0/",
            "https://login.contoso.com/tfp/9c0c1f5e-0000-4000-8000-000000000000/b2c_1a_edit/v2.0/",
        ])
    );
    assert_eq!(rules.policies, ["B2C_1_signin", "B2C_1A_Edit"]);
    assert_eq!(rules.user_id, claims(&["oid", "sub"]));
    assert_eq!((jwks.refresh, jwks.keep), (HOUR, 26 * HOUR));
}

#[test]
fn b2c_names_each_host_and_policy_once() {
    let mut issuer = small()["issuers"][0].clone();
    issuer["domains"] = json!(["contoso.b2clogin.com"]);
    assert!(matches!(expand(issuer.clone()).rules.issuer, IssuerRule::Exact(issuers) if issuers.len() == 2));
    issuer["policies"] = json!(["B2C_1_signin", "b2c_1_signin"]);
    assert_eq!(wrong(issuer), ["issuers[0].policies: has two elements that differ only in case; keep one"]);
}

#[test]
fn entra_for_one_tenant_takes_both_versions() {
    let IssuerConfig { rules, jwks } =
        expand(json!({ "preset": "entra", "tenant": TENANT_ID.to_uppercase(), "audiences": ["api"] }));
    assert_eq!(rules.name, TENANT_ID);
    assert_eq!(
        jwks.sources,
        discovery(&[
            "https://login.microsoftonline.com/9c0c1f5e-0000-4000-8000-000000000000/v2.0/.well-known/openid-configuration"
        ])
    );
    assert_eq!(
        rules.issuer,
        exact(&[
            "https://login.microsoftonline.com/9c0c1f5e-0000-4000-8000-000000000000/v2.0",
            "https://sts.windows.net/9c0c1f5e-0000-4000-8000-000000000000/",
        ])
    );
    assert_eq!(rules.user_id, claims(&["oid"]));
    assert_eq!(rules.cloud_instance.as_deref(), Some("microsoftonline.com"));
    assert_eq!(jwks.keep, 26 * HOUR);
}

#[test]
fn entra_for_all_tenants_is_a_template_with_a_list() {
    let issuer =
        json!({ "preset": "entra", "tenant": "organizations", "tenants": [TENANT_ID.to_uppercase()], "audiences": ["api"] });
    let IssuerConfig { rules, jwks } = expand(issuer.clone());
    assert_eq!(rules.name, "organizations");
    assert_eq!(jwks.sources, discovery(&["https://login.microsoftonline.com/organizations/v2.0/.well-known/openid-configuration"]));
    assert_eq!(
        rules.issuer,
        IssuerRule::Template {
            patterns: vec![
                "https://login.microsoftonline.com/{tenantid}/v2.0".to_owned(),
                "https://sts.windows.net/{tenantid}/".to_owned(),
            ],
            tenants: TenantRule::Only(vec![TENANT_ID.to_owned()]),
        }
    );
    assert_eq!(rules.user_id, UserIdRule::Template("{tid}_{oid}".to_owned()));
    assert_eq!(rules.cloud_instance.as_deref(), Some("microsoftonline.com"));
    assert_eq!(jwks.keep, 50 * HOUR);

    let mut open = issuer.clone();
    open.as_object_mut().unwrap().remove("tenants");
    assert_eq!(
        wrong(open.clone()),
        ["issuers[0].tenants: is required: anyone can create a tenant; list the GUIDs of those to accept, or set any_tenant: true"]
    );
    open["any_tenant"] = json!(true);
    assert!(matches!(expand(open).rules.issuer, IssuerRule::Template { tenants: TenantRule::Any, .. }));
    let mut both = issuer;
    both["any_tenant"] = json!(true);
    assert_eq!(wrong(both), ["issuers[0].any_tenant: cannot be combined with tenants; remove one of them"]);
}

#[test]
fn external_id_has_the_tenant_id_as_host() {
    let IssuerConfig { rules, jwks } =
        expand(json!({ "preset": "external-id", "tenant": "Contoso", "tenant_id": TENANT_ID, "audiences": ["api"] }));
    assert_eq!(rules.name, "contoso");
    assert_eq!(
        jwks.sources,
        discovery(&["https://contoso.ciamlogin.com/9c0c1f5e-0000-4000-8000-000000000000/v2.0/.well-known/openid-configuration"])
    );
    assert_eq!(
        rules.issuer,
        exact(&[
            "https://9c0c1f5e-0000-4000-8000-000000000000.ciamlogin.com/9c0c1f5e-0000-4000-8000-000000000000/v2.0",
            "https://login.microsoftonline.com/9c0c1f5e-0000-4000-8000-000000000000/v2.0",
        ])
    );
    assert_eq!(rules.cloud_instance, None);
    assert_eq!((rules.user_id, jwks.keep), (claims(&["oid"]), 26 * HOUR));
}

#[test]
fn oidc_finds_the_discovery_document_by_the_issuer() {
    for iss in ["https://login.contoso.com/realms/a", "https://login.contoso.com/realms/a/"] {
        let IssuerConfig { rules, jwks } = expand(json!({ "preset": "oidc", "issuer": iss, "audiences": ["api"] }));
        assert_eq!(rules.name, "login-contoso-com");
        assert_eq!(jwks.sources, discovery(&["https://login.contoso.com/realms/a/.well-known/openid-configuration"]));
        assert_eq!(rules.issuer, exact(&[iss]));
        assert_eq!((rules.user_id, jwks.keep), (claims(&["sub"]), HOUR));
    }
    assert_eq!(
        wrong(json!({ "preset": "oidc", "issuer": "http://login.contoso.com", "audiences": ["api"] })),
        [
            "issuers[0].issuer: cannot be used to find the discovery document: plain http to another machine: anyone on the network path could \
          inject keys; or set discovery"
        ]
    );
    assert_eq!(
        wrong(json!({ "preset": "oidc", "issuer": ["https://a.contoso.com", "https://b.contoso.com"], "audiences": ["api"] })),
        ["issuers[0].discovery: is required: it can be derived from the issuer only if that is a single URL"]
    );
}

#[test]
fn what_is_given_wins_over_the_preset() {
    let mut issuer = small()["issuers"][0].clone();
    issuer["discovery"] = json!("https://login.contoso.com/d?appid=1");
    issuer["jwks_uri"] = json!("http://127.0.0.1:1/keys");
    issuer["issuer"] = json!("https://login.contoso.com/x");
    issuer["user_id"] = json!("sub");
    issuer["keep"] = json!("50h");
    issuer["name"] = json!("mine");
    let IssuerConfig { rules, jwks } = expand(issuer);
    assert_eq!(
        jwks.sources,
        [
            KeySource::Discovery("https://login.contoso.com/d?appid=1".to_owned()),
            KeySource::Jwks("http://127.0.0.1:1/keys".to_owned())
        ]
    );
    assert_eq!(rules.issuer, exact(&["https://login.contoso.com/x"]));
    assert_eq!((rules.user_id, rules.name.as_str(), jwks.keep), (claims(&["sub"]), "mine", 50 * HOUR));
}

#[test]
fn a_preset_asks_for_its_parameters_at_once() {
    assert_eq!(
        wrong(json!({ "preset": "b2c" })),
        [
            "issuers[0].tenant: is required: the contoso of contoso.b2clogin.com",
            "issuers[0].tenant_id: is required: the tenant's GUID, which B2C puts into iss",
            "issuers[0].policies: is required: the user flows or custom policies that clients log in with, such as [B2C_1_signin]",
            "issuers[0].audiences: is required: the id of your API's registration; without it, tokens for any other application would \
             be accepted",
        ]
    );
    let mut missing = wrong(json!({ "preset": "entra", "audiences": ["api"] }));
    missing.extend(wrong(json!({ "preset": "external-id", "audiences": ["api"] })));
    missing.extend(wrong(json!({ "preset": "oidc", "audiences": ["api"] })));
    missing.extend(wrong(json!({ "audiences": ["api"] })));
    missing.extend(wrong(json!({ "audiences": ["api"], "issuer": "https://contoso.com" })));
    missing.extend(wrong(json!({ "audiences": ["api"], "jwks_uri": "https://contoso.com" })));
    assert_eq!(
        missing,
        [
            "issuers[0].tenant: is required: the tenant's GUID, common or organizations",
            "issuers[0].tenant: is required: the contoso of contoso.ciamlogin.com",
            "issuers[0].tenant_id: is required: the tenant's GUID, which is part of iss, even of its host",
            "issuers[0].issuer: is required: the provider's iss, such as https://login.contoso.com",
            "issuers[0].preset: is required: b2c, entra, external-id or oidc; without one, set issuer, and discovery or jwks_uri",
            "issuers[0].discovery: is required: where the keys are (or set jwks_uri); without a preset it cannot be derived",
            "issuers[0].issuer: is required: the iss of the tokens; without a preset it cannot be derived",
        ]
    );
}

#[test]
fn parameters_of_another_preset_are_refused() {
    assert_eq!(
        wrong(json!({
            "preset": "oidc", "issuer": "https://contoso.com", "audiences": ["api"], "tenant": "a", "tenant_id": "b", "domains": ["c"],
        })),
        [
            "issuers[0].domains: is valid only with the presets b2c and external-id",
            "issuers[0].tenant: is valid only with the presets b2c, entra and external-id",
            "issuers[0].tenant_id: is valid only with the presets b2c and external-id",
        ]
    );
    assert_eq!(
        wrong(json!({ "preset": "entra", "tenant": TENANT_ID, "audiences": ["api"], "tenants": [TENANT_ID] })),
        ["issuers[0].tenants: is valid only for an issuer with {tenantid} in it"]
    );
}

#[test]
fn without_a_preset_a_removed_key_is_a_withdrawn_key() {
    let generic = json!({ "issuer": "https://login.contoso.com", "jwks_file": "keys.json", "audiences": ["api"] });
    let IssuerConfig { jwks, .. } = expand(generic);
    assert_eq!(jwks.keep, HOUR);
    assert!(matches!(&jwks.sources[..], [KeySource::File(path)] if path.ends_with("keys.json")), "{:?}", jwks.sources);
}

#[test]
fn external_id_takes_its_custom_domains() {
    let IssuerConfig { rules, .. } = expand(json!({
        "preset": "external-id", "tenant": "contoso", "tenant_id": TENANT_ID, "audiences": ["api"], "domains": ["Login.Contoso.com"],
    }));
    let IssuerRule::Exact(issuers) = rules.issuer else { panic!("{:?}", rules.issuer) };
    assert_eq!(issuers.len(), 3);
    assert_eq!(issuers[2], format!("https://login.contoso.com/{TENANT_ID}/v2.0"));
    assert_eq!(
        wrong(
            json!({ "preset": "external-id", "tenant": "contoso.onmicrosoft.com", "tenant_id": TENANT_ID, "audiences": ["api"] })
        ),
        ["issuers[0].tenant: \"contoso.onmicrosoft.com\" is not a host label; accepted: the first label of the host \
          name, such as contoso of contoso.ciamlogin.com"]
    );
}

#[test]
fn entra_in_another_cloud_follows_from_the_place_of_the_keys() {
    for (host, first, second, cloud) in [
        ("login.microsoftonline.us", "https://login.microsoftonline.us/", "https://sts.windows.net/", "microsoftonline.us"),
        (
            "login.partner.microsoftonline.cn",
            "https://login.partner.microsoftonline.cn/",
            "https://sts.chinacloudapi.cn/",
            "partner.microsoftonline.cn",
        ),
    ] {
        let discovery = format!("https://{host}/{TENANT_ID}/v2.0/.well-known/openid-configuration");
        let one = json!({ "preset": "entra", "tenant": TENANT_ID, "audiences": ["api"], "discovery": discovery });
        let rules = expand(one).rules;
        assert_eq!(rules.issuer, exact(&[&format!("{first}{TENANT_ID}/v2.0"), &format!("{second}{TENANT_ID}/")]));
        assert_eq!(rules.cloud_instance.as_deref(), Some(cloud));
        let version_1 = json!({ "issuer": format!("{second}{TENANT_ID}/"), "audiences": ["api"], "discovery": discovery });
        assert_eq!(expand(version_1).rules.cloud_instance.as_deref(), Some(cloud));
    }
    let us = "https://login.microsoftonline.us/common/v2.0/.well-known/openid-configuration";
    let public = "https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration";
    assert_eq!(
        wrong(json!({ "preset": "entra", "tenant": TENANT_ID, "audiences": ["api"], "discovery": [us, public] })),
        ["issuers[0].discovery: has documents of two clouds; accepted: those of one cloud, with an issuer for each"]
    );
    assert_eq!(
        wrong(json!({
            "issuer": format!("https://login.microsoftonline.com/{TENANT_ID}/v2.0"), "audiences": ["api"], "discovery": us,
        })),
        [
            "issuers[0].issuer: belongs to the cloud microsoftonline.com, the keys to microsoftonline.us; accepted: both from one cloud"
        ]
    );
    assert_eq!(
        wrong(json!({ "preset": "entra", "tenant": "consumers", "audiences": ["api"] })),
        ["issuers[0].tenant: \"consumers\" is the tenant 9188040d-6c67-4c5b-b112-36a304b66dad of all personal \
             accounts; write that GUID; accepted: the tenant's GUID, common or organizations"]
    );
}

#[test]
fn both_names_of_an_api_are_taken_within_one_tenant_alone() {
    let api = "00000000-0000-4000-8000-0000000000aa";
    let uri = format!("api://{api}");
    let one = |audiences: Value| expand(json!({ "preset": "entra", "tenant": TENANT_ID, "audiences": audiences })).rules.audiences;
    assert_eq!(one(json!([api])), [api, uri.as_str()]);
    assert_eq!(one(json!([uri, api])), [uri.as_str(), api]);
    assert_eq!(one(json!(["api://contoso/docs"])), ["api://contoso/docs"]);
    let version_2 = json!({ "preset": "entra", "tenant": TENANT_ID, "audiences": [api],
        "issuer": format!("https://login.microsoftonline.com/{TENANT_ID}/v2.0") });
    assert_eq!(expand(version_2).rules.audiences, [api]);
    let many = json!({ "preset": "entra", "tenant": "common", "tenants": [TENANT_ID], "audiences": [api] });
    assert_eq!(expand(many.clone()).rules.audiences, [api]);
    assert_eq!(
        super::warnings(&with(&[("/issuers/0", many)])),
        [format!(
            "issuers[0].audiences: version 1 tokens, the default of a registration, have {uri} as aud; list it too if yours issues \
             them"
        )]
    );
}
