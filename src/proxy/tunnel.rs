//! The handshake of a WebSocket with the upstream. What happens after the 101 is in [`carriage`](super::carriage).
//!
//! The tunnel is ours, not Pingora's: Pingora 0.9.1 ends a tunnel silently if the upstream answers 101 before the (empty) request body was
//! passed on, which on a busy machine loses one socket in four.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, Version, header};
use pingora::{
    Error, ErrorType, Result,
    connectors::TransportConnector,
    http::{RequestHeader, ResponseHeader},
    protocols::Stream,
    upstreams::peer::HttpPeer,
};

use crate::proxy::{
    hop_by_hop::connection_options,
    relay::{mark_end, write},
    session::ClientSession,
    upstream_session::{Changes, Piece, UpstreamRequest, UpstreamSession},
};

/// Whether a header with this `Upgrade` asks for a WebSocket (RFC 6455 section 4.1). Other upgrades are forwarded as ordinary requests, and
/// so is what has a body.
pub(super) fn asks_for_websocket(request: &RequestHeader, upgrade: Option<&HeaderValue>) -> bool {
    upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && request.version == Version::HTTP_11
        && request.method == http::Method::GET
        && connection_options(&request.headers).any(|option| option.eq_ignore_ascii_case(b"upgrade"))
}

/// Makes a request for the upstream ask for a WebSocket.
pub(super) fn ask_for_websocket(changes: &mut Changes<'_>) {
    // There is no body, whatever a client says of its length.
    changes.remove(header::CONTENT_LENGTH);
    changes.set(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    changes.set(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// What the upstream made of a handshake.
pub(super) enum Handshake {
    /// 101: the header, and the connection with what came behind it.
    Switched(Box<ResponseHeader>, Stream, Option<Bytes>),
    /// Another answer, to be relayed as it is.
    Answered(Answered),
}

/// The header of an answer that is no 101, and where its body comes from.
pub(super) struct Answered {
    pub(super) header: Box<ResponseHeader>,
    is_last: bool,
    upstream: UpstreamSession,
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
pub(super) async fn shake_hands(stream: Stream, peer: &HttpPeer, request: &UpstreamRequest) -> Result<Handshake> {
    let mut upstream = UpstreamSession::new(stream, request);
    within(peer.options.write_timeout, ErrorType::WriteTimedout, upstream.send(b"", true)).await?;
    loop {
        match within(peer.options.read_timeout, ErrorType::ReadTimedout, upstream.read()).await? {
            Piece::Header { header, .. } if header.status == StatusCode::SWITCHING_PROTOCOLS => {
                let (stream, early) = upstream.into_switched();
                return Ok(Handshake::Switched(header, stream, early));
            }
            // It is followed by another one.
            Piece::Header { header, .. } if header.status.is_informational() => {}
            Piece::Header { header, is_last } => return Ok(Handshake::Answered(Answered { header, is_last, upstream })),
            Piece::Body { .. } => return Err(Error::explain(ErrorType::InvalidHTTPHeader, "a body without a header").into_up()),
        }
    }
}

/// Relays an answer that is no 101.
pub(super) async fn relay_answer(client: &mut ClientSession, answered: Answered, peer: &HttpPeer) -> Result<()> {
    let Answered { mut header, is_last, mut upstream } = answered;
    mark_end(client, &mut header, is_last)?;
    let mut piece = Piece::Header { header, is_last };
    loop {
        let is_last = piece.is_last();
        write(client, piece).await.map_err(|error| error.into_down())?;
        if is_last {
            return Ok(());
        }
        piece = within(peer.options.read_timeout, ErrorType::ReadTimedout, upstream.read()).await?;
    }
}

/// Waits for the upstream, for so long.
async fn within<T>(limit: Option<Duration>, exceeded: ErrorType, work: impl Future<Output = Result<T>>) -> Result<T> {
    let done = tokio::time::timeout(limit.unwrap_or(Duration::MAX), work).await;
    done.unwrap_or_else(|_| Err(Error::explain(exceeded, "the upstream neither says nor takes anything")))
        .map_err(|error| error.into_up())
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
