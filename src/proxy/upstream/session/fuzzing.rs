//! What is heard of an answer, for the fuzz target that compares it with another client's hearing.

use super::answer::{AnswerReader, Piece};

/// What is made of the bytes of an answer, with the end of the connection behind them.
#[derive(Debug, PartialEq, Eq)]
pub struct HeardAnswer {
    /// Of each header, the interim ones first.
    pub statuses: Vec<u16>,
    /// As far as it came.
    pub body: Vec<u8>,
    /// How it ends.
    pub end: HeardEnd,
}

/// How an answer ends.
#[derive(Debug, PartialEq, Eq)]
pub enum HeardEnd {
    /// It says itself that it is whole.
    Whole {
        /// Whether its connection may serve another.
        is_persistent: bool,
    },
    /// The end of the connection is its end.
    Closed,
    /// The connection ends too early.
    CutShort,
    /// It is none, for this reason.
    Malformed(String),
}

/// Hears an answer that comes in these pieces; `answers_head` says that the request's method was HEAD.
pub fn hear_answer(pieces: &[&[u8]], answers_head: bool) -> HeardAnswer {
    let mut reader = AnswerReader::new(answers_head);
    let mut heard = HeardAnswer { statuses: Vec::new(), body: Vec::new(), end: HeardEnd::CutShort };
    let mut is_whole = false;
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        reader.append(piece);
        while !is_whole {
            let piece = match reader.take() {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(malformed) => return HeardAnswer { end: HeardEnd::Malformed(malformed.0.into_owned()), ..heard },
            };
            is_whole = piece.is_last();
            match piece {
                Piece::Header { header, .. } => heard.statuses.push(header.status.as_u16()),
                Piece::Body { bytes, .. } => heard.body.extend_from_slice(&bytes),
                // HTTP/1.1 drops them.
                Piece::Trailers(_) => {}
            }
        }
    }
    if is_whole {
        heard.end = HeardEnd::Whole { is_persistent: reader.is_persistent() };
    } else if reader.close().is_some() {
        heard.end = HeardEnd::Closed;
    }
    heard
}
