//! A connection to an upstream, while one request and its answer are on it (RFC 9112).
//!
//! In place of Pingora's session for this side, which wants a copy of the client's header to change, copies the answer's, and makes that one
//! without room for the fields that every answer gets on its way. Here is what reads and writes. [`request`] makes a request's header, [`head`]
//! parses an answer's, [`framing`] finds where bodies end; they are pure.

mod framing;
mod head;
mod request;

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Poll, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use pingora::{Error, ErrorType, Result, RetryType, http::ResponseHeader, protocols::Stream};
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};

pub(super) use self::request::{Changes, UpstreamRequest};
use self::{
    framing::{AnswerBody, RequestBody},
    head::AnswerHead,
};

/// Most bytes that are read at once.
const MOST_READ: usize = 64 * 1024;

/// What cannot be read, or cannot be written, in a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// The upstream's side of one request.
pub(super) struct UpstreamSession {
    stream: Stream,
    unsent_head: Bytes,
    /// What the upstream has sent and nobody has taken.
    unread: Bytes,
    request_body: RequestBody,
    answers_head: bool,
    answer: Answer,
}

/// What comes next of an answer.
#[derive(Debug)]
pub(super) enum Piece {
    /// A header. Behind one of an interim answer (1xx) comes another.
    Header {
        /// Without the fields that concern this connection alone, but for a switch of protocols.
        header: Box<ResponseHeader>,
        /// Whether the answer ends with it.
        is_last: bool,
    },
    /// A part of the body.
    Body {
        /// May be empty if it is the last.
        bytes: Bytes,
        is_last: bool,
    },
}

impl Piece {
    /// Whether nothing follows.
    pub(super) fn is_last(&self) -> bool {
        let (Self::Header { is_last, .. } | Self::Body { is_last, .. }) = self;
        *is_last
    }
}

#[derive(Debug)]
enum Answer {
    Awaited,
    AfterInterim,
    Begun { body: AnswerBody, is_persistent: bool },
}

impl UpstreamSession {
    /// Nothing is sent yet: the header goes with the first part of the body.
    pub(super) fn new(stream: Stream, request: &UpstreamRequest) -> Self {
        Self {
            stream,
            unsent_head: request.head.clone(),
            unread: Bytes::new(),
            request_body: request.body.clone(),
            answers_head: request.is_head,
            answer: Answer::Awaited,
        }
    }

    /// Sends a part of the request's body, which may be empty, in one go with what frames it.
    ///
    /// # Errors
    /// The upstream takes no more, or the last part leaves the body shorter than its header says.
    pub(super) async fn send(&mut self, part: &[u8], is_last: bool) -> Result<()> {
        let head = std::mem::take(&mut self.unsent_head);
        let (before, part, after) = self.request_body.frame(part);
        let too_short = || Error::explain(ErrorType::WriteError, "the body is shorter than it was said to be");
        let end = if is_last { self.request_body.end().ok_or_else(too_short)? } else { b"" };
        let mut bytes = head.chain(before.as_bytes()).chain(part).chain(after).chain(end);
        let sending = async {
            self.stream.write_all_buf(&mut bytes).await?;
            self.stream.flush().await
        };
        sending.await.map_err(|error| Error::because(ErrorType::WriteError, "sending a request", error))
    }

    /// Waits for what comes next of the answer; not to be asked behind the last piece. Nothing is lost if it is dropped while it waits.
    ///
    /// # Errors
    /// What was read is no answer, or the connection is lost. The request may be sent again (`ReusedOnly`) where nothing of an answer came.
    pub(super) async fn read(&mut self) -> Result<Piece> {
        loop {
            if let Some(piece) = self.take().map_err(|Malformed(what)| Error::explain(ErrorType::InvalidHTTPHeader, what))? {
                return Ok(piece);
            }
            match self.read_more().await {
                Ok(0) => return self.closed(),
                Ok(_) => {}
                Err(error) => return Err(self.lost(Error::because(ErrorType::ReadError, "reading an answer", error))),
            }
        }
    }

    /// The connection, if the answer is complete and the upstream keeps it. Whether the request is complete is for the caller to know.
    pub(super) fn into_persistent(self) -> Option<Stream> {
        let is_complete = |body: &AnswerBody| body.is_done() && self.unread.is_empty();
        matches!(&self.answer, Answer::Begun { body, is_persistent: true } if is_complete(body)).then_some(self.stream)
    }

    /// The connection after a switch of protocols, with what came behind the header.
    pub(super) fn into_switched(self) -> (Stream, Option<Bytes>) {
        (self.stream, Some(self.unread).filter(|bytes| !bytes.is_empty()))
    }

    /// The next piece, if enough of it has been read.
    fn take(&mut self) -> Result<Option<Piece>, Malformed> {
        match &mut self.answer {
            Answer::Awaited | Answer::AfterInterim => {
                if self.unread.is_empty() {
                    return Ok(None);
                }
                let Some(head) = AnswerHead::take(&mut self.unread, self.answers_head)? else { return Ok(None) };
                let AnswerHead { header, body, is_persistent } = head;
                let is_last = body.as_ref().is_some_and(AnswerBody::is_done);
                self.answer = body.map_or(Answer::AfterInterim, |body| Answer::Begun { body, is_persistent });
                Ok(Some(Piece::Header { header, is_last }))
            }
            Answer::Begun { body, .. } => {
                let piece = body.take(&mut self.unread)?;
                let is_last = body.is_done();
                Ok(piece.or_else(|| is_last.then(Bytes::new)).map(|bytes| Piece::Body { bytes, is_last }))
            }
        }
    }

    /// The upstream has closed its side.
    fn closed(&mut self) -> Result<Piece> {
        if let Answer::Begun { body, .. } = &mut self.answer
            && body.close()
        {
            return Ok(Piece::Body { bytes: Bytes::new(), is_last: true });
        }
        Err(self
            .lost(Error::explain(ErrorType::ConnectionClosed, "the upstream closed the connection before the end of its answer")))
    }

    /// The connection is of no more use. If it has waited before, the upstream may have closed it before it saw the request.
    fn lost(&self, mut error: Box<Error>) -> Box<Error> {
        if matches!(self.answer, Answer::Awaited) && self.unread.is_empty() {
            error.retry = RetryType::ReusedOnly;
        }
        error
    }

    /// Reads what is there. While it waits it holds no buffer, since an answer may be long in coming.
    async fn read_more(&mut self) -> io::Result<usize> {
        poll_fn(|task| {
            let mut room = [MaybeUninit::uninit(); MOST_READ];
            let mut piece = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut self.stream).poll_read(task, &mut piece))?;
            append(&mut self.unread, piece.filled());
            Poll::Ready(Ok(piece.filled().len()))
        })
        .await
    }
}

fn append(unread: &mut Bytes, bytes: &[u8]) {
    if unread.is_empty() {
        *unread = Bytes::copy_from_slice(bytes);
    } else {
        let mut grown = BytesMut::from(std::mem::take(unread));
        grown.extend_from_slice(bytes);
        *unread = grown.freeze();
    }
}

#[cfg(test)]
mod tests;
