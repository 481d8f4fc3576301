//! The handshake of a WebSocket with the upstream. After the 101, [`pump`](super::pump) takes over.
//!
//! The tunnel is ours, not Pingora's: Pingora 0.9.1 ends a tunnel silently if the upstream answers 101 before the (empty)
//! request body was passed on, which on a busy machine loses one WebSocket in four.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use pingora::{Error, ErrorType, Result, http::ResponseHeader, protocols::Stream, upstreams::peer::HttpPeer};

use crate::proxy::{
    client::ClientSession,
    http::{Changes, switch},
    relay::{mark_end, write},
    upstream::{Http1Session, Piece, UpstreamRequest},
};

/// Makes a request for the upstream ask for a WebSocket.
pub(in crate::proxy) fn ask_for_websocket(changes: &mut Changes<'_>) {
    // There is no body, whatever a client says of its length.
    changes.remove(header::CONTENT_LENGTH);
    changes.set(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    changes.set(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// What the upstream made of a handshake.
pub(in crate::proxy) enum Handshake {
    /// 101, and the one that was asked for: the header, and the connection with what came behind it.
    Switched(Box<ResponseHeader>, Stream, Option<Bytes>),
    /// Another answer, to be relayed as it is.
    Answered(Box<Answered>),
}

/// The header of an answer that is no 101, and where its body comes from.
pub(in crate::proxy) struct Answered {
    pub(in crate::proxy) header: Box<ResponseHeader>,
    date: Option<HeaderValue>,
    is_last: bool,
    is_delimited: bool,
    upstream: Http1Session,
}

/// Shakes hands on a new connection, for a client whose handshake requires this `Sec-WebSocket-Accept`. All errors are the upstream's.
pub(in crate::proxy) async fn shake_hands(
    stream: Stream,
    peer: &HttpPeer,
    request: &UpstreamRequest,
    accept: &str,
) -> Result<Handshake> {
    let mut upstream = Http1Session::new(stream, request);
    within(peer.options.write_timeout, ErrorType::WriteTimedout, upstream.send(Bytes::new(), true)).await?;
    loop {
        match within(peer.options.read_timeout, ErrorType::ReadTimedout, upstream.read()).await? {
            Piece::Header { header, .. } if header.status == StatusCode::SWITCHING_PROTOCOLS => {
                let malformed = |what| Error::explain(ErrorType::InvalidHTTPHeader, what).into_up();
                switch::check(&header.headers, accept).map_err(malformed)?;
                let (stream, early) = upstream.into_switched();
                return Ok(Handshake::Switched(header, stream, early));
            }
            // It is followed by another one.
            Piece::Header { header, .. } if header.status.is_informational() => {}
            Piece::Header { header, date, is_last, is_delimited } => {
                return Ok(Handshake::Answered(Box::new(Answered { header, date, is_last, is_delimited, upstream })));
            }
            Piece::Body { .. } | Piece::Trailers(_) => {
                return Err(Error::explain(ErrorType::InvalidHTTPHeader, "a body without a header").into_up());
            }
        }
    }
}

/// Relays an answer that is no 101.
pub(in crate::proxy) async fn relay_answer(client: &mut ClientSession, answered: Box<Answered>, peer: &HttpPeer) -> Result<()> {
    let Answered { mut header, date, is_last, is_delimited, mut upstream } = *answered;
    mark_end(client, &mut header, is_delimited)?;
    let mut piece = Piece::Header { header, date, is_last, is_delimited };
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
    done.unwrap_or_else(|_| Err(Error::explain(exceeded, "the upstream neither sends nor reads"))).map_err(|error| error.into_up())
}
