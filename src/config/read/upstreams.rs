//! `upstream`, or several under `upstreams`.

use std::time::Duration;

use crate::{
    config::{
        field::Field,
        formats::{Format, HOST, NAME},
        outside::{Reference, Target as Outside},
        read::upstream_url::{UPSTREAM_URL, UpstreamUrl},
        section::Section,
    },
    proxy::{CertificateFiles, HealthSettings, HostHeader, Target, UpstreamSettings},
    tls::is_loopback,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

pub(in crate::config) const HOST_HEADERS: [(&str, HostHeader); 2] =
    [("client", HostHeader::Client), ("upstream", HostHeader::Upstream)];

/// What is asked for to know whether an address is well.
const HEALTH_PATH: Format<String> = Format {
    accepted: "a path such as /_up, with a query if need be: printable ASCII without # and spaces",
    shown: true,
    parse: |text| {
        let is_fine =
            text.starts_with('/') && text.len() <= 1_024 && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if is_fine { Ok(text.to_owned()) } else { Err("is not a path") }
    },
};

/// An upstream and where it is in the file.
pub(in crate::config) struct Upstream<'a> {
    pub(in crate::config) settings: UpstreamSettings,
    pub(in crate::config) field: Field<'a>,
}

/// `is_needed`: whether any route forwards.
pub(in crate::config) fn upstreams<'a>(root: &mut Section<'a>, is_needed: bool) -> Vec<Upstream<'a>> {
    let (one, several) = (root.field("upstream"), root.field("upstreams"));
    match (one, several) {
        (None, None) if !is_needed => Vec::new(),
        (None, None) => {
            root.missing("upstream", "the backend that requests are forwarded to; at least `url: http://host:port`");
            Vec::new()
        }
        (Some(_), Some(several)) => {
            several.problem("cannot be combined with upstream; move all of them here, each under its name");
            Vec::new()
        }
        (Some(field), None) => vec![Upstream { settings: upstream("default".to_owned(), field.section()), field }],
        (None, Some(several)) => several
            .entries()
            .into_iter()
            .map(|(name, field)| {
                let name = match (NAME.parse)(name) {
                    Ok(name) => name,
                    Err(wrong) => {
                        field.problem(format!("{wrong}; accepted: {}", NAME.accepted));
                        name.to_owned()
                    }
                };
                Upstream { settings: upstream(name, field.section()), field }
            })
            .collect(),
    }
}

fn upstream(name: String, mut section: Section<'_>) -> UpstreamSettings {
    let field = section.required("url", "where requests are forwarded to, such as http://127.0.0.1:5984");
    let urls = field.as_ref().map(|field| field.texts(&UPSTREAM_URL)).unwrap_or_default();
    let (tls, prefix) = urls.first().map(|url| (url.tls, url.prefix.clone())).unwrap_or_default();
    let ca_file = section.field("ca_file");
    if let Some(field) = ca_file.filter(|_| !urls.is_empty() && !tls) {
        field.problem("has no effect with an http url; accepted: only with an https url");
    }
    let (server_name, certificate) = own_tls(&mut section, !urls.is_empty() && !tls);
    if let Some(field) = &field {
        check(field, &urls, server_name.is_some());
    }
    let default = UpstreamSettings::new(&name, "", 0);
    let settings = UpstreamSettings {
        targets: urls.into_iter().map(|url| url.target).collect(),
        prefix,
        tls,
        ca_file: section.file("ca_file", Outside::Authorities),
        server_name,
        certificate,
        http2: section.flag("http2", default.http2),
        host_header: section.choice("host", &HOST_HEADERS, default.host_header),
        sticky: section.flag("sticky", default.sticky),
        health: section.field("health").map(|field| health(field.section())),
        connect_timeout: section.duration("connect_timeout", default.connect_timeout, Duration::from_millis(100)..=MINUTE),
        read_timeout: section.duration("read_timeout", default.read_timeout, SECOND..=HOUR * 24),
        write_timeout: section.duration("write_timeout", default.write_timeout, SECOND..=HOUR),
        idle_timeout: section.duration("idle_timeout", default.idle_timeout, SECOND..=HOUR),
        resolve_every: section.duration("resolve_every", default.resolve_every, SECOND..=HOUR),
        drain_spread: section.duration("drain_spread", default.drain_spread, Duration::ZERO..=HOUR),
        ..default
    };
    section.finish();
    settings
}

/// What several URLs must have in common, and what is wrong with one of them.
fn check(field: &Field<'_>, urls: &[UpstreamUrl], has_server_name: bool) {
    let is_same = |of: fn(&UpstreamUrl) -> (bool, &str)| urls.windows(2).all(|pair| matches!(pair, [a, b] if of(a) == of(b)));
    if !is_same(|url| (url.tls, "")) {
        field.problem("has http and https (a socket counts as http); accepted: the same for all");
    } else if !is_same(|url| (true, &url.prefix)) {
        field.problem("has different paths; accepted: the same for all");
    }
    if !has_server_name && urls.iter().any(|url| url.tls && url.is_address) {
        field.problem(format!(
            "https to an IP address; a host name is needed to verify the certificate, here or in tls.server_name; accepted: {}",
            UPSTREAM_URL.accepted
        ));
    }
    let is_exposed = |url: &UpstreamUrl| matches!(&url.target, Target::Host { host, .. } if !url.tls && !is_loopback(host));
    if urls.iter().any(is_exposed) {
        field.warning(
            "plain http to another machine: user tokens can be read on the network; acceptable only in a network that you trust",
        );
    }
}

/// The name that the certificate must have, and what the gateway shows of itself.
fn own_tls(section: &mut Section<'_>, is_plain: bool) -> (Option<String>, Option<CertificateFiles>) {
    let Some(field) = section.field("tls") else { return (None, None) };
    if is_plain {
        field.problem("has no effect with an http url; accepted: only with an https url");
    }
    let mut tls = field.section();
    let server_name = tls.text("server_name", &HOST);
    let certificate = tls.file("certificate", Outside::Certificates);
    let key_field = tls.field("key");
    let key = tls.file("key", Outside::Secret);
    let files = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(CertificateFiles { certificate, key }),
        (Some(_), None) if key_field.is_none() => {
            tls.missing("key", "the private key of tls.certificate");
            None
        }
        (None, Some(_)) if tls.field("certificate").is_none() => {
            tls.missing("certificate", "the certificate of tls.key");
            None
        }
        _ => None,
    };
    if let (Some(files), Some(field)) = (&files, key_field) {
        let target = Outside::OwnPair(files.clone());
        field.reading().reference(Reference { at: field.at, key: field.key.clone(), target });
    }
    tls.finish();
    (server_name, files)
}

fn health(mut section: Section<'_>) -> HealthSettings {
    let path = section.required("path", "what is asked for, such as /_up").and_then(|field| field.text(&HEALTH_PATH));
    let default = HealthSettings::new(&path.unwrap_or_default());
    let settings = HealthSettings {
        every: section.duration("every", default.every, SECOND..=HOUR),
        timeout: section.duration("timeout", default.timeout, Duration::from_millis(100)..=MINUTE),
        ..default
    };
    section.finish();
    settings
}
