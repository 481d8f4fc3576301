//! Who a connection is from where its listener demands the PROXY protocol.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::{net::TcpStream, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    metrics::Metrics,
    proxy::{
        address::{Peer, ProxyHeader, ProxyHeaderFault, Scheme, read_proxy_header},
        client::{connection::Arrival, settings::ListenSettings},
        http::RateLimit,
    },
};

/// Why a connection is closed. The closed list behind the label `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The peer is no trusted proxy: it could claim any address.
    Untrusted,
    /// No header, or not a valid one.
    Malformed,
    /// A header that is longer than any proxy's.
    TooLong,
    /// The peer has closed in the middle of it.
    Closed,
    /// It did not come in time.
    Timeout,
}

impl Fault {
    const fn label(self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::Malformed => "malformed",
            Self::TooLong => "too_long",
            Self::Closed => "closed",
            Self::Timeout => "timeout",
        }
    }

    /// What an operator is told.
    const fn words(self) -> &'static str {
        match self {
            Self::Untrusted => "its peer is not in listen.trusted_proxies, so it may not say who the client is",
            Self::Malformed => "it does not begin with a valid PROXY protocol header: enable it in the load balancer in front",
            Self::TooLong => "its PROXY protocol header is longer than 4 KiB",
            Self::Closed => "it ended in the middle of its PROXY protocol header",
            Self::Timeout => "no PROXY protocol header came within listen.header_timeout: enable it in the load balancer in front",
        }
    }
}

/// How often an operator is told that a connection was closed.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Hears of the connections of such listeners whom they are from.
#[derive(Debug)]
pub(super) struct Announcements {
    settings: Arc<ArcSwap<ListenSettings>>,
    metrics: Arc<Metrics>,
    refusals: RateLimit,
}

impl Announcements {
    pub(super) fn new(settings: Arc<ArcSwap<ListenSettings>>, metrics: Arc<Metrics>) -> Self {
        Self { settings, metrics, refusals: RateLimit::every(LOG_INTERVAL) }
    }

    /// Reads the header with which a connection begins, and no byte behind it: for whom the proxy speaks. None: the connection is to be
    /// closed, and that is counted.
    pub(super) async fn hear(&self, stream: &mut TcpStream, arrival: Arrival, stop: &CancellationToken) -> Option<Arrival> {
        let came = Instant::now();
        let (is_trusted, timeout) = {
            let listen = self.settings.load();
            (listen.trust.proxies.contains(arrival.peer.address()), listen.header_timeout)
        };
        let outcome = match is_trusted {
            false => Err(Fault::Untrusted),
            true => tokio::select! {
                header = tokio::time::timeout(timeout, read_proxy_header(stream)) => match header {
                    Ok(header) => header.map_err(Fault::from),
                    Err(_) => Err(Fault::Timeout),
                },
                () = stop.cancelled() => return None,
            },
        };
        match outcome {
            Ok(header) => Some(Arrival { peer: spoken_for(arrival.peer, header), waited: came.elapsed(), ..arrival }),
            Err(fault) => {
                self.refuse(fault, &arrival.peer);
                None
            }
        }
    }

    fn refuse(&self, fault: Fault, peer: &Peer) {
        self.metrics.clients.proxy_header_errors.with_label_values(&[fault.label()]).inc();
        if self.refusals.is_due() {
            let (peer, kind) = (peer.text(), fault.label());
            tracing::warn!(peer, kind, "a connection is closed: {}", fault.words());
        }
    }
}

impl From<ProxyHeaderFault> for Fault {
    fn from(fault: ProxyHeaderFault) -> Self {
        match fault {
            ProxyHeaderFault::Malformed => Self::Malformed,
            ProxyHeaderFault::TooLong => Self::TooLong,
            ProxyHeaderFault::Closed(_) => Self::Closed,
        }
    }
}

/// Who is at the other end by what the proxy says. Where it names nobody, it is the proxy, whose word about others does not count: what
/// comes on the connection may be a client's.
fn spoken_for(proxy: Peer, header: ProxyHeader) -> Peer {
    match header {
        ProxyHeader::Client(client, scheme) => Peer::new(client, scheme.unwrap_or(Scheme::Http)),
        ProxyHeader::Local | ProxyHeader::Unknown => proxy.unbelieved(),
    }
}
