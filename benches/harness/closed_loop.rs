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

/// Bytes of the upstream's answer, after its header.
const BODY: usize = 43;

/// Connections to one proxy.
pub struct ClosedLoop {
    clients: Vec<TcpStream>,
    request: Vec<u8>,
}

impl ClosedLoop {
    pub async fn connect(proxy: SocketAddr, connections: usize, token: &str) -> io::Result<Self> {
        let request = format!(
            "GET /docs/42?include=meta HTTP/1.1\r\nHost: sync.contoso.example\r\nUser-Agent: bench/1\r\nAccept: application/json\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        );
        let clients = try_join_all((0..connections).map(|_| async {
            let client = TcpStream::connect(proxy).await?;
            client.set_nodelay(true)?;
            io::Result::Ok(client)
        }));
        let mut load = Self { clients: clients.await?, request: request.into_bytes() };
        // One request each, so that no connection is new when it counts.
        load.run(connections).await?;
        Ok(load)
    }

    /// Sends so many requests over all connections together and returns how long that took.
    pub async fn run(&mut self, requests: usize) -> io::Result<Duration> {
        let each = requests.div_ceil(self.clients.len());
        let started = Instant::now();
        try_join_all(self.clients.iter_mut().map(|client| requests_in_turn(client, &self.request, each))).await?;
        Ok(started.elapsed())
    }
}

async fn requests_in_turn(client: &mut TcpStream, request: &[u8], count: usize) -> io::Result<()> {
    let mut buffer = [0; 4096];
    for _ in 0..count {
        client.write_all(request).await?;
        let mut filled = 0;
        while !is_complete(&buffer[..filled])? {
            match client.read(&mut buffer[filled..]).await? {
                0 => return Err(io::Error::other("the proxy closed the connection")),
                read => filled += read,
            }
        }
    }
    Ok(())
}

fn is_complete(answer: &[u8]) -> io::Result<bool> {
    let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(false) };
    if !answer.starts_with(b"HTTP/1.1 200 ") {
        return Err(io::Error::other(format!("the proxy answered: {}", String::from_utf8_lossy(answer))));
    }
    Ok(answer.len() >= head + 4 + BODY)
}
