//! What an upstream is told of the client.

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
        // Boxed by being a vector: rarer, and longer.
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
    chain: Vec<std::net::IpAddr>,
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
            std::net::IpAddr::V4(address) => format!("for={address}"),
            std::net::IpAddr::V6(address) => format!("for=\"[{address}]\""),
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
