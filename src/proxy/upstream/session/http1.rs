//! [`Http1Session`]: a connection to an upstream during one request and its response (RFC 9112).

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use pingora::{Error, ErrorType, Result, RetryType, protocols::Stream};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::{
    Malformed,
    answer::{AnswerReader, Piece},
    framing::RequestBody,
    request::UpstreamRequest,
};

/// Maximum bytes that are read at once.
const MAX_READ_BYTES: usize = 64 * 1024;
/// A part of a body, and what frames it.
const PARTS: usize = 4;

/// The upstream's side of one request.
pub(in crate::proxy) struct Http1Session {
    stream: Stream,
    /// What is unsent of the header.
    head: Bytes,
    /// What is unsent behind it: a part of the body between what frames it. Most requests have none.
    queued: Option<[Bytes; PARTS]>,
    /// How many bytes have been sent.
    sent: u64,
    request_body: RequestBody,
    answer: AnswerReader,
}

impl Http1Session {
    /// Nothing is sent yet: the header goes with the first part of the body.
    pub(in crate::proxy) fn new(stream: Stream, request: &UpstreamRequest) -> Self {
        Self {
            stream,
            head: request.head.clone(),
            queued: None,
            sent: 0,
            request_body: request.body.clone(),
            answer: AnswerReader::new(request.is_head),
        }
    }

    /// Takes a part of the request's body, which may be empty, with what frames it, to be sent. The part before it has been.
    ///
    /// # Errors
    /// The last part leaves the body shorter than its header says.
    pub(in crate::proxy) fn queue(&mut self, part: Bytes, is_last: bool) -> Result<()> {
        if part.is_empty() && self.request_body.is_complete() {
            return Ok(());
        }
        let (before, part, after) = self.request_body.frame(part);
        let too_short = || Error::explain(ErrorType::WriteError, "the body is shorter than declared");
        let end = if is_last { self.request_body.end().ok_or_else(too_short)? } else { b"" };
        self.queued = Some([before, part, Bytes::from_static(after), Bytes::from_static(end)]);
        Ok(())
    }

    /// Sends what is queued.
    ///
    /// # Errors
    /// The upstream takes no more.
    pub(in crate::proxy) fn poll_send(&mut self, task: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_write(task).map_err(|error| Error::because(ErrorType::WriteError, "sending a request", error))
    }

    /// How many bytes have been written to the upstream.
    pub(in crate::proxy) fn sent(&self) -> u64 {
        self.sent
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
    /// What was read is not an answer, or the connection is lost. The request may be sent again (`ReusedOnly`) where nothing of an
    /// answer came.
    pub(in crate::proxy) fn poll_read(&mut self, task: &mut Context<'_>) -> Poll<Result<Piece>> {
        loop {
            if let Some(piece) =
                self.answer.take().map_err(|Malformed(what)| Error::explain(ErrorType::InvalidHTTPHeader, what.into_owned()))?
            {
                return Poll::Ready(Ok(piece));
            }
            match ready!(self.poll_read_more(task)) {
                Ok(0) => return Poll::Ready(self.closed()),
                Ok(_) => {}
                Err(error) => {
                    return Poll::Ready(Err(self.lost(Error::because(ErrorType::ReadError, "reading an answer", error))));
                }
            }
        }
    }

    /// The connection, if the answer is complete and the upstream keeps it. Whether the request is complete is for the caller to know.
    pub(in crate::proxy) fn into_persistent(self) -> Option<Stream> {
        self.answer.is_persistent().then_some(self.stream)
    }

    /// The connection after a switch of protocols, with the bytes received after the header.
    pub(in crate::proxy) fn into_switched(self) -> (Stream, Option<Bytes>) {
        (self.stream, Some(self.answer.into_unread()).filter(|bytes| !bytes.is_empty()))
    }

    /// The upstream has closed its side.
    fn closed(&mut self) -> Result<Piece> {
        let too_early = "the upstream closed the connection before the end of its answer";
        self.answer.close().ok_or_else(|| self.lost(Error::explain(ErrorType::ConnectionClosed, too_early)))
    }

    /// The connection is of no more use. If it has waited before, the upstream may have closed it before it saw the request.
    fn lost(&self, mut error: Box<Error>) -> Box<Error> {
        if self.answer.is_untouched() {
            error.retry = RetryType::ReusedOnly;
        }
        error
    }

    /// Reads what is there. While it waits it holds no buffer, since an answer may be long in coming.
    fn poll_read_more(&mut self, task: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut room = [MaybeUninit::uninit(); MAX_READ_BYTES];
        let mut piece = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut self.stream).poll_read(task, &mut piece))?;
        self.answer.append(piece.filled());
        Poll::Ready(Ok(piece.filled().len()))
    }

    fn poll_write(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let stream = Pin::new(&mut self.stream);
            let written = match &self.queued {
                None if self.head.is_empty() => return stream.poll_flush(task),
                None => stream.poll_write(task, &self.head),
                Some(queued) => {
                    let (mut slices, mut count) = ([IoSlice::new(&[]); 1 + PARTS], 0);
                    let unsent = std::iter::once(&self.head).chain(queued).filter(|part| !part.is_empty());
                    for (slice, part) in slices.iter_mut().zip(unsent) {
                        *slice = IoSlice::new(part);
                        count += 1;
                    }
                    match slices.get(..count) {
                        None | Some([]) => return stream.poll_flush(task),
                        Some([one]) => stream.poll_write(task, one),
                        Some(several) => stream.poll_write_vectored(task, several),
                    }
                }
            };
            let written = ready!(written)?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
    }

    fn advance(&mut self, mut written: usize) {
        self.sent = self.sent.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
        for part in std::iter::once(&mut self.head).chain(self.queued.iter_mut().flatten()) {
            let count = written.min(part.len());
            part.advance(count);
            written -= count;
        }
    }
}
