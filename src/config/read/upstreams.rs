//! `upstream`, or several under `upstreams`.

use std::time::Duration;

use crate::{
    config::{
        field::Field,
        formats::{NAME, UPSTREAM_URL},
        outside::Target,
        section::Section,
    },
    proxy::{HostHeader, UpstreamSettings},
    tls::is_loopback,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

pub(in crate::config) const HOST_HEADERS: [(&str, HostHeader); 2] =
    [("client", HostHeader::Client), ("upstream", HostHeader::Upstream)];

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
    let url = field.as_ref().and_then(|field| field.text(&UPSTREAM_URL));
    let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or_default().to_owned();
    let tls = url.as_ref().is_some_and(|url| url.scheme() == "https");
    if let Some(field) = field.filter(|_| url.is_some() && !tls && !is_loopback(&host)) {
        field.warning(
            "plain http to another machine: user tokens can be read on the network; acceptable only in a network that you trust",
        );
    }
    let ca_file = section.field("ca_file");
    if let Some(field) = ca_file.filter(|_| url.is_some() && !tls) {
        field.problem("has no effect with an http url; accepted: only with an https url");
    }
    let port = url.and_then(|url| url.port_or_known_default()).unwrap_or_default();
    let default = UpstreamSettings::new(&name, host.trim_start_matches('[').trim_end_matches(']'), port);
    let settings = UpstreamSettings {
        tls,
        ca_file: section.file("ca_file", Target::Authorities),
        host_header: section.choice("host", &HOST_HEADERS, default.host_header),
        connect_timeout: section.duration("connect_timeout", default.connect_timeout, Duration::from_millis(100)..=MINUTE),
        read_timeout: section.duration("read_timeout", default.read_timeout, SECOND..=HOUR * 24),
        write_timeout: section.duration("write_timeout", default.write_timeout, SECOND..=HOUR),
        idle_timeout: section.duration("idle_timeout", default.idle_timeout, SECOND..=HOUR),
        resolve_every: section.duration("resolve_every", default.resolve_every, SECOND..=HOUR),
        ..default
    };
    section.finish();
    settings
}
