//! Why a listener's certificates cannot be used.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{private_file::PrivateFileError, tls::AuthoritiesProblem};

/// Why a listener's certificates cannot be used, with a message that an operator can act on.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file holds something else than it should.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: FileProblem,
    },
    /// A key's file cannot be read, or others can read it.
    #[error(transparent)]
    Private(#[from] PrivateFileError),
    /// No certificate has the name of the setting `default`.
    #[error("no certificate is for {name}, which is to be the default: add one, or name another")]
    NoDefault {
        /// The name.
        name: String,
    },
    /// Clients are asked for certificates, and nobody is trusted to issue them.
    #[error("client certificates are asked for without ca_file: name the authorities that issue them")]
    NoAuthorities,
    /// The cryptographic library refuses what the settings say.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// What is wrong with a file of certificates or with a key. Each text goes on from the file's name and a colon.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// It is far too long.
    #[error("is longer than {0} bytes, so it is probably the wrong file")]
    TooLarge(usize),
    /// It is not PEM, or one certificate in it is damaged.
    #[error(transparent)]
    Content(#[from] AuthoritiesProblem),
    /// It has no key.
    #[error("holds no private key; accepted: PEM with a key that is not encrypted (PKCS#8, SEC1 or PKCS#1){0}")]
    NoKey(&'static str),
    /// Its key is of a kind that cannot be used.
    #[error("its key cannot be used: {0}; accepted: EC P-256, P-384 or P-521, Ed25519, and RSA of 2048 bits or more")]
    Key(String),
    /// It is the key of another certificate.
    #[error("is not the key of the certificate in {}: write both files of a pair", .0.display())]
    OtherKey(PathBuf),
    /// A certificate in it has ended.
    #[error("certificate {number} expired at {at}: renew it")]
    Expired {
        /// Which one, from 1 on.
        number: usize,
        /// When.
        at: String,
    },
    /// A certificate in it is not valid yet.
    #[error("certificate {number} is not valid before {from}: wait for it, or correct the clock")]
    NotYetValid {
        /// Which one, from 1 on.
        number: usize,
        /// From when it is.
        from: String,
    },
    /// It is so weak that clients refuse it.
    #[error("certificate {number} {what}, which clients refuse: make another one")]
    Weak {
        /// Which one, from 1 on.
        number: usize,
        /// What is weak.
        what: String,
    },
    /// The server's certificate has no names.
    #[error("certificate 1 has no host names in it (subjectAltName): make one with `-addext subjectAltName=DNS:…`")]
    NoNames,
    /// The server's certificate is for something else.
    #[error("certificate 1 is not for servers: make one with `-addext extendedKeyUsage=serverAuth`")]
    NotForServers,
    /// A certificate was not issued by the one behind it.
    #[error(
        "certificate {0} was not issued by the one behind it; accepted: the server's own first, then its intermediates in their order"
    )]
    Order(usize),
    /// It has no list of revoked certificates, or a damaged one.
    #[error("holds no list of revoked certificates that can be read; accepted: a CRL in PEM or DER")]
    NoRevocationList,
    /// Its list of revoked certificates has ended.
    #[error("its list of revoked certificates expired at {0}: fetch the next one from the authority")]
    RevocationListExpired(String),
    /// It has authorities or lists that cannot be used to verify clients.
    #[error("clients cannot be verified by it: {0}")]
    Verifier(String),
    /// The certificates do not make a chain for another reason.
    #[error("its certificates make no valid chain: {0}")]
    Chain(String),
}

impl FileProblem {
    pub(super) fn of(self, path: &Path) -> CertificateError {
        CertificateError::File { path: path.to_owned(), problem: self }
    }
}
