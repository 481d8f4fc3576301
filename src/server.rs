//! The composition root: a [`Config`] to running services, and back to silence.

use std::{net::SocketAddr, sync::Arc};

use crate::{config::Config, metrics::Metrics};

/// Why the gateway does not start, in words an operator can act on.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be bound.
    #[error("cannot listen on {address} ({what}): {source}")]
    Bind {
        /// `gateway` or `admin`.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    _private: (),
}

impl Gateway {
    /// Loads the key, binds both listeners and starts to serve. Does not wait for an issuer or for DNS.
    pub async fn start(_config: Config) -> Result<Self, StartError> {
        todo!()
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        todo!()
    }

    /// Where operators connect.
    pub fn admin_address(&self) -> SocketAddr {
        todo!()
    }

    /// The public key for the backend to pin.
    pub fn public_key_pem(&self) -> &str {
        todo!()
    }

    /// The series, for tests.
    pub fn metrics(&self) -> &Arc<Metrics> {
        todo!()
    }

    /// Stops accepting, lets requests finish within the grace, cuts the rest. Returns as soon as nothing is under way.
    pub async fn stop(self) {
        todo!()
    }
}
