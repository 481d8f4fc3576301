//! TLS to others, to backends and providers: whom we trust, and in which words it is said when we do not.
//!
//! A server is trusted if an authority that is trusted has issued its certificate, or if its certificate itself, byte for byte, stands among
//! the trusted ones: the certificate that `openssl req -x509` makes is an authority's and a server's at once, and curl and nginx take it too.
//! Name and dates count in both cases.

mod authorities;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod loopback;
#[cfg(test)]
pub(crate) mod testing;
mod verifier;
mod words;

pub use authorities::{Authorities, AuthoritiesProblem};
pub use loopback::is_loopback;
pub use words::explain;

#[cfg(test)]
mod tests;
