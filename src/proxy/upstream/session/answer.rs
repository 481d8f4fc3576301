//! A response, parsed from bytes: header by header, then its body piece by piece. Pure.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use pingora::http::ResponseHeader;

use super::{Malformed, framing::AnswerBody, head::AnswerHead};

/// What comes next of an answer.
#[derive(Debug)]
pub(in crate::proxy) enum Piece {
    /// A header. Behind one of an interim answer (1xx) comes another.
    Header {
        /// Without connection-specific fields, except for a switch of protocols.
        header: Box<ResponseHeader>,
        /// The `Date` of a final answer, which is not in the header.
        date: Option<HeaderValue>,
        /// Whether the answer ends with it.
        is_last: bool,
        /// Whether it says itself where the answer ends: with it, or after so many bytes.
        is_delimited: bool,
    },
    /// A part of the body.
    Body {
        /// May be empty if it is the last.
        bytes: Bytes,
        is_last: bool,
    },
    /// Fields behind the body, which end the answer. Of HTTP/2 alone.
    Trailers(Box<HeaderMap>),
}

impl Piece {
    /// Whether nothing follows.
    pub(in crate::proxy) fn is_last(&self) -> bool {
        match self {
            Self::Header { is_last, .. } | Self::Body { is_last, .. } => *is_last,
            Self::Trailers(_) => true,
        }
    }
}

/// What has been read of an answer, and what it has said so far.
#[derive(Debug)]
pub(in crate::proxy) struct AnswerReader {
    /// Bytes from the upstream that have not been processed.
    unread: Bytes,
    /// Whether the request's method is HEAD, whose answer has no body.
    answers_head: bool,
    state: State,
    /// How many interim answers have come.
    interim: u8,
}

#[derive(Debug)]
enum State {
    Awaited,
    AfterInterim,
    Begun { body: AnswerBody, is_persistent: bool },
}

impl AnswerReader {
    pub(in crate::proxy) fn new(answers_head: bool) -> Self {
        Self { unread: Bytes::new(), answers_head, state: State::Awaited, interim: 0 }
    }

    /// Takes bytes in.
    pub(in crate::proxy) fn append(&mut self, bytes: &[u8]) {
        if self.unread.is_empty() {
            self.unread = Bytes::copy_from_slice(bytes);
        } else {
            let mut grown = BytesMut::from(std::mem::take(&mut self.unread));
            grown.extend_from_slice(bytes);
            self.unread = grown.freeze();
        }
    }

    /// The next piece, if enough of it has been read. Not to be asked behind the last one.
    pub(in crate::proxy) fn take(&mut self) -> Result<Option<Piece>, Malformed> {
        match &mut self.state {
            State::Awaited | State::AfterInterim => {
                if self.unread.is_empty() {
                    return Ok(None);
                }
                let Some(head) = AnswerHead::take(&mut self.unread, self.answers_head)? else { return Ok(None) };
                let AnswerHead { header, date, body, is_persistent } = head;
                if body.is_none() {
                    self.interim = self.interim.checked_add(1).ok_or(Malformed::of("more than 255 interim answers"))?;
                }
                let is_last = body.as_ref().is_some_and(AnswerBody::is_done);
                let is_delimited = is_last || body.as_ref().is_some_and(AnswerBody::has_length);
                self.state = body.map_or(State::AfterInterim, |body| State::Begun { body, is_persistent });
                Ok(Some(Piece::Header { header, date, is_last, is_delimited }))
            }
            State::Begun { body, .. } => {
                let piece = body.take(&mut self.unread)?;
                let is_last = body.is_done();
                Ok(piece.or_else(|| is_last.then(Bytes::new)).map(|bytes| Piece::Body { bytes, is_last }))
            }
        }
    }

    /// The upstream has closed its side. None: the answer is not whole.
    pub(in crate::proxy) fn close(&mut self) -> Option<Piece> {
        let State::Begun { body, .. } = &mut self.state else { return None };
        body.close().then(|| Piece::Body { bytes: Bytes::new(), is_last: true })
    }

    /// Whether nothing of an answer has come.
    pub(super) fn is_untouched(&self) -> bool {
        matches!(self.state, State::Awaited) && self.unread.is_empty()
    }

    /// Whether the answer is whole with nothing behind it, and the upstream keeps the connection.
    pub(in crate::proxy) fn is_persistent(&self) -> bool {
        let is_whole = |body: &AnswerBody| body.is_done() && self.unread.is_empty();
        matches!(&self.state, State::Begun { body, is_persistent: true } if is_whole(body))
    }

    /// What came behind the last header.
    pub(super) fn into_unread(self) -> Bytes {
        self.unread
    }
}
