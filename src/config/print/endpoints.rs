//! Routes of the printout that the gateway answers itself.

use crate::{
    config::{
        Config,
        print::yaml::{Yaml, quoted, word},
        read::endpoints::{KINDS, Kind, ON_FAILURE, USER_IDS},
    },
    endpoint::{CallerSettings, Dialect, EndpointSettings, SignInSettings, TokenExchangeSettings},
};

/// The keys of `endpoint`. Metadata follows from other keys and is not printed.
pub(super) fn print_endpoint(endpoint: &EndpointSettings, config: &Config, yaml: &mut Yaml) {
    yaml.open("endpoint");
    match endpoint {
        EndpointSettings::TokenExchange(settings) => {
            yaml.plain("type", word(&KINDS, &Kind::TokenExchange));
            token_exchange(settings, config, yaml);
        }
        EndpointSettings::SignIn(settings) => {
            yaml.plain("type", word(&KINDS, &Kind::SignIn(settings.dialect)));
            sign_in(settings, yaml);
        }
        EndpointSettings::KeySet => yaml.plain("type", word(&KINDS, &Kind::KeySet)),
        EndpointSettings::Metadata(_) => {}
    }
    yaml.close();
}

fn token_exchange(settings: &TokenExchangeSettings, config: &Config, yaml: &mut Yaml) {
    if !settings.targets.is_empty() {
        yaml.open("targets");
        for target in &settings.targets {
            let profile = config.profiles.get(target.profile).map_or("", |profile| &profile.name);
            yaml.text(&quoted(&target.name), profile);
        }
        yaml.close();
    }
    if !settings.clients.is_empty() {
        yaml.open("clients");
        for client in &settings.clients {
            yaml.element("id", &client.id);
            if let Some(path) = &client.secret_file {
                yaml.path("secret_file", path);
            }
            yaml.close();
        }
        yaml.close();
    }
    if let Some(issuer) = &settings.issuer {
        yaml.text("issuer", issuer);
    }
}

fn sign_in(settings: &SignInSettings, yaml: &mut Yaml) {
    let is_entra = settings.dialect == Dialect::Entra;
    yaml.open("callers");
    settings.callers.iter().for_each(|one| yaml.line(&caller(one)));
    yaml.close();
    yaml.text("token_claim", &settings.token_claim);
    if is_entra {
        yaml.list("tenants", &settings.tenants);
        yaml.list("applications", &settings.applications);
    } else {
        yaml.text("user_id", &settings.user_id);
    }
    yaml.plain("user_ids", word(&USER_IDS, &settings.user_ids));
    yaml.duration("lifetime", settings.lifetime);
    yaml.duration("deadline", settings.deadline);
    yaml.plain("on_failure", word(&ON_FAILURE, &settings.on_failure));
    yaml.text("user_message", &settings.user_message);
}

/// A caller on one line.
fn caller(caller: &CallerSettings) -> String {
    let text = |value: &str| serde_json::Value::from(value).to_string();
    let path = |path: &std::path::Path| text(&path.to_string_lossy());
    match caller {
        CallerSettings::Basic { username, password_file } => {
            format!("- basic: {{ username: {}, password_file: {} }}", text(username), path(password_file))
        }
        CallerSettings::Bearer { secret_file } => format!("- bearer: {{ secret_file: {} }}", path(secret_file)),
        CallerSettings::ApiKey { header, secret_file } => {
            format!("- api_key: {{ header: {}, secret_file: {} }}", text(header.as_str()), path(secret_file))
        }
        CallerSettings::Certificate { thumbprints, names } => {
            let hex = |hash: &[u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            let hashes: Vec<_> = thumbprints.iter().map(|hash| text(&hex(hash))).collect();
            let names: Vec<_> = names.iter().map(|name| text(name)).collect();
            let keys = [("sha256", hashes), ("names", names)];
            let given = keys.iter().filter(|(_, values)| !values.is_empty());
            let given: Vec<_> = given.map(|(key, values)| format!("{key}: [{}]", values.join(", "))).collect();
            format!("- certificate: {{ {} }}", given.join(", "))
        }
        CallerSettings::Issuer(name) => format!("- issuer: {}", quoted(name)),
    }
}
