use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use h2::{RecvStream, client::SendRequest};
use http::{HeaderMap, Request, Response};
use syncgate::demo::{FREE_PORT, World, world::WorldOptions};
use tokio::{net::TcpStream, task::JoinHandle};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, pem::PemObject as _},
    },
};

use crate::kit::Kit;

/// A world whose gateway speaks TLS too.
pub async fn world(adjust: impl FnOnce(&mut syncgate::config::Config) + Send + 'static) -> Kit {
    let kit = Kit::start_unready(WorldOptions::default().tls(FREE_PORT).config(adjust)).await;
    kit.await_ready().await;
    kit
}

/// What a client offers that trusts the world's certificate and speaks these protocols.
pub fn trusting(world: &World, protocols: &[&[u8]]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let authority = &world.certificate.as_ref().expect("a listener with TLS").authority_pem;
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config
}

/// A connection with these protocols.
pub async fn connect(address: SocketAddr, config: ClientConfig) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await.unwrap()
}

/// A connection of HTTP/2.
pub struct Http2 {
    pub requests: SendRequest<Bytes>,
    /// Ends with the connection.
    driven: JoinHandle<Result<(), h2::Error>>,
}

impl Http2 {
    pub async fn connect(kit: &Kit) -> Self {
        let stream = connect(kit.tls_address().unwrap(), trusting(kit, &[b"h2"])).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (requests, connection) = h2::client::handshake(stream).await.unwrap();
        Self { requests, driven: tokio::spawn(connection) }
    }

    /// Waits for the connection to end, and tells how.
    pub async fn ended(self) -> Result<(), h2::Error> {
        drop(self.requests);
        self.driven.await.unwrap()
    }

    /// Sends a request with a whole body, and reads the header of its answer.
    pub async fn send(&self, request: Request<()>, body: impl Into<Bytes>) -> Result<Response<RecvStream>, h2::Error> {
        let body = body.into();
        let mut requests = self.requests.clone().ready().await?;
        let (answer, mut sending) = requests.send_request(request, body.is_empty())?;
        if !body.is_empty() {
            sending.send_data(body, true)?;
        }
        answer.await
    }

    /// The same with the body of the answer.
    pub async fn ask(&self, request: Request<()>, body: impl Into<Bytes>) -> Result<(Response<()>, Vec<u8>), h2::Error> {
        let (parts, mut body) = self.send(request, body).await?.into_parts();
        let mut whole = Vec::new();
        while let Some(piece) = body.data().await {
            let piece = piece?;
            body.flow_control().release_capacity(piece.len())?;
            whole.extend_from_slice(&piece);
        }
        Ok((Response::from_parts(parts, ()), whole))
    }
}

/// A request with a token.
pub fn request(method: &str, path: &str, token: &str) -> Request<()> {
    let builder = Request::builder().method(method).uri(format!("https://localhost{path}"));
    builder.header("authorization", format!("Bearer {token}")).body(()).unwrap()
}

/// The value of a field.
pub fn field<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}
