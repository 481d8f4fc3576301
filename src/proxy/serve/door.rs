//! What is decided about a request by the listener that it came to, before any route: whether its host may come over this
//! connection, where plain HTTP is only sent on to https, and what an authority asks before it issues a certificate.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use crate::{
    certificate::ServerTls,
    endpoint::Reply,
    proxy::{
        client::{Arrival, ClientSession, Secure},
        http::Fields,
        policy::target,
    },
    token::Rejection,
};

/// What becomes of a request that goes no further.
pub(super) enum AtDoor {
    /// An authority asks over plain HTTP whether a name is ours, before it issues a certificate; this is the answer.
    Challenge(String),
    /// It is sent on to https at this port.
    SendOn(u16),
    /// Its host is none for this connection.
    Misdirected,
}

/// What a request meets first; none: nothing.
pub(super) fn met(client: &ClientSession, arrival: &Arrival, listeners: &[Arc<ServerTls>]) -> Option<AtDoor> {
    match &arrival.tls {
        Some(tls) => is_misdirected(client, tls).then_some(AtDoor::Misdirected),
        None => {
            let path = client.req_header().raw_path();
            let challenge = listeners.iter().find_map(|tls| tls.http_challenge(path));
            challenge.map(AtDoor::Challenge).or(arrival.redirect_port.map(AtDoor::SendOn))
        }
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

/// How a request is answered that goes no further.
pub(super) fn reply(met: AtDoor, client: &ClientSession, listeners: &[Arc<ServerTls>]) -> Result<Reply, Rejection> {
    let (status, field, body) = match met {
        AtDoor::Misdirected => return Err(Rejection::Misdirected),
        AtDoor::SendOn(port) => {
            let location = https_location(client, port, listeners)?;
            (StatusCode::PERMANENT_REDIRECT, (header::LOCATION, location), Bytes::new())
        }
        AtDoor::Challenge(text) => {
            let kind = HeaderValue::from_static("application/octet-stream");
            (StatusCode::OK, (header::CONTENT_TYPE, kind), text.into())
        }
    };
    Ok(Reply { status, headers: vec![field], body, rejection: None })
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
