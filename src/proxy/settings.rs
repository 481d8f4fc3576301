//! What the edge is told: where to listen, which routes there are, where the upstreams are.

use std::{borrow::Cow, net::SocketAddr, path::PathBuf, time::Duration};

use crate::proxy::RouteSettings;

/// The listener for clients.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenSettings {
    /// Address and port; port 0 takes a free one. Default `0.0.0.0:8080`.
    pub address: SocketAddr,
    /// Connections at a time; further ones wait to be accepted. Default 10,000.
    pub max_connections: usize,
    /// From the first byte of a request, of the first one from the connection's start, to the end of the header. Default 10 s; 100 ms to
    /// 5 min.
    pub header_timeout: Duration,
    /// How long a connection may stay open between two requests. Default 75 s.
    pub keepalive_timeout: Duration,
    /// How long a client may pause while it sends a body. Default 60 s.
    pub body_timeout: Duration,
    /// How long a client may take nothing of an answer. Default 60 s.
    pub write_timeout: Duration,
    /// Most bytes of a request's header block. Default 64 KiB; 1 KiB to 1 MiB.
    pub header_bytes: usize,
    /// The longest that a socket or a feed may live, whatever its token says. Default: no limit of its own.
    pub max_stream_age: Option<Duration>,
    /// How long after its end a client may take the chunk of a feed that is being written, and a socket, 2 s at most, to say goodbye. Then
    /// the connection is cut. Default 2 s; 0 to 60 s.
    pub stream_grace: Duration,
    /// How often both sides of a WebSocket are pinged. Default never; 1 s to 1 h.
    pub ping_every: Option<Duration>,
}

impl Default for ListenSettings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([0, 0, 0, 0], 8080)),
            max_connections: 10_000,
            header_timeout: Duration::from_secs(10),
            keepalive_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            header_bytes: 64 * 1024,
            max_stream_age: None,
            stream_grace: Duration::from_secs(2),
            ping_every: None,
        }
    }
}

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
    /// Connecting, TLS and all addresses of the name included. Default 5 s.
    pub connect_timeout: Duration,
    /// How long the upstream may be silent once it has the whole request, before and within an answer. Default 10 min: a long-poll is silent for minutes.
    pub read_timeout: Duration,
    /// How long the upstream may take nothing of a request, and say nothing. Default 60 s.
    pub write_timeout: Duration,
    /// How long an idle connection is kept for the next request. Default 4 s: Node's servers close theirs after 5 s, and a request sent into
    /// that moment is lost.
    pub idle_timeout: Duration,
    /// How often the name is resolved again. Default 30 s.
    pub resolve_every: Duration,
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

/// Headers of the client that never reach an upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct HeaderSettings {
    /// Names, or prefixes that end in `*`; compared without regard to case, all signs but letters and digits being the same.
    pub strip: Vec<String>,
}

/// Everything the edge needs.
#[derive(Clone, Debug, PartialEq)]
pub struct ProxySettings {
    /// The listener.
    pub listen: ListenSettings,
    /// The backends; never empty.
    pub upstreams: Vec<UpstreamSettings>,
    /// The routes; never empty.
    pub routes: Vec<RouteSettings>,
    /// Header hygiene.
    pub headers: HeaderSettings,
    /// The `realm` of challenges. Default `syncgate`.
    pub realm: String,
}

impl HeaderSettings {
    /// The names that backends and frameworks are known to take an identity from, or another method or path than the request line has.
    pub const DEFAULT_STRIP: &'static [&'static str] = &[
        "cf-access-*",
        "daphne-root-path",
        "http-method-override",
        "impersonate-*",
        "method-override",
        "path-info",
        "path-translated",
        "proxy",
        "proxy-authorization",
        "redirect-*",
        "remote-email",
        "remote-groups",
        "remote-name",
        "remote-user",
        "request-uri",
        "request-url",
        "script-*",
        "ssl-client-*",
        "tailscale-user-*",
        "x-access-token",
        "x-amzn-oidc-*",
        "x-apigateway-api-userinfo",
        "x-auth-*",
        "x-authenticated-*",
        "x-authentik-*",
        "x-base-path",
        "x-client-cert*",
        "x-consumer-*",
        "x-context-path",
        "x-couchdb-requested-*",
        "x-couchdb-vhost-*",
        "x-credential-*",
        "x-email",
        "x-endpoint-api-userinfo",
        "x-envoy-original-*",
        "x-forwarded-access-token",
        "x-forwarded-base*",
        "x-forwarded-client-cert",
        "x-forwarded-context*",
        "x-forwarded-email",
        "x-forwarded-groups",
        "x-forwarded-method",
        "x-forwarded-path*",
        "x-forwarded-preferred-username",
        "x-forwarded-prefix",
        "x-forwarded-root*",
        "x-forwarded-script-*",
        "x-forwarded-uri",
        "x-forwarded-url",
        "x-forwarded-user",
        "x-goog-authenticated-*",
        "x-goog-iap-*",
        "x-hasura-*",
        "x-http-method*",
        "x-http-path*",
        "x-http-verb*",
        "x-id-token",
        "x-ingress-path",
        "x-invoke-*",
        "x-jwt-*",
        "x-matched-path",
        "x-method*",
        "x-middleware-*",
        "x-ms-client-principal*",
        "x-ms-original-url",
        "x-ms-token-*",
        "x-original-method",
        "x-original-path*",
        "x-original-query",
        "x-original-request*",
        "x-original-uri",
        "x-original-url",
        "x-path*",
        "x-pomerium-*",
        "x-realm-access-token",
        "x-remote-*",
        "x-replaced-path",
        "x-request-path",
        "x-request-uri",
        "x-request-url",
        "x-rewrite-*",
        "x-root-path",
        "x-script-*",
        "x-syncgate-*",
        "x-user",
        "x-user-email",
        "x-user-groups",
        "x-user-id",
        "x-user-name",
        "x-user-roles",
        "x-userinfo",
        "x-username",
        "x-vouch-*",
        "x-waws-unencoded-url",
        "x-webauth-*",
    ];

    /// The names that backends take another host from than `Host` has.
    const FORWARDED_HOSTS: &'static [&'static str] = &[
        "forwarded",
        "forwarded-host",
        "host-override",
        "x-backend-host",
        "x-envoy-original-host",
        "x-forwarded-domain",
        "x-forwarded-host*",
        "x-forwarded-server*",
        "x-forwarded-vhost",
        "x-host*",
        "x-http-host*",
        "x-original-forwarded-host",
        "x-original-host*",
        "x-real-host",
        "x-server-name",
        "x-vhost*",
        "x-virtual-host",
    ];

    /// With what these routes need: where one is for a host, nothing may name another one.
    pub(super) fn for_routes(&self, routes: &[RouteSettings]) -> Cow<'_, Self> {
        if routes.iter().all(|route| route.host.is_none()) {
            return Cow::Borrowed(self);
        }
        let strip = self.strip.iter().map(String::as_str).chain(Self::FORWARDED_HOSTS.iter().copied());
        Cow::Owned(Self { strip: strip.map(str::to_owned).collect() })
    }
}

impl Default for HeaderSettings {
    fn default() -> Self {
        Self { strip: Self::DEFAULT_STRIP.iter().map(|name| (*name).to_owned()).collect() }
    }
}
