//! TLS to clients: with which certificate and under which policy a handshake is answered, and what it has told of the client.
//!
//! No sockets: the edge accepts, reads the client's hello and asks [`ServerTls`]. Certificates are files that are looked at every
//! two seconds; a pair that does not fit is waited for while the old one serves.

mod acme;
mod check;
mod client;
mod error;
mod life;
mod names;
mod pair;
mod policies;
mod series;
mod server_tls;
mod settings;
mod trust;
mod watch;

pub use check::{check_pair, check_rules};
pub use client::ClientCertificate;
pub use error::{CertificateError, FileProblem};
pub use server_tls::{Prepared, ServerTls, UNRECOGNIZED_NAME};
pub use settings::{
    AcmeChallenge, AcmeSettings, ClientCertificateSettings, ClientMode, ClientRules, DefaultCertificate, MinVersion, PairFiles,
    TlsSettings,
};

#[cfg(test)]
mod clients_tests;
#[cfg(test)]
mod testing;
