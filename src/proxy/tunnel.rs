//! The handshake of a WebSocket with the upstream. What happens after the 101 is in [`carriage`](super::carriage).
//!
//! The tunnel is ours, not Pingora's: Pingora 0.9.1 ends a tunnel silently if the upstream answers 101 before the (empty) request body was
//! passed on, which on a busy machine loses one socket in four.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, StatusCode, Version, header};
use pingora::{
    Error, ErrorType, Result,
    connectors::TransportConnector,
    http::{RequestHeader, ResponseHeader},
    protocols::{Stream, http::v1::client::HttpSession as UpstreamSession},
    proxy::Session,
    upstreams::peer::HttpPeer,
};
/// Whether a request asks for a WebSocket (RFC 6455 section 4.1). Other upgrades are forwarded as ordinary requests.
pub(super) fn is_websocket_request(session: &mut Session) -> bool {
    asks_for_websocket(session.req_header()) && session.as_downstream_mut().is_body_empty()
}

/// Whether a header asks for a WebSocket.
pub(super) fn asks_for_websocket(request: &RequestHeader) -> bool {
    request.version == Version::HTTP_11
        && request.method == http::Method::GET
        && request.headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && nominations(&request.headers).any(|name| name.eq_ignore_ascii_case("upgrade"))
}

/// Turns the client's header into one for the upstream: hop-by-hop fields go (RFC 9110 section 7.6.1), the handshake stays.
///
/// Errors: 400 for a `Connection` that names what is not its own.
pub(super) fn prepare_handshake(request: &mut RequestHeader) -> Result<()> {
    const HOP_BY_HOP: [HeaderName; 6] = [
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::CONTENT_LENGTH,
    ];
    const NEVER_NOMINATED: [&str; 4] = ["host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
    const MOST_NOMINATIONS: usize = 9;

    let nominated: Vec<String> = nominations(&request.headers).map(str::to_ascii_lowercase).collect();
    let is_fine = |name: &String| !NEVER_NOMINATED.contains(&name.as_str()) && HeaderName::from_bytes(name.as_bytes()).is_ok();
    if nominated.len() > MOST_NOMINATIONS || !nominated.iter().all(is_fine) {
        return Err(Error::explain(ErrorType::HTTPStatus(400), "a malformed Connection header").into_down());
    }
    for name in nominated.iter().map(String::as_str).chain(["keep-alive", "proxy-connection", "http2-settings"]) {
        request.remove_header(name);
    }
    for name in &HOP_BY_HOP {
        request.remove_header(name);
    }
    request.insert_header(header::CONNECTION, "Upgrade")?;
    request.insert_header(header::UPGRADE, "websocket")
}

/// What the upstream made of a handshake.
pub(super) enum Handshake {
    /// 101: the header, and the connection with what came behind it.
    Switched(Box<ResponseHeader>, Stream, Option<Bytes>),
    /// Another answer, to be relayed as it is.
    Answered(Box<ResponseHeader>, Box<UpstreamSession>),
}

/// Connects, TLS included. All errors are the upstream's.
pub(super) async fn connect(connector: &TransportConnector, peer: &HttpPeer) -> Result<Stream> {
    let connect_timeout = peer.options.total_connection_timeout.unwrap_or(Duration::MAX);
    tokio::time::timeout(connect_timeout, connector.new_stream(peer))
        .await
        .map_err(|_| Error::explain(ErrorType::ConnectTimedout, "the upstream does not accept a connection").into_up())?
        .map_err(|error| error.into_up())
}

/// Shakes hands on a new connection. All errors are the upstream's.
pub(super) async fn shake_hands(stream: Stream, peer: &HttpPeer, request: RequestHeader) -> Result<Handshake> {
    let mut upstream = UpstreamSession::new_with_options(stream, peer);
    upstream.read_timeout = peer.options.read_timeout;
    upstream.write_timeout = peer.options.write_timeout;
    upstream.write_request_header(Box::new(request)).await.map_err(|error| error.into_up())?;
    let header = final_header(&mut upstream).await.map_err(|error| error.into_up())?;
    if header.status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Handshake::Answered(header, Box::new(upstream)));
    }
    // What the upstream sent right behind its header has been read already.
    let early = upstream.read_body_bytes().now_or_never().transpose().map_err(|error| error.into_up())?.flatten();
    Ok(Handshake::Switched(header, upstream.into_inner(), early))
}

/// The header of the answer; informational ones before it are passed over.
async fn final_header(upstream: &mut UpstreamSession) -> Result<Box<ResponseHeader>> {
    loop {
        let header = upstream.read_resp_header_parts().await?;
        if !header.status.is_informational() || header.status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(header);
        }
    }
}

/// Relays an answer that is no 101.
pub(super) async fn relay_answer(
    session: &mut Session,
    mut header: Box<ResponseHeader>,
    mut upstream: Box<UpstreamSession>,
) -> Result<()> {
    let nominated: Vec<String> = nominations(&header.headers).map(str::to_ascii_lowercase).collect();
    for name in nominated.iter().map(String::as_str).chain(["connection", "keep-alive", "proxy-connection", "upgrade"]) {
        header.remove_header(name);
    }
    let is_empty = upstream.is_body_done();
    let has_end = header.headers.contains_key(header::CONTENT_LENGTH) || header.headers.contains_key(header::TRANSFER_ENCODING);
    if !is_empty && !has_end {
        // The upstream ends this body by closing. Chunks tell the client whether it got all of it.
        header.insert_header(header::TRANSFER_ENCODING, "chunked")?;
    }
    session.write_response_header(header, is_empty).await.map_err(|error| error.into_down())?;
    while let Some(piece) = upstream.read_body_bytes().await.map_err(|error| error.into_up())? {
        session.write_response_body(Some(piece), false).await.map_err(|error| error.into_down())?;
    }
    if is_empty { Ok(()) } else { session.write_response_body(None, true).await.map_err(|error| error.into_down()) }
}

fn nominations(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::CONNECTION).iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&'static str, &str)]) -> RequestHeader {
        let mut request = RequestHeader::build("GET", b"/live", None).unwrap();
        for (name, value) in headers {
            request.append_header(*name, *value).unwrap();
        }
        request
    }

    #[test]
    fn the_handshake_stays_and_hop_by_hop_fields_go() {
        let mut handshake = request(&[
            ("Connection", "keep-alive, Upgrade, x-private"),
            ("Upgrade", "WebSocket"),
            ("Keep-Alive", "5"),
            ("TE", "trailers"),
            ("X-Private", "1"),
            ("Sec-WebSocket-Key", "k"),
        ]);
        prepare_handshake(&mut handshake).unwrap();
        let mut names: Vec<_> = handshake.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["connection", "sec-websocket-key", "upgrade"]);
        assert_eq!(handshake.headers[header::UPGRADE], "websocket");
    }

    #[test]
    fn a_connection_header_may_not_name_what_is_not_its_own() {
        for value in ["Upgrade, Host", "Upgrade, X-Forwarded-For", "Upgrade, a b", "a,b,c,d,e,f,g,h,i,Upgrade"] {
            let refused = prepare_handshake(&mut request(&[("Connection", value)])).unwrap_err();
            assert_eq!(refused.etype(), &ErrorType::HTTPStatus(400), "{value}");
        }
    }
}
