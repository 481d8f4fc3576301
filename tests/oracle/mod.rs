//! How servers read the path of a request, told by models of the servers and not by the gateway's own code.
//!
//! Each model gives what the handlers of one server may take for the path; `make differential` holds each against the real server.
//! A model may give more readings than its server has, and may read what its server refuses, but what the real server reads must be
//! among its readings.

#![allow(dead_code, reason = "each test that includes this needs a part of it")]

mod frameworks;
mod proxies;
mod steps;
mod unseen;

/// A server, or several that read alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Server {
    Nginx,
    /// With `merge_slashes off`.
    NginxUnmerged,
    Apache,
    /// With `AllowEncodedSlashes On`.
    ApacheSlashesDecoded,
    /// With `AllowEncodedSlashes NoDecode` and `MergeSlashes Off`.
    ApacheSlashesLeft,
    Caddy,
    HaProxy,
    /// By `path,url_dec`.
    HaProxyDecoded,
    /// By `normalize-uri`.
    HaProxyNormalised,
    Lighttpd,
    Varnish,
    /// With `normalize_path`.
    Envoy,
    /// And `UNESCAPE_AND_FORWARD`, and merged slashes.
    EnvoyUnescaped,
    EnvoyUntouched,
    /// `new URL(request.url, base)`.
    NodeUrl,
    /// The same, its path decoded.
    NodeUrlDecoded,
    /// `url.parse(request.url, true, true)`.
    NodeUrlLegacy,
    Express,
    Koa,
    Fastify,
    /// Without regard to case, duplicate slashes and slashes at the end; with `;` for `?`.
    FastifyLoose,
    Hapi,
    Hono,
    Flask,
    Django,
    Bottle,
    /// A WSGI application without a framework.
    Wsgi,
    Starlette,
    /// Rack behind Puma, its path unescaped.
    Rack,
    Sinatra,
    Jetty,
    Php,
    /// ASP.NET Core's; by its source.
    Kestrel,
    /// Windows' HTTP service, and IIS on top of it; by its documentation.
    HttpSys,
    /// By its source.
    Tomcat,
    /// CouchDB's; by its source.
    Mochiweb,
    /// A server that decodes behind a proxy that does.
    DecodedTwice,
}

impl Server {
    pub const ALL: [Self; 37] = [
        Self::Nginx,
        Self::NginxUnmerged,
        Self::Apache,
        Self::ApacheSlashesDecoded,
        Self::ApacheSlashesLeft,
        Self::Caddy,
        Self::HaProxy,
        Self::HaProxyDecoded,
        Self::HaProxyNormalised,
        Self::Lighttpd,
        Self::Varnish,
        Self::Envoy,
        Self::EnvoyUnescaped,
        Self::EnvoyUntouched,
        Self::NodeUrl,
        Self::NodeUrlDecoded,
        Self::NodeUrlLegacy,
        Self::Express,
        Self::Koa,
        Self::Fastify,
        Self::FastifyLoose,
        Self::Hapi,
        Self::Hono,
        Self::Flask,
        Self::Django,
        Self::Bottle,
        Self::Wsgi,
        Self::Starlette,
        Self::Rack,
        Self::Sinatra,
        Self::Jetty,
        Self::Php,
        Self::Kestrel,
        Self::HttpSys,
        Self::Tomcat,
        Self::Mochiweb,
        Self::DecodedTwice,
    ];

    /// What this server may take for the path of a target that begins with a slash; nothing if it refuses it.
    pub fn readings(self, target: &[u8]) -> Vec<Vec<u8>> {
        if target.first() != Some(&b'/') {
            return Vec::new();
        }
        match self {
            Self::Nginx => proxies::nginx(target, true),
            Self::NginxUnmerged => proxies::nginx(target, false),
            Self::Apache => proxies::apache(target, proxies::EncodedSlashes::Refused),
            Self::ApacheSlashesDecoded => proxies::apache(target, proxies::EncodedSlashes::Decoded),
            Self::ApacheSlashesLeft => proxies::apache(target, proxies::EncodedSlashes::Left),
            Self::Caddy => proxies::caddy(target),
            Self::HaProxy | Self::Varnish => proxies::verbatim(target),
            Self::HaProxyDecoded => proxies::haproxy_decoded(target),
            Self::HaProxyNormalised => proxies::haproxy_normalised(target),
            Self::Lighttpd => proxies::lighttpd(target),
            Self::Envoy => proxies::envoy(target, false),
            Self::EnvoyUnescaped => proxies::envoy(target, true),
            Self::EnvoyUntouched | Self::Express | Self::Koa => frameworks::verbatim(target),
            Self::NodeUrl => frameworks::node_url(target),
            Self::NodeUrlDecoded => frameworks::node_url_decoded(target),
            Self::NodeUrlLegacy => frameworks::node_url_legacy(target),
            Self::Fastify => frameworks::fastify(target, false),
            Self::FastifyLoose => frameworks::fastify(target, true),
            Self::Hapi => frameworks::hapi(target),
            Self::Hono => frameworks::hono(target),
            Self::Flask => frameworks::flask(target),
            Self::Django | Self::Wsgi => frameworks::wsgi(target),
            Self::Bottle => frameworks::bottle(target),
            Self::Starlette => frameworks::starlette(target),
            Self::Rack | Self::Sinatra => frameworks::rack(target),
            Self::Jetty => frameworks::jetty(target),
            Self::Php => frameworks::php(target),
            Self::Kestrel => unseen::kestrel(target),
            Self::HttpSys => unseen::http_sys(target),
            Self::Tomcat => unseen::tomcat(target),
            Self::Mochiweb => unseen::mochiweb(target),
            Self::DecodedTwice => unseen::decoded_twice(target),
        }
    }
}

/// What each server may take for the path of a target; nothing where it refuses it.
pub fn readings_of_servers(target: &[u8]) -> impl Iterator<Item = (Server, Option<Vec<u8>>)> {
    Server::ALL.into_iter().flat_map(|server| {
        let readings: Vec<Option<Vec<u8>>> = match server.readings(target) {
            readings if readings.is_empty() => vec![None],
            readings => readings.into_iter().map(Some).collect(),
        };
        readings.into_iter().map(move |reading| (server, reading))
    })
}

/// Whether a route of this path covers a reading for some server: case does not count, nor does a slash at the end, nor what an expression
/// with `^` and `$` passes over, which is other lines.
pub fn is_covered(reading: &[u8], path: &str, exact: bool) -> bool {
    let lines = reading.split(|byte| *byte == b'\n');
    [reading].into_iter().chain(lines).any(|line| {
        let Some((head, tail)) = line.split_at_checked(path.len()) else { return false };
        head.eq_ignore_ascii_case(path.as_bytes()) && (matches!(tail, b"" | b"/") || (!exact && tail.first() == Some(&b'/')))
    })
}
