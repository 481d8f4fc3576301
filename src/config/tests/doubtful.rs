use serde_json::{Value, json};

use super::{problems, warnings, with};

/// The one problem of the small config with this value at this place.
#[track_caller]
fn told(place: &str, value: Value) -> String {
    let problems = problems(&with(&[(place, value)]));
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.into_iter().next().unwrap()
}

fn route(members: Value) -> Value {
    let mut route = json!({ "name": "a" });
    route.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    json!([route])
}

#[test]
fn the_two_ways_to_write_a_template_are_not_mixed_up() {
    let told_of_id = told("/issuers/0/user_id", json!("${sub}"));
    assert!(
        told_of_id.starts_with("issuers[0].user_id: \"${sub}\" has a $ before a brace; write a claim as {sub} here"),
        "{told_of_id}"
    );
    for (claims, written) in [
        (json!({ "userId": "{user_id}" }), "${user_id}"),
        (json!({ "userId": "${user_id}", "data": { "names": ["x {name}"] } }), "${name}"),
        (json!({ "userId": "${user_id}", "groups": "{claim:groups}" }), "${claim:groups}"),
    ] {
        let told = told("/mint", json!({ "claims": claims }));
        assert!(told.contains("has no $, so every user would get this literal text") && told.ends_with(written), "{told}");
    }
    // Other braces are text.
    let fine = json!({ "claims": { "userId": "${user_id}", "mode": "{a}", "role": "$${user_id}" } });
    assert_eq!(problems(&with(&[("/mint", fine)])), Vec::<String>::new());
    let issuer = json!({ "issuer": "https://login.microsoftonline.com/${tenantid}/v2.0", "jwks_uri": "https://a.test/k", "audiences": ["api"] });
    assert!(told("/issuers/0", issuer).contains("has a $ before a brace; write a template as {tenantid}"));
}

#[test]
fn what_no_token_can_say_is_a_mistake() {
    for (place, value, expected) in [
        ("/issuers/0/tenant", json!(super::TENANT_ID), "is a GUID, which belongs in tenant_id"),
        ("/issuers/0/audiences", json!(["*"]), "has a wildcard"),
        ("/issuers/0/audiences", json!(["api://*"]), "has a wildcard"),
        ("/issuers/0/audiences", json!(["api "]), "begins or ends with white space"),
        ("/issuers/0/issuer", json!(" https://a.test"), "begins or ends with white space"),
        ("/issuers/0/issuer", json!("https://a.test/.well-known/openid-configuration"), "is the URL of a document"),
    ] {
        let told = told(place, value.clone());
        assert!(told.contains(expected), "{value}: {told}");
    }
}

#[test]
fn a_trust_in_everybody_is_warned_of() {
    for (place, value, expected) in [
        (
            "/listen/trusted_proxies",
            json!("0.0.0.0/0"),
            "listen.trusted_proxies: covers so many addresses that clients may be among them",
        ),
        ("/listen/trusted_proxies", json!(["10.0.0.0/8", "::/0"]), "listen.trusted_proxies: covers so many"),
        ("/listen/trusted_proxies", json!("2000::/3"), "listen.trusted_proxies: covers so many"),
        ("/listen/client_address", json!("cf-connecting-ip"), "listen.client_address: is not read from anyone"),
    ] {
        let told = warnings(&with(&[(place, value.clone())]));
        assert!(told.len() == 1 && told[0].starts_with(expected), "{value}: {told:?}");
    }
    let fine = with(&[(
        "/listen",
        json!({ "trusted_proxies": ["10.0.0.0/8", "2600:9000::/28", "192.0.2.1", "::1"], "client_address": "X-Azure-ClientIP" }),
    )]);
    assert_eq!(warnings(&fine), Vec::<String>::new());
}

#[test]
fn what_looks_like_something_else_is_warned_of() {
    for (place, value, expected) in [
        ("/issuers/0/audiences", json!(["12345"]), "issuers[0].audiences: 12345 is a number"),
        (
            "/issuers/0/audiences",
            json!(["https://contoso.onmicrosoft.com/api/docs.read"]),
            "issuers[0].audiences: https://contoso.onmicrosoft.com/api/docs.read looks like a scope, which clients request; the aud of the \
             token is https://contoso.onmicrosoft.com/api,",
        ),
        ("/issuers/0/audiences", json!(["api://9c0c1f5e/read"]), "issuers[0].audiences: api://9c0c1f5e/read looks like a scope"),
        (
            "/issuers/0/discovery",
            json!("https://a.test/discovery/v2.0/keys"),
            "issuers[0].discovery: looks like the URL of a key set",
        ),
        (
            "/issuers/0/jwks_uri",
            json!("https://a.test/.well-known/openid-configuration"),
            "issuers[0].jwks_uri: looks like the URL of a discovery document",
        ),
        ("/issuers/0/role_claim", json!("realm_access.roles"), "issuers[0].role_claim: realm_access.roles has a dot"),
    ] {
        let warnings = warnings(&with(&[(place, value.clone())]));
        assert!(matches!(&*warnings, [warning] if warning.starts_with(expected)), "{value}: {warnings:?}");
    }
    for (place, value) in [
        (
            "/issuers/0/audiences",
            json!(["api://9c0c1f5e", "https://contoso.onmicrosoft.com/api", "https://api.contoso.com/v1/things", "9c0c1f5e-1"]),
        ),
        ("/issuers/0/discovery", json!("https://a.test/.well-known/openid-configuration")),
        ("/issuers/0/jwks_uri", json!("https://a.test/.well-known/jwks.json")),
        ("/issuers/0/role_claim", json!("https://contoso.com/claims/roles")),
        ("/issuers/0/role_claim", json!("cognito:groups")),
    ] {
        assert_eq!(warnings(&with(&[(place, value.clone())])), Vec::<String>::new(), "{value}");
    }
}

#[test]
fn origins_are_written_as_browsers_send_them() {
    let listed = |origin: &str| problems(&with(&[("/routes", route(json!({ "allowed_origins": [origin] })))]));
    for origin in [
        "https://app.contoso.com",
        "http://localhost:3000",
        "https://[::1]:8443",
        "https://xn--bcher-kva.example",
        "app://obsidian.md",
        "capacitor://localhost",
        "ionic://localhost",
        "tauri://localhost",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        "moz-extension://1cd5c3ee-6ce9-4bd2-95f0-b7ba4ea6d8d3",
        "vscode-webview://1a2b3c",
        "file://",
        "null_origin",
    ] {
        assert_eq!(listed(origin), Vec::<String>::new(), "{origin}");
    }
    for (origin, expected) in [
        ("https://*.app.test", "has a wildcard"),
        ("*", "to accept every page, write any"),
        ("null", "set null_origin"),
        ("app.contoso.com", "has no scheme"),
        ("https://app.contoso.com/", "is not written as browsers send it"),
        ("https://App.contoso.com", "is not written as browsers send it"),
        ("https://app.contoso.com:443", "is not written as browsers send it"),
        ("capacitor://localhost/", "is not written as browsers send it"),
        ("capacitor://", "is not written as browsers send it"),
        ("Capacitor://localhost", "is not written as browsers send it"),
        ("app://localhost:080", "is not written as browsers send it"),
        ("app://a b", "is not written as browsers send it"),
    ] {
        let told = listed(origin);
        assert!(matches!(&*told, [told] if told.contains(expected)), "{origin}: {told:?}");
    }
    let cookie = json!({ "allowed_origins": ["null_origin"], "token": { "in": { "cookie": "c" } } });
    assert!(told("/routes", route(cookie)).contains("remove null_origin"));
}

#[test]
fn paths_are_taken_as_they_stand() {
    for path in ["~/signing.pem", "${HOME}/signing.pem", "$HOME/signing.pem"] {
        let told = told("/signing/key_file", json!(path));
        assert_eq!(
            told,
            "signing.key_file: has a ~ or a $, which is not expanded; write the whole path, or one relative to this file's folder"
        );
    }
    for (path, expected) in [
        ("/api/*", "has a wildcard"),
        ("/users/{id}", "has a wildcard"),
        ("api", "does not start with a slash"),
        ("/a/../b", "ambiguous character or segment"),
    ] {
        let told = told("/routes", route(json!({ "path": path })));
        assert!(told.contains(expected), "{path}: {told}");
    }
    let long = told("/routes", route(json!({ "path": format!("/{}", "a".repeat(1_024)) })));
    assert!(long.contains("is longer than 1024 bytes"), "{long}");
}

#[test]
fn typographic_quotes_are_not_quotes() {
    for value in ["\u{201c}api\u{201d}", "\u{2018}api\u{2019}", "\u{ab}api\u{bb}"] {
        assert!(told("/issuers/0/audiences", json!([value])).contains("begins with a typographic quote"), "{value}");
    }
}
