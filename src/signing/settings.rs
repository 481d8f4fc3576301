//! What this room is told.

use std::path::PathBuf;

/// Where the signing key is.
#[derive(Clone, Debug, PartialEq)]
pub struct SigningSettings {
    /// PEM (key, or key and certificate in one file) or PKCS#12.
    pub key_file: PathBuf,
    /// Opens an encrypted PEM or PKCS#12.
    pub passphrase: Option<SecretSource>,
    /// Threads that sign; 0: one for each core. Default 0.
    pub threads: usize,
    /// Signatures that may wait. Default 1024.
    pub queue: usize,
}

/// Where a secret is read from. The secret itself never stands in the config.
#[derive(Clone, Debug, PartialEq)]
pub enum SecretSource {
    /// A file's content, less one line break at its end.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
}
