//! TLS to backends and providers: which certificates are trusted, and error messages for those that are not.
//!
//! A server is trusted if a trusted authority issued its certificate, or if its certificate itself, byte for byte, is among the
//! trusted ones: the certificate that `openssl req -x509` creates is both an authority's and a server's, and curl and nginx
//! accept it too. Name and dates are checked in both cases.

mod authorities;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod loopback;
mod own_certificate;
#[cfg(test)]
pub(crate) mod testing;
mod verifier;
mod words;

pub use authorities::{Authorities, AuthoritiesProblem, certificates_of};
pub use loopback::is_loopback;
pub use own_certificate::{OwnCertificate, OwnCertificateProblem};
pub use words::explain;

#[cfg(test)]
mod tests;
