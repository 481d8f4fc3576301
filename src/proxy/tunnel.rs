//! The handshake of a WebSocket with the upstream. What happens after the 101 is in [`carriage`](super::carriage).
//!
//! The tunnel is ours, not Pingora's: Pingora 0.9.1 ends a tunnel silently if the upstream answers 101 before the (empty) request body was
//! passed on, which on a busy machine loses one socket in four.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, StatusCode, Version, header};
use pingora::{
    Error, ErrorType, Result,
    connectors::TransportConnector,
    http::{RequestHeader, ResponseHeader},
    protocols::Stream,
    upstreams::peer::HttpPeer,
};

use crate::proxy::{
    hop_by_hop::connection_options,
    relay::mark_end,
    session::{ClientSession, UpstreamSession},
};

/// Whether a header with this `Upgrade` asks for a WebSocket (RFC 6455 section 4.1). Other upgrades are forwarded as ordinary requests, and
/// so is what has a body.
pub(super) fn asks_for_websocket(request: &RequestHeader, upgrade: Option<&HeaderValue>) -> bool {
    upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && request.version == Version::HTTP_11
        && request.method == http::Method::GET
        && connection_options(&request.headers).any(|option| option.eq_ignore_ascii_case(b"upgrade"))
}

/// Makes a request for the upstream, whose hop-by-hop fields are gone, ask for a WebSocket.
pub(super) fn ask_for_websocket(request: &mut RequestHeader) -> Result<()> {
    // There is no body, whatever a client says of its length.
    request.remove_header(&header::CONTENT_LENGTH);
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
    client: &mut ClientSession,
    mut header: Box<ResponseHeader>,
    mut upstream: Box<UpstreamSession>,
) -> Result<()> {
    let nominated: Vec<_> = connection_options(&header.headers).filter_map(|name| HeaderName::from_bytes(name).ok()).collect();
    for name in &nominated {
        header.remove_header(name);
    }
    for name in ["connection", "keep-alive", "proxy-connection", "upgrade"] {
        header.remove_header(name);
    }
    let is_empty = upstream.is_body_done();
    mark_end(client, &mut header, is_empty)?;
    client.write_response_header(header).await.map_err(|error| error.into_down())?;
    while let Some(piece) = upstream.read_body_bytes().await.map_err(|error| error.into_up())? {
        // Nothing is what ends a chunked body.
        if piece.is_empty() {
            continue;
        }
        client.write_body(&piece).await.map_err(|error| error.into_down())?;
    }
    client.finish_body().await.map(drop).map_err(|error| error.into_down())
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

    fn asks(headers: &[(&'static str, &str)]) -> bool {
        let request = request(headers);
        asks_for_websocket(&request, request.headers.get(header::UPGRADE))
    }

    #[test]
    fn a_websocket_is_asked_for_by_two_headers() {
        for headers in [
            &[("Connection", "Upgrade"), ("Upgrade", "websocket")][..],
            &[("connection", "keep-alive, upgrade"), ("upgrade", "WebSocket")],
            &[("connection", "keep-alive"), ("connection", "upgrade"), ("upgrade", "websocket")],
        ] {
            assert!(asks(headers), "{headers:?}");
        }
        for headers in [
            &[][..],
            &[("upgrade", "websocket")],
            &[("connection", "upgrade")],
            &[("connection", "upgrade"), ("upgrade", "h2c")],
            &[("connection", "keep-alive"), ("upgrade", "websocket")],
        ] {
            assert!(!asks(headers), "{headers:?}");
        }
        let mut other = request(&[("connection", "upgrade"), ("upgrade", "websocket")]);
        let asks = |request: &RequestHeader| asks_for_websocket(request, request.headers.get(header::UPGRADE));
        assert!(asks(&other));
        other.set_method(http::Method::POST);
        assert!(!asks(&other));
        other.set_method(http::Method::GET);
        other.set_version(Version::HTTP_10);
        assert!(!asks(&other));
    }
}
