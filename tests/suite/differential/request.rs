//! What is asked, and what a server's handler says of it.

use super::connection::Answer;

/// What a request tries to get round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Spellings of a path.
    Path,
    /// Spellings of the path of a login.
    Login,
    /// Spellings of a host, and headers that name one.
    Host,
    /// Headers that name a path or move its beginning.
    Prefix,
    /// Headers that name a method.
    Override,
}

/// One request, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    pub method: &'static str,
    pub target: Vec<u8>,
    pub host: Vec<u8>,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: &'static str,
}

impl Request {
    pub fn get(target: impl Into<Vec<u8>>) -> Self {
        Self { method: "GET", target: target.into(), host: b"www.test".to_vec(), headers: Vec::new(), body: "" }
    }

    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn host(mut self, host: impl Into<Vec<u8>>) -> Self {
        self.host = host.into();
        self
    }

    /// As it goes over the wire, with further lines in its head.
    pub fn bytes(&self, more: &str) -> Vec<u8> {
        let mut bytes = [self.method.as_bytes(), b" ", &self.target, b" HTTP/1.1\r\nHost: ", &self.host, b"\r\n"].concat();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        if self.method != "GET" {
            bytes
                .extend_from_slice(format!("Content-Type: application/json\r\nContent-Length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(&[more.as_bytes(), b"\r\n", self.body.as_bytes()].concat());
        bytes
    }

    /// For people.
    pub fn shown(&self) -> String {
        let mut shown = format!("{} {}", self.method, self.target.escape_ascii());
        if self.host != b"www.test" {
            shown += &format!("  Host: {}", self.host.escape_ascii());
        }
        for (name, value) in &self.headers {
            shown += &format!("  {name}: {}", value.escape_ascii());
        }
        shown
    }
}

/// Which handler of a server answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Handler {
    /// None: the server refused the request.
    Nobody,
    /// Of `/admin` alone.
    Admin,
    /// Of what is below it.
    Below,
    /// Of `/auth` alone.
    Auth,
    /// Of `/public` and what is below it.
    Public,
    /// Of the host `admin.test`.
    Host,
    /// Of everything else.
    Other,
}

impl Handler {
    const NAMES: [(&str, Self); 6] = [
        ("admin", Self::Admin),
        ("below", Self::Below),
        ("auth", Self::Auth),
        ("public", Self::Public),
        ("host", Self::Host),
        ("other", Self::Other),
    ];

    pub fn of(name: &[u8]) -> Self {
        Self::NAMES.iter().find(|(known, _)| known.as_bytes() == name).map_or(Self::Nobody, |(_, handler)| *handler)
    }

    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, handler)| *handler == self).map_or("nobody", |(name, _)| name)
    }
}

/// What a handler said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub handler: Handler,
    /// The method as the handler read it, if it says.
    pub method: Option<String>,
    /// The path as the server read it, if it says.
    pub path: Option<Vec<u8>>,
}

impl Seen {
    pub const NOTHING: Self = Self { handler: Handler::Nobody, method: None, path: None };

    pub fn of(answer: Option<&Answer>) -> Self {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let Some(answer) = answer else { return Self::NOTHING };
        let method = answer.header("x-method").map(|method| String::from_utf8_lossy(method).into_owned());
        if let Some(name) = answer.header("x-handler") {
            let encoded = answer.header("x-path").and_then(|path| STANDARD.decode(path).ok());
            let path = encoded.or_else(|| answer.header("x-path-raw").map(<[u8]>::to_vec));
            return Self { handler: Handler::of(name), method, path };
        }
        // A server without a way to encode what it puts into a header says it in the body: the handler's name, a line end, the path.
        let Some(end) = answer.body.iter().position(|byte| *byte == b'\n').filter(|_| answer.status == 200) else {
            return Self::NOTHING;
        };
        Self { handler: Handler::of(&answer.body[..end]), method, path: Some(answer.body[end + 1..].to_vec()) }
    }
}
