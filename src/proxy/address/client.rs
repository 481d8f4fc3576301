//! [`Client`]: who a request comes from, by what a trusted proxy says.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::proxy::address::{
    element::{Element, elements},
    host,
    peer::{Peer, Scheme},
    settings::{ClientField, TrustSettings},
    walk::{MAX_ENTRIES, Walk, walk},
};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Who a request comes from, and how it has come to the first trusted proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Client {
    pub(super) address: IpAddr,
    text: String,
    pub(super) scheme: Scheme,
    /// None: the request's own.
    pub(super) host: Option<String>,
    pub(super) port: Option<String>,
    /// The trusted proxies behind the client, the peer last.
    pub(super) behind: Vec<IpAddr>,
}

impl Client {
    /// Reads what is told of the client. None if the peer is not a trusted proxy: then it is the client itself, whatever its fields say.
    pub(in crate::proxy) fn told(peer: &Peer, headers: &HeaderMap, settings: &TrustSettings) -> Option<Box<Self>> {
        // First what is so for every request where no proxy is trusted.
        if settings.proxies.is_empty() || !peer.may_tell() || !settings.proxies.contains(peer.address()) {
            return None;
        }
        let said = match &settings.client_field {
            ClientField::XForwardedFor => Said::by_list(&X_FORWARDED_FOR, peer, headers, settings),
            ClientField::Named(name) => Said::by_list(name, peer, headers, settings),
            ClientField::Forwarded => Said::by_elements(peer, headers, settings),
        };
        let Said { walk: Walk { client: address, behind, .. }, proto, host, port } = said;
        let scheme = match proto.map(<[u8]>::to_ascii_lowercase).as_deref() {
            Some(b"https" | b"wss") => Scheme::Https,
            Some(b"http" | b"ws") => Scheme::Http,
            _ => peer.scheme(),
        };
        let text = |value: &[u8]| str::from_utf8(value).ok().map(str::to_owned);
        let host = host.filter(|host| host::is_authority(host)).and_then(text);
        let port = port.filter(|port| (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit)).and_then(text);
        let shown = if behind.is_empty() { peer.text().to_owned() } else { address.to_string() };
        Some(Box::new(Self { address, text: shown, scheme, host, port, behind }))
    }

    pub(in crate::proxy) fn address(&self) -> IpAddr {
        self.address
    }

    /// Its address, with a port if it is the peer itself.
    pub(in crate::proxy) fn text(&self) -> &str {
        &self.text
    }
}

/// What the fields of a request say.
struct Said<'a> {
    walk: Walk,
    proto: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
    port: Option<&'a [u8]>,
}

impl<'a> Said<'a> {
    fn by_list(name: &HeaderName, peer: &Peer, headers: &'a HeaderMap, settings: &TrustSettings) -> Self {
        let entries = entries(headers, name).map(host::address);
        let walk = walk(peer.address(), entries, &settings.proxies);
        // Each proxy appends to every list, or writes its one value: what was said beside the client's address is as far from the right,
        // and what stands further left nobody has vouched for.
        let reach = walk.entry.unwrap_or(0);
        let beside = |name| self::entries(headers, name).take(reach + 1).last();
        let (proto, host, port) = (beside(&X_FORWARDED_PROTO), beside(&X_FORWARDED_HOST), beside(&X_FORWARDED_PORT));
        Self { walk, proto, host, port }
    }

    fn by_elements(peer: &Peer, headers: &'a HeaderMap, settings: &TrustSettings) -> Self {
        let lines: Vec<_> = headers.get_all(http::header::FORWARDED).iter().map(HeaderValue::as_bytes).collect();
        let elements: Vec<_> = lines.iter().rev().flat_map(|line| elements(line)).take(MAX_ENTRIES).collect();
        let node = |element: &Option<Element<'a>>| element.and_then(|element| element.node).and_then(host::address);
        let walk = walk(peer.address(), elements.iter().map(node), &settings.proxies);
        let beside = elements.get(walk.entry.unwrap_or(0)).copied().flatten().unwrap_or_default();
        Self { walk, proto: beside.proto, host: beside.host, port: None }
    }
}

/// The entries of a list, from the right, however many fields it is spread over.
fn entries<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).iter().rev().map(HeaderValue::as_bytes);
    lines.flat_map(|line| line.rsplit(|byte| *byte == b',')).map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty())
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
