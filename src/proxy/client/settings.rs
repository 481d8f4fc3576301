//! The settings of the listeners for clients.

use std::{net::SocketAddr, time::Duration};

use crate::{certificate::TlsSettings, proxy::address::TrustSettings};

/// The listeners for clients, and what all their connections have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenSettings {
    /// Where clients connect; never empty. Default: one, with its own defaults.
    pub listeners: Vec<ListenerSettings>,
    /// Connections at a time, of all listeners. For further ones those that have been idle the longest are closed; if none is idle, they wait.
    /// Default 10,000.
    pub max_connections: usize,
    /// From the first byte of a request, of the first one from the connection's start, to the end of the header. Default 10 s; 100 ms to
    /// 5 min.
    pub header_timeout: Duration,
    /// How long a connection may stay open between two requests. Default 75 s.
    pub keepalive_timeout: Duration,
    /// How long a client may pause while it sends a body. Default 60 s.
    pub body_timeout: Duration,
    /// How long a client may stop reading a response. Default 60 s.
    pub write_timeout: Duration,
    /// Maximum bytes of a request's header block. Default 64 KiB; 1 KiB to 1 MiB.
    pub header_bytes: usize,
    /// The longest that a socket or a feed may live, whatever its token says. Default: no limit of its own.
    pub max_stream_age: Option<Duration>,
    /// How long after its end a client may take the chunk of a feed that is being written, and a socket, 2 s at most, to say goodbye. Then
    /// the connection is cut. Default 2 s; 0 to 60 s.
    pub stream_grace: Duration,
    /// How often both sides of a WebSocket are pinged. Default never; 1 s to 1 h.
    pub ping_every: Option<Duration>,
    /// Which proxies in front are believed about who the client is. Default: none.
    pub trust: TrustSettings,
    /// Connections of HTTP/2.
    pub http2: Http2Settings,
}

/// Connections of HTTP/2, which TLS listeners offer.
#[derive(Clone, Debug, PartialEq)]
pub struct Http2Settings {
    /// Requests at a time on one connection. Default 100; 1 to 1,000.
    pub max_streams: usize,
    /// After which time a client has to open a new connection for further requests. Default 1 h; 1 min to 30 d, or none.
    pub max_age: Option<Duration>,
}

impl Default for Http2Settings {
    fn default() -> Self {
        Self { max_streams: 100, max_age: Some(Duration::from_secs(3_600)) }
    }
}

impl Default for ListenSettings {
    fn default() -> Self {
        Self {
            listeners: vec![ListenerSettings::default()],
            max_connections: 10_000,
            header_timeout: Duration::from_secs(10),
            keepalive_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            header_bytes: 64 * 1024,
            max_stream_age: None,
            stream_grace: Duration::from_secs(2),
            ping_every: None,
            trust: TrustSettings::default(),
            http2: Http2Settings::default(),
        }
    }
}

impl ListenSettings {
    /// Whether the listeners are where they are in `other`, each with or without TLS as there: what only a restart can change is the same.
    pub fn has_places_of(&self, other: &Self) -> bool {
        let places = |settings: &Self| {
            let place = |one: &ListenerSettings| (one.address, one.proxy_protocol, one.tls.is_some(), one.redirect_port);
            settings.listeners.iter().map(place).collect::<Vec<_>>()
        };
        places(self) == places(other)
    }

    /// The addresses, in order.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.listeners.iter().map(|listener| listener.address)
    }
}

/// One listener.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenerSettings {
    /// Address and port; port 0 chooses a free one. Default `0.0.0.0:8080`.
    pub address: SocketAddr,
    /// Whether each connection begins with a header of the PROXY protocol, from a trusted proxy. Default: no.
    pub proxy_protocol: bool,
    /// TLS. Default: plain HTTP.
    pub tls: Option<TlsSettings>,
    /// Clients are sent on to https at this port, and nothing else is done for them. Only without TLS. Default: they are served.
    pub redirect_port: Option<u16>,
}

impl Default for ListenerSettings {
    fn default() -> Self {
        Self::at(SocketAddr::from(([0, 0, 0, 0], 8080)))
    }
}

impl ListenerSettings {
    /// One for plain HTTP.
    pub fn at(address: SocketAddr) -> Self {
        Self { address, proxy_protocol: false, tls: None, redirect_port: None }
    }
}
