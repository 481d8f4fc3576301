//! `listen.tls`.

use crate::{
    certificate::{ClientMode, ClientRules, DefaultCertificate, TlsSettings},
    config::{
        print::yaml::{Yaml, word},
        read::tls::{CLIENT_MODES, MIN_VERSIONS},
    },
};

pub(super) fn print_tls(settings: &TlsSettings, yaml: &mut Yaml) {
    yaml.open("tls");
    yaml.open("certificates");
    for files in &settings.certificates {
        yaml.element("chain_file", &files.chain.to_string_lossy());
        yaml.path("key_file", &files.key);
        yaml.close();
    }
    yaml.close();
    yaml.text(
        "default",
        match &settings.default {
            DefaultCertificate::First => "first",
            DefaultCertificate::Refused => "none",
            DefaultCertificate::Of(name) => name,
        },
    );
    yaml.text("min_version", word(&MIN_VERSIONS, &settings.min_version));
    yaml.duration("handshake_timeout", settings.handshake_timeout);
    yaml.plain("http2", settings.http2);
    let clients = &settings.client_certificates;
    yaml.open("client_certificates");
    print_rules(&clients.rules, yaml);
    if !clients.names.is_empty() {
        yaml.open("names");
        for (name, rules) in &clients.names {
            yaml.element("name", name);
            print_rules(rules, yaml);
            yaml.close();
        }
        yaml.close();
    }
    yaml.close();
    yaml.close();
}

fn print_rules(rules: &ClientRules, yaml: &mut Yaml) {
    let ClientRules { mode, ca_file, crl_files } = rules;
    yaml.plain("mode", word::<ClientMode>(&CLIENT_MODES, mode));
    if let Some(path) = ca_file {
        yaml.path("ca_file", path);
    }
    yaml.list("crl_files", &crl_files.iter().map(|path| path.to_string_lossy().into_owned()).collect::<Vec<_>>());
}
