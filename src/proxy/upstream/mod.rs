//! The upstream's side: addresses, idle connections, the session that writes a request and reads its response. Knows neither
//! routes, tokens nor clients.

mod addresses;
mod backend;
mod connect;
mod error;
mod fault;
mod pool;
pub(in crate::proxy) mod session;
mod settings;
mod tls;

pub(in crate::proxy) use self::{
    addresses::Place,
    backend::Backend,
    connect::connect,
    fault::UpstreamFault,
    pool::Pool,
    session::{Malformed, Piece, UpstreamRequest, UpstreamSession},
    tls::SystemAuthorities,
};
pub use self::{
    error::UpstreamError,
    settings::{HostHeader, UpstreamSettings},
};

#[cfg(feature = "bench")]
pub(in crate::proxy) use self::pool::MAX_IDLE_CONNECTIONS;
