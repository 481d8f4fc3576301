//! Tests of the config as a whole: text in, settings or findings out.

/// Bad values of how keys arrive, and of who may change that.
mod bad_endpoints;
mod bad_key_sources;
/// Those of TLS on a listener.
mod bad_listeners;
/// Of these, those for minting.
mod bad_minting;
/// And those of a route.
mod bad_routes;
/// And those of an upstream.
mod bad_upstreams;
/// One bad value and more for each key, with the message asserted.
mod bad_values;
/// Values that are well formed and still not what they are meant to be.
mod doubtful;
/// The files under `conf`: each loads, and what `gateway.yaml` says of itself is so.
mod examples;
/// Arbitrary and malicious text.
mod hostile;
/// What the presets of minting profiles expand to; the key that signs.
mod mint_presets;
/// What minted tokens say.
mod minting;
/// That an element of `issuers` is one party.
mod parties;
/// What the presets expand to.
mod presets;
/// The printout of the effective settings is a config that means the same.
mod printout;
/// Routes: their presets, where tokens sit, which of them conflict.
mod routes;
/// Rules across keys, and places of problems.
mod rules;
/// docs/settings.md: every key, its default and what is accepted.
mod settings_page;

use std::path::Path;

use serde_json::{Value, json};

use crate::config::{Config, Findings, Loaded};

/// A small config. JSON is YAML too, and easier to change.
fn small() -> Value {
    json!({
        "issuers": [{
            "preset": "b2c",
            "tenant": "contoso",
            "tenant_id": TENANT_ID,
            "policies": ["B2C_1_signin"],
            "audiences": ["api"],
        }],
        "signing": { "key_file": "signing.pem" },
        "upstream": { "url": "http://127.0.0.1:5984" },
    })
}

const TENANT_ID: &str = "9c0c1f5e-0000-4000-8000-000000000000";

/// The small config with these values at these places (JSON pointers).
fn with(changes: &[(&str, Value)]) -> String {
    changed(small(), changes)
}

/// A config with these values at these places.
fn changed(mut config: Value, changes: &[(&str, Value)]) -> String {
    for (pointer, value) in changes {
        let mut place = &mut config;
        for step in pointer.split('/').skip(1) {
            place = match step.parse::<usize>() {
                Ok(index) => &mut place[index],
                Err(_) => &mut place[step],
            };
        }
        *place = value.clone();
    }
    config.to_string()
}

/// The small config without the value at this place.
fn without(parent: &str, key: &str) -> String {
    let mut config = small();
    config.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
    config.to_string()
}

fn parse(text: &str) -> Result<Loaded, Findings> {
    Config::parse(text, Path::new("/etc/syncgate"))
}

/// The config of a text that must be fine.
#[track_caller]
fn config(text: &str) -> Config {
    match parse(text) {
        Ok(loaded) => loaded.config,
        Err(findings) => panic!("{:#?}\n{text}", findings.problems),
    }
}

/// Every problem of a text, as `key: text`.
fn problems(text: &str) -> Vec<String> {
    parse(text).err().unwrap_or_default().problems.iter().map(|problem| problem.what()).collect()
}

/// Every warning of a text that must be fine, as `key: text`.
#[track_caller]
fn warnings(text: &str) -> Vec<String> {
    match parse(text) {
        Ok(loaded) => loaded.warnings.iter().map(|warning| warning.what()).collect(),
        Err(findings) => panic!("{:#?}\n{text}", findings.problems),
    }
}
