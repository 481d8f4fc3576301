//! One client connection: its peer, its bytes, and the request in progress.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use rustls::ServerConnection;

use crate::{
    certificate::ClientCertificate,
    proxy::client::{inbound::Inbound, intake::Intake, request_state::RequestState, stream::ClientStream},
};

/// What is known of a connection from its beginning.
#[derive(Clone, Debug)]
#[allow(dead_code)] // Told to upstreams.
pub(in crate::proxy) struct Arrival {
    /// The other end of the connection.
    pub(in crate::proxy) peer: SocketAddr,
    /// The port that it came to.
    pub(in crate::proxy) port: u16,
    /// What its handshake told, if it had one.
    pub(in crate::proxy) tls: Option<Box<Secure>>,
}

/// What a TLS handshake told.
#[derive(Clone, Debug)]
#[allow(dead_code)] // For policies of client certificates.
pub(in crate::proxy) struct Secure {
    /// The name that the client asked for, in lower case.
    pub(in crate::proxy) server_name: Option<String>,
    /// Whether both agreed on HTTP/2.
    pub(in crate::proxy) is_http2: bool,
    /// The client's certificate, if it has shown one.
    pub(in crate::proxy) certificate: Option<ClientCertificate>,
}

impl Secure {
    /// What this session knows.
    pub(super) fn of(session: &ServerConnection) -> Self {
        Self {
            server_name: session.server_name().map(str::to_owned),
            is_http2: session.alpn_protocol() == Some(b"h2"),
            certificate: session.peer_certificates().and_then(ClientCertificate::of),
        }
    }
}

impl Arrival {
    /// A listener for IPv6 tells addresses of IPv4 as mapped ones; here they are what they are.
    pub(in crate::proxy) fn new(peer: SocketAddr, port: u16) -> Self {
        Self { peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()), port, tls: None }
    }
}

/// One client connection, for all who see to it.
#[derive(Debug)]
pub(in crate::proxy) struct Connection {
    /// As text, for the log.
    peer: Arc<str>,
    arrival: Arc<Arrival>,
    stream: Option<ClientStream>,
    request: Arc<RequestState>,
    inbound: Arc<Inbound>,
}

impl Connection {
    /// `stream` is what a tunnel goes on with.
    pub(in crate::proxy) fn new(arrival: Arrival, stream: Option<ClientStream>, header_timeout: Duration, intake: Intake) -> Self {
        let request = Arc::new(RequestState::new(header_timeout));
        Self {
            peer: arrival.peer.to_string().into(),
            arrival: Arc::new(arrival),
            stream,
            request,
            inbound: Arc::new(Inbound::new(intake)),
        }
    }

    /// The connection as one of its streams sees it, of HTTP/2: with a request of its own.
    pub(super) fn of_stream(&self) -> Self {
        Self {
            peer: Arc::clone(&self.peer),
            arrival: Arc::clone(&self.arrival),
            stream: None,
            request: Arc::new(self.request.of_stream()),
            inbound: Arc::clone(&self.inbound),
        }
    }

    /// What is known of it from its beginning.
    #[allow(dead_code)] // Told to upstreams.
    pub(in crate::proxy) fn arrival(&self) -> &Arrival {
        &self.arrival
    }

    /// The client's address and port.
    pub(in crate::proxy) fn peer(&self) -> &str {
        &self.peer
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::IntGauge;

    #[test]
    fn an_address_of_ipv4_is_told_as_one() {
        let intake = || Intake::new(1_024, IntGauge::new("held", "held").unwrap());
        let arrival = |address: &str| Arrival::new(address.parse().unwrap(), 8080);
        let peer = |address: &str| Connection::new(arrival(address), None, Duration::ZERO, intake()).peer().to_owned();
        assert_eq!(peer("[::ffff:127.0.0.1]:5"), "127.0.0.1:5");
        assert_eq!(peer("[2001:db8::1]:5"), "[2001:db8::1]:5");
    }
}
