//! Where an upstream is, how it is spoken to, and its timeouts.

use std::{fmt, path::PathBuf, time::Duration};

/// One backend.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamSettings {
    /// The name in the config: in logs and as a metric label.
    pub name: String,
    /// Where it is; never empty. Each address of each name may serve each request.
    pub targets: Vec<Target>,
    /// What is prepended to the path of each request: a path without a slash at its end. Empty: nothing.
    pub prefix: String,
    /// Whether TLS is spoken; then chain and name of the certificate are verified.
    pub tls: bool,
    /// Authorities to trust instead of the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// The name that the certificate must have, instead of the host of the URL.
    pub server_name: Option<String>,
    /// What the gateway shows of itself, where the upstream asks for a certificate.
    pub certificate: Option<CertificateFiles>,
    /// Whether requests are sent by HTTP/2: by ALPN with TLS, with prior knowledge without. WebSockets are opened by HTTP/1.1 all the same.
    /// Default no.
    pub http2: bool,
    /// Which `Host` the upstream sees.
    pub host_header: HostHeader,
    /// Whether the requests of a user go to one address, as long as that serves. Default no.
    pub sticky: bool,
    /// How addresses are asked whether they are well. Default: not at all.
    pub health: Option<HealthSettings>,
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
    /// How often names are resolved again. Default 5 s.
    pub resolve_every: Duration,
    /// Over what time the WebSockets of an address are closed that an operator drains. Default 60 s.
    pub drain_spread: Duration,
}

/// Where an upstream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The host and port of a URL.
    Host {
        /// Name or address, for DNS and SNI. Never empty.
        host: String,
        /// Port.
        port: u16,
    },
    /// The path of a Unix socket.
    Socket(PathBuf),
}

/// A certificate and its key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, and behind it those between it and an authority.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// How addresses are asked whether they are well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthSettings {
    /// What is asked for, with GET: 2xx is well.
    pub path: String,
    /// How often. Default 5 s.
    pub every: Duration,
    /// How long the whole answer may take. Default 2 s.
    pub timeout: Duration,
}

impl UpstreamSettings {
    /// Plain HTTP to this host and port, and the default for everything else.
    pub fn new(name: &str, host: &str, port: u16) -> Self {
        Self {
            name: name.to_owned(),
            targets: vec![Target::new(host, port)],
            prefix: String::new(),
            tls: false,
            ca_file: None,
            server_name: None,
            certificate: None,
            http2: false,
            host_header: HostHeader::default(),
            sticky: false,
            health: None,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(600),
            write_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(4),
            resolve_every: Duration::from_secs(5),
            drain_spread: Duration::from_secs(60),
        }
    }
}

impl HealthSettings {
    /// By this path, and the default for everything else.
    pub fn new(path: &str) -> Self {
        Self { path: path.to_owned(), every: Duration::from_secs(5), timeout: Duration::from_secs(2) }
    }
}

impl Target {
    /// A host and a port.
    pub fn new(host: &str, port: u16) -> Self {
        Self::Host { host: host.to_owned(), port }
    }
}

impl fmt::Display for Target {
    /// As in a URL: `host:port`, an address of version 6 in brackets; `unix:/path`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { host, port } if host.contains(':') => write!(out, "[{host}]:{port}"),
            Self::Host { host, port } => write!(out, "{host}:{port}"),
            Self::Socket(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

/// Which `Host` the upstream sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostHeader {
    /// What the client sent.
    #[default]
    Client,
    /// Host and port of the upstream's first URL; `localhost` where that is a socket.
    Upstream,
}
