//! [`UpstreamError`]: why an upstream cannot be used at all.

use crate::tls::AuthoritiesProblem;

/// Why an upstream cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The authorities cannot be read.
    #[error("upstream {upstream}: ca_file {path}: {problem}")]
    Authorities {
        /// The upstream's name.
        upstream: String,
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: AuthoritiesProblem,
    },
    /// The system's authorities cannot be loaded.
    #[error(
        "upstream {upstream}: the system's certificate authorities cannot be loaded ({problem}); install ca-certificates, or set ca_file \
         for each https upstream"
    )]
    SystemAuthorities {
        /// The upstream's name.
        upstream: String,
        /// What is wrong with them.
        problem: String,
    },
    /// The URL's host cannot be in a header, or in a certificate.
    #[error("upstream {upstream}: the host {host:?} is not a valid name")]
    Host {
        /// The upstream's name.
        upstream: String,
        /// The host.
        host: String,
    },
}
