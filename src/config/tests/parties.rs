use serde_json::{Value, json};

use super::{TENANT_ID, config, problems, with};

fn text(issuer: &Value) -> String {
    let mut issuer = issuer.clone();
    issuer["audiences"] = json!(["api"]);
    with(&[("/issuers", json!([issuer]))])
}

const A: &str = "https://a.contoso.com";
const B: &str = "https://b.contoso.com";

#[test]
fn several_providers_in_one_element_with_several_sources_are_refused() {
    let document = |issuer: &str| format!("{issuer}/.well-known/openid-configuration");
    let (a, b) = (document(A), document(B));
    let realm = |name: &str| format!("https://id.contoso.com/realms/{name}");
    let entra = |tenant: &str| format!("https://login.microsoftonline.com/{tenant}/v2.0");
    let other = "0d5b0f2c-0000-4000-8000-000000000000";
    for issuer in [
        json!({ "issuer": "discovered", "discovery": [a, b] }),
        json!({ "issuer": "discovered", "discovery": a, "jwks_uri": format!("{B}/keys") }),
        json!({ "issuer": "discovered", "discovery": a, "jwks_file": "keys.json" }),
        json!({ "issuer": "discovered", "discovery": [document(&realm("one")), document(&realm("two"))] }),
        json!({ "issuer": "discovered", "discovery": [document(&entra(TENANT_ID)), document(&entra(other))] }),
        json!({ "issuer": "discovered", "discovery": [document("http://localhost:1"), document("http://localhost:2")] }),
        json!({ "issuer": [A, B], "jwks_uri": [format!("{A}/keys"), format!("{B}/keys")] }),
        json!({ "issuer": [A, B], "discovery": [a, b] }),
        json!({ "issuer": [A, B], "discovery": a, "jwks_file": "keys.json" }),
        json!({ "preset": "oidc", "issuer": [A, B], "discovery": [a, b] }),
        json!({ "issuer": [realm("one"), realm("two")], "discovery": [document(&realm("one")), document(&realm("two"))] }),
        json!({ "issuer": [entra(TENANT_ID), entra(other)], "discovery": [document(&entra(TENANT_ID)), document(&entra(other))] }),
        // A GUID in the path is a tenant at Microsoft alone.
        json!({ "issuer": [format!("{A}/{TENANT_ID}"), format!("{B}/{TENANT_ID}")], "discovery": [a, b] }),
        json!({
            "issuer": ["https://login.microsoftonline.com/{tenantid}/v2.0", "https://b.contoso.com/{tenantid}/"],
            "tenants": [TENANT_ID], "user_id": "{tid}_{sub}", "discovery": [document(&entra("common")), b],
        }),
    ] {
        let problems = problems(&text(&issuer));
        assert!(
            matches!(problems.as_slice(), [one] if one.starts_with("issuers[0].issuer: ") && one.contains("could sign for the other")),
            "{issuer}: {problems:?}"
        );
    }
}

#[test]
fn one_provider_may_have_several_names_and_several_sources() {
    let b2c = |policy: &str| {
        format!("https://contoso.b2clogin.com/contoso.onmicrosoft.com/{policy}/v2.0/.well-known/openid-configuration")
    };
    let entra = |query: &str| format!("https://login.microsoftonline.com/{TENANT_ID}/v2.0/.well-known/openid-configuration{query}");
    let policies = json!({
        "preset": "b2c", "tenant": "contoso", "tenant_id": TENANT_ID, "policies": ["b2c_1_one", "b2c_1_two"],
        "domains": ["login.contoso.com"],
    });
    for issuer in [
        policies,
        json!({ "preset": "entra", "tenant": TENANT_ID, "discovery": [entra("?appid=1"), entra("?appid=2")] }),
        json!({ "preset": "entra", "tenant": TENANT_ID, "discovery": entra(""), "jwks_file": "keys.json" }),
        json!({
            "preset": "entra", "tenant": "common", "tenants": [TENANT_ID],
            "discovery": [entra("").replace(TENANT_ID, "common"), entra("").replace(TENANT_ID, "organizations")],
        }),
        json!({ "preset": "external-id", "tenant": "contoso", "tenant_id": TENANT_ID, "domains": ["login.contoso.com"],
            "discovery": [format!("https://contoso.ciamlogin.com/{TENANT_ID}/v2.0/.well-known/openid-configuration"), entra("")] }),
        json!({ "issuer": "discovered", "discovery": [b2c("b2c_1_one"), b2c("b2c_1_two")] }),
        json!({ "issuer": "discovered", "discovery": [entra("?appid=1"), entra("?appid=2")] }),
        json!({ "issuer": "discovered", "discovery": format!("{A}/.well-known/openid-configuration") }),
        json!({ "issuer": A, "jwks_uri": [format!("{A}/keys"), format!("{B}/keys")], "jwks_file": "keys.json" }),
        json!({ "issuer": ["accounts.contoso.com", "https://accounts.contoso.com/"], "jwks_uri": [format!("{A}/1"), format!("{A}/2")] }),
        json!({ "issuer": [A, B], "jwks_uri": format!("{A}/keys") }),
    ] {
        let loaded = config(&text(&issuer));
        let only = &loaded.issuers[0];
        assert_eq!(only.rules.binds_keys, only.jwks.sources.len() > 1, "{issuer}");
    }
}
