//! One client connection: its peer, its bytes, and the request in progress.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::BytesMut;
use rustls::ServerConnection;

use crate::{
    certificate::{ClientCertificate, ServerTls},
    proxy::{
        address::{Peer, Scheme},
        client::{inbound::Inbound, intake::Intake, request_state::RequestState, stream::ClientStream},
    },
    token::Timestamp,
};

/// What is known of a connection from its beginning.
#[derive(Debug)]
pub(in crate::proxy) struct Arrival {
    /// The other end of the connection.
    pub(in crate::proxy) peer: Peer,
    /// What its handshake told, if it had one.
    pub(in crate::proxy) tls: Option<Box<Secure>>,
    /// Where the listener only sends clients on: to https, at this port.
    pub(in crate::proxy) redirect_port: Option<u16>,
    /// How long what comes before its handshake, or its first header, has taken.
    pub(in crate::proxy) waited: Duration,
}

/// What a TLS handshake told.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct Secure {
    /// How the listener answers handshakes.
    pub(in crate::proxy) listener: Arc<ServerTls>,
    /// The name that the client asked for, in lower case.
    pub(in crate::proxy) server_name: Option<String>,
    /// Whether both agreed on HTTP/2.
    pub(in crate::proxy) is_http2: bool,
    /// The client's certificate, if it has shown one.
    pub(in crate::proxy) certificate: Option<ClientCertificate>,
}

impl Secure {
    /// What this session knows.
    pub(super) fn of(session: &ServerConnection, listener: Arc<ServerTls>) -> Self {
        Self {
            listener,
            server_name: session.server_name().map(str::to_owned),
            is_http2: session.alpn_protocol() == Some(b"h2"),
            certificate: session.peer_certificates().and_then(ClientCertificate::of),
        }
    }
}

impl Arrival {
    pub(in crate::proxy) fn new(peer: SocketAddr) -> Self {
        Self { peer: Peer::new(peer, Scheme::Http), tls: None, redirect_port: None, waited: Duration::ZERO }
    }

    /// The same after a handshake.
    pub(super) fn secured(self, secure: Secure) -> Self {
        Self { peer: self.peer.by(Scheme::Https), tls: Some(Box::new(secure)), ..self }
    }

    /// The certificate that the client has shown in the handshake, unless it has ended since.
    pub(in crate::proxy) fn certificate(&self, now: SystemTime) -> Option<&ClientCertificate> {
        self.tls.as_ref()?.certificate.as_ref().filter(|certificate| now <= certificate.not_after)
    }

    /// When the client's certificate ends, if it has shown one: what rests on the handshake does not outlive it.
    pub(in crate::proxy) fn certificate_end(&self) -> Option<Timestamp> {
        self.tls.as_ref()?.certificate.as_ref().map(|certificate| certificate.not_after.into())
    }
}

/// One client connection, for all who see to it.
#[derive(Debug)]
pub(in crate::proxy) struct Connection {
    arrival: Arc<Arrival>,
    stream: Option<ClientStream>,
    request: Arc<RequestState>,
    inbound: Arc<Inbound>,
}

impl Connection {
    /// `stream` is what a tunnel goes on with.
    pub(in crate::proxy) fn new(arrival: Arrival, stream: Option<ClientStream>, header_timeout: Duration, intake: Intake) -> Self {
        let request = Arc::new(RequestState::new(header_timeout));
        Self { arrival: Arc::new(arrival), stream, request, inbound: Arc::new(Inbound::new(intake)) }
    }

    /// The connection as one of its streams sees it, of HTTP/2: with a request of its own.
    pub(super) fn of_stream(&self) -> Self {
        Self {
            arrival: Arc::clone(&self.arrival),
            stream: None,
            request: Arc::new(self.request.of_stream()),
            inbound: Arc::clone(&self.inbound),
        }
    }

    /// What is known of it from its beginning.
    pub(in crate::proxy) fn arrival(&self) -> &Arrival {
        &self.arrival
    }

    /// Who is at the other end.
    pub(in crate::proxy) fn peer(&self) -> &Peer {
        &self.arrival.peer
    }

    /// Its bytes, for who goes on with them after Pingora's session.
    pub(in crate::proxy) fn stream(&self) -> Option<ClientStream> {
        self.stream.clone()
    }

    /// The request in progress, or the one to come.
    pub(in crate::proxy) fn request(&self) -> &Arc<RequestState> {
        &self.request
    }

    /// Closes the connection if it is still idle, since its place is needed. To be called on its event loop: there it is idle for
    /// as long as this looks.
    pub(super) fn displace(&self) -> bool {
        let Some(stream) = self.stream.as_ref().filter(|stream| self.request.is_idle() && stream.is_quiet()) else { return false };
        self.request.displaced();
        stream.close();
        true
    }

    /// What came in and was not given to Pingora's session.
    pub(in crate::proxy) fn inbound(&self) -> &Inbound {
        &self.inbound
    }

    /// Takes back what was read behind the end of a request: the next one begins with it.
    pub(in crate::proxy) fn put_back(&self, bytes: BytesMut) {
        self.request.received_bytes();
        self.inbound.with_intake(|intake| intake.put_back(bytes));
    }
}
