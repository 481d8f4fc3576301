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
mod http2;
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
    backend::{Backend, Protocol},
    connect::connect,
    fault::UpstreamFault,
    hashing::hash,
    http2::Http2Pool,
    place::InFlight,
    pool::Pool,
    session::{Http1Session, Http2Request, Malformed, Piece, UpstreamRequest, UpstreamSession},
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
