//! Where a body ends (RFC 9112 sections 6 and 7), for reading and writing. Pure.

use bytes::{Buf as _, Bytes};
use http::StatusCode;
use httparse::Status;

use super::{Malformed, fields::Fields};
use crate::proxy::http::list;

/// Maximum bytes of the line before a chunk, which may carry extensions.
const MAX_CHUNK_LINE_BYTES: usize = 4 * 1024;
/// Maximum bytes of all extensions of a body.
const MAX_EXTENSION_BYTES: usize = 16 * 1024;
/// Maximum bytes of what follows the last chunk.
const MAX_TRAILER_BYTES: usize = 64 * 1024;
const LINE_END: &[u8] = b"\r\n";

/// The progress of a response's body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AnswerBody {
    /// So many bytes are still to come.
    Length(u64),
    Chunked(Chunks),
    /// All that comes until the upstream closes the connection.
    UntilClosed,
    /// That was closed.
    Closed,
}

/// A body in chunks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunks {
    at: Position,
    /// Room for the bytes of further extensions.
    extensions: usize,
}

/// Where among the chunks.
#[derive(Debug, PartialEq, Eq)]
enum Position {
    /// Before the line that says how long the next one is.
    Line,
    /// Within one, so many bytes before its end.
    Data(u64),
    /// Behind the last byte of one, which is followed by a line's end.
    DataEnd,
    /// Behind the last one.
    Trailer {
        /// For so many bytes.
        room: usize,
        /// So many bytes of what is unread hold no line's end.
        searched: usize,
    },
    Done,
}

impl AnswerBody {
    /// Whether a header has said how long it is.
    pub(super) const fn has_length(&self) -> bool {
        matches!(self, Self::Length(_))
    }

    /// What a final answer's header says of it (RFC 9112 section 6.3).
    pub(super) fn of(status: StatusCode, fields: Fields<'_>, answers_head: bool) -> Result<Self, Malformed> {
        if answers_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Ok(Self::Length(0));
        }
        // What is said of a length beside it does not count.
        if is_chunked(fields)? {
            return Ok(Self::Chunked(Chunks::BEGIN));
        }
        Ok(content_length(None, fields.values("content-length"))?.map_or(Self::UntilClosed, Self::Length))
    }

    /// What there is of it, which is something; none if more has to be read first, or nothing follows.
    pub(super) fn take(&mut self, unread: &mut Bytes) -> Result<Option<Bytes>, Malformed> {
        match self {
            Self::Length(left) => Ok(take_up_to(left, unread)),
            Self::Chunked(chunks) => chunks.take(unread),
            Self::UntilClosed => Ok(Some(std::mem::take(unread)).filter(|bytes| !bytes.is_empty())),
            Self::Closed => Ok(None),
        }
    }

    /// Whether it is complete.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunks { at: Position::Done, .. }) | Self::Closed)
    }

    /// The upstream has closed the connection. Says whether that ends the body.
    pub(super) fn close(&mut self) -> bool {
        if *self == Self::UntilClosed {
            *self = Self::Closed;
        }
        self.is_done()
    }
}

impl Chunks {
    pub(super) const BEGIN: Self = Self { at: Position::Line, extensions: MAX_EXTENSION_BYTES };

    fn take(&mut self, unread: &mut Bytes) -> Result<Option<Bytes>, Malformed> {
        self.pass(unread)?;
        let Position::Data(left) = &mut self.at else { return Ok(None) };
        let piece = take_up_to(left, unread);
        if *left == 0 {
            self.at = Position::DataEnd;
            // To know at once whether it was the last. What is wrong behind it is met again.
            let _ = self.pass(unread);
        }
        Ok(piece)
    }

    /// Goes on to the next byte of a chunk's data, or to the end, as far as was read.
    fn pass(&mut self, unread: &mut Bytes) -> Result<(), Malformed> {
        loop {
            match &mut self.at {
                Position::Line => {
                    let Some((line, size)) = chunk_line(unread)? else { return Ok(()) };
                    let digits = unread.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
                    let extensions = line.saturating_sub(digits + LINE_END.len());
                    let too_much = Malformed::of("chunk extensions of more than 16 KiB");
                    self.extensions = self.extensions.checked_sub(extensions).ok_or(too_much)?;
                    unread.advance(line);
                    self.at =
                        if size == 0 { Position::Trailer { room: MAX_TRAILER_BYTES, searched: 0 } } else { Position::Data(size) };
                }
                Position::Data(_) | Position::Done => return Ok(()),
                Position::DataEnd => match unread.get(..LINE_END.len()) {
                    Some(LINE_END) => {
                        unread.advance(LINE_END.len());
                        self.at = Position::Line;
                    }
                    Some(_) => return Err(Malformed::of("a chunk longer than its size")),
                    None => return Ok(()),
                },
                Position::Trailer { room, searched } => {
                    // The end may have been cut in two.
                    let start = searched.saturating_sub(1);
                    let rest = unread.get(start..).unwrap_or_default();
                    let line = rest.windows(LINE_END.len()).position(|bytes| bytes == LINE_END).map(|line| start + line);
                    let taken = line.map_or(unread.len(), |line| line + LINE_END.len());
                    let Some(left) = room.checked_sub(taken) else { return Err(Malformed::of("a trailer of more than 64 KiB")) };
                    let Some(line) = line else {
                        *searched = unread.len();
                        return Ok(());
                    };
                    unread.advance(taken);
                    self.at = if line == 0 { Position::Done } else { Position::Trailer { room: left, searched: 0 } };
                }
            }
        }
    }
}

/// How long the line before a chunk is, and the chunk. None: there is more to come.
fn chunk_line(bytes: &[u8]) -> Result<Option<(usize, u64)>, Malformed> {
    let malformed = Malformed::of("a chunk without a valid size");
    // The parser takes no digit for a zero, and a line's end for a part of an extension.
    if bytes.first().is_some_and(|first| !first.is_ascii_hexdigit()) {
        return Err(malformed);
    }
    match httparse::parse_chunk_size(bytes) {
        Ok(Status::Complete((line, size))) => {
            let is_one_line = bytes.iter().take(line).filter(|byte| **byte == b'\n').count() == 1;
            if is_one_line && line <= MAX_CHUNK_LINE_BYTES { Ok(Some((line, size))) } else { Err(malformed) }
        }
        Ok(Status::Partial) if bytes.len() <= MAX_CHUNK_LINE_BYTES => Ok(None),
        _ => Err(malformed),
    }
}

/// The body of a request, as far as it has been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RequestBody {
    /// So many bytes are still to be written.
    Length(u64),
    Chunked,
    /// The end of the last chunk has been written.
    Ended,
}

impl RequestBody {
    pub(super) const NONE: Self = Self::Length(0);

    /// A part of the body between what frames it. What is more than was announced is left out.
    pub(super) fn frame(&mut self, part: Bytes) -> (Bytes, Bytes, &'static [u8]) {
        match self {
            Self::Chunked if !part.is_empty() => (format!("{:x}\r\n", part.len()).into(), part, LINE_END),
            Self::Length(left) => {
                let count = count_down(left, part.len());
                (Bytes::new(), part.slice(..count), b"")
            }
            Self::Chunked | Self::Ended => (Bytes::new(), Bytes::new(), b""),
        }
    }

    /// Whether nothing more is to be written.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Ended)
    }

    /// What ends it. None: less has been written than was announced.
    pub(super) fn end(&mut self) -> Option<&'static [u8]> {
        match self {
            Self::Length(0) | Self::Ended => Some(b""),
            Self::Length(_) => None,
            Self::Chunked => {
                *self = Self::Ended;
                Some(b"0\r\n\r\n")
            }
        }
    }
}

fn take_up_to(left: &mut u64, unread: &mut Bytes) -> Option<Bytes> {
    let count = count_down(left, unread.len());
    (count > 0).then(|| unread.split_to(count))
}

/// How many of those that are there belong to what is left, which is so much less then.
fn count_down(left: &mut u64, there: usize) -> usize {
    let count = usize::try_from(*left).map_or(there, |left| left.min(there));
    *left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
    count
}

/// Whether an answer comes in chunks. Said twice it is meant once, since it must not be applied twice (RFC 9112 section 7);
/// `identity`, which HTTP/1.1 had before, says nothing. Any other coding would have to be undone, or told to a client that did not
/// ask for it.
pub(super) fn is_chunked(fields: Fields<'_>) -> Result<bool, Malformed> {
    let mut values = fields.values("transfer-encoding").peekable();
    if values.peek().is_none() {
        return Ok(false);
    }
    let (mut is_chunked, mut is_said) = (false, false);
    for coding in list(values) {
        is_said = true;
        if coding.eq_ignore_ascii_case(b"chunked") {
            is_chunked = true;
        } else if !coding.eq_ignore_ascii_case(b"identity") {
            return Err(Malformed::of("a transfer coding other than chunked"));
        }
    }
    if is_said { Ok(is_chunked) } else { Err(Malformed::of("a Transfer-Encoding without a coding")) }
}

/// One length, even if repeated, compared with earlier ones.
pub(super) fn content_length<'a>(
    mut length: Option<u64>,
    values: impl Iterator<Item = &'a [u8]>,
) -> Result<Option<u64>, Malformed> {
    for digits in values.flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii) {
        let said = number(digits).ok_or(Malformed::of("a length that is not a number"))?;
        if *length.get_or_insert(said) != said {
            return Err(Malformed::of("more than one length"));
        }
    }
    Ok(length)
}

fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The whole body, which comes in these pieces, and what is left behind its end.
    fn read(mut body: AnswerBody, pieces: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>), Malformed> {
        let (mut unread, mut read) = (Bytes::new(), Vec::new());
        for piece in pieces {
            unread = [&unread, *piece].concat().into();
            while let Some(bytes) = body.take(&mut unread)? {
                assert!(!bytes.is_empty());
                read.extend_from_slice(&bytes);
            }
        }
        assert!(body.is_done(), "{body:?} before {unread:?}");
        Ok((read, unread.into()))
    }

    fn chunks() -> AnswerBody {
        AnswerBody::Chunked(Chunks::BEGIN)
    }

    #[test]
    fn a_length_ends_a_body() {
        assert_eq!(read(AnswerBody::Length(5), &[b"ab", b"cdeHTTP"]).unwrap(), (b"abcde".to_vec(), b"HTTP".to_vec()));
    }

    #[test]
    fn an_end_of_the_connection_ends_a_body_without_a_length_only() {
        let closed = |mut body: AnswerBody| body.close();
        assert!(closed(AnswerBody::UntilClosed));
        assert!(!closed(AnswerBody::Length(1)));
        assert!(!closed(chunks()));
        let at = Position::Trailer { room: 1, searched: 0 };
        assert!(!closed(AnswerBody::Chunked(Chunks { at, extensions: 0 })));
    }

    #[test]
    fn chunks_may_have_extensions_and_a_trailer() {
        let body = b"3;name=value\r\nabc\r\n00A \r\n0123456789\r\n0;last\r\nX-Checksum: 7\r\nX: y\r\n\r\nHTTP";
        assert_eq!(read(chunks(), &[body]).unwrap(), (b"abc0123456789".to_vec(), b"HTTP".to_vec()));
    }

    #[test]
    fn extensions_have_room_in_a_body_as_a_whole() {
        let body = format!("1;{}\r\nx\r\n", "x".repeat(1_000)).repeat(16) + "0\r\n\r\n";
        assert_eq!(read(chunks(), &[body.as_bytes()]).unwrap(), (vec![b'x'; 16], Vec::new()));
    }

    #[test]
    fn the_last_chunk_is_known_with_the_data_before_it() {
        let (mut body, mut unread) = (chunks(), Bytes::from_static(b"3\r\nabc\r\n0\r\n\r\n"));
        assert_eq!(body.take(&mut unread).unwrap().unwrap(), "abc");
        assert!(body.is_done());
    }

    #[test]
    fn what_are_no_chunks_is_refused() {
        let long_line = format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(MAX_CHUNK_LINE_BYTES));
        let long_trailer = format!("0\r\nX: {}\r\n\r\n", "x".repeat(MAX_TRAILER_BYTES));
        let many_extensions = format!("1;{}\r\nx\r\n", "x".repeat(1_000)).repeat(17) + "0\r\n\r\n";
        let many_trailers = format!("0\r\n{}\r\n", "X: x\r\n".repeat(MAX_TRAILER_BYTES / 6 + 1));
        for body in [
            "\r\n\r\n",
            ";\r\n\r\n",
            " 3\r\nabc\r\n0\r\n\r\n",
            "+3\r\nabc\r\n0\r\n\r\n",
            "0x3\r\nabc\r\n0\r\n\r\n",
            "3\nabc\n0\n\n",
            "3;a\nb\r\nabc\r\n0\r\n\r\n",
            "2\r\nabc\r\n0\r\n\r\n",
            "10000000000000000\r\n",
            &long_line,
            &long_line[..MAX_CHUNK_LINE_BYTES + 2],
            &long_trailer,
            &many_extensions,
            &many_trailers,
            &long_trailer[..MAX_TRAILER_BYTES + 4],
        ] {
            let mut unread = Bytes::from(body.to_owned());
            let mut chunks = chunks();
            let outcome = std::iter::repeat_with(|| chunks.take(&mut unread)).find(|taken| !matches!(taken, Ok(Some(_))));
            assert!(matches!(outcome, Some(Err(_))), "{:?}", &body[..body.len().min(30)]);
        }
    }

    #[test]
    fn a_body_is_written_as_it_was_announced() {
        let framed = |body: &mut RequestBody, part: &'static str| {
            let (before, part, after) = body.frame(part.into());
            [before, part, Bytes::from_static(after)]
        };
        let mut length = RequestBody::Length(5);
        assert_eq!(framed(&mut length, "abc"), ["", "abc", ""]);
        assert_eq!(length.end(), None, "too little");
        assert_eq!(framed(&mut length, "defg"), ["", "de", ""], "too much");
        assert_eq!(length.end(), Some(&b""[..]));

        let mut chunked = RequestBody::Chunked;
        assert_eq!(framed(&mut chunked, "0123456789ab"), ["c\r\n", "0123456789ab", "\r\n"]);
        assert_eq!(framed(&mut chunked, ""), ["", "", ""], "an empty chunk would be the last");
        assert_eq!(chunked.end(), Some(&b"0\r\n\r\n"[..]));
        assert_eq!((chunked.end(), chunked.frame("x".into()).1), (Some(&b""[..]), Bytes::new()), "once");
    }

    proptest! {
        #[test]
        fn what_was_written_in_chunks_is_read_however_it_is_cut(parts: Vec<Vec<u8>>, cuts: Vec<prop::sample::Index>) {
            let (mut body, mut wire) = (RequestBody::Chunked, Vec::new());
            for part in &parts {
                let (before, part, after) = body.frame(Bytes::copy_from_slice(part));
                wire.extend_from_slice(&[&before, &part, after].concat());
            }
            wire.extend_from_slice(body.end().unwrap());
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(wire.len())).chain([0, wire.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| &wire[cut[0]..cut[1]]).collect();
            prop_assert_eq!(read(chunks(), &pieces).unwrap(), (parts.concat(), Vec::new()));
        }

        #[test]
        fn whatever_comes_is_no_reason_to_panic(bytes: Vec<u8>, start in "[0-9a-f]{0,16}(;x)?(\r\n)?") {
            let mut unread = Bytes::from([start.as_bytes(), &bytes].concat());
            let mut body = chunks();
            while let Ok(Some(_)) = body.take(&mut unread) {}
        }
    }
}
