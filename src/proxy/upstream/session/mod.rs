//! A request to an upstream and its response, in either version of HTTP.
//!
//! [`http1`] replaces Pingora's session for this side, which needs its own copy of the client's header, copies the response's, and
//! creates that without room for the fields that every response gets on its way. It reads and writes. [`request`] builds a
//! request's header, [`head`] parses a response's with its [`fields`], [`framing`] finds where bodies end, [`answer`] combines
//! these two; they are pure. [`http2`] is one stream of a connection that h2 drives.

mod answer;
mod fields;
mod framing;
#[cfg(feature = "fuzzing")]
pub(in crate::proxy) mod fuzzing;
mod head;
mod http1;
mod http2;
mod request;

use std::{
    borrow::Cow,
    future::poll_fn,
    task::{Context, Poll},
};

use bytes::Bytes;
use pingora::{Result, protocols::Stream};

pub(super) use self::http2::{Http2Session, Sender};
pub(in crate::proxy) use self::{
    answer::Piece,
    http1::Http1Session,
    request::{Http2Request, UpstreamRequest},
};

/// What cannot be read, or cannot be written, in a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Malformed(pub(in crate::proxy) Cow<'static, str>);

impl Malformed {
    const fn of(what: &'static str) -> Self {
        Self(Cow::Borrowed(what))
    }
}

/// The upstream's side of one request.
#[expect(clippy::large_enum_variant)] // An allocation would be one for each request.
pub(in crate::proxy) enum UpstreamSession {
    /// A connection that is this request's alone.
    Http1(Http1Session),
    /// One of many streams of a connection.
    Http2(Box<Http2Session>),
}

impl UpstreamSession {
    /// Of HTTP/1.1. Nothing is sent yet: the header goes with the first part of the body.
    pub(in crate::proxy) fn new(stream: Stream, request: &UpstreamRequest) -> Self {
        Self::Http1(Http1Session::new(stream, request))
    }

    /// Takes a part of the request's body, which may be empty, to be sent. The part before it has been.
    ///
    /// # Errors
    /// The last part leaves the body shorter than its header says.
    pub(in crate::proxy) fn queue(&mut self, part: Bytes, is_last: bool) -> Result<()> {
        match self {
            Self::Http1(session) => session.queue(part, is_last),
            Self::Http2(session) => {
                session.queue(part, is_last);
                Ok(())
            }
        }
    }

    /// Sends what is queued.
    ///
    /// # Errors
    /// The upstream takes no more.
    pub(in crate::proxy) fn poll_send(&mut self, task: &mut Context<'_>) -> Poll<Result<()>> {
        match self {
            Self::Http1(session) => session.poll_send(task),
            Self::Http2(session) => session.poll_send(task),
        }
    }

    /// How many bytes the upstream has taken.
    pub(in crate::proxy) fn sent(&self) -> u64 {
        match self {
            Self::Http1(session) => session.sent(),
            Self::Http2(session) => session.sent(),
        }
    }

    /// Queues a part and sends it.
    pub(in crate::proxy) async fn send(&mut self, part: Bytes, is_last: bool) -> Result<()> {
        self.queue(part, is_last)?;
        poll_fn(|task| self.poll_send(task)).await
    }

    /// Waits for what comes next of the answer; not to be asked behind the last piece. Nothing is lost if it is dropped while it waits.
    ///
    /// # Errors
    /// Those of [`poll_read`](Self::poll_read).
    pub(in crate::proxy) async fn read(&mut self) -> Result<Piece> {
        poll_fn(|task| self.poll_read(task)).await
    }

    /// What comes next of the answer.
    ///
    /// # Errors
    /// What was read is not an answer, or the connection is lost. The error says whether the request may be sent again.
    pub(in crate::proxy) fn poll_read(&mut self, task: &mut Context<'_>) -> Poll<Result<Piece>> {
        match self {
            Self::Http1(session) => session.poll_read(task),
            Self::Http2(session) => session.poll_read(task),
        }
    }

    /// The connection, if it is this request's alone, the answer is complete and the upstream keeps it. Whether the request is complete is
    /// for the caller to know.
    pub(in crate::proxy) fn into_persistent(self) -> Option<Stream> {
        match self {
            Self::Http1(session) => session.into_persistent(),
            Self::Http2(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
