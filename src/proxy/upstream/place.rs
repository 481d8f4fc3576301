//! [`Place`]: one address of an upstream, by the settings in use; [`InFlight`]: a request that is in progress there.

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc};

use pingora::upstreams::peer::HttpPeer;

use crate::proxy::upstream::standing::Standing;

/// Where connections go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Address {
    Tcp(SocketAddr),
    Socket(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(out),
            Self::Socket(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

/// One address.
#[derive(Debug)]
pub(in crate::proxy) struct Place {
    pub(in crate::proxy) peer: Arc<HttpPeer>,
    pub(in crate::proxy) standing: Arc<Standing>,
    /// Which of the upstream's targets led to it.
    pub(super) target: usize,
}

/// A request in progress at an address, or a WebSocket there. It is counted while this lives.
#[derive(Debug)]
pub(in crate::proxy) struct InFlight {
    place: Arc<Place>,
    is_socket: bool,
}

impl InFlight {
    pub(super) fn at(place: &Arc<Place>) -> Self {
        place.standing.begin();
        Self { place: Arc::clone(place), is_socket: false }
    }

    pub(in crate::proxy) fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// It has become a WebSocket.
    pub(in crate::proxy) fn become_socket(&mut self) {
        if !std::mem::replace(&mut self.is_socket, true) {
            self.place.standing.begin_socket();
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.place.standing.end();
        if self.is_socket {
            self.place.standing.end_socket();
        }
    }
}
