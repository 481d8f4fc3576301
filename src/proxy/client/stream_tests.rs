//! Every kind of carrier does what a client's connection has to do.

use std::{
    os::unix::fs::PermissionsExt as _,
    sync::Arc,
    time::{Duration, SystemTime},
};

use pingora::{http::ResponseHeader, protocols::http::v1::server::HttpSession};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::aws_lc_rs::default_provider,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsConnector;

use super::*;
use crate::{
    certificate::{PairFiles, ServerTls, TlsSettings},
    metrics::IntGauge,
    proxy::client::{
        connection::{Arrival, Connection},
        handshake::shake_hands,
        intake::Intake,
        transport::Transport,
    },
};

/// A client's own end.
trait Client: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Client for T {}

async fn tcp() -> (ClientStream, Box<dyn Client>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (listener.accept().await.unwrap().0.into(), Box::new(client))
}

/// After a whole handshake, joined as on an event loop.
async fn tls(version: &'static SupportedProtocolVersion) -> (ClientStream, Box<dyn Client>) {
    let folder = tempfile::tempdir().unwrap();
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["contoso.com".to_owned()]).unwrap();
    let write = |name: &str, content: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let files = PairFiles { chain: write("chain.pem", cert.pem()), key: write("key.pem", signing_key.serialize_pem()) };
    let settings = TlsSettings { certificates: vec![files], ..TlsSettings::default() };
    let server = ServerTls::load(&settings, SystemTime::now()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let server = async { shake_hands(listener.accept().await.unwrap().0, &server).await.unwrap() };
    let client = TlsConnector::from(Arc::new(config)).connect("contoso.com".try_into().unwrap(), client);
    let (secured, client) = tokio::join!(server, client);
    (secured.into_stream().unwrap().into(), Box::new(client.unwrap()))
}

/// One of each kind.
async fn each() -> Vec<(ClientStream, Box<dyn Client>)> {
    vec![tcp().await, tls(&TLS12).await, tls(&TLS13).await]
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), work).await.expect("it does not come")
}

#[tokio::test]
async fn bytes_go_both_ways_and_end() {
    for (mut stream, mut client) in each().await {
        client.write_all(b"up").await.unwrap();
        let mut taken = [0; 2];
        soon(stream.read_exact(&mut taken)).await.unwrap();
        assert_eq!(&taken, b"up");
        assert!(stream.is_write_vectored());
        let pieces = [IoSlice::new(b"do"), IoSlice::new(b"wn")];
        assert_eq!(soon(stream.write_vectored(&pieces)).await.unwrap(), 4);
        stream.flush().await.unwrap();
        stream.shutdown().await.unwrap();
        let mut heard = Vec::new();
        soon(client.read_to_end(&mut heard)).await.unwrap();
        assert_eq!(heard, b"down");
    }
}

#[tokio::test]
async fn a_client_that_speaks_is_there_and_what_it_said_is_not_lost() {
    for (mut stream, mut client) in each().await {
        client.write_all(b"early").await.unwrap();
        tokio::select! {
            () = stream.left() => panic!("it is there"),
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
        let mut taken = [0; 5];
        soon(stream.read_exact(&mut taken)).await.unwrap();
        assert_eq!(&taken, b"early");
        let left = stream.clone();
        let leaving = async {
            tokio::task::yield_now().await;
            drop(client);
        };
        soon(async { tokio::join!(left.left(), leaving) }).await;
    }
}

#[tokio::test]
async fn one_that_is_quiet_can_be_closed() {
    for (mut stream, mut client) in each().await {
        assert!(stream.is_quiet());
        client.write_all(b"a").await.unwrap();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while stream.is_quiet() {
            assert!(tokio::time::Instant::now() < deadline, "it has spoken");
            tokio::task::yield_now().await;
        }
        let mut taken = [0];
        soon(stream.read_exact(&mut taken)).await.unwrap();
        stream.close();
        assert_eq!(soon(stream.read(&mut taken)).await.unwrap(), 0);
        // A session of TLS is not told that it ends.
        let heard = soon(client.read(&mut taken)).await;
        assert!(matches!(heard, Ok(0)) || heard.is_err_and(|error| error.kind() == io::ErrorKind::UnexpectedEof));
    }
}

#[tokio::test]
async fn what_nobody_wants_is_read_to_its_end() {
    for (stream, mut client) in each().await {
        let sending = async move {
            client.write_all(&[0; 100_000]).await.unwrap();
            drop(client);
        };
        soon(async { tokio::join!(stream.discard(), sending) }).await;
    }
}

#[tokio::test]
async fn requests_come_over_each() {
    for (stream, mut client) in each().await {
        let intake = Intake::new(1_024, IntGauge::new("held", "held").unwrap());
        let address = "127.0.0.1:1".parse().unwrap();
        let connection = Arc::new(Connection::new(Arrival::new(address), Some(stream.clone()), Duration::from_secs(10), intake));
        connection.request().bound_writes(Duration::from_secs(10));
        let mut session = HttpSession::new(Box::new(Transport::new(stream, connection)));
        client.write_all(b"GET /a HTTP/1.1\r\nHost: contoso.com\r\n\r\n").await.unwrap();
        assert!(soon(session.read_request()).await.unwrap().is_some());
        assert_eq!(session.req_header().raw_path(), b"/a");
        let answer = ResponseHeader::build(404, None).unwrap();
        soon(session.write_response_header(Box::new(answer))).await.unwrap();
        session.shutdown().await;
        let mut status = [0; 12];
        soon(client.read_exact(&mut status)).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 404");
    }
}
