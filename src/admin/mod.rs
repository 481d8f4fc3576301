//! The operators' listener: `/metrics`, `/livez`, `/readyz`.

use std::net::SocketAddr;

/// The listener for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// Address and port; port 0 takes a free one. Default `127.0.0.1:9090`: loopback only.
    pub address: SocketAddr,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 9090)) }
    }
}
