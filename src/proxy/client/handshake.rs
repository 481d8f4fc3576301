//! The TLS handshake of a connection, before it is served.
//!
//! A handshake takes as long as some requests, and a flood of them would be felt by everyone on the same event loop. So it is
//! done on a thread of its own with a lower priority; the finished session then moves to its event loop.

use std::{io, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig, ServerConnection, server::Acceptor};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor, server::TlsStream};

use crate::certificate::{ServerTls, UNRECOGNIZED_NAME};

/// What a client of plain HTTP hears.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 34\r\nConnection: close\r\n\r\nThis port speaks HTTPS, not HTTP.\n";
/// How long what a client of plain HTTP has sent is read, so that it reads the answer before the connection is reset.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// A finished handshake: the socket, watched by no event loop, and the session.
#[derive(Debug)]
pub(super) struct Secured {
    socket: std::net::TcpStream,
    session: Box<ServerConnection>,
    config: Arc<ServerConfig>,
}

/// Why a handshake came to nothing. The closed list behind the label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HandshakeFault {
    /// The client left.
    Closed,
    /// It took too long.
    Timeout,
    /// Too many others were in progress, and this one was the oldest.
    Displaced,
    /// The client spoke plain HTTP, and was told.
    PlainHttp,
    /// What it sent is no handshake, or breaks its rules.
    Malformed,
    /// The client knows no version, cipher suite or key exchange that is accepted.
    Incompatible,
    /// It asked for a name that is not served.
    UnknownName,
    /// Its certificate is missing or not accepted.
    ClientCertificate,
    /// The client has refused the gateway, for its certificate as a rule.
    Refused,
}

impl HandshakeFault {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Timeout => "timeout",
            Self::Displaced => "displaced",
            Self::PlainHttp => "plain_http",
            Self::Malformed => "malformed",
            Self::Incompatible => "incompatible",
            Self::UnknownName => "unknown_name",
            Self::ClientCertificate => "client_certificate",
            Self::Refused => "refused_by_client",
        }
    }

    fn of(error: &io::Error) -> Self {
        use rustls::Error;
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            None => Self::Closed,
            Some(Error::AlertReceived(_)) => Self::Refused,
            Some(Error::PeerIncompatible(_)) => Self::Incompatible,
            Some(Error::InvalidCertificate(_) | Error::NoCertificatesPresented | Error::InvalidCertRevocationList(_)) => {
                Self::ClientCertificate
            }
            Some(_) => Self::Malformed,
        }
    }
}

/// Does the handshake of a connection.
pub(super) async fn shake_hands(mut socket: TcpStream, tls: &ServerTls) -> Result<Secured, HandshakeFault> {
    /// The first byte of every TLS record of a handshake (RFC 8446 section 5.1).
    const HANDSHAKE: u8 = 22;
    let mut first = [0];
    match socket.peek(&mut first).await {
        Ok(1..) if first == [HANDSHAKE] => {}
        Ok(1..) if first.iter().all(u8::is_ascii_alphabetic) => {
            answer_plain_http(&mut socket).await;
            return Err(HandshakeFault::PlainHttp);
        }
        Ok(1..) => return Err(HandshakeFault::Malformed),
        Ok(0) | Err(_) => return Err(HandshakeFault::Closed),
    }
    let fault = |error| HandshakeFault::of(&error);
    let mut start = LazyConfigAcceptor::new(Acceptor::default(), socket).await.map_err(fault)?;
    let Some(config) = tls.config_for(&start.client_hello()) else {
        // The client may be gone; there is nobody else to tell.
        let _ = start.io.write_all(&UNRECOGNIZED_NAME).await;
        return Err(HandshakeFault::UnknownName);
    };
    // Boxed: it is larger than all else of a handshake, and most of it is gone when the connection is served.
    let (socket, session) = Box::pin(start.into_stream(Arc::clone(&config))).await.map_err(fault)?.into_inner();
    let socket = socket.into_std().map_err(|_| HandshakeFault::Closed)?;
    Ok(Secured { socket, session: Box::new(session), config })
}

async fn answer_plain_http(socket: &mut TcpStream) {
    let telling = async {
        socket.write_all(PLAIN_HTTP).await?;
        socket.shutdown().await?;
        let mut scratch = [0; 1_024];
        while socket.read(&mut scratch).await? > 0 {}
        io::Result::Ok(())
    };
    // However it ends, the connection is closed.
    let _ = tokio::time::timeout(LINGER_TIMEOUT, telling).await;
}

impl Secured {
    /// The session.
    pub(super) fn session(&self) -> &ServerConnection {
        &self.session
    }

    /// The values of the labels `version` and `kind`.
    pub(super) fn labels(&self) -> (&'static str, &'static str) {
        let version = match self.session.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "1.3",
            _ => "1.2",
        };
        let kind = match self.session.handshake_kind() {
            Some(HandshakeKind::Resumed) => "resumed",
            _ => "full",
        };
        (version, kind)
    }

    /// Joins socket and session on the event loop of the calling task.
    pub(super) fn into_stream(self) -> io::Result<TlsStream<TcpStream>> {
        let socket = TcpStream::from_std(self.socket)?;
        let joined = TlsAcceptor::from(self.config).accept_with(socket, |fresh| *fresh = *self.session);
        // Nothing is left to be shaken.
        joined.now_or_never().unwrap_or_else(|| Err(io::ErrorKind::NotConnected.into()))
    }
}
