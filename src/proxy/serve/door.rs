//! What is decided about a request by the listener that it came to, before any route: whether its host may come over this
//! connection, and where plain HTTP is only sent on to https.

use std::sync::Arc;

use http::{HeaderValue, header};

use crate::{
    certificate::ServerTls,
    proxy::{
        client::{Arrival, ClientSession, Secure},
        http::Fields,
        policy::target,
    },
    token::Rejection,
};

/// What becomes of a request that goes no further.
pub(super) enum AtDoor {
    /// It is sent on to https at this port.
    SendOn(u16),
    /// Its host is none for this connection.
    Misdirected,
}

/// What a request meets first; none: nothing.
pub(super) fn met(client: &ClientSession, arrival: &Arrival) -> Option<AtDoor> {
    match (&arrival.tls, arrival.redirect_port) {
        (Some(tls), _) if is_misdirected(client, tls) => Some(AtDoor::Misdirected),
        (None, Some(port)) => Some(AtDoor::SendOn(port)),
        _ => None,
    }
}

/// Whether the host has other rules for client certificates than the name that the client shook hands for (RFC 9110 section 15.5.20). What is
/// no host at all is refused as that.
fn is_misdirected(client: &ClientSession, tls: &Secure) -> bool {
    let headers = &client.req_header().headers;
    let name = tls.server_name.as_deref();
    let is_same = |host: &HeaderValue| name.is_some_and(|name| host.as_bytes().eq_ignore_ascii_case(name.as_bytes()));
    if headers.get(header::HOST).is_some_and(is_same) {
        return false;
    }
    target::host(Fields::of(headers).host).is_ok_and(|host| !tls.listener.is_alike(name, &host.to_ascii_lowercase()))
}

/// Where a request is sent on that goes no further, or why it is not.
pub(super) fn location(met: AtDoor, client: &ClientSession, listeners: &[Arc<ServerTls>]) -> Result<HeaderValue, Rejection> {
    match met {
        AtDoor::Misdirected => Err(Rejection::Misdirected),
        AtDoor::SendOn(port) => https_location(client, port, listeners),
    }
}

/// The same target over https, if a certificate is for its host: else this would send anybody anywhere.
fn https_location(client: &ClientSession, port: u16, listeners: &[Arc<ServerTls>]) -> Result<HeaderValue, Rejection> {
    let request = client.req_header();
    let host = target::host(Fields::of(&request.headers).host)?;
    target::check_target(&request.method, request.raw_path(), &client.raw_header())?;
    let name = host.to_ascii_lowercase();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    if !listeners.iter().any(|tls| tls.serves(bare)) {
        return Err(Rejection::Misdirected);
    }
    let authority = if port == 443 { name } else { format!("{name}:{port}") };
    let location = [b"https://", authority.as_bytes(), request.raw_path()].concat();
    HeaderValue::from_bytes(&location).map_err(|_| Rejection::TargetMalformed)
}
