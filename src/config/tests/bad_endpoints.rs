use serde_json::{Value, json};

use super::{
    TENANT_ID,
    bad_values::{CLAIM, NAME, TEXT},
    config, problems, small,
};
use crate::endpoint::EndpointSettings;

const URL: &str = "accepted: https://host or https://host/path, without query; http:// for this machine alone";

fn route(endpoint: Value) -> Value {
    json!([{ "name": "a", "path": "/a", "endpoint": endpoint }])
}

/// The bad values of an endpoint, and of what publishes metadata.
pub(super) fn rows() -> Vec<(&'static str, Value, String)> {
    let row = |value, text: String| ("/routes", value, format!("routes[0].{text}"));
    let exchange = |key: &str, value: Value, text: String| {
        let mut endpoint = json!({ "type": "token_exchange" });
        endpoint[key] = value;
        row(route(endpoint), format!("endpoint.{key}{text}"))
    };
    let policy = |key: &str, value: Value, text: String| {
        let mut endpoint = json!({ "type": "b2c_policy", "callers": [{ "bearer": { "secret_file": "secret" } }] });
        endpoint[key] = value;
        row(route(endpoint), format!("endpoint.{key}{text}"))
    };
    let entra = |key: &str, value: Value, text: String| {
        let mut endpoint =
            json!({ "type": "entra", "callers": [{ "bearer": { "secret_file": "secret" } }], "tenants": [TENANT_ID] });
        endpoint[key] = value;
        row(route(endpoint), format!("endpoint.{key}{text}"))
    };
    let guid = "accepted: a GUID such as 9c0c1f5e-0000-4000-8000-000000000000";
    let ways = "accepted: one of basic, bearer, api_key, certificate, issuer";
    vec![
        row(route(json!("jwks")), "endpoint: is not a mapping; accepted: keys with values, indented".to_owned()),
        row(
            route(json!({ "type": "oauth" })),
            "endpoint.type: \"oauth\" is not known; accepted: token_exchange, b2c_policy, b2c_user_flow, entra, jwks".to_owned(),
        ),
        exchange("targets", json!({ "db": "couch" }), ".db: there is no profile couch; accepted: default".to_owned()),
        exchange("targets", json!({ "db": "a b" }), format!(".db: \"a b\" cannot be a name; {NAME}")),
        exchange(
            "clients",
            json!([{}]),
            "[0]: does not say which client it is; accepted: an id, and a secret_file unless the client is public".to_owned(),
        ),
        exchange(
            "clients",
            json!([{ "id": "a:b" }]),
            "[0].id: \"a:b\" cannot be a name here; accepted: 1 to 128 of A-Z a-z 0-9 - . _ ~".to_owned(),
        ),
        exchange(
            "clients",
            json!([{ "id": "a" }, { "id": "a" }]),
            "[1]: the id a appears twice; accepted: one client for each id".to_owned(),
        ),
        exchange("issuer", json!("http://sync.contoso.com"), format!(": is not https; {URL}")),
        exchange("issuer", json!("https://sync.contoso.com/?a=1"), format!(": has a query; {URL}")),
        policy("callers", json!([{}]), format!("[0]: does not say how the caller proves who it is; {ways}")),
        policy(
            "callers",
            json!([{ "bearer": { "secret_file": "s" }, "api_key": { "header": "x", "secret_file": "s" } }]),
            format!("[0]: does not say how the caller proves who it is; {ways}"),
        ),
        policy(
            "callers",
            json!([{ "issuer": "contoso" }]),
            "[0].issuer: there is no issuer contoso with `for: endpoints`; none has it".to_owned(),
        ),
        policy("token_claim", json!("a b"), format!(": \"a b\" cannot be a claim; {CLAIM}")),
        policy("user_id", json!("{oid}"), format!(": \"{{oid}}\" cannot be a claim; {CLAIM}")),
        policy("user_ids", json!("any"), ": \"any\" is not known; accepted: guid, profile".to_owned()),
        policy("lifetime", json!("2h"), ": 2h is too long; accepted: 1m to 1h (default 1h)".to_owned()),
        policy("deadline", json!("50ms"), ": 50ms is too short; accepted: 100ms to 20s (default 700ms)".to_owned()),
        policy("on_failure", json!("retry"), ": \"retry\" is not known; accepted: omit, fail".to_owned()),
        policy("user_message", json!(""), format!(": \"\" is empty or too long; {TEXT}")),
        entra("tenants", json!(["contoso"]), format!("[0]: \"contoso\" is not a GUID; {guid}")),
        entra("applications", json!(["app"]), format!("[0]: \"app\" is not a GUID; {guid}")),
        row(json!([{ "name": "a", "resource": { "url": "ftp://a" } }]), format!("resource.url: is neither http nor https; {URL}")),
        row(
            json!([{ "name": "a", "resource": { "url": "https://a", "authorization_servers": ["x"] } }]),
            format!("resource.authorization_servers[0]: is not a URL; {URL}"),
        ),
    ]
}

#[test]
fn what_is_for_routes_that_forward_is_not_for_endpoints() {
    for (key, value) in [
        ("upstream", json!("default")),
        ("exact", json!(false)),
        ("methods", json!(["GET"])),
        ("access", json!("public")),
        ("token", json!({ "in": { "query": "t" } })),
        ("preset", json!("couchdb")),
        ("errors", json!("realm")),
        ("scopes", json!(["a"])),
        ("mint", json!("default")),
        ("cors", json!({})),
        ("resource", json!({ "url": "https://a" })),
    ] {
        let mut file = small();
        file["routes"] = route(json!({ "type": "jwks" }));
        file["routes"][0][key] = value;
        let found = problems(&file.to_string());
        assert!(found.iter().any(|problem| problem.starts_with(&format!("routes[0].{key}: "))), "{key}: {found:?}");
    }
    let mut file = small();
    file["routes"] = json!([{ "name": "a", "endpoint": { "type": "jwks" } }]);
    assert_eq!(problems(&file.to_string()), ["routes[0].path: is required: where the endpoint is, such as /token"]);
}

#[test]
fn metadata_has_routes_of_its_own() {
    let mut file = small();
    file["routes"] = json!([
        { "name": "token", "path": "/oauth/token", "endpoint": { "type": "token_exchange", "issuer": "https://sync.contoso.com/a" } },
        { "name": "db", "path": "/db", "resource": { "url": "https://sync.contoso.com/db", "authorization_servers": ["https://login"] } },
    ]);
    let routes = config(&file.to_string()).proxy.routes;
    let paths: Vec<_> = routes.iter().map(|route| (route.name.as_str(), route.path.as_str(), route.exact)).collect();
    assert_eq!(
        paths,
        [
            ("token", "/oauth/token", true),
            ("db", "/db", false),
            ("token-metadata", "/.well-known/oauth-authorization-server/a", true),
            ("db-metadata", "/.well-known/oauth-protected-resource/db", true),
        ]
    );
    assert!(routes.iter().skip(2).all(|route| matches!(route.endpoint, Some(EndpointSettings::Metadata(_)))));
}

#[test]
fn an_issuer_of_callers_is_no_issuer_of_users() {
    let mut file = small();
    let caller = json!({ "name": "callouts", "for": "endpoints", "preset": "entra", "tenant": TENANT_ID, "audiences": ["api"] });
    file["issuers"].as_array_mut().unwrap().push(caller);
    // No word of user ids that could meet; the service that calls is Microsoft's.
    let loaded = config(&file.to_string());
    let rules = &loaded.issuers[1].rules;
    assert_eq!(rules.authorized_parties, ["99045fe1-7639-4a75-9d4a-577b6ca3810f"]);
    assert!(rules.kinds.app_only && !rules.kinds.access && !rules.kinds.id);
}
