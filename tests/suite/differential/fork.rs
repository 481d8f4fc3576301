//! The upstream of the gateway: it hands each request on to many servers, byte for byte as the gateway wrote it, and tells what the
//! handlers said.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{
    connection::{end_of_head, header},
    program::Setup,
    request::{Handler, Seen},
};

/// The header that says which servers are asked: a number, one bit for each.
pub const MASK: &str = "X-Kit-Servers";

/// A running fork. It stops when it is dropped.
pub struct Fork {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Fork {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fork {
    pub async fn start(setups: Vec<Setup>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, setups.clone()));
            }
        });
        Self { address, task }
    }
}

async fn serve(mut stream: TcpStream, setups: Vec<Setup>) -> Option<()> {
    let mut servers: Vec<_> = setups.iter().map(|setup| setup.connect()).collect();
    let mut unread = Vec::new();
    loop {
        let end = loop {
            match end_of_head(&unread) {
                Some(end) => break end,
                None => more(&mut stream, &mut unread).await?,
            }
        };
        let number = |name: &str, radix: u32| {
            let value = str::from_utf8(header(&unread[..end], name)?).ok()?;
            u64::from_str_radix(value, radix).ok()
        };
        let (mask, length) = (number(MASK, 16).unwrap_or(0), number("content-length", 10).unwrap_or(0));
        let end = end + usize::try_from(length).ok()?;
        while unread.len() < end {
            more(&mut stream, &mut unread).await?;
        }
        let request: Vec<u8> = unread.drain(..end).collect();
        let mut said = target(&request).to_vec();
        for (index, server) in servers.iter_mut().enumerate().filter(|(index, _)| mask >> index & 1 == 1) {
            let seen = Seen::of(server.ask(&request).await.as_ref());
            if seen.handler != Handler::Nobody {
                said.extend_from_slice(format!("\n{index} {} {}", seen.handler.name(), seen.method.unwrap_or_default()).as_bytes());
            }
        }
        let head = format!("HTTP/1.1 200 OK\r\nX-Fork: 1\r\nContent-Length: {}\r\n\r\n", said.len());
        stream.write_all(&[head.as_bytes(), &said].concat()).await.ok()?;
    }
}

/// The text between the first space of a request and the last one of its first line.
fn target(request: &[u8]) -> &[u8] {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let start = line.iter().position(|byte| *byte == b' ').map_or(0, |space| space + 1);
    let end = line.iter().rposition(|byte| *byte == b' ').unwrap_or(line.len());
    line.get(start..end).unwrap_or_default()
}

async fn more(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<()> {
    (stream.read_buf(unread).await.ok()? > 0).then_some(())
}
