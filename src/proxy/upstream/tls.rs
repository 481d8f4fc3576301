//! [`UpstreamTls`]: TLS to an upstream, with the rules of [`tls`](crate::tls).
//!
//! Pingora's connector accepts only authorities: trusting a certificate itself would need a custom verifier, which it does not
//! support, and it parses the authorities again for each connection.

use std::{
    cell::OnceCell,
    fs, io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use async_trait::async_trait;
use aws_lc_rs::digest;
use pingora::{
    Error, ErrorType, Result,
    protocols::{
        GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest, UniqueID,
        UniqueIDType, l4::stream::Stream as TcpStream, raw_connect::ProxyDigest,
    },
    tls::{ClientTlsStream, TlsConnector, load_native_certs},
};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::{
    private_file,
    proxy::upstream::{
        error::{OwnCertificateError, UpstreamError},
        place::Place,
        settings::{CertificateFiles, Target, UpstreamSettings},
    },
    tls::{Authorities, OwnCertificate, explain},
};

/// What HTTP/2 over TLS is called (RFC 9113 section 3.2).
const HTTP2: &[u8] = b"h2";
/// Largest file with a key. Bytes.
const MAX_KEY_BYTES: usize = 64 * 1024;

/// How one upstream is spoken to by TLS.
pub(super) struct UpstreamTls {
    connector: TlsConnector,
    /// For HTTP/2, which alone is offered.
    http2: TlsConnector,
    /// For each target, the name that its certificate must have.
    names: Vec<ServerName<'static>>,
    ca_file: Option<PathBuf>,
    /// Of the files that the settings name, so that a change is noticed.
    contents: Contents,
}

/// The system's authorities, loaded once for all upstreams that need them.
#[derive(Default)]
pub(in crate::proxy) struct SystemAuthorities(OnceCell<Result<Authorities, String>>);

impl SystemAuthorities {
    fn get(&self) -> Result<Authorities, String> {
        self.0.get_or_init(load_system_authorities).clone()
    }
}

fn load_system_authorities() -> Result<Authorities, String> {
    let certificates = load_native_certs().map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("there are none".to_owned());
    }
    Authorities::of(certificates).map_err(|problem| problem.to_string())
}

impl UpstreamTls {
    /// None: the upstream is spoken to without.
    pub(super) fn new(settings: &UpstreamSettings, system: &SystemAuthorities) -> Result<Option<Self>, UpstreamError> {
        if !settings.tls {
            return Ok(None);
        }
        let upstream = || settings.name.clone();
        let names = settings.targets.iter().map(|target| {
            let host = match (&settings.server_name, target) {
                (Some(name), _) => name.clone(),
                (None, Target::Host { host, .. }) => host.clone(),
                (None, Target::Socket(_)) => "localhost".to_owned(),
            };
            ServerName::try_from(host.clone()).map_err(|_| UpstreamError::Host { upstream: upstream(), host })
        });
        let names = names.collect::<Result<_, _>>()?;
        let contents = Contents::of(settings);
        let own = own_certificate(settings)?;
        let config = match &settings.ca_file {
            Some(path) => {
                let config = Authorities::read(path).and_then(|authorities| authorities.client_config_with(own.as_ref()));
                let path = || path.display().to_string();
                config.map_err(|problem| UpstreamError::Authorities { upstream: upstream(), path: path(), problem })?
            }
            None => {
                let config = system
                    .get()
                    .and_then(|authorities| authorities.client_config_with(own.as_ref()).map_err(|problem| problem.to_string()));
                config.map_err(|problem| UpstreamError::SystemAuthorities { upstream: upstream(), problem })?
            }
        };
        let mut http2 = config.clone();
        http2.alpn_protocols = vec![HTTP2.to_vec()];
        let (connector, http2) = (TlsConnector::from(Arc::new(config)), TlsConnector::from(Arc::new(http2)));
        Ok(Some(Self { connector, http2, names, ca_file: settings.ca_file.clone(), contents }))
    }

    /// Whether the files that the settings name are as they were.
    pub(super) fn is_current(&self, settings: &UpstreamSettings) -> bool {
        self.contents == Contents::of(settings)
    }

    /// Shakes hands on a new connection. It has no separate timeout.
    ///
    /// # Errors
    /// A description of what is wrong with the server's certificate or its TLS.
    pub(super) async fn shake_hands(&self, plain: Stream, place: &Place, is_http2: bool) -> Result<Stream> {
        let (Ok(plain), Some(name)) = (plain.into_any().downcast::<TcpStream>(), self.names.get(place.target)) else {
            return Error::e_explain(ErrorType::InternalError, "TLS to an upstream needs TCP and a name");
        };
        let connector = if is_http2 { &self.http2 } else { &self.connector };
        match connector.connect(name.clone(), *plain).await {
            Ok(stream) if is_http2 && stream.get_ref().1.alpn_protocol() != Some(HTTP2) => {
                let context =
                    format!("{} at {}: the server does not speak HTTP/2 (ALPN h2)", name.to_str(), place.standing.address());
                Error::e_explain(ErrorType::TLSHandshakeFailure, context)
            }
            Ok(stream) => Ok(Box::new(TlsStream(stream))),
            Err(error) => {
                let words = explain(&error, self.ca_file.as_deref())
                    .unwrap_or_else(|| format!("the server aborted the TLS handshake: {error}"));
                let context = format!("{} at {}: {words}", name.to_str(), place.standing.address());
                Error::e_explain(ErrorType::TLSHandshakeFailure, context)
            }
        }
    }
}

impl std::fmt::Debug for UpstreamTls {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("UpstreamTls").field("names", &self.names).field("ca_file", &self.ca_file).finish_non_exhaustive()
    }
}

/// What the gateway shows of itself, if it does.
fn own_certificate(settings: &UpstreamSettings) -> Result<Option<OwnCertificate>, UpstreamError> {
    settings
        .certificate
        .as_ref()
        .map(load_certificate)
        .transpose()
        .map_err(|problem| UpstreamError::Certificate { upstream: settings.name.clone(), problem })
}

/// Reads a certificate and its key, which only the gateway's user may be able to read.
///
/// # Errors
/// They cannot be read, do not belong together, or are not valid now.
pub fn load_certificate(files: &CertificateFiles) -> Result<OwnCertificate, OwnCertificateError> {
    let at = |path: &Path| path.display().to_string();
    let certificate =
        fs::read(&files.certificate).map_err(|error| OwnCertificateError::Read { path: at(&files.certificate), error })?;
    let key = private_file::read(&files.key, MAX_KEY_BYTES)?;
    OwnCertificate::parse(&certificate, &key).map_err(|problem| OwnCertificateError::Content {
        certificate: at(&files.certificate),
        key: at(&files.key),
        problem,
    })
}

/// Digests of the files that settings name; none of one that cannot be read.
#[derive(Debug, PartialEq, Eq)]
struct Contents([Option<[u8; 32]>; 3]);

impl Contents {
    fn of(settings: &UpstreamSettings) -> Self {
        let own = settings.certificate.as_ref();
        let paths = [settings.ca_file.as_ref(), own.map(|own| &own.certificate), own.map(|own| &own.key)];
        Self(paths.map(|path| {
            let content = zeroize::Zeroizing::new(fs::read(path?).ok()?);
            digest::digest(&digest::SHA256, &content).as_ref().try_into().ok()
        }))
    }
}

/// A connection on which hands have been shaken, as Pingora wants it.
#[derive(Debug)]
struct TlsStream(ClientTlsStream<TcpStream>);

impl AsyncRead for TlsStream {
    fn poll_read(mut self: Pin<&mut Self>, task: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(task, buffer)
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(task, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(task, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(task)
    }
}

#[async_trait]
impl Shutdown for TlsStream {
    async fn shutdown(&mut self) {
        // The upstream may be gone already; there is nobody left to tell.
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl UniqueID for TlsStream {
    fn id(&self) -> UniqueIDType {
        self.0.get_ref().0.id()
    }
}

impl Ssl for TlsStream {}

impl Peek for TlsStream {}

impl GetTimingDigest for TlsStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.0.get_ref().0.get_timing_digest()
    }
}

impl GetProxyDigest for TlsStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.0.get_ref().0.get_proxy_digest()
    }
}

impl GetSocketDigest for TlsStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.0.get_ref().0.get_socket_digest()
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
