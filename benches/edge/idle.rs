//! What an idle connection takes: resident memory of each proxy before and after many of them, each after one request.

use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Request;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

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
    for (title, is_http2) in [("TLS, HTTP/1.1", false), ("TLS, HTTP/2", true)] {
        let mut cells = Vec::new();
        for kind in Kind::ALL {
            let proxy = Proxy::start(kind, core, upstream, issuer)?;
            cells.push(runtime.block_on(each(&proxy, is_http2, token, count))?.to_string());
        }
        println!("| {title} | {} |", cells.join(" | "));
    }
    Ok(())
}

async fn each(proxy: &Proxy, is_http2: bool, token: &str, count: usize) -> Result<u64, Box<dyn Error>> {
    // What the first ones bring about is no cost of a connection.
    let _first = open(proxy, is_http2, token, 50.min(count)).await?;
    tokio::time::sleep(SETTLE).await;
    let before = proxy.resident()?;
    let _held = open(proxy, is_http2, token, count).await?;
    tokio::time::sleep(SETTLE).await;
    Ok(proxy.resident()?.saturating_sub(before) / u64::try_from(count)?)
}

/// A connection that is kept open.
enum Held {
    Http1(#[expect(dead_code, reason = "open until it is dropped")] Box<TlsStream<TcpStream>>),
    Http2(#[expect(dead_code, reason = "as above")] h2::client::SendRequest<Bytes>, JoinHandle<()>),
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Self::Http2(_, driven) = self {
            driven.abort();
        }
    }
}

async fn open(proxy: &Proxy, is_http2: bool, token: &str, count: usize) -> Result<Vec<Held>, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(proxy.authority_pem().as_bytes())?)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions()?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![if is_http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    let connector = TlsConnector::from(Arc::new(config));
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let stream = connector.connect("localhost".try_into()?, TcpStream::connect(proxy.address()).await?).await?;
        held.push(if is_http2 { ask_by_http2(stream, token).await? } else { ask(stream, token).await? });
    }
    Ok(held)
}

async fn ask(mut stream: TlsStream<TcpStream>, token: &str) -> Result<Held, Box<dyn Error>> {
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes()).await?;
    let read = stream.read(&mut [0; 4_096]).await?;
    if read == 0 { Err("closed".into()) } else { Ok(Held::Http1(Box::new(stream))) }
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
