//! The upstream's side: addresses, idle connections, the session that writes a request and reads its response. Knows neither
//! routes, tokens nor clients.

mod addresses;
mod backend;
mod choice;
mod connect;
mod error;
mod fault;
mod hashing;
mod health;
mod place;
mod pool;
mod resolve;
mod roster;
pub(in crate::proxy) mod session;
mod settings;
mod standing;
mod tls;
mod view;

pub(in crate::proxy) use self::{
    backend::Backend,
    connect::connect,
    fault::UpstreamFault,
    hashing::hash,
    place::InFlight,
    pool::Pool,
    session::{Malformed, Piece, UpstreamRequest, UpstreamSession},
    tls::SystemAuthorities,
};
pub use self::{
    error::{OwnCertificateError, UpstreamError},
    settings::{CertificateFiles, HealthSettings, HostHeader, Target, UpstreamSettings},
    tls::load_certificate,
    view::{AddressView, DrainError, UpstreamView},
};

#[cfg(feature = "bench")]
pub(in crate::proxy) use self::pool::MAX_IDLE_CONNECTIONS;
