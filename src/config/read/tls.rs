//! `listen.tls`: the certificates of a listener, and those of its clients.

use std::time::Duration;

use crate::{
    certificate::{
        AcmeChallenge, AcmeSettings, ClientCertificateSettings, ClientMode, ClientRules, DefaultCertificate, MinVersion, PairFiles,
        TlsSettings,
    },
    config::{field::Field, formats::Format, outside::Target, section::Section},
    endpoint::{CallerSettings, EndpointSettings},
    proxy::{ForwardCertificate, ListenSettings, ListenerSettings, RouteSettings},
};

/// Maximum number of names with rules for client certificates of their own.
const MAX_NAMES: usize = 64;

pub(in crate::config) const MIN_VERSIONS: [(&str, MinVersion); 2] = [("1.2", MinVersion::Tls12), ("1.3", MinVersion::Tls13)];
pub(in crate::config) const CLIENT_MODES: [(&str, ClientMode); 3] =
    [("none", ClientMode::None), ("optional", ClientMode::Optional), ("required", ClientMode::Required)];

pub(in crate::config) const CHALLENGES: [(&str, AcmeChallenge); 2] =
    [("tls-alpn-01", AcmeChallenge::TlsAlpn), ("http-01", AcmeChallenge::Http)];
/// Maximum number of names of one certificate, as at Let's Encrypt.
const MAX_DOMAINS: usize = 100;
/// A name that an authority can ask us about.
const DOMAIN: Format<String> =
    Format { accepted: "a full host name, without a star, such as sync.contoso.com", shown: true, parse: domain };
const EMAIL: Format<String> = Format { accepted: "an e-mail address", shown: true, parse: email };
const DIRECTORY: Format<String> = Format { accepted: "the https URL of an ACME directory", shown: false, parse: directory };

/// Whether a route requires a client certificate.
pub(in crate::config) const CLIENT_CERTIFICATE: [(&str, bool); 2] = [("optional", false), ("required", true)];
pub(in crate::config) const FORWARD_CERTIFICATE: [(&str, ForwardCertificate); 3] =
    [("none", ForwardCertificate::None), ("certificate", ForwardCertificate::Certificate), ("chain", ForwardCertificate::Chain)];

/// What a client gets that names no host, or one without a certificate.
const DEFAULT: Format<DefaultCertificate> =
    Format { accepted: "first, none, or a host name of a certificate (default first)", shown: true, parse: default };
/// The name of hosts, as in a certificate.
const HOSTS: Format<String> = Format { accepted: "a host name, or one with * as its first label", shown: true, parse: hosts };

pub(in crate::config) fn settings(field: &Field<'_>) -> TlsSettings {
    let mut section = field.section();
    let unset = TlsSettings::default();
    let settings = TlsSettings {
        acme: section.field("acme").map(|field| acme(&field)),
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

/// Warns of routes that have to do with client certificates where no listener asks for one.
pub(in crate::config) fn check_use(field: Option<Field<'_>>, listen: &ListenSettings, routes: &[RouteSettings]) {
    let asks = |listener: &ListenerSettings| {
        let clients = listener.tls.as_ref().map(|tls| &tls.client_certificates);
        let mut rules = clients
            .into_iter()
            .flat_map(|clients| [&clients.rules].into_iter().chain(clients.names.iter().map(|(_, rules)| rules)));
        rules.any(|rules| rules.mode != ClientMode::None)
    };
    let shows = |caller: &CallerSettings| matches!(caller, CallerSettings::Certificate { .. });
    let needs = |route: &&RouteSettings| {
        let has_caller = matches!(&route.endpoint, Some(EndpointSettings::SignIn(settings)) if settings.callers.iter().any(shows));
        has_caller || route.requires_certificate || route.forward_certificate != ForwardCertificate::None
    };
    let needing = routes.iter().find(needs).filter(|_| !listen.listeners.iter().any(asks));
    if let (Some(field), Some(route)) = (field, needing) {
        field.warning(format!(
            "no listener asks for client certificates (client_certificates in its tls), so route {} never sees one",
            route.name
        ));
    }
}

fn certificates(section: &mut Section<'_>) -> Vec<PairFiles> {
    let field = match section.field("acme") {
        Some(_) => section.field("certificates"),
        None => section.required("certificates", "the certificates, each with its key; or acme, which has one issued"),
    };
    let Some(field) = field else { return Vec::new() };
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

/// A certificate that an authority issues by itself.
fn acme(field: &Field<'_>) -> AcmeSettings {
    let mut section = field.section();
    let unset = AcmeSettings::default();
    if section.field("domains").is_none() {
        section.missing("domains", DOMAIN.accepted);
    }
    let domains = section.texts("domains", &DOMAIN);
    if domains.len() > MAX_DOMAINS {
        section.problem(&format!("has {} domains; accepted: up to {MAX_DOMAINS}", domains.len()));
    }
    let folder = section.field("folder").map_or_else(|| Some(field.reading().path(AcmeSettings::FOLDER)), |field| field.file());
    let folder = folder.unwrap_or_default();
    field.reference(Target::Snapshot(folder.clone()));
    let settings = AcmeSettings {
        domains,
        email: section.text("email", &EMAIL),
        directory: section.text("directory", &DIRECTORY).unwrap_or(unset.directory),
        folder,
        challenge: section.choice("challenge", &CHALLENGES, unset.challenge),
        ca_file: section.file("ca_file", Target::Authorities),
    };
    section.finish();
    settings
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

fn domain(text: &str) -> Result<String, &'static str> {
    match text {
        _ if text.starts_with("*.") => Err("has a star, for which an authority asks the DNS"),
        _ if is_host(text) && text.contains('.') => Ok(text.to_ascii_lowercase()),
        _ => Err("is not a host name"),
    }
}

fn email(text: &str) -> Result<String, &'static str> {
    let is_address = text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && is_host(host));
    let is_plain = text.len() <= 254 && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?,<>\"".contains(&byte));
    if is_address && is_plain { Ok(text.to_owned()) } else { Err("is not an e-mail address") }
}

fn directory(text: &str) -> Result<String, &'static str> {
    match url::Url::parse(text) {
        Ok(url) if url.scheme() == "https" && url.host().is_some() && url.username().is_empty() => Ok(text.to_owned()),
        _ => Err("is not the URL of a directory"),
    }
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
