//! The header of a response (RFC 9112 sections 4 to 6), parsed from bytes. Pure.

use std::{iter, mem::MaybeUninit};

use bytes::{Buf as _, Bytes};
use http::{HeaderValue, StatusCode};
use httparse::{ParserConfig, Response, Status};
use pingora::http::{ResponseHeader, header_value_from_raw};

use super::{
    Malformed,
    fields::Fields,
    framing::{self, AnswerBody},
};
use crate::proxy::http::{hop_by_hop, list};

/// Maximum bytes of a header.
const MAX_HEADER_BYTES: usize = 256 * 1024;
/// Maximum number of fields of one.
const MAX_FIELDS: usize = 256;
/// Maximum number of its connection options: each field is compared with each.
const MAX_OPTIONS: usize = 32;
/// Fields that an answer gets on its way to a client: `Date`, `Connection`, and what says where its body ends.
const ROOM: usize = 3;

/// A header, and what it says of the bytes behind it.
#[derive(Debug)]
pub(super) struct AnswerHead {
    /// Without the fields that are between the upstream and the gateway.
    pub(super) header: Box<ResponseHeader>,
    /// Of a final answer, which is told apart from the header.
    pub(super) date: Option<HeaderValue>,
    /// None behind an interim answer.
    pub(super) body: Option<AnswerBody>,
    /// Whether the upstream keeps the connection.
    pub(super) is_persistent: bool,
}

impl AnswerHead {
    /// Takes a header off the beginning of what was read; `answers_head` says that the request's method was HEAD. None: there is more
    /// to come.
    pub(super) fn take(unread: &mut Bytes, answers_head: bool) -> Result<Option<Self>, Malformed> {
        let mut room = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let mut parsed = Response::new(&mut []);
        let mut parser = ParserConfig::default();
        // As lenient as other proxies are with servers.
        parser.allow_spaces_after_header_name_in_responses(true).allow_obsolete_multiline_headers_in_responses(true);
        let malformed = |error| match error {
            httparse::Error::TooManyHeaders => Malformed::of("the header has more than 256 fields"),
            other => unreadable(&parser, unread, other),
        };
        let length = match parser.parse_response_with_uninit_headers(&mut parsed, unread, &mut room).map_err(malformed)? {
            Status::Complete(length) if length <= MAX_HEADER_BYTES => length,
            Status::Partial if unread.len() <= MAX_HEADER_BYTES => return Ok(None),
            _ => return Err(Malformed::of("the header is longer than 256 KiB")),
        };
        let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Malformed::of("an invalid status"))?;
        let fields = Fields::of(parsed.headers);
        let connection = match status {
            StatusCode::SWITCHING_PROTOCOLS => None,
            _ => Some(Connection::of(fields)?),
        };
        let body = if status.is_informational() { None } else { Some(AnswerBody::of(status, fields, answers_head)?) };
        let (header, date) = header(status, parsed.reason, fields, unread, connection.as_ref())?;
        let is_persistent = body != Some(AnswerBody::UntilClosed)
            && connection.is_some_and(|connection| connection.is_persistent(parsed.version == Some(1), fields));
        unread.advance(length);
        Ok(Some(Self { header, date, body, is_persistent }))
    }
}

/// Says which line of a header cannot be read, and why; nothing of what is there.
#[cold]
fn unreadable(parser: &ParserConfig, bytes: &[u8], error: httparse::Error) -> Malformed {
    let ends: Vec<_> = bytes.iter().zip(1..).filter_map(|(byte, end)| (*byte == b'\n').then_some(end)).collect();
    let is_readable = |end: &usize| {
        let mut room = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let beginning = bytes.get(..*end).unwrap_or(bytes);
        parser.parse_response_with_uninit_headers(&mut Response::new(&mut []), beginning, &mut room).is_ok()
    };
    let line = ends.partition_point(is_readable) + 1;
    Malformed(format!("line {line} of the header: {error}").into())
}

/// What the upstream says of its connection (RFC 9110 section 7.6.1).
struct Connection<'a> {
    options: Vec<&'a [u8]>,
}

impl<'a> Connection<'a> {
    fn of(fields: Fields<'a>) -> Result<Self, Malformed> {
        let options: Vec<_> = list(fields.values("connection")).take(MAX_OPTIONS + 1).collect();
        if options.len() > MAX_OPTIONS { Err(Malformed::of("too many Connection options")) } else { Ok(Self { options }) }
    }

    /// RFC 9112 section 9.3.
    fn is_persistent(&self, is_current: bool, fields: Fields<'_>) -> bool {
        let says = |word: &str| self.options.iter().any(|option| option.eq_ignore_ascii_case(word.as_bytes()));
        let is_chunked_unknowingly = || fields.values("transfer-encoding").next().is_some();
        !says("close") && (is_current || (says("keep-alive") && !is_chunked_unknowingly()))
    }

    /// Whether a field goes no further. How the body is framed is needed longer.
    fn is_hop_by_hop(&self, name: &str) -> bool {
        let is_framing = || ["content-length", "transfer-encoding"].iter().any(|known| name.eq_ignore_ascii_case(known));
        hop_by_hop::NAMES_OF_ANSWERS.iter().any(|known| name.eq_ignore_ascii_case(known))
            || (self.options.iter().any(|option| option.eq_ignore_ascii_case(name.as_bytes())) && !is_framing())
    }
}

/// Builds what the client gets: each length once, and without what goes no further; and the date of a final answer, which is not in it.
fn header(
    status: StatusCode,
    reason: Option<&str>,
    fields: Fields<'_>,
    bytes: &Bytes,
    connection: Option<&Connection<'_>>,
) -> Result<(Box<ResponseHeader>, Option<HeaderValue>), Malformed> {
    let malformed = |_| Malformed::of("the header has an invalid field");
    let mut header = ResponseHeader::build(status, Some(fields.all().len() + ROOM)).map_err(malformed)?;
    header.set_reason_phrase(reason).map_err(malformed)?;
    // These say nothing of a body (RFC 9110 section 8.6, RFC 9112 section 6.1), and whoever believes them waits for one.
    let is_bodiless = status.is_informational() || status == StatusCode::NO_CONTENT;
    let is_chunked = !is_bodiless && framing::is_chunked(fields)?;
    let (mut has_length, mut has_coding) = (is_chunked || is_bodiless, !is_chunked);
    let mut date = None;
    for field in fields.all() {
        if connection.is_some_and(|connection| connection.is_hop_by_hop(field.name)) {
            continue;
        }
        let mut value = bytes.slice_ref(field.value);
        if field.name.eq_ignore_ascii_case("content-length") {
            if std::mem::replace(&mut has_length, true) {
                continue;
            }
            // Where there are several, they are the same.
            value = bytes.slice_ref(list(iter::once(field.value)).next().unwrap_or(field.value));
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            // Told once and plainly, however it was said.
            if std::mem::replace(&mut has_coding, true) {
                continue;
            }
            value = Bytes::from_static(b"chunked");
        } else if !status.is_informational() && field.name.eq_ignore_ascii_case("date") {
            date = date.or(Some(header_value_from_raw(value)));
            continue;
        }
        let name = bytes.slice_ref(field.name.as_bytes());
        // The value must have been parsed, as it has: nothing looks at its bytes any more.
        header.append_header(name, header_value_from_raw(value)).map_err(malformed)?;
    }
    Ok((Box::new(header), date))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::upstream::session::framing::Chunks;

    fn take(text: &str) -> Result<AnswerHead, Malformed> {
        AnswerHead::take(&mut Bytes::copy_from_slice(text.as_bytes()), false).map(|head| head.expect("a whole header"))
    }

    fn fields(head: &AnswerHead) -> Vec<(String, String)> {
        let fields = head.header.case_header_iter();
        fields.map(|(name, value)| (String::from_utf8_lossy(name.as_slice()).into(), value.to_str().unwrap().into())).collect()
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_behind_a_header_stays() {
        let mut unread = Bytes::from_static(b"HTTP/1.1 200 Fine\r\nContent-Length: 3\r\nX-Couch-Body-Time: 0\r\n\r\nabcd");
        let head = AnswerHead::take(&mut unread, false).unwrap().unwrap();
        assert_eq!((head.header.status, head.header.get_reason_phrase()), (StatusCode::OK, Some("Fine")));
        assert_eq!(fields(&head), pairs(&[("Content-Length", "3"), ("X-Couch-Body-Time", "0")]), "spelled as they came");
        assert_eq!((head.body, head.is_persistent), (Some(AnswerBody::Length(3)), true));
        assert_eq!(unread, &b"abcd"[..]);
    }

    #[test]
    fn a_header_may_come_byte_by_byte() {
        let whole = b"HTTP/1.1 204 No Content\r\nServer: couch\r\n\r\n";
        for end in 1..whole.len() {
            let mut unread = Bytes::copy_from_slice(&whole[..end]);
            assert!(AnswerHead::take(&mut unread, false).unwrap().is_none(), "{end}");
            assert_eq!(unread.len(), end);
        }
        assert!(AnswerHead::take(&mut Bytes::from_static(whole), false).unwrap().is_some());
    }

    #[test]
    fn what_is_between_the_upstream_and_the_gateway_goes_no_further() {
        let head = take(
            "HTTP/1.1 426 Upgrade Required\r\nconnection: Upgrade, X-Private, Content-Length\r\nUpgrade: h2c\r\nKeep-Alive: timeout=5\r\n\
             Proxy-Connection: keep-alive\r\nTrailer: X-Checksum\r\nx-private: gone\r\nContent-Length: 2\r\nServer: couch\r\n\r\n",
        )
        .unwrap();
        assert_eq!(fields(&head), pairs(&[("Content-Length", "2"), ("Server", "couch")]));
        assert_eq!(head.body, Some(AnswerBody::Length(2)));
    }

    #[test]
    fn a_switch_of_protocols_is_told_whole() {
        let head = take("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").unwrap();
        assert_eq!(fields(&head), pairs(&[("Connection", "Upgrade"), ("Upgrade", "websocket")]));
        assert!(head.body.is_none() && !head.is_persistent);
    }

    #[test]
    fn an_interim_answer_has_no_body_whatever_it_says() {
        let said = "Link: </style.css>\r\nConnection: close\r\nContent-Length: 5, 6\r\nTransfer-Encoding: chunked\r\n";
        let head = take(&format!("HTTP/1.1 103 Early Hints\r\n{said}\r\n")).unwrap();
        assert_eq!((fields(&head), head.body), (pairs(&[("Link", "</style.css>")]), None));
    }

    #[test]
    fn the_body_is_framed_as_the_header_says() {
        let chunked = || AnswerBody::Chunked(Chunks::BEGIN);
        for (fields, body) in [
            ("Content-Length: 5\r\n", AnswerBody::Length(5)),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", AnswerBody::Length(5)),
            ("Content-Length: 5 , 5\r\n", AnswerBody::Length(5)),
            ("Transfer-Encoding: chunked\r\n", chunked()),
            ("Transfer-Encoding: Chunked\r\nContent-Length: 5\r\n", chunked()),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunked()),
            ("Transfer-Encoding: chunked, chunked\r\n", chunked()),
            ("Transfer-Encoding: identity, chunked\r\n", chunked()),
            ("Transfer-Encoding: Identity\r\nContent-Length: 5\r\n", AnswerBody::Length(5)),
            ("Transfer-Encoding: identity\r\n", AnswerBody::UntilClosed),
            // Empty items count for nothing (RFC 9110 section 5.6.1.2).
            ("Transfer-Encoding: chunked, \r\n", chunked()),
            ("", AnswerBody::UntilClosed),
        ] {
            assert_eq!(take(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).unwrap().body, Some(body), "{fields}");
        }
        for (bodiless, told) in [("204 No Content", &[][..]), ("304 Not Modified", &[("Content-Length", "5")])] {
            let head = take(&format!("HTTP/1.1 {bodiless}\r\nContent-Length: 5\r\n\r\n")).unwrap();
            assert_eq!((fields(&head), head.body), (pairs(told), Some(AnswerBody::Length(0))));
        }
        let mut answer = Bytes::from_static(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(AnswerHead::take(&mut answer, true).unwrap().unwrap().body, Some(AnswerBody::Length(0)), "an answer to HEAD");
    }

    #[test]
    fn how_the_body_is_framed_is_told_once_and_in_one_way() {
        for (said, told) in [
            ("Content-Length: 5\r\nServer: a\r\ncontent-length: 5\r\n", &[("Content-Length", "5"), ("Server", "a")][..]),
            ("Content-Length: 5, 5\r\n", &[("Content-Length", "5")]),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", &[("Transfer-Encoding", "chunked")]),
            ("Content-Length: 5\r\nTransfer-Encoding: identity\r\n", &[("Content-Length", "5")]),
            ("Transfer-Encoding: identity\r\n", &[]),
            ("Transfer-Encoding: chunked, ,\r\nTransfer-Encoding: \r\n", &[("Transfer-Encoding", "chunked")]),
            (
                "Transfer-Encoding: chunked\r\nServer: a\r\ntransfer-encoding: ,chunked\r\n",
                &[("Transfer-Encoding", "chunked"), ("Server", "a")],
            ),
            ("Transfer-Encoding: identity, chunked\r\n", &[("Transfer-Encoding", "chunked")]),
            ("Content-Length: five\r\nTransfer-Encoding: chunked\r\n", &[("Transfer-Encoding", "chunked")]),
        ] {
            assert_eq!(fields(&take(&format!("HTTP/1.1 200 OK\r\n{said}\r\n")).unwrap()), pairs(told));
        }
    }

    #[test]
    fn the_upstream_says_whether_it_keeps_the_connection() {
        for (start, is_persistent) in [
            ("HTTP/1.1 200 OK\r\n", true),
            ("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n", true),
            ("HTTP/1.1 200 OK\r\nConnection: CLOSE\r\n", false),
            ("HTTP/1.1 200 OK\r\nConnection: x-private, close\r\n", false),
            ("HTTP/1.0 200 OK\r\n", false),
            ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n", true),
            // RFC 9112 section 6.1.
            ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n", false),
            // The end of the connection is the end of the body.
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nX-", false),
        ] {
            assert_eq!(take(&format!("{start}Content-Length: 0\r\n\r\n")).unwrap().is_persistent, is_persistent, "{start}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for answer in [
            "SSH-2.0-OpenSSH_9.9\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\nna me: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5,\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;q=1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: ,\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n",
        ] {
            assert!(take(answer).is_err(), "{answer:?}");
        }
    }

    #[test]
    fn the_date_of_a_final_answer_is_told_apart() {
        let said = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nDate: Mon, 07 Nov 1994 08:49:37 GMT\r\nServer: a\r\n";
        let head = take(&format!("HTTP/1.1 200 OK\r\n{said}\r\n")).unwrap();
        assert_eq!(head.date.as_ref().unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT", "the first");
        assert_eq!(fields(&head), pairs(&[("Server", "a")]));
        let head = take(&format!("HTTP/1.1 101 Switching Protocols\r\n{said}\r\n")).unwrap();
        assert_eq!((head.date.as_ref(), fields(&head).len()), (None, 3));
    }

    #[test]
    fn the_line_that_cannot_be_read_is_named_and_not_told() {
        for (answer, expected) in [
            ("SSH-2.0-secret\r\n", "line 1 of the header: invalid HTTP version"),
            ("HTTP/1.1 2x0 secret\r\n\r\n", "line 1 of the header: invalid response status"),
            ("HTTP/1.1 200 OK\r\nserver: a\r\nsecret\r\nx: y\r\n\r\n", "line 3 of the header: invalid header name"),
            ("HTTP/1.1 200 OK\r\nx: secret\0\r\n\r\n", "line 2 of the header: invalid header value"),
            ("HTTP/1.1 200 OK\r\nx: a\r\n b\r\n c\r\nsecret", "line 5 of the header: invalid header name"),
        ] {
            let mut unread = Bytes::from(answer.to_owned() + "\r\n");
            assert_eq!(AnswerHead::take(&mut unread, false).unwrap_err().0, expected, "{answer:?}");
        }
    }

    #[test]
    fn a_folded_field_is_told_as_one_line() {
        let head = take("HTTP/1.1 200 OK\r\nX-Long: one\r\n  two\r\nContent-Length: 0\r\n\r\n").unwrap();
        assert_eq!(fields(&head), pairs(&[("X-Long", "one two"), ("Content-Length", "0")]));
    }

    #[test]
    fn a_header_has_its_bounds() {
        let long = |length: usize| format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(length));
        assert!(take(&long(MAX_HEADER_BYTES - 100)).is_ok());
        assert!(take(&long(MAX_HEADER_BYTES)).is_err());
        let unfinished = Bytes::from(long(MAX_HEADER_BYTES).trim_end().to_owned());
        assert!(AnswerHead::take(&mut unfinished.clone(), false).is_err());
        let many = |count: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(count));
        assert!(take(&many(MAX_FIELDS)).is_ok());
        assert!(take(&many(MAX_FIELDS + 1)).is_err());
        let options = |count: usize| format!("HTTP/1.1 200 OK\r\nConnection: {}\r\n\r\n", "a,".repeat(count));
        assert!(take(&options(MAX_OPTIONS)).is_ok());
        assert!(take(&options(MAX_OPTIONS + 1)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_is_no_reason_to_panic(bytes: Vec<u8>, answers_head: bool) {
            for start in [&b""[..], b"HTTP/1.1 200 OK\r\n"] {
                let _ = AnswerHead::take(&mut Bytes::from([start, &bytes].concat()), answers_head);
            }
        }
    }
}
