//! [`UpstreamError`]: why an upstream cannot be used at all.

use std::io;

use crate::{
    private_file::PrivateFileError,
    tls::{AuthoritiesProblem, OwnCertificateProblem},
};

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
    /// The gateway's own certificate cannot be used.
    #[error("upstream {upstream}: {problem}")]
    Certificate {
        /// The upstream's name.
        upstream: String,
        /// What is wrong with it.
        problem: OwnCertificateError,
    },
}

/// Why the certificate that the gateway shows to an upstream cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OwnCertificateError {
    /// The file of the certificate cannot be read.
    #[error("{path} cannot be read: {error}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// The file of the key cannot be read, or others can read it too.
    #[error(transparent)]
    Key(#[from] PrivateFileError),
    /// What is in them cannot be used.
    #[error("{certificate} and {key}: {problem}")]
    Content {
        /// The file of the certificate.
        certificate: String,
        /// The file of the key.
        key: String,
        /// What is wrong with them.
        problem: OwnCertificateProblem,
    },
}
