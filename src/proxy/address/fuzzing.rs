//! What must hold of arbitrary bytes where a proxy speaks of its client.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderValue, header};

use super::{
    ClientField, TrustSettings, TrustedProxies,
    client::Client,
    peer::{Peer, Scheme},
    proxy_header,
};

/// Reads a header of the PROXY protocol.
///
/// # Errors
/// If bytes behind it were taken, fewer than it has, or if what follows changes what it says.
pub fn hold_proxy_header(input: &[u8]) -> Result<(), String> {
    let Ok((said, length)) = proxy_header::whole(input) else { return Ok(()) };
    let header = input.get(..length).unwrap_or_default();
    let expected = match header.starts_with(b"PROXY ") {
        true => input.iter().position(|byte| *byte == b'\n').map(|end| end + 1),
        false => input.get(14..16).map(|length| 16 + length.iter().fold(0, |sum, byte| sum * 256 + usize::from(*byte))),
    };
    if expected != Some(length) {
        return Err(format!("{length} bytes were taken, not {expected:?}"));
    }
    match proxy_header::whole(header) {
        Ok((alone, _)) if alone == said => Ok(()),
        other => Err(format!("alone it says {other:?}, not {said:?}")),
    }
}

/// Reads what a proxy has written behind what a client has sent: the first byte says in which field, and whether in the same line.
///
/// # Errors
/// If anything that the client has sent counts.
pub fn hold_client(input: &[u8]) -> Result<(), String> {
    const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    let client = IpAddr::from([203, 0, 113, 7]);
    let [form, forged @ ..] = input else { return Ok(()) };
    let (name, field, written) = match form & 1 {
        0 => (header::HeaderName::from_static("x-forwarded-for"), ClientField::XForwardedFor, "203.0.113.7, 10.0.0.2:80"),
        _ => (header::FORWARDED, ClientField::Forwarded, "for=203.0.113.7;by=\"a,b\";proto=https, for=\"10.0.0.2:80\""),
    };
    let lines = match form & 2 {
        0 => vec![forged.to_vec(), written.as_bytes().to_vec()],
        _ => vec![[forged, b",", written.as_bytes()].concat()],
    };
    let mut headers = HeaderMap::new();
    for line in lines {
        let Ok(value) = HeaderValue::from_bytes(&line) else { return Ok(()) };
        headers.append(name.clone(), value);
    }
    let proxies = TrustedProxies::new(vec![ipnet::IpNet::new(PROXY, 8).map_err(|error| error.to_string())?]);
    let peer = Peer::new(SocketAddr::new(PROXY, 80), Scheme::Http);
    match Client::told(&peer, &headers, &TrustSettings { proxies, client_field: field }) {
        Some(told) if told.address() == client => Ok(()),
        told => Err(format!("{told:?}")),
    }
}
