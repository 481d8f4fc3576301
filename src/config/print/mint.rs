//! The signing key and the minting profiles.

use serde_json::Value;

use super::yaml::{Yaml, quoted, word};
use crate::{
    config::read::mint,
    signing::{SecretSource, SigningKeySource, SigningSettings},
    token::{ClaimTable, MintingProfile, TokenKeyId, signing_algorithms},
};

pub(super) fn print_signing(signing: &SigningSettings, yaml: &mut Yaml) {
    yaml.open("signing");
    yaml.plain("algorithm", word(&signing_algorithms(), &signing.algorithm));
    match &signing.key {
        SigningKeySource::PrivateKey { file, passphrase } => {
            yaml.path("key_file", file);
            print_source(passphrase.as_ref(), ["passphrase_file", "passphrase_env"], yaml);
        }
        SigningKeySource::Secret(source) => print_source(Some(source), ["secret_file", "secret_env"], yaml),
    }
    yaml.plain("threads", signing.threads);
    yaml.plain("queue", signing.queue);
    yaml.close();
}

fn print_source(source: Option<&SecretSource>, [file, variable]: [&str; 2], yaml: &mut Yaml) {
    match source {
        Some(SecretSource::File(path)) => yaml.path(file, path),
        Some(SecretSource::Environment(name)) => yaml.text(variable, name),
        None => {}
    }
}

/// The first profile is that of `mint`.
pub(super) fn print_profiles(profiles: &[MintingProfile], yaml: &mut Yaml) {
    let Some((default, named)) = profiles.split_first() else { return };
    yaml.open("mint");
    print_profile(default, yaml);
    yaml.close();
    if named.is_empty() {
        return;
    }
    yaml.open("profiles");
    for profile in named {
        yaml.open(&profile.name);
        print_profile(profile, yaml);
        yaml.close();
    }
    yaml.close();
}

fn print_profile(profile: &MintingProfile, yaml: &mut Yaml) {
    yaml.open("claims");
    profile.claims.iter().for_each(|(name, value)| print_value(name, &value.to_json(), yaml));
    yaml.close();
    if !profile.tables.is_empty() {
        yaml.open("tables");
        profile.tables.iter().for_each(|table| print_table(table, yaml));
        yaml.close();
    }
    yaml.plain("user_id_form", word(&mint::USER_ID_FORMS, &profile.user_ids));
    yaml.text("typ", profile.token_type.as_deref().unwrap_or("none"));
    yaml.text(
        "kid",
        match &profile.key_id {
            TokenKeyId::None => "none",
            TokenKeyId::Thumbprint => "thumbprint",
            TokenKeyId::Text(text) => text,
        },
    );
    yaml.plain("lifetime", word(&mint::LIFETIMES, &profile.lifetime));
    yaml.duration("ttl", profile.ttl);
    yaml.limit("max_lifetime", profile.max_lifetime);
    yaml.duration("backdate", profile.backdate);
    yaml.plain("nbf", profile.not_before);
    yaml.plain("jti", profile.token_id);
}

fn print_table(table: &ClaimTable, yaml: &mut Yaml) {
    yaml.open(&table.name);
    yaml.text("from", &format!("${{{}}}", table.from));
    yaml.open("values");
    for (left, right) in &table.rows {
        print_value(left, &right.iter().cloned().collect(), yaml);
    }
    yaml.close();
    if let Some(default) = &table.default {
        print_value("default", &default.iter().cloned().collect(), yaml);
    }
    yaml.close();
}

/// Objects as mappings, everything else as in JSON, which YAML reads too.
fn print_value(name: &str, value: &Value, yaml: &mut Yaml) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            yaml.open(name);
            members.iter().for_each(|(name, value)| print_value(name, value, yaml));
            yaml.close();
        }
        other => yaml.plain(&quoted(name), other),
    }
}
