//! A client that sends bytes as they are and keeps its connection where the server does.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A server that says nothing for so long will not.
const TIMEOUT: Duration = Duration::from_secs(5);

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: Vec<u8>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header, without the white space around it.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        header(&self.head, name)
    }
}

/// The value of a header in a head, without the white space around it.
pub fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        line[..colon].eq_ignore_ascii_case(name.as_bytes()).then(|| line[colon + 1..].trim_ascii())
    })
}

/// Where a head ends, its empty line included.
pub fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|position| position + 4)
}

/// A connection to one server, made again when the server has closed it.
pub struct Connection {
    server: SocketAddr,
    is_kept: bool,
    stream: Option<TcpStream>,
    unread: Vec<u8>,
}

impl Connection {
    /// `is_kept`: whether more than one request is sent on a connection.
    pub fn new(server: SocketAddr, is_kept: bool) -> Self {
        Self { server, is_kept, stream: None, unread: Vec::new() }
    }

    /// Sends a request; none where the server closes without an answer.
    pub async fn ask(&mut self, request: &[u8]) -> Option<Answer> {
        let is_kept = self.stream.is_some();
        match tokio::time::timeout(TIMEOUT, self.try_ask(request)).await {
            Ok(Some(answer)) => Some(answer),
            // It may have been closed while it waited.
            Ok(None) if is_kept => {
                self.stream = None;
                let answer = tokio::time::timeout(TIMEOUT, self.try_ask(request)).await.ok().flatten();
                if answer.is_none() {
                    self.stream = None;
                }
                answer
            }
            _ => {
                self.stream = None;
                None
            }
        }
    }

    async fn try_ask(&mut self, request: &[u8]) -> Option<Answer> {
        if self.stream.is_none() {
            self.unread.clear();
            self.stream = Some(TcpStream::connect(self.server).await.ok()?);
        }
        self.stream.as_mut()?.write_all(request).await.ok()?;
        let answer = loop {
            let answer = self.answer().await?;
            if !(100..200).contains(&answer.status) {
                break answer;
            }
        };
        let closes = answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
        if closes || !self.is_kept || !self.unread.is_empty() {
            self.stream = None;
        }
        Some(answer)
    }

    async fn answer(&mut self) -> Option<Answer> {
        let end = loop {
            match end_of_head(&self.unread) {
                Some(end) => break end,
                None => self.more().await?,
            }
        };
        let head: Vec<u8> = self.unread.drain(..end).collect();
        let status = str::from_utf8(head.get(9..12)?).ok()?.parse().ok()?;
        let mut answer = Answer { status, head, body: Vec::new() };
        if matches!(status, 100..200 | 204 | 304) {
            return Some(answer);
        }
        let is_chunked = answer.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case(b"chunked"));
        let length = answer.header("content-length").and_then(|value| str::from_utf8(value).ok()?.parse::<usize>().ok());
        answer.body = match length {
            _ if is_chunked => self.chunks().await?,
            Some(length) => self.take(length).await?,
            None => {
                while self.more().await.is_some() {}
                self.stream = None;
                std::mem::take(&mut self.unread)
            }
        };
        Some(answer)
    }

    async fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                match self.unread.windows(2).position(|window| window == b"\r\n") {
                    Some(end) => break end,
                    None => self.more().await?,
                }
            };
            let line = self.take(line + 2).await?;
            let size = usize::from_str_radix(str::from_utf8(&line).ok()?.trim(), 16).ok()?;
            let mut chunk = self.take(size + 2).await?;
            if size == 0 {
                return Some(body);
            }
            chunk.truncate(size);
            body.append(&mut chunk);
        }
    }

    async fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.unread.len() < count {
            self.more().await?;
        }
        Some(self.unread.drain(..count).collect())
    }

    async fn more(&mut self) -> Option<()> {
        let count = self.stream.as_mut()?.read_buf(&mut self.unread).await.ok()?;
        (count > 0).then_some(())
    }
}
