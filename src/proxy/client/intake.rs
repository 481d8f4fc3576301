//! Input from a client that has not been passed to Pingora's session: the beginning of a header, until it is complete, and
//! bytes read after the end of a request. Without a socket.
//!
//! Pingora parses the whole header again after each read, and limits it to 1 MiB. So it gets only complete headers: each byte
//! of an incomplete one is examined once, and no more than the configured maximum is buffered.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memchr_iter;

use crate::{
    metrics::IntGauge,
    proxy::client::{
        held::Held,
        request_line::{check_beginning, read},
        unreadable::Unreadable,
    },
};

/// Fields of a header that Pingora parses; it answers more of them like garbage.
pub(super) const MAX_FIELDS: usize = 256;
/// Version 2 of the PROXY protocol (HAProxy, "The PROXY protocol", section 2.2).
const PROXY_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// What can be done with what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The header is not whole yet.
    Partial,
    /// It is; it can be given.
    Whole,
    /// It is larger than it may be. Its beginning, up to a whole field, can be given, to be refused.
    Cut,
    /// It is not a header.
    Unreadable(Unreadable),
}

/// The bytes, and how far they have been looked at.
#[derive(Debug)]
pub(in crate::proxy) struct Intake {
    bytes: Held,
    /// Maximum bytes of a header.
    most: usize,
    /// Bytes of the whole header at the beginning that are still to be given; 0 while none is whole.
    whole: usize,
    /// Bytes at the beginning in which the header does not end.
    looked_at: usize,
    /// Bytes of the first line, its end included; 0 while it is not whole.
    first_line: usize,
    fields: usize,
    /// What of it the gauge has.
    counted: i64,
    held: IntGauge,
}

impl Intake {
    /// `most`: bytes of a header. What is held is told to `held`.
    pub(in crate::proxy) fn new(most: usize, held: IntGauge) -> Self {
        Self { bytes: Held::default(), most, whole: 0, looked_at: 0, first_line: 0, fields: 0, counted: 0, held }
    }

    pub(in crate::proxy) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes what was read.
    pub(in crate::proxy) fn push(&mut self, bytes: &[u8]) {
        self.bytes.push(bytes);
        self.count();
    }

    /// Takes what was read behind the end of a request, so before what is held.
    pub(in crate::proxy) fn put_back(&mut self, bytes: BytesMut) {
        self.bytes.put_back(bytes);
        self.count();
    }

    /// How many bytes of a header may still come. Some may while [`look`](Self::look) finds it partial.
    pub(in crate::proxy) fn space(&self) -> usize {
        self.most.saturating_sub(self.bytes.len())
    }

    /// More of the header is waited for.
    pub(in crate::proxy) fn rest(&mut self) {
        self.bytes.rest(self.most);
    }

    /// Looks at what has come since the last look.
    pub(super) fn look(&mut self) -> Look {
        if self.whole > 0 {
            return Look::Whole;
        }
        let look = self.look_on();
        if let Look::Unreadable(_) = look {
            self.clear();
        }
        self.count();
        look
    }

    fn look_on(&mut self) -> Look {
        if let Some(look) = self.look_at_first_line() {
            return look;
        }
        // A line feed may end the first line, or a field; the header if the next line is empty.
        let from = self.looked_at;
        for found in memchr_iter(b'\n', self.bytes.bytes().get(from..).unwrap_or_default()) {
            let next = from + found + 1;
            match self.bytes.bytes().get(next..).unwrap_or_default() {
                [b'\n', ..] => self.whole = next + 1,
                [b'\r', b'\n', ..] => self.whole = next + 2,
                [] | [b'\r'] => {
                    self.looked_at = next - 1;
                    return self.partial();
                }
                _ => self.fields += 1,
            }
            if self.fields > MAX_FIELDS {
                return Look::Unreadable(Unreadable::TooManyFields);
            }
            if self.whole > 0 {
                return Look::Whole;
            }
        }
        self.looked_at = self.bytes.len();
        self.partial()
    }

    /// None: there is one, and it can be read.
    fn look_at_first_line(&mut self) -> Option<Look> {
        if self.first_line > 0 {
            return None;
        }
        if self.bytes.bytes().starts_with(PROXY_SIGNATURE) {
            return Some(Look::Unreadable(Unreadable::ProxyProtocol));
        }
        if PROXY_SIGNATURE.starts_with(self.bytes.bytes()) {
            return Some(Look::Partial);
        }
        // Empty lines before the first one are no part of it (RFC 9112 section 2.2).
        loop {
            match self.bytes.bytes() {
                [b'\n', ..] => self.bytes.advance(1),
                [b'\r', b'\n', ..] => self.bytes.advance(2),
                [] | [b'\r'] => return Some(Look::Partial),
                _ => break,
            }
        }
        if let Err(kind) = check_beginning(self.bytes.bytes()) {
            return Some(Look::Unreadable(kind));
        }
        let from = self.looked_at.min(self.bytes.len());
        let Some(end) = memchr::memchr(b'\n', self.bytes.bytes().get(from..).unwrap_or_default()).map(|at| from + at) else {
            self.looked_at = self.bytes.len();
            return Some(self.partial());
        };
        let line = self.bytes.bytes().get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = match read(line) {
            Ok(line) => line,
            Err(kind) => return Some(Look::Unreadable(kind)),
        };
        if let Cow::Owned(line) = line {
            let rest = self.bytes.bytes().get(end..).unwrap_or_default();
            self.looked_at = line.len() + 1;
            self.bytes.set([&line, &b"\r"[..], rest].concat());
        } else {
            self.looked_at = end;
        }
        self.first_line = self.looked_at + 1;
        None
    }

    /// Not whole, and perhaps never to be.
    fn partial(&mut self) -> Look {
        if self.bytes.len() < self.most {
            return Look::Partial;
        }
        if self.first_line == 0 {
            return Look::Unreadable(Unreadable::TooLarge);
        }
        let end = memchr::memrchr(b'\n', self.bytes.bytes()).map_or(0, |at| at + 1);
        self.bytes.truncate(end);
        self.bytes.push(b"\r\n");
        self.whole = self.bytes.len();
        Look::Cut
    }

    /// Gives what Pingora's session reads next: of a header no more than that, else all there is.
    pub(super) fn give(&mut self, to: &mut impl BufMut, is_header: bool) {
        let most = if is_header { self.whole } else { self.bytes.len() };
        let count = most.min(to.remaining_mut());
        to.put_slice(self.bytes.bytes().get(..count).unwrap_or_default());
        self.bytes.advance(count);
        self.whole = self.whole.saturating_sub(count);
        if self.whole == 0 {
            self.begin_anew();
        }
        self.count();
    }

    /// Takes out all there is, for somebody else than Pingora's session.
    pub(in crate::proxy) fn take(&mut self) -> Bytes {
        let bytes = Bytes::copy_from_slice(self.bytes.bytes());
        self.clear();
        bytes
    }

    /// Forgets what there is.
    pub(in crate::proxy) fn clear(&mut self) {
        self.bytes = Held::default();
        self.begin_anew();
        self.count();
    }

    fn begin_anew(&mut self) {
        (self.whole, self.looked_at, self.first_line, self.fields) = (0, 0, 0, 0);
        if self.bytes.is_empty() {
            // Its memory is of no use until the next header that comes in pieces.
            self.bytes = Held::default();
        }
    }

    fn count(&mut self) {
        let now = i64::try_from(self.bytes.len()).unwrap_or(i64::MAX);
        if now != self.counted {
            self.held.add(now - self.counted);
            self.counted = now;
        }
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.held.sub(self.counted);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn intake(most: usize) -> Intake {
        Intake::new(most, IntGauge::new("held", "held").unwrap())
    }

    /// What is given of these pieces, and how it ended.
    fn given(most: usize, pieces: &[&[u8]]) -> (Vec<u8>, Look) {
        let mut intake = intake(most);
        for piece in pieces {
            intake.push(piece);
            match intake.look() {
                Look::Partial => {}
                look => {
                    let mut header = Vec::new();
                    intake.give(&mut header, true);
                    return (header, look);
                }
            }
        }
        (Vec::new(), Look::Partial)
    }

    #[test]
    fn a_header_is_given_when_it_is_whole_and_no_more_than_it() {
        let header = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
        for cut in 0..header.len() {
            let (first, second) = header.split_at(cut);
            let behind = [second, b"body"].concat();
            let mut intake = intake(1_024);
            intake.push(first);
            assert_eq!(intake.look(), Look::Partial, "{cut}");
            intake.push(&behind);
            assert_eq!(intake.look(), Look::Whole, "{cut}");
            let mut given = Vec::new();
            intake.give(&mut given, true);
            assert_eq!(given, header, "{cut}");
            assert_eq!(intake.held.get(), 4);
            intake.give(&mut given, false);
            assert!(given.ends_with(b"\r\n\r\nbody") && intake.is_empty());
            assert_eq!(intake.held.get(), 0);
        }
    }

    #[test]
    fn what_is_too_large_is_cut_behind_a_whole_field() {
        let begun = b"GET /a HTTP/1.1\r\nHost: a\r\n";
        let padding = [b"X: ".as_slice(), &[b'a'; 64]].concat();
        for pieces in [&[&[begun.as_slice(), &padding].concat()[..]][..], &[begun, &padding]] {
            assert_eq!(given(64, pieces), ([begun.as_slice(), b"\r\n"].concat(), Look::Cut));
        }
    }

    #[test]
    fn empty_lines_before_a_request_are_no_part_of_it() {
        assert_eq!(given(64, &[b"\r\n\n\r", b"\nGET / HTTP/1.1\n\n"]), (b"GET / HTTP/1.1\n\n".to_vec(), Look::Whole));
        assert_eq!(given(64, &[b"\r\n\r\n"]).1, Look::Partial);
        assert_eq!(given(64, &[b"\r\n\r\n\0\r\n", b"QUIT\n\x21\x11"]).1, Look::Unreadable(Unreadable::ProxyProtocol));
        assert_eq!(given(64, &[b"\rGET"]).1, Look::Unreadable(Unreadable::RequestLine));
    }

    #[test]
    fn a_first_line_that_never_ends_cannot_be_read() {
        let line = [b"GET /".as_slice(), &[b'a'; 64]].concat();
        assert_eq!(given(64, &[&line]).1, Look::Unreadable(Unreadable::TooLarge));
    }

    #[test]
    fn fields_are_counted_while_they_come() {
        let header = |fields: usize| format!("GET / HTTP/1.1\r\n{}", "a:b\r\n".repeat(fields));
        assert_eq!(given(65_536, &[format!("{}\r\n", header(MAX_FIELDS)).as_bytes()]).1, Look::Whole);
        let (first, second) = (header(MAX_FIELDS), "a:b\r\nc");
        assert_eq!(given(65_536, &[first.as_bytes(), second.as_bytes()]).1, Look::Unreadable(Unreadable::TooManyFields));
    }

    #[test]
    fn what_was_read_too_far_comes_first() {
        let mut intake = intake(1_024);
        intake.push(b"ET / HTTP/1.1\r\n\r\n");
        intake.put_back(BytesMut::from(&b"G"[..]));
        assert_eq!(intake.look(), Look::Whole);
        assert_eq!(intake.take(), "GET / HTTP/1.1\r\n\r\n");
        assert_eq!(intake.held.get(), 0);
    }

    proptest! {
        /// httparse is the oracle: what it finds whole is given, byte for byte, wherever it was cut; and nothing else is.
        #[test]
        fn a_header_is_whole_when_a_parser_finds_it_so(
            line in "(\r\n){0,2}[A-Z]{1,5} /[a-z?=]{0,9} HTTP/1.[01](\r\n|\n)",
            rest in "(a: b\r\n|c: \t\n|\r\n|\n|x\r|:|\r){0,9}",
            cuts in prop::collection::vec(0..64_usize, 0..6),
        ) {
            let bytes = format!("{line}{rest}").into_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).chain([0, bytes.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            let mut fields = [httparse::EMPTY_HEADER; 16];
            let parsed = httparse::Request::new(&mut fields).parse(&bytes);
            let (given, look) = given(65_536, &pieces);
            match parsed {
                Ok(httparse::Status::Complete(length)) => {
                    prop_assert_eq!(look, Look::Whole);
                    let skipped = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
                    prop_assert_eq!(&given, &bytes[skipped..length]);
                }
                Ok(httparse::Status::Partial) => prop_assert_eq!(look, Look::Partial),
                // What is not a header may be given, to be refused.
                Err(_) => {}
            }
        }
    }
}
