//! Where an upstream is, and its timeouts.

use std::{path::PathBuf, time::Duration};

/// One backend.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamSettings {
    /// The name in the config: in logs and as a metric label.
    pub name: String,
    /// Whether TLS is spoken; then chain and name of the certificate are verified against `host`.
    pub tls: bool,
    /// Name or address of the URL, for DNS and SNI. Never empty.
    pub host: String,
    /// Port of the URL.
    pub port: u16,
    /// Authorities to trust instead of the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// Which `Host` the upstream sees.
    pub host_header: HostHeader,
    /// Connecting, including TLS and all addresses of the name. Default 5 s.
    pub connect_timeout: Duration,
    /// How long the upstream may be silent once it has the whole request, before and within an answer. Default 10 min: a long-poll
    /// is silent for minutes.
    pub read_timeout: Duration,
    /// How long the upstream may neither read the request nor respond. Default 60 s.
    pub write_timeout: Duration,
    /// How long an idle connection is kept for the next request. Default 4 s: Node's servers close theirs after 5 s, and a request
    /// sent into that moment is lost.
    pub idle_timeout: Duration,
    /// How often the name is resolved again. Default 30 s.
    pub resolve_every: Duration,
}

impl UpstreamSettings {
    /// Plain HTTP to this host and port, and the default for everything else.
    pub fn new(name: &str, host: &str, port: u16) -> Self {
        Self {
            name: name.to_owned(),
            tls: false,
            host: host.to_owned(),
            port,
            ca_file: None,
            host_header: HostHeader::default(),
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(600),
            write_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(4),
            resolve_every: Duration::from_secs(30),
        }
    }
}

/// Which `Host` the upstream sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostHeader {
    /// What the client sent.
    #[default]
    Client,
    /// Host and port of the upstream's URL.
    Upstream,
}
