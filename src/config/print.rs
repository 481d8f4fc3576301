//! The effective settings as YAML: every key with its value, presets expanded. The printout is an equivalent config file.

mod endpoints;
mod limits;
mod listen;
mod marks;
mod mint;
mod routes;
mod tls;
mod upstreams;
mod yaml;

use std::fmt;

pub use marks::Written;

use crate::{
    config::{
        Config, IssuerConfig,
        print::{
            limits::print_limits,
            listen::print_listen,
            routes::print_route,
            upstreams::print_upstream,
            yaml::{Yaml, word},
        },
        read::{addresses, basics, identity, issuer_rule, issuers},
        units::show_size,
    },
    jwks::KeySource,
    token::{IssuerRule, IssuerSettings, Provider, TenantRule, UserIdRule, public_key_algorithms},
};

/// Prints a config in full. Secrets appear as their source, never as their value.
#[derive(Clone, Copy, Debug)]
pub struct Effective<'a>(pub &'a Config);

impl Effective<'_> {
    /// The same with a comment on each line that holds a default, or what a preset gave.
    pub fn marked(&self, written: &Written) -> String {
        marks::marked(self.0, written)
    }
}

impl fmt::Display for Effective<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.0;
        let mut yaml = Yaml::default();
        print_listen(&config.proxy.listen, &mut yaml);
        yaml.open("admin");
        yaml.text("address", &config.admin.address.to_string());
        if let Some(path) = &config.admin.credential_file {
            yaml.path("credential_file", path);
        }
        yaml.close();
        issuers_of(config, &mut yaml);
        yaml.open("token");
        yaml.size("max_bytes", config.token_limits.token);
        yaml.size("max_header_bytes", config.token_limits.header);
        yaml.size("max_kid_bytes", config.token_limits.kid);
        yaml.close();
        mint::print_signing(&config.signing, &mut yaml);
        mint::print_profiles(&config.profiles, &mut yaml);
        if !config.proxy.upstreams.is_empty() {
            yaml.open("upstreams");
            config.proxy.upstreams.iter().for_each(|upstream| print_upstream(upstream, &mut yaml));
            yaml.close();
        }
        yaml.open("routes");
        config.proxy.routes.iter().for_each(|route| print_route(route, config, &mut yaml));
        yaml.close();
        yaml.open("headers");
        yaml.list("strip", &config.proxy.headers.strip);
        yaml.plain("forwarded_for", word(&addresses::FORWARDED_FOR, &config.proxy.tell.forwarded_for));
        yaml.plain("forwarded", config.proxy.tell.forwarded);
        yaml.close();
        print_limits(&config.proxy.limits, &mut yaml);
        yaml.text("realm", &config.proxy.realm);
        yaml.open("cache");
        yaml.plain("entries", config.cache.entries);
        yaml.plain("bytes", show_size(config.cache.bytes));
        yaml.close();
        yaml.open("log");
        yaml.plain("format", word(&basics::LOG_FORMATS, &config.log.format));
        yaml.plain("level", word(&basics::LOG_LEVELS, &config.log.level));
        yaml.plain("requests", config.log.requests);
        yaml.plain("refusals_per_second", config.log.refusals_per_second);
        yaml.close();
        yaml.open("shutdown");
        yaml.duration("delay", config.shutdown_delay);
        yaml.duration("grace", config.shutdown_grace);
        yaml.close();
        yaml.plain("threads", config.threads);
        out.write_str(yaml.as_str())
    }
}

fn issuers_of(config: &Config, yaml: &mut Yaml) {
    let rules: Vec<_> = config.issuers.iter().map(|issuer| &issuer.rules).collect();
    let shared: Vec<_> = identity::collisions(&rules, &[]).into_iter().map(|(index, _)| index).collect();
    yaml.open("issuers");
    for (index, IssuerConfig { rules, jwks }) in config.issuers.iter().enumerate() {
        yaml.element("name", &rules.name);
        let preset = match rules.provider {
            Provider::B2c => Some("b2c"),
            Provider::Entra => Some("entra"),
            Provider::ExternalId => Some("external-id"),
            Provider::Other => None,
        };
        if let Some(preset) = preset {
            yaml.plain("preset", format_args!("{preset} # expanded below"));
        }
        let sources =
            |wanted: fn(&KeySource) -> Option<&String>| jwks.sources.iter().filter_map(wanted).cloned().collect::<Vec<_>>();
        yaml.list("discovery", &sources(|source| if let KeySource::Discovery(url) = source { Some(url) } else { None }));
        yaml.list("jwks_uri", &sources(|source| if let KeySource::Jwks(url) = source { Some(url) } else { None }));
        for source in &jwks.sources {
            if let KeySource::File(path) = source {
                yaml.path("jwks_file", path);
            }
        }
        print_rules(rules, shared.contains(&index), yaml);
        if let Some(path) = &jwks.ca_file {
            yaml.path("ca_file", path);
        }
        yaml.duration("refresh", jwks.refresh);
        yaml.duration("keep", jwks.keep);
        yaml.duration("connect_timeout", jwks.connect_timeout);
        yaml.duration("timeout", jwks.timeout);
        if let Some(proxy) = &jwks.proxy {
            yaml.text("proxy", proxy);
        }
        if let Some(path) = &jwks.proxy_credentials_file {
            yaml.path("proxy_credentials_file", path);
        }
        yaml.open("unknown_kid");
        yaml.plain("refreshes", jwks.unknown_kid.budget);
        yaml.duration("refill", jwks.unknown_kid.refill);
        yaml.duration("wait", jwks.unknown_kid.wait);
        yaml.close();
        yaml.list("deny_kids", &jwks.deny_kids);
        if let Some(path) = &jwks.snapshot_file {
            yaml.path("snapshot_file", path);
        }
        yaml.close();
    }
    yaml.close();
}

fn print_rules(rules: &IssuerSettings, shared: bool, yaml: &mut Yaml) {
    yaml.plain("for", word(&issuers::TAKEN_AT, &rules.taken_at));
    match &rules.issuer {
        IssuerRule::Discovered => yaml.plain("issuer", issuer_rule::DISCOVERED),
        IssuerRule::Exact(issuers) => yaml.list("issuer", issuers),
        IssuerRule::Template { patterns, tenants } => {
            yaml.list("issuer", patterns);
            match tenants {
                TenantRule::Only(tenants) => yaml.list("tenants", tenants),
                TenantRule::Any => yaml.plain("any_tenant", true),
            }
        }
    }
    yaml.list("audiences", &rules.audiences);
    yaml.list("client_ids", &rules.client_ids);
    let names = public_key_algorithms();
    let algorithms: Vec<_> = rules.algorithms.iter().map(|algorithm| word(&names, algorithm).to_owned()).collect();
    yaml.list("algorithms", &algorithms);
    yaml.list("policies", &rules.policies);
    yaml.list("authorized_parties", &rules.authorized_parties);
    let kinds = [(rules.kinds.access, "access"), (rules.kinds.id, "id"), (rules.kinds.app_only, "app_only")];
    yaml.list("tokens", &kinds.iter().filter(|(taken, _)| *taken).map(|(_, kind)| (*kind).to_owned()).collect::<Vec<_>>());
    yaml.plain("sender_constrained", word(&issuers::ACCEPT_OR_REFUSE, &rules.takes_sender_constrained));
    yaml.plain("group_overage", word(&issuers::ACCEPT_OR_REFUSE, &rules.takes_group_overage));
    match &rules.user_id {
        UserIdRule::Claims(claims) => yaml.list("user_id", claims),
        UserIdRule::Template(text) => yaml.text("user_id", text),
    }
    yaml.plain("mutable_user_id", identity::is_mutable(&rules.user_id));
    yaml.plain("shared_user_ids", shared);
    yaml.text("name_claim", &rules.name_claim);
    yaml.text("role_claim", &rules.role_claim);
    yaml.duration("leeway", rules.leeway);
    yaml.limit("max_lifetime", rules.max_lifetime);
}
