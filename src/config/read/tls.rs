//! `listen.tls`: the certificates of a listener, and those of its clients.

use std::time::Duration;

use crate::{
    certificate::{ClientCertificateSettings, ClientMode, ClientRules, DefaultCertificate, MinVersion, PairFiles, TlsSettings},
    config::{field::Field, formats::Format, outside::Target, section::Section},
};

/// Maximum number of names with rules for client certificates of their own.
const MAX_NAMES: usize = 64;

pub(in crate::config) const MIN_VERSIONS: [(&str, MinVersion); 2] = [("1.2", MinVersion::Tls12), ("1.3", MinVersion::Tls13)];
pub(in crate::config) const CLIENT_MODES: [(&str, ClientMode); 3] =
    [("none", ClientMode::None), ("optional", ClientMode::Optional), ("required", ClientMode::Required)];

/// What a client gets that names no host, or one without a certificate.
const DEFAULT: Format<DefaultCertificate> =
    Format { accepted: "first, none, or a host name of a certificate (default first)", shown: true, parse: default };
/// The name of hosts, as in a certificate.
const HOSTS: Format<String> = Format { accepted: "a host name, or one with * as its first label", shown: true, parse: hosts };

pub(in crate::config) fn settings(field: &Field<'_>) -> TlsSettings {
    let mut section = field.section();
    let unset = TlsSettings::default();
    let settings = TlsSettings {
        certificates: certificates(&mut section),
        default: section.text("default", &DEFAULT).unwrap_or_default(),
        min_version: section.choice("min_version", &MIN_VERSIONS, unset.min_version),
        client_certificates: client_certificates(&mut section),
        handshake_timeout: section.duration(
            "handshake_timeout",
            unset.handshake_timeout,
            Duration::from_secs(1)..=Duration::from_secs(60),
        ),
        http2: section.flag("http2", unset.http2),
    };
    section.finish();
    if let DefaultCertificate::Of(_) = &settings.default {
        field.reference(Target::DefaultCertificate(Box::new(settings.clone())));
    }
    settings
}

fn certificates(section: &mut Section<'_>) -> Vec<PairFiles> {
    let Some(field) = section.required("certificates", "the certificates, each with its key") else { return Vec::new() };
    let mut certificates = Vec::new();
    for element in field.elements() {
        let mut section = element.section();
        let chain = section.unchecked_file("chain_file");
        let key = section.unchecked_file("key_file");
        for (name, is_there) in [("chain_file", chain.is_some()), ("key_file", key.is_some())] {
            if !is_there && section.field(name).is_none() {
                section.missing(name, "the path of a file, PEM");
            }
        }
        section.finish();
        if let (Some(chain), Some(key)) = (chain, key) {
            let files = PairFiles { chain, key };
            if certificates.contains(&files) {
                element.problem("appears twice in the list; keep one");
            }
            element.reference(Target::Pair(files.clone()));
            certificates.push(files);
        }
    }
    certificates
}

fn client_certificates(section: &mut Section<'_>) -> ClientCertificateSettings {
    let Some(field) = section.field("client_certificates") else { return ClientCertificateSettings::default() };
    let mut section = field.section();
    let rules = client_rules(&field, &mut section);
    let mut names: Vec<(String, ClientRules)> = Vec::new();
    let elements = section.field("names").map(|field| field.elements()).unwrap_or_default();
    if elements.len() > MAX_NAMES {
        section.problem(&format!("has {} names; accepted: up to {MAX_NAMES}", elements.len()));
    }
    for element in elements {
        let mut section = element.section();
        let name = section.required("name", HOSTS.accepted).and_then(|field| field.text(&HOSTS));
        let rules = client_rules(&element, &mut section);
        section.finish();
        if let Some(name) = name {
            if names.iter().any(|(known, _)| *known == name) {
                element.problem(format!("{name} has rules already; keep one of both"));
            }
            names.push((name, rules));
        }
    }
    section.finish();
    ClientCertificateSettings { rules, names }
}

fn client_rules(field: &Field<'_>, section: &mut Section<'_>) -> ClientRules {
    let mode = section.choice("mode", &CLIENT_MODES, ClientMode::None);
    let ca_file = section.unchecked_file("ca_file");
    let crl_files: Vec<_> = match section.field("crl_files") {
        Some(field) => field.elements().iter().filter_map(Field::file).collect(),
        None => Vec::new(),
    };
    if mode != ClientMode::None && ca_file.is_none() && section.field("ca_file").is_none() {
        section.missing("ca_file", "the authorities that issue the clients' certificates, PEM");
    }
    let rules = ClientRules { mode, ca_file, crl_files };
    if rules.mode != ClientMode::None && rules.ca_file.is_some() {
        field.reference(Target::ClientRules(rules.clone()));
    }
    rules
}

fn default(text: &str) -> Result<DefaultCertificate, &'static str> {
    match text {
        "first" => Ok(DefaultCertificate::First),
        "none" => Ok(DefaultCertificate::Refused),
        name if is_host(name) => Ok(DefaultCertificate::Of(name.to_ascii_lowercase())),
        _ => Err("is not a host name"),
    }
}

fn hosts(text: &str) -> Result<String, &'static str> {
    match is_host(text.strip_prefix("*.").unwrap_or(text)) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err("is not a host name"),
    }
}

/// A name as clients send it in their hello; never an address.
fn is_host(text: &str) -> bool {
    let name = rustls::pki_types::DnsName::try_from(text);
    name.is_ok() && !text.ends_with('.') && text.parse::<std::net::IpAddr>().is_err()
}
