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
mod tests {
    use std::time::Duration;

    use http::HeaderName;
    use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};

    use super::*;

    /// A session whose request has been sent, and the upstream's end.
    async fn asked(method: &str) -> (UpstreamSession, DuplexStream) {
        let (stream, mut upstream) = duplex(64 * 1024);
        let client = pingora::http::RequestHeader::build(method, b"/docs", None).unwrap();
        let request = UpstreamRequest::new(&client, Changes::default(), |_: &HeaderName| false).unwrap();
        let mut session = UpstreamSession::new(Box::new(stream), &request);
        session.send(b"", true).await.unwrap();
        let mut sent = vec![0; request.head.len()];
        upstream.read_exact(&mut sent).await.unwrap();
        assert_eq!(sent, request.head);
        (session, upstream)
    }

    async fn body(session: &mut UpstreamSession) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let piece = session.read().await?;
            if let Piece::Body { bytes, .. } = &piece {
                body.extend_from_slice(bytes);
            }
            if piece.is_last() {
                return Ok(body);
            }
        }
    }

    #[tokio::test]
    async fn nothing_is_lost_when_a_read_is_given_up() {
        let (mut session, mut upstream) = asked("GET").await;
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
        let mut heard = Vec::new();
        for byte in answer {
            upstream.write_all(&[*byte]).await.unwrap();
            while let Ok(piece) = tokio::time::timeout(Duration::from_millis(1), session.read()).await {
                let piece = piece.unwrap();
                if let Piece::Body { bytes, .. } = &piece {
                    heard.extend_from_slice(bytes);
                }
                if piece.is_last() {
                    break;
                }
            }
        }
        assert_eq!(heard, b"body");
        assert!(session.into_persistent().is_some());
    }

    #[tokio::test]
    async fn a_connection_is_kept_behind_a_complete_answer_alone() {
        for (method, answer, is_kept) in [
            ("GET", "HTTP/1.1 204 No Content\r\n\r\n", true),
            ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", true),
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", true),
            ("GET", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", true),
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbodyHTTP", false),
            ("GET", "HTTP/1.1 204 No Content\r\n\r\nbody", false),
            ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", false),
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody", false),
            ("GET", "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody", false),
        ] {
            let (mut session, mut upstream) = asked(method).await;
            upstream.write_all(answer.as_bytes()).await.unwrap();
            body(&mut session).await.unwrap();
            assert_eq!(session.into_persistent().is_some(), is_kept, "{method} {answer:?}");
        }
        let (mut session, mut upstream) = asked("GET").await;
        upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo").await.unwrap();
        session.read().await.unwrap();
        assert!(session.into_persistent().is_none(), "half a body");
        let (mut session, mut upstream) = asked("GET").await;
        upstream.write_all(b"HTTP/1.1 200 OK\r\n\r\nbody").await.unwrap();
        drop(upstream);
        assert_eq!(body(&mut session).await.unwrap(), b"body");
        assert!(session.into_persistent().is_none(), "a body until the end of the connection");
    }

    #[tokio::test]
    async fn what_was_not_answered_at_all_may_be_asked_again_on_another_connection() {
        for (answer, may_retry) in [
            ("", true),
            ("HTTP", false),
            ("HTTP/1.1 103 Early Hints\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", false),
        ] {
            let (mut session, mut upstream) = asked("GET").await;
            upstream.write_all(answer.as_bytes()).await.unwrap();
            drop(upstream);
            let mut error = body(&mut session).await.unwrap_err();
            error.retry.decide_reuse(true);
            assert_eq!(error.retry(), may_retry, "{answer:?}");
        }
    }

    #[tokio::test]
    async fn a_reset_before_an_answer_is_no_answer() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (upstream, _) = listener.accept().await.unwrap();
        let client = pingora::http::RequestHeader::build("GET", b"/docs", None).unwrap();
        let request = UpstreamRequest::new(&client, Changes::default(), |_: &HeaderName| false).unwrap();
        let mut session = UpstreamSession::new(Box::new(pingora::protocols::l4::stream::Stream::from(stream)), &request);
        session.send(b"", true).await.unwrap();
        // What is unread when it closes resets the connection.
        upstream.readable().await.unwrap();
        drop(upstream);
        let mut error = session.read().await.unwrap_err();
        assert_eq!(*error.etype(), ErrorType::ReadError);
        error.retry.decide_reuse(true);
        assert!(error.retry());
    }
}
