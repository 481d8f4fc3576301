//! Paths that real clients send reach the backend as they were sent: `tests/client_paths.txt`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    kit::Raw,
    recorder::{Recorder, gateway_of},
};

const LIST: &str = include_str!("../client_paths.txt");

/// Where the tests' clients put their token, whatever a preset says.
fn with_header(preset: &str, more: Value) -> Value {
    let mut route = json!({ "preset": preset, "token": { "in": { "header": "authorization" } } });
    if preset == "zero" {
        route["user_query"] = json!("none");
    }
    route.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    route
}

/// The usual config of each section, by its name.
fn routes(config: &str) -> Value {
    let app = json!({ "name": "app", "access": "public" });
    let health = |path: &str| json!({ "name": "health", "path": path, "exact": true, "access": "public" });
    let protected = |name: &str, path: &str| json!({ "name": name, "path": path });
    let public = |name: &str, path: &str| json!({ "name": name, "path": path, "access": "public" });
    match config {
        "couchdb" | "couchdb alone" => json!({ "preset": "couchdb" }),
        "couchdb beside public" => json!([{ "preset": "couchdb" }, health("/_up"), public("fauxton", "/_utils")]),
        "couchdb below" => json!({ "preset": "couchdb", "path": "/couch" }),
        "realm" => json!({ "preset": "realm" }),
        "realm beside admin" => json!([{ "preset": "realm" }, { "name": "admin", "path": "/admin", "roles": ["admin"] }]),
        "powersync" | "zero" | "triplit" => with_header(config, json!({})),
        "powersync beside app" => {
            json!([with_header("powersync", json!({})), health("/probes/liveness"), public("static", "/static")])
        }
        "zero beside app" => json!([with_header("zero", json!({})), health("/statz"), public("static", "/static")]),
        "triplit beside app" => json!([with_header("triplit", json!({})), health("/healthcheck"), public("static", "/static")]),
        "electric" => json!([protected("shapes", "/v1/shape"), app]),
        "supabase" => json!([
            protected("rest", "/rest/v1"),
            protected("realtime", "/realtime/v1"),
            protected("storage", "/storage/v1"),
            public("logos", "/storage/v1/object/public"),
            protected("functions", "/functions/v1"),
            protected("graphql", "/graphql/v1"),
            public("auth", "/auth/v1"),
        ]),
        "graphql" => json!([{ "name": "default" }, health("/healthz")]),
        "odata" => json!([protected("odata", "/odata"), { "name": "metadata", "path": "/odata/$metadata", "scopes": ["sync"] }]),
        "npm" => json!([{ "name": "registry" }, { "name": "scope", "path": "/@scope", "scopes": ["sync"] }]),
        "signalr" => json!([protected("hubs", "/hubs"), protected("signalr", "/signalr"), app]),
        "sockets" | "objects" | "matrix" | "jupyter" => {
            json!([{ "name": "default" }, health("/healthz"), public("assets", "/assets")])
        }
        "app" => json!([app, protected("api", "/private"), { "name": "admin", "path": "/admin", "roles": ["admin"] }]),
        "app alone" => json!([{ "name": "default" }]),
        other => panic!("there is no config {other}"),
    }
}

/// The targets of the list by the config that they pass under.
fn targets() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut by_config: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut configs = Vec::new();
    for line in LIST.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(names) => configs = names.split(", ").collect(),
            None => configs.iter().for_each(|config| by_config.entry(*config).or_default().push(line)),
        }
    }
    by_config
}

#[tokio::test]
async fn the_paths_of_real_clients_pass_byte_for_byte() {
    let recorder = Recorder::silent().await;
    let mut wrong = Vec::new();
    for (config, targets) in targets() {
        let mut file = json!({ "routes": routes(config) });
        if config.starts_with("powersync") {
            file["profiles"] = json!({ "powersync": { "preset": "powersync", "claims": { "aud": "https://sync.contoso.com" } } });
        }
        let kit = gateway_of(recorder.address, file).await;
        let token = kit.issuer.token("alice").claim("scp", "sync").sign();
        let mut client = Raw::connect(kit.gateway.address()).await;
        for target in targets {
            let count = recorder.count();
            let request = format!("GET {target} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n");
            client.write(request.as_bytes()).await;
            let answer = kit.within(client.answer()).await.unwrap();
            if answer.status != 204 {
                wrong.push(format!("{config}: {target} is answered {}", answer.text().replace("\r\n", " ")));
            } else if recorder.count() != count + 1 || recorder.last().target() != target {
                wrong.push(format!("{config}: {target} arrives as {}", recorder.last().target()));
            }
        }
        kit.stop().await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_list_is_as_long_as_the_documentation_says() {
    let distinct: std::collections::BTreeSet<_> = targets().into_values().flatten().collect();
    let documented = include_str!("../../docs/verification.md");
    assert!(distinct.len() >= 170, "{}", distinct.len());
    assert!(documented.contains(&format!("paths of real clients: {}", distinct.len())), "{} paths", distinct.len());
}
