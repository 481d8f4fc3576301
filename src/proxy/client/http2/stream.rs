//! [`StreamSession`]: one request of an HTTP/2 connection and its response, with the methods that Pingora's session has for one
//! of HTTP/1.1.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use h2::{RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, response};
use pingora::{
    Error, ErrorType, OrErr as _, Result,
    http::{RequestHeader, ResponseHeader},
    protocols::http::{HttpTask, date::get_cached_date},
};

use crate::proxy::{client::request_state::RequestState, http::LazyTimer};

/// Bytes of a body that are kept for a second attempt, as many as of one of HTTP/1.1.
const MAX_RETRY_BYTES: usize = 64 * 1024;

/// Fields that HTTP/2 does not have (RFC 9113 section 8.2.2), and one that speaks of the upstream's own origin (RFC 7838).
const NOT_TOLD: [HeaderName; 6] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::ALT_SVC,
];

/// One request and its response. Dropped before the response is whole, it resets the stream.
pub(in crate::proxy) struct StreamSession {
    request: RequestHeader,
    body: RecvStream,
    body_read: usize,
    /// Bytes of the piece of the body that was read last. The client may send as many more when the next one is asked for, so what an
    /// upstream does not take is not sent for by the gateway either.
    unreleased: usize,
    read_timeout: Option<Duration>,
    retry: Option<Retry>,
    respond: SendResponse<Bytes>,
    response: Option<SendStream<Bytes>>,
    /// Whether the response is whole.
    is_ended: bool,
    date: Option<HeaderValue>,
    tasks: VecDeque<HttpTask>,
    state: Arc<RequestState>,
    /// With a client that does not take what is written.
    write_timer: LazyTimer,
    is_blocked: bool,
}

/// What was read of a body, for a second attempt.
#[derive(Default)]
struct Retry {
    bytes: BytesMut,
    is_truncated: bool,
}

impl StreamSession {
    pub(super) fn new(request: RequestHeader, body: RecvStream, respond: SendResponse<Bytes>, state: Arc<RequestState>) -> Self {
        Self {
            request,
            body,
            body_read: 0,
            unreleased: 0,
            read_timeout: None,
            retry: None,
            respond,
            response: None,
            is_ended: false,
            date: None,
            tasks: VecDeque::new(),
            state,
            write_timer: LazyTimer::unlimited(),
            is_blocked: false,
        }
    }

    pub(in crate::proxy) fn req_header(&self) -> &RequestHeader {
        &self.request
    }

    /// Whether the request has no body.
    pub(in crate::proxy) fn is_body_empty(&self) -> bool {
        self.body_read == 0 && self.body.is_end_stream()
    }

    /// Whether all of the body has been read.
    pub(in crate::proxy) fn is_body_done(&self) -> bool {
        self.body.is_end_stream()
    }

    pub(in crate::proxy) fn body_bytes_read(&self) -> usize {
        self.body_read
    }

    /// How long the client may pause in its body.
    pub(in crate::proxy) fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout;
    }

    pub(in crate::proxy) fn read_timeout(&self) -> Option<Duration> {
        self.read_timeout
    }

    /// Keeps what is read of the body.
    pub(in crate::proxy) fn enable_retry_buffering(&mut self) {
        self.retry.get_or_insert_default();
    }

    /// What was read of the body, if all of it was kept.
    pub(in crate::proxy) fn retry_buffer(&self) -> Option<Bytes> {
        self.retry.as_ref().filter(|retry| !retry.is_truncated).map(|retry| Bytes::copy_from_slice(&retry.bytes))
    }

    pub(in crate::proxy) fn retry_buffer_truncated(&self) -> bool {
        self.retry.as_ref().is_some_and(|retry| retry.is_truncated)
    }

    /// The next piece of the body; none behind the last.
    pub(in crate::proxy) async fn read_body(&mut self) -> Result<Option<Bytes>> {
        let Some(timeout) = self.read_timeout else { return poll_fn(|task| self.poll_body(task)).await };
        match tokio::time::timeout(timeout, poll_fn(|task| self.poll_body(task))).await {
            Ok(piece) => piece,
            Err(_) => Error::e_explain(ErrorType::ReadTimedout, "the client stopped sending its body"),
        }
    }

    fn poll_body(&mut self, task: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        let released = self.body.flow_control().release_capacity(std::mem::take(&mut self.unreleased));
        released.or_err(ErrorType::ReadError, "while reading the body of a stream")?;
        let piece =
            ready!(self.body.poll_data(task)).transpose().or_err(ErrorType::ReadError, "while reading the body of a stream")?;
        if let Some(piece) = &piece {
            self.unreleased = piece.len();
            self.body_read += piece.len();
            if let Some(retry) = &mut self.retry {
                retry.keep(piece);
            }
        }
        Poll::Ready(Ok(piece))
    }

    /// Reads the body, or waits for the client to leave if there is none left.
    pub(in crate::proxy) async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        if !no_body_expected && !self.is_body_done() {
            return self.read_body().await;
        }
        let left = poll_fn(|task| match &mut self.response {
            Some(response) => response.poll_reset(task),
            None => self.respond.poll_reset(task),
        });
        left.await.or_err(ErrorType::ConnectionClosed, "the client's connection ended")?;
        Error::e_explain(ErrorType::ConnectionClosed, "the client reset the stream")
    }

    /// Whether a response has begun, other than an interim one.
    pub(in crate::proxy) fn has_answered(&self) -> bool {
        self.response.is_some()
    }

    /// The date that the response tells; none: that of now.
    pub(in crate::proxy) fn set_date(&mut self, date: Option<&HeaderValue>) {
        self.date = date.cloned();
    }

    /// Sends the header of a response; an interim one, too. `is_last`: no body follows.
    pub(in crate::proxy) fn write_header(&mut self, header: ResponseHeader, is_last: bool) -> Result<()> {
        if self.is_ended || self.response.is_some() {
            return Ok(());
        }
        let mut parts = response::Parts::from(header);
        for name in &NOT_TOLD {
            parts.headers.remove(name);
        }
        if parts.status.is_informational() {
            // A switch of protocols is none of HTTP/2.
            if parts.status != StatusCode::SWITCHING_PROTOCOLS {
                let sent = self.respond.send_informational(Response::from_parts(parts, ()));
                sent.or_err(ErrorType::WriteError, "while sending an interim response")?;
            }
            return Ok(());
        }
        add_date(&mut parts.headers, self.date.take());
        let sent = self.respond.send_response(Response::from_parts(parts, ()), is_last);
        self.response = Some(sent.or_err(ErrorType::WriteError, "while sending a response")?);
        self.is_ended = is_last;
        Ok(())
    }

    /// Sends a piece of the body. Resolves when the connection has taken all of it.
    pub(in crate::proxy) async fn write_body(&mut self, mut piece: Bytes, is_last: bool) -> Result<()> {
        poll_fn(|task| self.poll_write(task, &mut piece, is_last)).await
    }

    /// Sends what it can of the piece, and removes that.
    fn poll_write(&mut self, task: &mut Context<'_>, piece: &mut Bytes, is_last: bool) -> Poll<Result<()>> {
        if self.is_ended {
            return Poll::Ready(Ok(()));
        }
        let sent = self.poll_send(task, piece, is_last);
        self.bound(task, sent)
    }

    fn poll_send(&mut self, task: &mut Context<'_>, piece: &mut Bytes, is_last: bool) -> Poll<Result<()>> {
        let Some(response) = &mut self.response else {
            return Poll::Ready(Error::e_explain(ErrorType::InternalError, "a body before its header"));
        };
        let failed = "while sending the body of a response";
        while !piece.is_empty() {
            response.reserve_capacity(piece.len());
            if response.capacity() == 0 {
                match ready!(response.poll_capacity(task)) {
                    Some(capacity) => capacity.or_err(ErrorType::WriteError, failed)?,
                    None => return Poll::Ready(Error::e_explain(ErrorType::WriteError, failed)),
                };
                continue;
            }
            let part = piece.split_to(response.capacity().min(piece.len()));
            let is_end = is_last && piece.is_empty();
            response.send_data(part, is_end).or_err(ErrorType::WriteError, failed)?;
            self.is_ended = is_end;
        }
        Poll::Ready(Ok(()))
    }

    /// Notes whether the client takes what is written, and bounds how long it does not.
    fn bound(&mut self, task: &mut Context<'_>, written: Poll<Result<()>>) -> Poll<Result<()>> {
        let was_blocked = std::mem::replace(&mut self.is_blocked, written.is_pending());
        if self.is_blocked || was_blocked {
            self.state.blocks_writes(self.is_blocked);
        }
        if self.is_blocked {
            if !was_blocked {
                self.write_timer.restart(Some(self.state.write_timeout()));
            }
            ready!(self.write_timer.poll_exceeded(task));
            let late = io::Error::from(io::ErrorKind::TimedOut);
            return Poll::Ready(Error::e_because(ErrorType::WriteTimedout, "the client does not read", late));
        }
        written
    }

    /// Ends the response, if that has not been done with its last piece.
    pub(in crate::proxy) fn finish(&mut self) -> Result<()> {
        match &mut self.response {
            Some(response) if !self.is_ended => {
                self.is_ended = true;
                response.send_data(Bytes::new(), true).or_err(ErrorType::WriteError, "while ending a response")
            }
            _ => Ok(()),
        }
    }

    /// Ends the response with fields behind its body.
    pub(in crate::proxy) fn write_trailers(&mut self, fields: HeaderMap) -> Result<()> {
        match &mut self.response {
            Some(response) if !self.is_ended => {
                self.is_ended = true;
                response.send_trailers(fields).or_err(ErrorType::WriteError, "while ending a response")
            }
            _ => Ok(()),
        }
    }

    /// Puts a piece of the response behind those that are being sent.
    pub(in crate::proxy) fn send_task(&mut self, task: HttpTask) {
        self.tasks.push_back(task);
    }

    pub(in crate::proxy) fn has_pending_tasks(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// Sends them. What is left when this is dropped, the next call sends.
    pub(in crate::proxy) async fn write_tasks(&mut self) -> Result<()> {
        poll_fn(|task| {
            while let Some(next) = self.tasks.pop_front() {
                ready!(self.poll_task(task, next))?;
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    fn poll_task(&mut self, task: &mut Context<'_>, next: HttpTask) -> Poll<Result<()>> {
        let is_last = match next {
            HttpTask::Header(header, is_last) => return Poll::Ready(self.write_header(*header, is_last)),
            HttpTask::Body(Some(mut piece), is_last) => {
                if self.poll_write(task, &mut piece, is_last)?.is_pending() {
                    self.tasks.push_front(HttpTask::Body(Some(piece), is_last));
                    return Poll::Pending;
                }
                is_last
            }
            HttpTask::Body(None, is_last) => is_last,
            HttpTask::Trailer(Some(fields)) => return Poll::Ready(self.write_trailers(*fields)),
            _ => false,
        };
        Poll::Ready(if is_last { self.finish() } else { Ok(()) })
    }
}

impl Retry {
    fn keep(&mut self, piece: &[u8]) {
        if self.bytes.len() + piece.len() > MAX_RETRY_BYTES {
            self.is_truncated = true;
            self.bytes = BytesMut::new();
        }
        if !self.is_truncated {
            self.bytes.extend_from_slice(piece);
        }
    }
}

/// A response tells when it was made (RFC 9110 section 6.6.1).
fn add_date(headers: &mut HeaderMap, date: Option<HeaderValue>) {
    if let Some(date) = date.or_else(|| (!headers.contains_key(header::DATE)).then(get_cached_date)) {
        headers.insert(header::DATE, date);
    }
}
