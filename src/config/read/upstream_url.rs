//! One URL of an upstream.

use url::{Host, Url};

use crate::{
    config::formats::{Format, ROUTE_PATH, parse_url},
    proxy::Target,
};

/// Longer paths do not fit into a socket's address.
const MAX_SOCKET_BYTES: usize = 107;

const AMBIGUOUS: &str = "has a path with an ambiguous character or segment; accepted there: A-Z a-z 0-9 - . _ ~ : @ $ + , =";

/// Where an upstream is.
pub(super) const UPSTREAM_URL: Format<UpstreamUrl> = Format {
    accepted: "http://host:port or https://host:port, also with a path, without query and credentials; or unix:/path of a socket",
    shown: false,
    parse: upstream_url,
};

/// What such a URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UpstreamUrl {
    pub(super) target: Target,
    pub(super) tls: bool,
    /// What is prepended to each path; empty or with a slash at its beginning, and none at its end.
    pub(super) prefix: String,
    /// Whether the host is an address.
    pub(super) is_address: bool,
}

fn upstream_url(text: &str) -> Result<UpstreamUrl, &'static str> {
    if let Some(path) = text.strip_prefix("unix:") {
        return match path {
            _ if !path.starts_with('/') => Err("is not the absolute path of a socket"),
            _ if path.len() > MAX_SOCKET_BYTES => Err("is too long for a socket: at most 107 bytes"),
            _ => Ok(UpstreamUrl { target: Target::Socket(path.into()), tls: false, prefix: String::new(), is_address: false }),
        };
    }
    let url: Url = parse_url(text)?;
    if url.query().is_some() {
        return Err("has a query; each request keeps its own");
    }
    if url.port() == Some(0) {
        return Err("has port 0");
    }
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    Ok(UpstreamUrl {
        target: Target::new(host, url.port_or_known_default().unwrap_or_default()),
        tls: url.scheme() == "https",
        prefix: prefix(text, url.path())?,
        is_address: !matches!(url.host(), Some(Host::Domain(_))),
    })
}

/// `text` has the path as it was written, before dots in it were resolved.
fn prefix(text: &str, path: &str) -> Result<String, &'static str> {
    let behind_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
    let written = behind_scheme.find('/').and_then(|start| behind_scheme.get(start..)).unwrap_or_default();
    match path.trim_end_matches('/') {
        path if path != written.trim_end_matches('/') => Err(AMBIGUOUS),
        "" => Ok(String::new()),
        path if (ROUTE_PATH.parse)(path).is_ok() => Ok(path.to_owned()),
        _ => Err(AMBIGUOUS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_host_with_a_path_or_a_socket() {
        let read = |text| upstream_url(text).map(|url| (url.target.to_string(), url.tls, url.prefix));
        let ok = |target: &str, tls, prefix: &str| Ok((target.to_owned(), tls, prefix.to_owned()));
        assert_eq!(read("http://couch"), ok("couch:80", false, ""));
        assert_eq!(read("https://couch:6984/"), ok("couch:6984", true, ""));
        assert_eq!(read("https://couch/a/b.c/"), ok("couch:443", true, "/a/b.c"));
        assert_eq!(read("http://[::1]:1"), ok("[::1]:1", false, ""));
        assert_eq!(read("unix:/run/couch.sock"), ok("unix:/run/couch.sock", false, ""));
        for wrong in [
            "unix:run/couch.sock",
            "unix:",
            "http://a/b?c",
            "http://a/b/../c",
            "http://a/%2e",
            "http://a/b;c",
            "http://a:0",
            "ftp://a",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(read(&format!("unix:/{}", "a".repeat(107))).is_err());
    }
}
