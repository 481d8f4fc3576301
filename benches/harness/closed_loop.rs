//! A closed loop of HTTP/1.1 clients: each connection sends its next request when the answer to the last one is complete.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// What is sent over and over, and the status that the answer has to have.
pub struct Question {
    request: Vec<u8>,
    status: u16,
}

impl Question {
    /// A request with this token, which the upstream answers.
    pub fn with_token(token: &str) -> Self {
        let request = format!(
            "GET /docs/42?include=meta HTTP/1.1\r\nHost: sync.contoso.example\r\nUser-Agent: bench/1\r\nAccept: application/json\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        );
        Self { request: request.into_bytes(), status: 200 }
    }

    /// An exchange of this token at `/token` (RFC 8693).
    pub fn exchange(token: &str) -> Self {
        let body = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token={token}\
             &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token"
        );
        let request = format!(
            "POST /token HTTP/1.1\r\nHost: sync.contoso.example\r\nUser-Agent: bench/1\r\nAccept: application/json\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Self { request: request.into_bytes(), status: 200 }
    }

    /// The same request where this is the answer.
    pub fn answered(self, status: u16) -> Self {
        Self { status, ..self }
    }
}

/// Connections to one proxy.
pub struct ClosedLoop {
    clients: Vec<TcpStream>,
    question: Question,
}

impl ClosedLoop {
    pub async fn connect(proxy: SocketAddr, connections: usize, question: Question) -> io::Result<Self> {
        let clients = try_join_all((0..connections).map(|_| async {
            let client = TcpStream::connect(proxy).await?;
            client.set_nodelay(true)?;
            io::Result::Ok(client)
        }));
        let mut load = Self { clients: clients.await?, question };
        // One request each, so that no connection is new when it counts.
        load.run(connections).await?;
        Ok(load)
    }

    /// Sends so many requests over all connections together and returns how long that took.
    pub async fn run(&mut self, requests: usize) -> io::Result<Duration> {
        let each = requests.div_ceil(self.clients.len());
        let started = Instant::now();
        try_join_all(self.clients.iter_mut().map(|client| requests_in_turn(client, &self.question, each))).await?;
        Ok(started.elapsed())
    }
}

async fn requests_in_turn(client: &mut TcpStream, question: &Question, count: usize) -> io::Result<()> {
    let mut buffer = [0; 4096];
    for _ in 0..count {
        client.write_all(&question.request).await?;
        let mut filled = 0;
        while !is_complete(&buffer[..filled], question.status)? {
            match client.read(&mut buffer[filled..]).await? {
                0 => return Err(io::Error::other("the proxy closed the connection")),
                read => filled += read,
            }
        }
    }
    Ok(())
}

fn is_complete(answer: &[u8], status: u16) -> io::Result<bool> {
    const STATUS: &[u8] = b"HTTP/1.1 ";
    let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(false) };
    let (header, rest) = (&answer[..head], &answer[head + 4..]);
    let has_status = header.strip_prefix(STATUS).is_some_and(|header| header.starts_with(status.to_string().as_bytes()));
    match content_length(header).filter(|_| has_status) {
        Some(length) => Ok(rest.len() >= length),
        None => Err(io::Error::other(format!("the proxy answered: {}", String::from_utf8_lossy(answer)))),
    }
}

fn content_length(header: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let line = header
        .split(|byte| *byte == b'\n')
        .find(|line| line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)))?;
    std::str::from_utf8(&line[NAME.len()..]).ok()?.trim().parse().ok()
}
