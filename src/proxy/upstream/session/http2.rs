//! [`Http2Session`]: one stream of an HTTP/2 connection to an upstream (RFC 9113), under the flow control of both sides.

use std::{
    future::Future as _,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{
    Reason, RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
};
use http::{HeaderMap, HeaderName, Request, header, response};
use pingora::{Error, ErrorType, Result, RetryType, http::ResponseHeader};

use super::{answer::Piece, request::Http2Request};

/// Fields that are between the upstream and the gateway (RFC 9113 section 8.2.2).
const BETWEEN: [HeaderName; 5] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// The right to one stream of a connection. It counts among the connection's streams while this lives.
pub(in crate::proxy::upstream) struct Sender {
    requests: SendRequest<Bytes>,
    streams: Arc<AtomicUsize>,
}

impl Sender {
    pub(in crate::proxy::upstream) fn new(requests: SendRequest<Bytes>, streams: &Arc<AtomicUsize>) -> Self {
        streams.fetch_add(1, Relaxed);
        Self { requests, streams: Arc::clone(streams) }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.streams.fetch_sub(1, Relaxed);
    }
}

/// One request and its response. Dropped before both are whole, it resets the stream (CANCEL).
pub(in crate::proxy) struct Http2Session {
    sender: Sender,
    /// Until it is sent.
    request: Option<Request<()>>,
    queued: Option<(Bytes, bool)>,
    body: Option<SendStream<Bytes>>,
    sent: u64,
    response: Option<ResponseFuture>,
    answer: Option<RecvStream>,
    /// What was read and not yet given back to the upstream's window: the client has to take it first.
    unreleased: usize,
    /// Whether the connection has taken the request.
    is_open: bool,
    /// Whether it could not.
    is_unsendable: bool,
}

impl Http2Session {
    /// Nothing is sent yet.
    pub(in crate::proxy::upstream) fn new(sender: Sender, request: &Http2Request) -> Self {
        Self {
            sender,
            request: Some(request.get()),
            queued: None,
            body: None,
            sent: 0,
            response: None,
            answer: None,
            unreleased: 0,
            is_open: false,
            is_unsendable: false,
        }
    }

    pub(super) fn queue(&mut self, part: Bytes, is_last: bool) {
        self.queued = Some((part, is_last));
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends what is queued, as far as the upstream's window allows.
    pub(super) fn poll_send(&mut self, task: &mut Context<'_>) -> Poll<Result<()>> {
        if self.request.is_some() {
            ready!(self.poll_open(task))?;
        }
        let Some(body) = &mut self.body else { return Poll::Ready(Ok(())) };
        while let Some((part, is_last)) = &mut self.queued {
            if part.is_empty() {
                if *is_last {
                    body.send_data(Bytes::new(), true).map_err(|error| lost(&error, false))?;
                }
                self.queued = None;
                break;
            }
            body.reserve_capacity(part.len());
            let mut room = body.capacity();
            if room == 0 {
                room = match ready!(body.poll_capacity(task)) {
                    Some(room) => room.map_err(|error| lost(&error, false))?,
                    None => {
                        return Poll::Ready(Error::e_explain(ErrorType::WriteError, "the upstream takes no more of the request"));
                    }
                };
            }
            let piece = part.split_to(room.min(part.len()));
            let ends = *is_last && part.is_empty();
            self.sent = self.sent.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            if !piece.is_empty() {
                body.send_data(piece, ends).map_err(|error| lost(&error, false))?;
            }
            if ends {
                self.queued = None;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Opens the stream with the header; with its end, if there is no body.
    fn poll_open(&mut self, task: &mut Context<'_>) -> Poll<Result<()>> {
        let ends = match &self.queued {
            Some((part, is_last)) => *is_last && part.is_empty(),
            None => return Poll::Ready(Ok(())),
        };
        let opened = match ready!(self.sender.requests.poll_ready(task)) {
            Ok(()) => match self.request.take() {
                Some(request) => self.sender.requests.send_request(request, ends),
                None => return Poll::Ready(Ok(())),
            },
            Err(error) => Err(error),
        };
        match opened {
            Ok((response, body)) => {
                (self.response, self.is_open) = (Some(response), true);
                self.sent = self.sent.saturating_add(1);
                if ends {
                    self.queued = None;
                } else {
                    self.body = Some(body);
                }
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                self.request = None;
                self.is_unsendable = true;
                let mut error = lost(&error, false);
                // Nothing was sent at all.
                error.retry = RetryType::Decided(true);
                Poll::Ready(Err(error))
            }
        }
    }

    pub(super) fn poll_read(&mut self, task: &mut Context<'_>) -> Poll<Result<Piece>> {
        if let Some(response) = &mut self.response {
            if let Poll::Ready(Some(interim)) = response.poll_informational(task) {
                let (parts, ()) = interim.map_err(|error| lost(&error, true))?.into_parts();
                return Poll::Ready(header(parts, false));
            }
            let answer = ready!(Pin::new(response).poll(task)).map_err(|error| lost(&error, true))?;
            self.response = None;
            let (parts, body) = answer.into_parts();
            let is_last = body.is_end_stream();
            self.answer = Some(body);
            return Poll::Ready(header(parts, is_last));
        }
        let Some(answer) = &mut self.answer else {
            if self.is_unsendable {
                let mut error = Error::explain(ErrorType::ConnectionClosed, "the connection takes no more requests");
                error.retry = RetryType::Decided(true);
                return Poll::Ready(Err(error));
            }
            // Sending wakes the task.
            return Poll::Pending;
        };
        let unreleased = std::mem::take(&mut self.unreleased);
        if unreleased > 0 {
            // Fails only where the stream is over.
            let _ = answer.flow_control().release_capacity(unreleased);
        }
        match ready!(answer.poll_data(task)) {
            Some(Ok(bytes)) => {
                self.unreleased = bytes.len();
                Poll::Ready(Ok(Piece::Body { bytes, is_last: answer.is_end_stream() }))
            }
            Some(Err(error)) => Poll::Ready(Err(lost(&error, false))),
            None => match ready!(answer.poll_trailers(task)).map_err(|error| lost(&error, false))? {
                Some(fields) => Poll::Ready(Ok(Piece::Trailers(Box::new(without_between(fields))))),
                None => Poll::Ready(Ok(Piece::Body { bytes: Bytes::new(), is_last: true })),
            },
        }
    }
}

fn without_between(mut fields: HeaderMap) -> HeaderMap {
    for name in BETWEEN.iter().chain(&[header::CONTENT_LENGTH]) {
        fields.remove(name);
    }
    fields
}

fn header(parts: response::Parts, is_last: bool) -> Result<Piece> {
    let mut fields = parts.headers;
    for name in &BETWEEN {
        fields.remove(name);
    }
    let is_interim = parts.status.is_informational();
    let date = if is_interim { None } else { fields.remove(header::DATE) };
    let mut header = Box::new(ResponseHeader::build(parts.status, Some(fields.len() + 3))?);
    for (name, value) in &fields {
        header.append_header(name.clone(), value.clone())?;
    }
    let is_delimited = is_last || fields.contains_key(header::CONTENT_LENGTH);
    Ok(Piece::Header { header, date, is_last: is_last && !is_interim, is_delimited })
}

/// Why a stream is of no more use. A request that the upstream has surely not begun may be sent again, whatever it means (RFC 9113 section
/// 8.7): one that it refused, or one above the last that its GOAWAY names. `is_unanswered`: nothing of an answer has come.
fn lost(error: &h2::Error, is_unanswered: bool) -> Box<Error> {
    let is_refused =
        error.is_remote() && (error.is_go_away() || (error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM)));
    let kind = if error.is_library() { ErrorType::InvalidHTTPHeader } else { ErrorType::ConnectionClosed };
    let mut lost = Error::explain(kind, format!("HTTP/2 with the upstream: {error}"));
    lost.retry = match is_unanswered {
        true if is_refused => RetryType::Decided(true),
        true if error.is_io() => RetryType::ReusedOnly,
        _ => RetryType::Decided(false),
    };
    lost
}
