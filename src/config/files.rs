//! The files that a config names: what can be said about them without starting anything.

use std::{fs::File, io::Read as _, path::PathBuf};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::config::problem::{Position, Problem};

/// What a named file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Our own key.
    SigningKey,
    /// A passphrase.
    Passphrase,
    /// Certificates of authorities, PEM.
    Authorities,
}

/// A file that the config names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// Where its key stands.
    pub at: Position,
    /// Its key.
    pub key: String,
    /// Its path, as seen from the working directory.
    pub path: PathBuf,
    /// What it holds.
    pub kind: FileKind,
}

impl NamedFile {
    /// Whether the file is there, can be read and, for authorities, holds certificates.
    pub fn check(&self) -> Result<(), Problem> {
        let problem = |text: String| Problem { at: self.at, key: self.key.clone(), text };
        let unreadable = |error: std::io::Error| problem(format!("{} cannot be read: {error}", self.path.display()));
        let metadata = std::fs::metadata(&self.path).map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(problem(format!("{} is not a regular file", self.path.display())));
        }
        if self.kind == FileKind::Authorities {
            return self.check_authorities().map_err(problem);
        }
        File::open(&self.path).and_then(|mut file| file.read(&mut [0])).map(|_| ()).map_err(unreadable)
    }

    fn check_authorities(&self) -> Result<(), String> {
        let path = self.path.display();
        let certificates = CertificateDer::pem_file_iter(&self.path).map_err(|error| format!("{path} cannot be read: {error}"))?;
        let mut store = RootCertStore::empty();
        for (index, certificate) in certificates.enumerate() {
            let certificate = certificate.map_err(|error| format!("{path}: certificate {}: {error}", index + 1))?;
            store.add(certificate).map_err(|error| format!("{path}: certificate {}: {error}", index + 1))?;
        }
        if store.is_empty() { Err(format!("{path} holds no certificate; accepted: PEM")) } else { Ok(()) }
    }
}
