//! [`UpstreamTls`]: TLS to an upstream, with the rules of [`tls`](crate::tls).
//!
//! Pingora's connector accepts only authorities: trusting a certificate itself would need a custom verifier, which it does not
//! support, and it parses the authorities again for each connection.

use std::{
    cell::OnceCell,
    io,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use async_trait::async_trait;
use pingora::{
    Error, ErrorType, Result,
    protocols::{
        GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest, UniqueID,
        UniqueIDType, l4::stream::Stream as TcpStream, raw_connect::ProxyDigest,
    },
    tls::{ClientTlsStream, TlsConnector, load_native_certs},
    upstreams::peer::HttpPeer,
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::{
    proxy::upstream::{error::UpstreamError, settings::UpstreamSettings},
    tls::{Authorities, explain},
};

/// How one upstream is spoken to by TLS.
pub(super) struct UpstreamTls {
    connector: TlsConnector,
    name: ServerName<'static>,
    ca_file: Option<PathBuf>,
}

/// The system's authorities, loaded once for all upstreams that need them.
#[derive(Default)]
pub(in crate::proxy) struct SystemAuthorities(OnceCell<Result<Arc<ClientConfig>, String>>);

impl SystemAuthorities {
    fn client_config(&self) -> Result<Arc<ClientConfig>, String> {
        self.0.get_or_init(load_system_authorities).clone()
    }
}

fn load_system_authorities() -> Result<Arc<ClientConfig>, String> {
    let certificates = load_native_certs().map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("there are none".to_owned());
    }
    let config = Authorities::of(certificates).and_then(|authorities| authorities.client_config());
    config.map(Arc::new).map_err(|problem| problem.to_string())
}

impl UpstreamTls {
    /// None: the upstream is spoken to without.
    pub(super) fn new(settings: &UpstreamSettings, system: &SystemAuthorities) -> Result<Option<Self>, UpstreamError> {
        if !settings.tls {
            return Ok(None);
        }
        let upstream = || settings.name.clone();
        let name = ServerName::try_from(settings.host.clone())
            .map_err(|_| UpstreamError::Host { upstream: upstream(), host: settings.host.clone() })?;
        let config = match &settings.ca_file {
            Some(path) => {
                let config = Authorities::read(path).and_then(|authorities| authorities.client_config());
                let path = || path.display().to_string();
                Arc::new(config.map_err(|problem| UpstreamError::Authorities { upstream: upstream(), path: path(), problem })?)
            }
            None => {
                let config = system.client_config();
                config.map_err(|problem| UpstreamError::SystemAuthorities { upstream: upstream(), problem })?
            }
        };
        Ok(Some(Self { connector: TlsConnector::from(config), name, ca_file: settings.ca_file.clone() }))
    }

    /// Shakes hands on a new connection. It has no separate timeout.
    ///
    /// # Errors
    /// A description of what is wrong with the server's certificate or its TLS.
    pub(super) async fn shake_hands(&self, plain: Stream, peer: &HttpPeer) -> Result<Stream> {
        let Ok(plain) = plain.into_any().downcast::<TcpStream>() else {
            return Error::e_explain(ErrorType::InternalError, "TLS to an upstream needs TCP");
        };
        match self.connector.connect(self.name.clone(), *plain).await {
            Ok(stream) => Ok(Box::new(TlsStream(stream))),
            Err(error) => {
                let words = explain(&error, self.ca_file.as_deref())
                    .unwrap_or_else(|| format!("the server aborted the TLS handshake: {error}"));
                let context = format!("{} at {}: {words}", self.name.to_str(), peer._address);
                Error::e_explain(ErrorType::TLSHandshakeFailure, context)
            }
        }
    }
}

impl std::fmt::Debug for UpstreamTls {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("UpstreamTls").field("name", &self.name).field("ca_file", &self.ca_file).finish_non_exhaustive()
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
