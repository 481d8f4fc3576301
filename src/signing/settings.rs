//! Where the signing key comes from.

use std::path::PathBuf;

use jsonwebtoken::Algorithm;

/// Which key signs, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct SigningSettings {
    /// The algorithm; it must match the key. Default RS256. HS256 goes with a shared secret, every other one with a private key.
    pub algorithm: Algorithm,
    /// Where the key is.
    pub key: SigningKeySource,
    /// Threads that sign; 0: one fewer than there are cores, at least one. Default 0.
    pub threads: usize,
    /// Signatures that may wait. Default 1024.
    pub queue: usize,
}

impl SigningSettings {
    /// The algorithm where none is named.
    pub const ALGORITHM: Algorithm = Algorithm::RS256;

    /// This key, and the default for everything else.
    pub fn new(key: SigningKeySource) -> Self {
        Self { algorithm: Self::ALGORITHM, key, threads: 0, queue: 1_024 }
    }
}

/// Where the signing key is.
#[derive(Clone, Debug, PartialEq)]
pub enum SigningKeySource {
    /// A private key; the backend pins its public half.
    PrivateKey {
        /// PEM (key, or key and certificate in one file) or PKCS#12.
        file: PathBuf,
        /// Opens an encrypted PEM or PKCS#12.
        passphrase: Option<SecretSource>,
    },
    /// A secret of at least 32 bytes shared with the backend, which could also mint tokens.
    Secret(SecretSource),
}

/// Where a secret is read from. The secret itself never is in the config.
#[derive(Clone, Debug, PartialEq)]
pub enum SecretSource {
    /// A file's content, less one line break at its end.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
}

impl SecretSource {
    /// The file or the variable, for messages.
    pub(super) fn place(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Environment(name) => name.clone(),
        }
    }
}
