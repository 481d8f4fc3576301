//! The written forms of values: names, GUIDs, host names, URLs, scopes, claims, headers.

use std::net::Ipv6Addr;

use http::HeaderName;
use url::{Host, Url};

use crate::{tls::is_loopback, token::is_guid};

/// A form in which a text may be written.
pub(super) struct Format<T> {
    /// What is accepted, for the message.
    pub(super) accepted: &'static str,
    /// Whether a message may repeat the text. Not where it may hold a password.
    pub(super) shown: bool,
    /// The value, or what is wrong with the text: the end of a sentence that starts with it.
    pub(super) parse: fn(&str) -> Result<T, &'static str>,
}

/// Maximum path length in bytes, the limit of Linux.
pub(super) const MAX_PATH_BYTES: usize = 4_095;

/// A name in the config; it becomes a metric label.
pub(super) const NAME: Format<String> = Format { accepted: "1 to 64 of a-z 0-9 _ -", shown: true, parse: name };
/// A GUID; lower case from here on, as Microsoft writes it in tokens.
pub(super) const GUID: Format<String> =
    Format { accepted: "a GUID such as 9c0c1f5e-0000-4000-8000-000000000000", shown: true, parse: guid };
/// The first label of a host name, such as the `contoso` of contoso.b2clogin.com; lower case from here on.
pub(super) const LABEL: Format<String> =
    Format { accepted: "the first label of the host name, such as contoso of contoso.b2clogin.com", shown: true, parse: label };
/// A host name or address without port; lower case from here on.
pub(super) const HOST: Format<String> = Format { accepted: "a host name or address without port", shown: true, parse: host };
/// A B2C policy.
pub(super) const POLICY: Format<String> =
    Format { accepted: "a policy such as B2C_1_signin: 1 to 128 of A-Z a-z 0-9 _ -", shown: true, parse: policy };
/// Any text of one line.
pub(super) const TEXT: Format<String> = Format { accepted: "text of 1 to 1024 bytes", shown: true, parse: text };
/// The path of a file. Not shown: it may contain the key itself by mistake.
pub(super) const PATH: Format<String> = Format { accepted: "the path of a file", shown: false, parse: path };
/// The name of a claim.
pub(super) const CLAIM: Format<String> =
    Format { accepted: "the name of a claim: 1 to 256 bytes, without spaces or braces", shown: true, parse: claim };
/// A scope (RFC 6749 section 3.3): it is repeated in challenges.
pub(super) const SCOPE: Format<String> =
    Format { accepted: "a scope as in the claim scp: no space, quote or backslash", shown: true, parse: scope };
/// The name of a header (RFC 9110 section 5.1), in lower case from here on.
pub(super) const HEADER: Format<String> = Format { accepted: "the name of a header", shown: true, parse: header };
/// The realm of challenges, which is written in quotes.
pub(super) const REALM: Format<String> =
    Format { accepted: "1 to 64 ASCII characters without quote and backslash", shown: true, parse: realm };
/// The name of an environment variable. Not shown: it may contain the secret itself by mistake.
pub(super) const ENVIRONMENT: Format<String> =
    Format { accepted: "the name of an environment variable: letters, digits, _", shown: false, parse: environment };
/// Where keys are fetched. Stays as it is written, query string included.
pub(super) const KEY_URL: Format<String> =
    Format { accepted: "https://..., or http://... to this machine (localhost, 127.0.0.1, [::1])", shown: false, parse: key_url };
/// The proxy that keys are fetched through.
pub(super) const PROXY_URL: Format<String> = Format {
    accepted: "http://, https://, socks5:// or socks5h:// with host and port, without path, query and credentials",
    shown: false,
    parse: proxy_url,
};
/// A URL by which others know us, or an issuer. It stands in documents and between quotes.
pub(super) const URL: Format<Url> = Format {
    accepted: "https://host or https://host/path, without query; http:// for this machine alone",
    shown: false,
    parse: public_url,
};
/// The path of a route.
pub(super) const ROUTE_PATH: Format<String> = Format {
    accepted: "a path such as / or /db: segments of A-Z a-z 0-9 - . _ ~ : @ $ + , = and no trailing slash",
    shown: true,
    parse: route_path,
};

fn check(fine: bool, text: &str, wrong: &'static str) -> Result<String, &'static str> {
    if fine { Ok(text.to_owned()) } else { Err(wrong) }
}

fn of(text: &str, lengths: std::ops::RangeInclusive<usize>, allowed: fn(u8) -> bool) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(allowed)
}

fn name(text: &str) -> Result<String, &'static str> {
    check(of(text, 1..=64, |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-')), text, "cannot be a name")
}

fn guid(text: &str) -> Result<String, &'static str> {
    check(is_guid(text), text, "is not a GUID").map(|text| text.to_ascii_lowercase())
}

fn label(text: &str) -> Result<String, &'static str> {
    let fine =
        of(text, 1..=63, |byte| byte.is_ascii_alphanumeric() || byte == b'-') && !text.starts_with('-') && !text.ends_with('-');
    // No tenant has a host of that name: somebody has looked up the wrong value.
    if is_guid(text) {
        return Err("is a GUID, which belongs in tenant_id");
    }
    check(fine, text, "is not a host label").map(|text| text.to_ascii_lowercase())
}

fn host(text: &str) -> Result<String, &'static str> {
    let unbracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = unbracketed.parse::<Ipv6Addr>() {
        return Ok(format!("[{address}]"));
    }
    let fine = of(text, 1..=253, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    match Host::parse(text) {
        Ok(host) if fine => Ok(host.to_string()),
        _ => Err("is not a host"),
    }
}

fn policy(text: &str) -> Result<String, &'static str> {
    check(of(text, 1..=128, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')), text, "is not a policy")
}

fn text(text: &str) -> Result<String, &'static str> {
    check((1..=1024).contains(&text.len()), text, "is empty or too long")
}

fn path(text: &str) -> Result<String, &'static str> {
    check((1..=MAX_PATH_BYTES).contains(&text.len()), text, "is empty or too long")
}

/// Only what means the same under every reading: no escapes, no dot segments, no empty segments.
fn route_path(text: &str) -> Result<String, &'static str> {
    if text == "/" {
        return Ok(text.to_owned());
    }
    let rest = text.strip_prefix('/').ok_or("does not start with a slash")?;
    if text.len() > 1_024 {
        return Err("is longer than 1024 bytes");
    }
    if text.contains(['*', '{']) {
        return Err(
            "has a wildcard, which is not supported; /api matches /api and everything below it (with exact: true, only /api)",
        );
    }
    if rest.ends_with('/') {
        return Err("ends with a slash; /db matches /db, /db/ and everything below");
    }
    let plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'@' | b'$' | b'+' | b',' | b'=')
    };
    let fine = rest.split('/').all(|part| !matches!(part, "" | "." | "..") && part.bytes().all(plain));
    if fine { Ok(text.to_owned()) } else { Err("has an ambiguous character or segment") }
}

fn claim(text: &str) -> Result<String, &'static str> {
    let fine = (1..=256).contains(&text.len()) && !text.contains(|c: char| c.is_whitespace() || matches!(c, '{' | '}'));
    check(fine, text, "cannot be a claim")
}

fn scope(text: &str) -> Result<String, &'static str> {
    check(of(text, 1..=256, |byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)), text, "cannot be a scope")
}

fn header(text: &str) -> Result<String, &'static str> {
    HeaderName::from_bytes(text.as_bytes()).map(|name| name.as_str().to_owned()).map_err(|_| "is not a header name")
}

fn realm(text: &str) -> Result<String, &'static str> {
    check(of(text, 1..=64, |byte| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e)), text, "cannot be a realm")
}

fn environment(text: &str) -> Result<String, &'static str> {
    let fine =
        of(text, 1..=256, |byte| byte.is_ascii_alphanumeric() || byte == b'_') && !text.starts_with(|c: char| c.is_ascii_digit());
    check(fine, text, "this cannot be the name of an environment variable")
}

fn key_url(text: &str) -> Result<String, &'static str> {
    let url = parse_url(text)?;
    match url.scheme() {
        "https" => Ok(text.to_owned()),
        _ if url.host_str().is_some_and(is_loopback) => Ok(text.to_owned()),
        _ => Err("plain http to another machine: anyone on the network path could inject keys"),
    }
}

fn public_url(text: &str) -> Result<Url, &'static str> {
    let url = parse_url(text)?;
    if url.query().is_some() {
        return Err("has a query");
    }
    if text.contains(['"', '\'']) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("has a character that must be percent-encoded");
    }
    match url.scheme() {
        "https" => Ok(url),
        _ if url.host_str().is_some_and(is_loopback) => Ok(url),
        _ => Err("is not https"),
    }
}

fn server_url(text: &str) -> Result<Url, &'static str> {
    let url = parse_url(text)?;
    if url.path() != "/" || url.query().is_some() {
        return Err("has a path or a query; each request keeps its own");
    }
    if url.port() == Some(0) {
        return Err("has port 0");
    }
    match (url.scheme(), url.host()) {
        ("http", Some(_)) | ("https", Some(Host::Domain(_))) => Ok(url),
        _ => Err("https to an IP address; a host name is needed to verify the certificate"),
    }
}

fn proxy_url(text: &str) -> Result<String, &'static str> {
    // What a SOCKS proxy is given is host and port, too.
    let as_http = ["socks5h://", "socks5://"].iter().find_map(|scheme| Some(format!("http://{}", text.strip_prefix(scheme)?)));
    match server_url(as_http.as_deref().unwrap_or(text)) {
        Err("contains credentials; secrets do not belong in the file") => Err("contains credentials; use proxy_credentials_file"),
        outcome => outcome.map(|_| text.to_owned()),
    }
}

/// What every URL in the file must be.
pub(super) fn parse_url(text: &str) -> Result<Url, &'static str> {
    if text.len() > 2048 || text.contains(|c: char| c.is_whitespace() || c == '\\') {
        return Err("is not a URL");
    }
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("is neither http nor https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("contains credentials; secrets do not belong in the file");
    }
    if url.fragment().is_some() {
        return Err("has a fragment (#)");
    }
    Ok(url)
}
