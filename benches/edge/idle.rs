//! What an idle connection takes: resident memory of each proxy before and after many of them, each after one request.

use std::{error::Error, net::SocketAddr, thread, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::Request;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::client::IntoClientRequest as _};

use crate::{
    harness::issuer::Issuer,
    proxy::{Kind, Proxy},
};

/// Until a proxy has settled.
const SETTLE: Duration = Duration::from_millis(500);

pub fn compare(core: usize, upstream: SocketAddr, issuer: &Issuer, token: &str, count: usize) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("\nBytes of an idle connection after one request, of {count}\n");
    println!("| | {} |", Kind::ALL.map(Kind::title).join(" | "));
    println!("|---|{}", "--:|".repeat(Kind::ALL.len()));
    for (title, kind) in [("TLS, HTTP/1.1", Connection::Http1), ("TLS, HTTP/2", Connection::Http2)] {
        let mut cells = Vec::new();
        for peer in Kind::ALL {
            let proxy = Proxy::start(peer, core, upstream, issuer)?;
            cells.push(runtime.block_on(each(&proxy, kind, token, count))?.to_string());
        }
        println!("| {title} | {} |", cells.join(" | "));
    }
    let proxy = Proxy::start(Kind::Syncgate, core, serve_sockets()?, issuer)?;
    println!("| WebSocket over TLS | | | {} |", runtime.block_on(each(&proxy, Connection::WebSocket, token, count))?);
    Ok(())
}

/// What is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    Http1,
    Http2,
    WebSocket,
}

/// An upstream that takes sockets and listens to them, for as long as this process lives.
fn serve_sockets() -> Result<SocketAddr, Box<dyn Error>> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::spawn(move || {
        runtime.block_on(async {
            let Ok(listener) = TcpListener::from_std(listener) else { return };
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    if let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await {
                        while let Some(Ok(_)) = socket.next().await {}
                    }
                });
            }
        });
    });
    Ok(address)
}

async fn each(proxy: &Proxy, kind: Connection, token: &str, count: usize) -> Result<u64, Box<dyn Error>> {
    // What the first ones bring about is no cost of a connection.
    let _first = open(proxy, kind, token, 50.min(count)).await?;
    tokio::time::sleep(SETTLE).await;
    let before = proxy.resident()?;
    let _held = open(proxy, kind, token, count).await?;
    tokio::time::sleep(SETTLE).await;
    Ok(proxy.resident()?.saturating_sub(before) / u64::try_from(count)?)
}

/// A connection that is kept open.
enum Held {
    Http1(#[expect(dead_code, reason = "open until it is dropped")] Box<TlsStream<TcpStream>>),
    WebSocket(#[expect(dead_code, reason = "as above")] Box<WebSocketStream<TlsStream<TcpStream>>>),
    Http2(#[expect(dead_code, reason = "as above")] h2::client::SendRequest<Bytes>, JoinHandle<()>),
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Self::Http2(_, driven) = self {
            driven.abort();
        }
    }
}

async fn open(proxy: &Proxy, kind: Connection, token: &str, count: usize) -> Result<Vec<Held>, Box<dyn Error>> {
    let protocol: &[u8] = if kind == Connection::Http2 { b"h2" } else { b"http/1.1" };
    let connector = TlsConnector::from(proxy.client_config(protocol)?);
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let stream = connector.connect("localhost".try_into()?, TcpStream::connect(proxy.address()).await?).await?;
        held.push(match kind {
            Connection::Http1 => ask(stream, token).await?,
            Connection::Http2 => ask_by_http2(stream, token).await?,
            Connection::WebSocket => open_socket(stream, token).await?,
        });
    }
    Ok(held)
}

async fn ask(mut stream: TlsStream<TcpStream>, token: &str) -> Result<Held, Box<dyn Error>> {
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes()).await?;
    let read = stream.read(&mut [0; 4_096]).await?;
    if read == 0 { Err("closed".into()) } else { Ok(Held::Http1(Box::new(stream))) }
}

async fn open_socket(stream: TlsStream<TcpStream>, token: &str) -> Result<Held, Box<dyn Error>> {
    let mut request = "wss://localhost/live".into_client_request()?;
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse()?);
    let (socket, _) = client_async(request, stream).await?;
    Ok(Held::WebSocket(Box::new(socket)))
}

async fn ask_by_http2(stream: TlsStream<TcpStream>, token: &str) -> Result<Held, Box<dyn Error>> {
    let (mut requests, connection) = h2::client::handshake(stream).await?;
    let driven = tokio::spawn(async move { drop(connection.await) });
    let request = Request::get("https://localhost/").header("authorization", format!("Bearer {token}")).body(())?;
    let (answer, _) = requests.send_request(request, true)?;
    let mut body = answer.await?.into_body();
    while let Some(piece) = body.data().await {
        body.flow_control().release_capacity(piece?.len())?;
    }
    Ok(Held::Http2(requests, driven))
}
