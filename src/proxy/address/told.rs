//! What an upstream is told of the client.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue, header};

use crate::proxy::{
    address::{
        client::Client,
        host,
        peer::{Peer, Scheme},
        settings::{ForwardedFor, TellSettings},
    },
    http::Told,
};

/// The fields that tell an upstream who the client is and how it has come, one value each. `client` is what a trusted proxy has said; its
/// word about the host does not count where routes go by hosts (`has_hosts`), which are chosen by the request's own.
pub(in crate::proxy) fn told<'a>(
    peer: &'a Peer,
    client: Option<&Client>,
    headers: &'a HeaderMap,
    settings: TellSettings,
    has_hosts: bool,
) -> Told<'a> {
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes).unwrap_or_default();
    match client {
        None if !settings.forwarded => {
            let port = host::port(host).unwrap_or(peer.scheme().port());
            Told::Pieces([peer.lines(), b"X-Forwarded-Host: ", host, b"\r\nX-Forwarded-Port: ", port, b"\r\n"])
        }
        None => Told::Lines(lines(&Written::of_peer(peer, host), settings)),
        Some(client) => {
            let said = client.host.as_deref().filter(|_| !has_hosts).map(str::as_bytes);
            let chain = [client.address].into_iter().chain(client.behind.iter().copied()).collect();
            let (host, port) = (said.unwrap_or(host), client.port.as_deref().map(str::as_bytes));
            Told::Lines(lines(&Written { chain, scheme: client.scheme, host, port }, settings))
        }
    }
}

struct Written<'a> {
    /// The client, and the proxies behind it.
    chain: Vec<IpAddr>,
    scheme: Scheme,
    host: &'a [u8],
    /// None: that of the host.
    port: Option<&'a [u8]>,
}

impl<'a> Written<'a> {
    fn of_peer(peer: &Peer, host: &'a [u8]) -> Self {
        Self { chain: vec![peer.address()], scheme: peer.scheme(), host, port: None }
    }
}

/// Whole header lines.
fn lines(written: &Written<'_>, settings: TellSettings) -> Vec<u8> {
    let Written { chain, scheme, host, port } = written;
    let addresses = match settings.forwarded_for {
        ForwardedFor::Client => chain.get(..1).unwrap_or_default(),
        ForwardedFor::Chain => chain,
    };
    let list: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    let mut lines = format!("X-Forwarded-For: {}\r\nX-Forwarded-Proto: {}\r\n", list.join(", "), scheme.word()).into_bytes();
    if *scheme == Scheme::Https {
        lines.extend_from_slice(b"X-Forwarded-Ssl: on\r\n");
    }
    let port = port.or(host::port(host)).unwrap_or(scheme.port());
    for part in [b"X-Forwarded-Host: ", *host, b"\r\nX-Forwarded-Port: ", port, b"\r\n"] {
        lines.extend_from_slice(part);
    }
    if settings.forwarded {
        let mut nodes = addresses.iter().map(|address| match address {
            IpAddr::V4(address) => format!("for={address}"),
            IpAddr::V6(address) => format!("for=\"[{address}]\""),
        });
        for part in [b"Forwarded: ", nodes.next().unwrap_or_default().as_bytes(), b";host=\"", *host, b"\";proto="] {
            lines.extend_from_slice(part);
        }
        lines.extend_from_slice(scheme.word().as_bytes());
        nodes.for_each(|node| lines.extend_from_slice(format!(", {node}").as_bytes()));
        lines.extend_from_slice(b"\r\n");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::address::{ClientField, TrustSettings, TrustedProxies};

    const HOST: (&str, &str) = ("host", "a.test:8080");

    fn written(scheme: Scheme, fields: &[(&'static str, &'static str)], settings: TellSettings, has_hosts: bool) -> Vec<String> {
        let headers: HeaderMap =
            fields.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect();
        let peer = Peer::new("[2001:db8::1]:4711".parse().unwrap(), scheme);
        let proxies = TrustedProxies::new(vec!["2001:db8::/32".parse().unwrap()]);
        let trust = TrustSettings { proxies, client_field: ClientField::XForwardedFor };
        let client = headers.contains_key("x-forwarded-for").then(|| Client::told(&peer, &headers, &trust)).flatten();
        let mut out = Vec::new();
        told(&peer, client.as_deref(), &headers, settings, has_hosts).write(&mut out);
        String::from_utf8(out).unwrap().split_terminator("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn an_upstream_is_told_the_peer_and_the_host_that_came() {
        let plain = TellSettings::default();
        assert_eq!(
            written(Scheme::Http, &[HOST], plain, false),
            ["X-Forwarded-For: 2001:db8::1", "X-Forwarded-Proto: http", "X-Forwarded-Host: a.test:8080", "X-Forwarded-Port: 8080"]
        );
        assert_eq!(
            written(Scheme::Https, &[("host", "a.test")], plain, true),
            [
                "X-Forwarded-For: 2001:db8::1",
                "X-Forwarded-Proto: https",
                "X-Forwarded-Ssl: on",
                "X-Forwarded-Host: a.test",
                "X-Forwarded-Port: 443"
            ]
        );
    }

    #[test]
    fn a_field_more_says_the_same() {
        let both = TellSettings { forwarded: true, ..TellSettings::default() };
        let with = written(Scheme::Https, &[HOST], both, false);
        assert_eq!(with[..5], written(Scheme::Https, &[HOST], TellSettings::default(), false));
        assert_eq!(with[5..], ["Forwarded: for=\"[2001:db8::1]\";host=\"a.test:8080\";proto=https"]);
    }

    #[test]
    fn what_a_trusted_proxy_says_is_told_alone_or_with_the_proxies() {
        let said = [
            HOST,
            ("x-forwarded-for", "1.1.1.1, 203.0.113.7, 2001:db8::9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "b.test"),
        ];
        let chain = TellSettings { forwarded_for: ForwardedFor::Chain, forwarded: true };
        assert_eq!(
            written(Scheme::Http, &said, chain, false),
            [
                "X-Forwarded-For: 203.0.113.7, 2001:db8::9, 2001:db8::1",
                "X-Forwarded-Proto: https",
                "X-Forwarded-Ssl: on",
                "X-Forwarded-Host: b.test",
                "X-Forwarded-Port: 443",
                "Forwarded: for=203.0.113.7;host=\"b.test\";proto=https, for=\"[2001:db8::9]\", for=\"[2001:db8::1]\""
            ]
        );
        let alone = written(Scheme::Http, &said, TellSettings::default(), true);
        assert_eq!((alone[0].as_str(), alone[3].as_str()), ("X-Forwarded-For: 203.0.113.7", "X-Forwarded-Host: a.test:8080"));
        assert_eq!(alone[4], "X-Forwarded-Port: 8080");
    }
}
