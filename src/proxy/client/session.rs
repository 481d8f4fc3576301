//! [`ClientSession`]: a request and its response with a client, in either version of HTTP.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use pingora::{
    Result,
    http::{RequestHeader, ResponseHeader},
    protocols::http::{HttpTask, v1::server::HttpSession},
};

use crate::proxy::client::{http2::StreamSession, transport::Transport};

/// One request of a client and its response. The session with an upstream is in
/// [`upstream::session`](crate::proxy::upstream::session).
#[expect(clippy::large_enum_variant)] // Moved once a connection; an allocation would be one for each request.
pub(in crate::proxy) enum ClientSession {
    /// HTTP/1.0 or 1.1: one request after another. Pingora's, since it knows all that matters for request smuggling.
    Http1(HttpSession),
    /// HTTP/2: one of many streams.
    Http2(Box<StreamSession>),
}

impl ClientSession {
    pub(in crate::proxy) fn req_header(&self) -> &RequestHeader {
        match self {
            Self::Http1(session) => session.req_header(),
            Self::Http2(session) => session.req_header(),
        }
    }

    /// The header as it came on the wire; nothing in HTTP/2, which has no one form of it.
    pub(in crate::proxy) fn raw_header(&self) -> Bytes {
        match self {
            Self::Http1(session) => session.get_headers_raw_bytes(),
            Self::Http2(_) => Bytes::new(),
        }
    }

    /// Whether the client knows chunks and interim responses. Of HTTP/2 both are part.
    pub(in crate::proxy) fn is_current(&self) -> bool {
        self.req_header().version != Version::HTTP_10
    }

    /// Whether the response says where its body ends by how it is framed, not by a field.
    pub(in crate::proxy) fn is_framed(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// Gives the request the limits of its connection.
    pub(in crate::proxy) fn limit(&mut self, body_timeout: Duration, drain_timeout: Duration) {
        match self {
            Self::Http1(session) => {
                // Without this, a client that sends its next request early has the one in progress aborted.
                session.set_pipelining_enabled(true);
                session.set_read_timeout(Some(body_timeout));
                // What is left of a refused request's body is read for so long, so that the client hears the refusal.
                session.set_total_drain_timeout(Some(drain_timeout));
            }
            Self::Http2(session) => session.set_read_timeout(Some(body_timeout)),
        }
    }

    /// Ends the connection after this request. A connection of HTTP/2 has others, and is told on its own.
    pub(in crate::proxy) fn close_after(&mut self) {
        if let Self::Http1(session) = self {
            session.set_server_keepalive(None);
        }
    }

    pub(in crate::proxy) fn is_body_empty(&mut self) -> bool {
        match self {
            Self::Http1(session) => session.is_body_empty(),
            Self::Http2(session) => session.is_body_empty(),
        }
    }

    pub(in crate::proxy) fn is_body_done(&mut self) -> bool {
        match self {
            Self::Http1(session) => session.is_body_done(),
            Self::Http2(session) => session.is_body_done(),
        }
    }

    pub(in crate::proxy) fn body_bytes_read(&self) -> usize {
        match self {
            Self::Http1(session) => session.body_bytes_read(),
            Self::Http2(session) => session.body_bytes_read(),
        }
    }

    pub(in crate::proxy) fn read_timeout(&self) -> Option<Duration> {
        match self {
            Self::Http1(session) => session.get_read_timeout(),
            Self::Http2(session) => session.read_timeout(),
        }
    }

    pub(in crate::proxy) fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        match self {
            Self::Http1(session) => session.set_read_timeout(timeout),
            Self::Http2(session) => session.set_read_timeout(timeout),
        }
    }

    /// The next piece of the body; none behind the last.
    pub(in crate::proxy) async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        match self {
            Self::Http1(session) => session.read_body_bytes().await,
            Self::Http2(session) => session.read_body().await,
        }
    }

    /// The same, and if there is no body left, the client's leaving, as an error.
    pub(in crate::proxy) async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        match self {
            Self::Http1(session) => session.read_body_or_idle(no_body_expected).await,
            Self::Http2(session) => session.read_body_or_idle(no_body_expected).await,
        }
    }

    pub(in crate::proxy) fn enable_retry_buffering(&mut self) {
        match self {
            Self::Http1(session) => session.enable_retry_buffering(),
            Self::Http2(session) => session.enable_retry_buffering(),
        }
    }

    pub(in crate::proxy) fn retry_buffer(&self) -> Option<Bytes> {
        match self {
            Self::Http1(session) => session.get_retry_buffer(),
            Self::Http2(session) => session.retry_buffer(),
        }
    }

    pub(in crate::proxy) fn retry_buffer_truncated(&self) -> bool {
        match self {
            Self::Http1(session) => session.retry_buffer_truncated(),
            Self::Http2(session) => session.retry_buffer_truncated(),
        }
    }

    /// Asks the client for its body (RFC 9110 section 10.1.1).
    pub(in crate::proxy) async fn write_continue_response(&mut self) -> Result<()> {
        match self {
            Self::Http1(session) => session.write_continue_response().await,
            Self::Http2(session) => session.write_header(ResponseHeader::build(StatusCode::CONTINUE, None)?, false),
        }
    }

    /// Whether a response has begun, other than an interim one.
    pub(in crate::proxy) fn has_answered(&self) -> bool {
        /// Followed by another one: 1xx, but not the switch to another protocol.
        fn is_interim(status: StatusCode) -> bool {
            status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
        }
        match self {
            Self::Http1(session) => session.response_written().is_some_and(|answer| !is_interim(answer.status)),
            Self::Http2(session) => session.has_answered(),
        }
    }

    /// The date that the next header tells; none: that of now.
    pub(in crate::proxy) fn keep_date(&mut self, date: Option<&HeaderValue>) {
        match self {
            Self::Http1(session) => {
                if let Some(kept) = Transport::date_of(session.stream()) {
                    kept.set(date);
                }
            }
            Self::Http2(session) => session.set_date(date),
        }
    }

    /// Writes the header of a response. `is_last`: no body follows.
    pub(in crate::proxy) async fn write_header(&mut self, header: Box<ResponseHeader>, is_last: bool) -> Result<()> {
        match self {
            Self::Http1(session) => session.write_response_header(header).await,
            Self::Http2(session) => session.write_header(*header, is_last),
        }
    }

    /// Writes a piece of the body, which is not empty.
    pub(in crate::proxy) async fn write_body(&mut self, piece: Bytes, is_last: bool) -> Result<()> {
        match self {
            Self::Http1(session) => session.write_body(&piece).await.map(drop),
            Self::Http2(session) => session.write_body(piece, is_last).await,
        }
    }

    /// Writes fields behind the body, which end the response. They are left out in HTTP/1.1.
    pub(in crate::proxy) fn write_trailers(&mut self, fields: HeaderMap) -> Result<()> {
        match self {
            Self::Http1(_) => Ok(()),
            Self::Http2(session) => session.write_trailers(fields),
        }
    }

    /// Has them written by [`write_tasks`](Self::write_tasks).
    pub(in crate::proxy) fn send_trailers(&mut self, fields: Box<HeaderMap>) {
        match self {
            Self::Http1(session) => session.send_proxy_task(HttpTask::Body(None, true)),
            Self::Http2(session) => session.send_task(HttpTask::Trailer(Some(fields))),
        }
    }

    /// Ends the response.
    pub(in crate::proxy) async fn finish_body(&mut self) -> Result<()> {
        match self {
            Self::Http1(session) => session.finish_body().await.map(drop),
            Self::Http2(session) => session.finish(),
        }
    }

    /// Has a piece of the response written by [`write_tasks`](Self::write_tasks).
    pub(in crate::proxy) fn send_task(&mut self, task: HttpTask) {
        match self {
            Self::Http1(session) => session.send_proxy_task(task),
            Self::Http2(session) => session.send_task(task),
        }
    }

    pub(in crate::proxy) fn has_pending_tasks(&self) -> bool {
        match self {
            Self::Http1(session) => session.has_pending_proxy_tasks(),
            Self::Http2(session) => session.has_pending_tasks(),
        }
    }

    /// Writes what was given to [`send_task`](Self::send_task). Can be dropped and called again.
    pub(in crate::proxy) async fn write_tasks(&mut self) -> Result<()> {
        match self {
            Self::Http1(session) => session.write_proxy_tasks().await.map(drop),
            Self::Http2(session) => session.write_tasks().await,
        }
    }

    /// Whether the connection ends after a response that comes before the end of the request. A stream of HTTP/2 does of itself.
    pub(in crate::proxy) fn close_on_early_response(&mut self, closes: bool) {
        if let Self::Http1(session) = self {
            session.set_close_on_response_before_downstream_finish(closes);
        }
    }
}
