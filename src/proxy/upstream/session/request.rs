//! The header of a request as its upstream gets it: the client's, with changes. Pure.

use std::iter;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header, uri::Scheme};
use pingora::http::RequestHeader;

use super::{
    Malformed,
    framing::{RequestBody, content_length},
};
use crate::proxy::http::{Changes, Told};

/// Bytes of a typical header with a token in it.
const USUAL_LENGTH: usize = 1_536;

/// A request for an upstream, but for its body. It can be sent more than once, and not be printed: it holds a token.
pub(in crate::proxy) struct UpstreamRequest {
    /// The header on the wire.
    pub(super) head: Bytes,
    /// How the body is framed that follows.
    pub(super) body: RequestBody,
    /// Whether the method is HEAD, whose answer has no body.
    pub(super) is_head: bool,
}

impl UpstreamRequest {
    /// Writes the client's header with these changes, and without what is unwanted unless it is changed. How the body is framed is said
    /// again, whatever the client says of it.
    ///
    /// # Errors
    /// A target that cannot be written, or a length that is none.
    pub(in crate::proxy) fn new(
        client: &RequestHeader,
        changes: Changes<'_>,
        is_unwanted: impl Fn(&HeaderName) -> bool,
    ) -> Result<Self, Malformed> {
        let Changes { prefix, target, fields, has_body, told } = changes;
        let mut head = HeadWriter::begin(client.method.as_str(), prefix, target.unwrap_or(client.raw_path()))?;
        changed(client, fields, is_unwanted, |name, spelled, value| head.write(name, spelled, value))?;
        told.write(&mut head.bytes);
        let (head, body) = head.end(has_body);
        Ok(Self { head, body, is_head: client.method == Method::HEAD })
    }
}

/// Hands over each field of a client's header with these changes, and without what is unwanted unless it is changed: its name, how the
/// client has spelled that, its value.
fn changed(
    client: &RequestHeader,
    mut fields: Vec<(HeaderName, Option<HeaderValue>)>,
    is_unwanted: impl Fn(&HeaderName) -> bool,
    mut write: impl FnMut(&HeaderName, Option<&[u8]>, &HeaderValue) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut as_spelled = client.case_header_iter();
    for (name, value) in &client.headers {
        let spelled = as_spelled.next().map(|(spelled, _)| spelled.as_slice());
        match fields.iter_mut().find(|(changed, _)| changed == name) {
            // The first field of the name has the new value; for those behind it nothing is left.
            Some((_, change)) => {
                if let Some(value) = change.take() {
                    write(name, None, &value)?;
                }
            }
            None if is_unwanted(name) => {}
            None => write(name, spelled, value)?,
        }
    }
    for (name, value) in &fields {
        if let Some(value) = value {
            write(name, None, value)?;
        }
    }
    Ok(())
}

/// The same for HTTP/2. It can be sent more than once, and not be printed.
pub(in crate::proxy) struct Http2Request(Request<()>);

impl Http2Request {
    /// Writes the client's header with these changes, and without what is unwanted unless it is changed. Its `Host` becomes the authority;
    /// that the client takes trailers is said, where it has said so (RFC 9113 section 8.2.2).
    ///
    /// # Errors
    /// A target or a host that cannot be written, or a length that is none.
    pub(in crate::proxy) fn new(
        client: &RequestHeader,
        changes: Changes<'_>,
        is_tls: bool,
        is_unwanted: impl Fn(&HeaderName) -> bool,
    ) -> Result<Self, Malformed> {
        let Changes { prefix, target, fields, told, .. } = changes;
        let (mut headers, mut host, mut length) = (HeaderMap::with_capacity(client.headers.len() + 4), None, None);
        changed(client, fields, is_unwanted, |name, _, value| {
            if name == header::HOST {
                host = Some(value.clone());
            } else if name == header::CONTENT_LENGTH {
                length = content_length(length, iter::once(value.as_bytes()))?;
            } else if name != header::TRANSFER_ENCODING && name != header::TE {
                headers.append(name, value.clone());
            }
            Ok(())
        })?;
        if let Some(length) = length {
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        add_lines(&told, &mut headers)?;
        if takes_trailers(&client.headers) {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
        let target = [prefix, target.unwrap_or(client.raw_path())].concat();
        let uri = Uri::builder()
            .scheme(if is_tls { Scheme::HTTPS } else { Scheme::HTTP })
            .authority(host.as_ref().map_or(&b""[..], HeaderValue::as_bytes))
            .path_and_query(target)
            .build()
            .map_err(|_| Malformed::of("an invalid target or host"))?;
        let mut request = Request::new(());
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (client.method.clone(), uri, headers);
        *request.version_mut() = Version::HTTP_2;
        Ok(Self(request))
    }

    pub(super) fn get(&self) -> Request<()> {
        self.0.clone()
    }
}

/// What the gateway says of the client is written in lines.
fn add_lines(told: &Told<'_>, headers: &mut HeaderMap) -> Result<(), Malformed> {
    let mut lines = Vec::new();
    told.write(&mut lines);
    let invalid = || Malformed::of("an invalid line about the client");
    for line in lines.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        let colon = line.iter().position(|byte| *byte == b':').ok_or_else(invalid)?;
        let (name, value) = line.split_at_checked(colon).ok_or_else(invalid)?;
        let name = HeaderName::from_bytes(name).map_err(|_| invalid())?;
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        headers.append(name, HeaderValue::from_bytes(value).map_err(|_| invalid())?);
    }
    Ok(())
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    let names_them = |value: &HeaderValue| {
        let mut options = value.as_bytes().split(|byte| *byte == b',');
        options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    };
    headers.get_all(header::TE).iter().any(names_them)
}

#[cfg(feature = "fuzzing")]
impl UpstreamRequest {
    /// The header on the wire, to be looked at by nobody but the fuzz targets.
    pub(in crate::proxy) fn head(&self) -> &[u8] {
        &self.head
    }
}

/// A header as it is written.
struct HeadWriter {
    bytes: Vec<u8>,
    /// Of the body, as far as a field has said.
    length: Option<u64>,
}

impl HeadWriter {
    fn begin(method: &str, prefix: &[u8], target: &[u8]) -> Result<Self, Malformed> {
        // They would end the target, or the line (RFC 9112 section 3).
        if target.is_empty() || target.iter().any(|byte| matches!(byte, 0 | b'\n' | b'\r' | b' ')) {
            return Err(Malformed::of("an invalid target"));
        }
        let mut head = Self { bytes: Vec::with_capacity(USUAL_LENGTH), length: None };
        head.put(&[method.as_bytes(), b" ", prefix, target, b" HTTP/1.1\r\n"]);
        Ok(head)
    }

    /// Writes a field, or notes what it says of the body.
    fn write(&mut self, name: &HeaderName, spelled: Option<&[u8]>, value: &HeaderValue) -> Result<(), Malformed> {
        if name == header::CONTENT_LENGTH {
            self.length = content_length(self.length, iter::once(value.as_bytes()))?;
        } else if name != header::TRANSFER_ENCODING {
            // It is the name that was checked, however the spelling was come by.
            let is_same = |spelled: &&[u8]| spelled.eq_ignore_ascii_case(name.as_str().as_bytes());
            self.put(&[spelled.filter(is_same).unwrap_or(spelling(name)), b": ", value.as_bytes(), b"\r\n"]);
        }
        Ok(())
    }

    fn end(mut self, has_body: bool) -> (Bytes, RequestBody) {
        let body = match self.length {
            Some(length) => {
                self.put(&[b"Content-Length: ", itoa::Buffer::new().format(length).as_bytes(), b"\r\n"]);
                RequestBody::Length(length)
            }
            None if has_body => {
                self.put(&[b"Transfer-Encoding: chunked\r\n"]);
                RequestBody::Chunked
            }
            None => RequestBody::NONE,
        };
        self.put(&[b"\r\n"]);
        (self.bytes.into(), body)
    }

    fn put(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
    }
}

/// As most clients and servers spell it; others in lower case. A name means the same however it is spelled.
fn spelling(name: &HeaderName) -> &[u8] {
    match *name {
        header::AUTHORIZATION => b"Authorization",
        header::CONNECTION => b"Connection",
        header::COOKIE => b"Cookie",
        header::HOST => b"Host",
        header::UPGRADE => b"Upgrade",
        _ => name.as_str().as_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(method: &str, target: &str, fields: &[(&'static str, &str)]) -> RequestHeader {
        let mut header = RequestHeader::build(method, target.as_bytes(), None).unwrap();
        for (name, value) in fields {
            header.append_header(*name, *value).unwrap();
        }
        header
    }

    fn written(client: &RequestHeader, changes: Changes<'_>) -> (String, RequestBody) {
        let request = UpstreamRequest::new(client, changes, |name| name == "x-user").unwrap();
        (String::from_utf8(request.head.into()).unwrap(), request.body)
    }

    #[test]
    fn what_is_not_changed_is_told_as_it_came() {
        let fields = [("HOST", "sync.contoso.com"), ("x-a", "1"), ("X-A", "2"), ("X-User", "mallory"), ("Accept", "*/*")];
        let mut header = client("GET", "/docs/42?include=meta", &fields);
        header.set_version(http::Version::HTTP_10);
        let expected = "GET /docs/42?include=meta HTTP/1.1\r\nHOST: sync.contoso.com\r\nx-a: 1\r\nX-A: 2\r\nAccept: */*\r\n\r\n";
        assert_eq!(written(&header, Changes::default()), (expected.to_owned(), RequestBody::NONE));
    }

    #[test]
    fn a_change_is_there_once_and_more_than_a_wish_to_be_without() {
        let header =
            client("GET", "/", &[("x-user", "a"), ("authorization", "Bearer a"), ("x-user", "b"), ("cookie", "c"), ("x", "y")]);
        let mut changes = Changes::default();
        changes.set(header::AUTHORIZATION, HeaderValue::from_static("Bearer b"));
        changes.set(HeaderName::from_static("x-user"), HeaderValue::from_static("alice"));
        changes.set(HeaderName::from_static("x-new"), HeaderValue::from_static("1"));
        changes.set(HeaderName::from_static("x-new"), HeaderValue::from_static("2"));
        changes.remove(header::COOKIE);
        changes.remove(header::ORIGIN);
        changes.set_target(b"/other");
        let expected = "GET /other HTTP/1.1\r\nx-user: alice\r\nAuthorization: Bearer b\r\nx: y\r\nx-new: 2\r\n\r\n";
        assert_eq!(written(&header, changes).0, expected);
    }

    #[test]
    fn a_prefix_stands_before_whatever_target() {
        let header = client("GET", "/docs?a=/b", &[]);
        let prefixed = |target: Option<&'static [u8]>| {
            let mut changes = Changes::default();
            changes.set_prefix(b"/app");
            target.into_iter().for_each(|target| changes.set_target(target));
            written(&header, changes).0
        };
        assert_eq!(prefixed(None), "GET /app/docs?a=/b HTTP/1.1\r\n\r\n");
        assert_eq!(prefixed(Some(b"/other")), "GET /app/other HTTP/1.1\r\n\r\n");
    }

    #[test]
    fn what_the_gateway_writes_is_spelled_as_most_do() {
        let mut changes = Changes::default();
        for name in [header::AUTHORIZATION, header::CONNECTION, header::COOKIE, header::HOST, header::UPGRADE, header::ORIGIN] {
            changes.set(name, HeaderValue::from_static("1"));
        }
        let expected =
            "GET / HTTP/1.1\r\nHost: 1\r\nAuthorization: 1\r\nConnection: 1\r\nCookie: 1\r\nUpgrade: 1\r\norigin: 1\r\n\r\n";
        assert_eq!(written(&client("GET", "/", &[("HOST", "a")]), changes).0, expected);
    }

    #[test]
    fn how_a_body_is_framed_is_said_anew() {
        let body = |fields: &[(&'static str, &str)], has_body: bool| {
            let mut changes = Changes::default();
            if has_body {
                changes.announce_body();
            }
            let (head, body) = written(&client("POST", "/", fields), changes);
            (head.trim_end().rsplit_once("HTTP/1.1").unwrap().1.trim_start().to_owned(), body)
        };
        let chunked = ("Transfer-Encoding: chunked".to_owned(), RequestBody::Chunked);
        assert_eq!(body(&[("transfer-encoding", "chunked")], true), chunked);
        assert_eq!(body(&[], true), chunked);
        let three = ("Content-Length: 3".to_owned(), RequestBody::Length(3));
        assert_eq!(body(&[("content-length", "3")], true), three);
        assert_eq!(body(&[("content-length", "03"), ("content-length", "3, 3")], true), three);
        assert_eq!(body(&[("transfer-encoding", "chunked")], false), (String::new(), RequestBody::NONE));
    }

    #[test]
    fn what_cannot_be_written_is_not() {
        let write = |header: &RequestHeader, changes| UpstreamRequest::new(header, changes, |_| false).err();
        for target in ["/a b", "/a\r\nX: y", "/\0", ""] {
            let mut changes = Changes::default();
            changes.set_target(target.as_bytes());
            assert!(write(&client("GET", "/", &[]), changes).is_some(), "{target:?}");
        }
        for lengths in [&[("content-length", "3"), ("content-length", "4")][..], &[("content-length", "-1")]] {
            assert!(write(&client("POST", "/", lengths), Changes::default()).is_some());
        }
    }

    #[test]
    fn by_http2_the_host_is_the_authority_and_nothing_is_of_the_connection() {
        let fields = [
            ("HOST", "sync.contoso.com"),
            ("X-User", "mallory"),
            ("TE", "gzip, Trailers;q=1"),
            ("transfer-encoding", "chunked"),
            ("X-A", "1"),
            ("x-a", "2"),
        ];
        let write = |fields: &[(&'static str, &str)], is_tls| {
            let mut changes = Changes::default();
            changes.set_prefix(b"/app");
            changes.set(header::AUTHORIZATION, HeaderValue::from_static("Bearer b"));
            changes.tell(Told::Lines(b"X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n".to_vec()));
            let request = Http2Request::new(&client("POST", "/docs?a=%20", fields), changes, is_tls, |name| name == "x-user");
            request.map(|request| {
                let request = request.get();
                let fields = request.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
                (format!("{} {}", request.method(), request.uri()), fields.collect::<Vec<_>>())
            })
        };
        let (line, seen) = write(&fields, false).unwrap();
        assert_eq!(line, "POST http://sync.contoso.com/app/docs?a=%20");
        assert_eq!(seen, ["x-a: 1", "x-a: 2", "authorization: Bearer b", "x-forwarded-for: 10.0.0.1", "x-forwarded-proto: https"]);
        let with_trailers = [("host", "[::1]:8080"), ("te", "trailers"), ("content-length", "03")];
        let (line, seen) = write(&with_trailers, true).unwrap();
        assert_eq!(line, "POST https://[::1]:8080/app/docs?a=%20");
        let told = ["x-forwarded-for: 10.0.0.1", "x-forwarded-proto: https"];
        assert_eq!(seen, ["authorization: Bearer b", "content-length: 3", told[0], told[1], "te: trailers"]);
        for wrong in [&[("host", "a b")][..], &[], &[("host", "a"), ("content-length", "x")]] {
            assert!(write(wrong, false).is_err(), "{wrong:?}");
        }
    }
}
