//! `listen.tls`.

use crate::{
    certificate::{AcmeSettings, ClientMode, ClientRules, DefaultCertificate, TlsSettings},
    config::{
        print::yaml::{Yaml, word},
        read::tls::{CHALLENGES, CLIENT_MODES, MIN_VERSIONS},
    },
};

pub(super) fn print_tls(settings: &TlsSettings, yaml: &mut Yaml) {
    yaml.open("tls");
    if let Some(acme) = &settings.acme {
        print_acme(acme, yaml);
    }
    print_certificates(settings, yaml);
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

fn print_certificates(settings: &TlsSettings, yaml: &mut Yaml) {
    if settings.certificates.is_empty() {
        return;
    }
    yaml.open("certificates");
    for files in &settings.certificates {
        yaml.element("chain_file", &files.chain.to_string_lossy());
        yaml.path("key_file", &files.key);
        yaml.close();
    }
    yaml.close();
}

fn print_acme(acme: &AcmeSettings, yaml: &mut Yaml) {
    yaml.open("acme");
    yaml.list("domains", &acme.domains);
    if let Some(email) = &acme.email {
        yaml.text("email", email);
    }
    yaml.text("directory", &acme.directory);
    yaml.path("folder", &acme.folder);
    yaml.plain("challenge", word(&CHALLENGES, &acme.challenge));
    if let Some(path) = &acme.ca_file {
        yaml.path("ca_file", path);
    }
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
