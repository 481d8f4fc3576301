//! The routes of the printout, presets expanded.

use crate::{
    config::{
        Config,
        print::{
            endpoints::print_endpoint,
            yaml::{Yaml, quoted, word},
        },
        read::{
            browsers::{ANY, NO_ORIGIN, NULL, PREFLIGHTS},
            routes::{AUTO, ERROR_SHAPES, NONE, ON_INVALID},
            tls::{CLIENT_CERTIFICATE, FORWARD_CERTIFICATE},
        },
    },
    endpoint::EndpointSettings,
    proxy::{Access, AllowedOrigins, BodyPlace, ProtocolForm, RouteSettings, TokenPlace},
    token::NonceRule,
};

pub(super) fn print_route(route: &RouteSettings, config: &Config, yaml: &mut Yaml) {
    // It follows from other routes.
    if let Some(EndpointSettings::Metadata(_)) = route.endpoint {
        return;
    }
    yaml.element("name", &route.name);
    yaml.text("path", &route.path);
    if let Some(host) = &route.host {
        yaml.text("host", host);
    }
    match &route.endpoint {
        Some(endpoint) => print_answered(route, endpoint, config, yaml),
        None => print_forwarding(route, config, yaml),
    }
    yaml.close();
}

/// A route that the gateway answers itself.
fn print_answered(route: &RouteSettings, endpoint: &EndpointSettings, config: &Config, yaml: &mut Yaml) {
    print_endpoint(endpoint, config, yaml);
    yaml.plain("client_certificate", word(&CLIENT_CERTIFICATE, &route.requires_certificate));
    if *endpoint != EndpointSettings::KeySet
        && let Some(profile) = config.profiles.get(route.profile)
    {
        yaml.text("mint", &profile.name);
    }
    if let EndpointSettings::TokenExchange(_) = endpoint {
        print_permission(route, yaml);
        print_browsers(route, yaml);
    }
}

fn print_forwarding(route: &RouteSettings, config: &Config, yaml: &mut Yaml) {
    yaml.plain("exact", route.exact);
    yaml.list("methods", &route.methods);
    if let Some(upstream) = config.proxy.upstreams.get(route.upstream) {
        yaml.text("upstream", &upstream.name);
    }
    if let Some(profile) = config.profiles.get(route.profile) {
        yaml.text("mint", &profile.name);
    }
    match route.access {
        Access::Protected => yaml.plain("access", "protected"),
        Access::Public { pass_authorization } => {
            yaml.plain("access", "public");
            yaml.plain("pass_authorization", pass_authorization);
        }
    }
    yaml.open("token");
    yaml.line("in:");
    route.token_in.iter().for_each(|one| yaml.line(&format!("  - {}", place(one))));
    if let Some(out) = &route.token_out {
        yaml.plain("out", place(out));
    }
    yaml.close();
    yaml.plain("client_certificate", word(&CLIENT_CERTIFICATE, &route.requires_certificate));
    yaml.plain("forward_certificate", word(&FORWARD_CERTIFICATE, &route.forward_certificate));
    yaml.text("user_query", route.user_query.as_deref().unwrap_or(NONE));
    if let Some(resource) = &route.resource {
        yaml.open("resource");
        yaml.text("url", &resource.url);
        yaml.list("authorization_servers", &resource.authorization_servers);
        yaml.close();
    }
    print_permission(route, yaml);
    print_nonce(route, yaml);
    print_browsers(route, yaml);
    yaml.plain("errors", word(&ERROR_SHAPES, &route.errors));
    yaml.plain("on_invalid", word(&ON_INVALID, &route.on_invalid));
    let code = |code: Option<u16>| code.map_or(AUTO.to_owned(), |code| code.to_string());
    yaml.open("close_codes");
    yaml.plain("token_end", code(route.close_codes.token_end));
    yaml.plain("max_age", code(route.close_codes.max_age));
    yaml.plain("upstream_lost", code(route.close_codes.upstream_lost));
    yaml.close();
}

fn print_permission(route: &RouteSettings, yaml: &mut Yaml) {
    let permission = route.permission.settings();
    yaml.list("scopes", &permission.all_scopes);
    yaml.list("any_scopes", &permission.any_scopes);
    yaml.list("roles", &permission.all_roles);
    yaml.list("any_roles", &permission.any_roles);
    yaml.claims("claims", &permission.all_claims);
    yaml.claims("any_claims", &permission.any_claims);
}

fn print_nonce(route: &RouteSettings, yaml: &mut Yaml) {
    match &route.permission.settings().nonce {
        NonceRule::Ignored => yaml.plain("nonce", "ignored"),
        NonceRule::Forbidden => yaml.plain("nonce", "forbidden"),
        NonceRule::EqualsHeader(header) => {
            yaml.open("nonce");
            yaml.text("header", header);
            yaml.close();
        }
    }
}

fn print_browsers(route: &RouteSettings, yaml: &mut Yaml) {
    match &route.allowed_origins {
        AllowedOrigins::Unsaid => {}
        AllowedOrigins::Any => yaml.plain("allowed_origins", ANY),
        AllowedOrigins::Listed(origins) => {
            let word = |origin: &String| if origin == NO_ORIGIN { NULL.to_owned() } else { origin.clone() };
            yaml.list("allowed_origins", &origins.iter().map(word).collect::<Vec<_>>());
        }
    }
    if let Some(cors) = &route.cors {
        yaml.open("cors");
        yaml.plain("preflight", word(&PREFLIGHTS, &cors.preflight));
        yaml.list("expose_headers", &cors.expose_headers.iter().map(ToString::to_string).collect::<Vec<_>>());
        yaml.duration("max_age", cors.max_age);
        yaml.close();
    }
}

/// A place on one line.
fn place(place: &TokenPlace) -> String {
    let pair = |key: &str, value: &str| format!("{key}: {}", json(value));
    let entries = match place {
        TokenPlace::Header { name, scheme } => {
            vec![pair("header", name.as_str()), pair("scheme", scheme.as_deref().unwrap_or("none"))]
        }
        TokenPlace::Query(name) => vec![pair("query", name)],
        TokenPlace::Protocol(ProtocolForm::List(marker)) => vec![pair("protocol", "list"), pair("marker", marker)],
        TokenPlace::Protocol(ProtocolForm::Kubernetes) => vec![pair("protocol", "kubernetes")],
        TokenPlace::Protocol(ProtocolForm::Zero) => vec![pair("protocol", "zero")],
        TokenPlace::Cookie(name) => vec![pair("cookie", name)],
        TokenPlace::Body(BodyPlace { member, condition }) => {
            let list = |key: &str, values: &[String]| {
                format!("{key}: [{}]", values.iter().map(|one| json(one)).collect::<Vec<_>>().join(", "))
            };
            let mut entries = vec![pair("body", member)];
            if let Some(condition) = condition {
                entries.extend([pair("member", &condition.member), list("exchange", &condition.exchange)]);
                if !condition.pass.is_empty() {
                    entries.push(list("pass", &condition.pass));
                }
            }
            entries
        }
    };
    format!("{{ {} }}", entries.join(", "))
}

/// Quoted where a mapping on one line needs it.
fn json(text: &str) -> String {
    let quoted = quoted(text);
    if quoted.contains(':') && !quoted.starts_with('"') { serde_json::Value::from(text).to_string() } else { quoted }
}
