//! How our own key arrives: PEM and PKCS#12 files, read once at start, refused if others can read them.
//!
//! What leaves this room is a [`SigningKey`]: it signs, shows its public half, and cannot be printed.

use std::{fmt, path::PathBuf, sync::Arc};

use crate::token::TokenSigner;

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

/// Why a key cannot be used, in words an operator can act on.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// Placeholder until the room is built.
    #[error("{path}: {problem}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong, and how to mend it.
        problem: String,
    },
}

/// The active signing key.
#[derive(Clone)]
pub struct SigningKey {
    signer: Arc<dyn TokenSigner>,
}

impl SigningKey {
    /// Reads and parses the key file.
    pub fn load(_settings: &SigningSettings) -> Result<Self, SigningError> {
        todo!()
    }

    /// A new RSA key of so many bits (2048, 3072, 4096), for `keys generate`, the demo and tests.
    pub fn generate_rsa(_bits: u32) -> Result<Self, SigningError> {
        todo!()
    }

    /// The signer.
    pub fn signer(&self) -> &Arc<dyn TokenSigner> {
        &self.signer
    }

    /// The public half as the backend pins it: SubjectPublicKeyInfo in PEM, byte for byte what `openssl rsa -pubout` prints.
    pub fn public_key_pem(&self) -> String {
        todo!()
    }

    /// The RFC 7638 thumbprint, base64url: identifies the key in logs and metrics.
    pub fn thumbprint(&self) -> String {
        todo!()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SigningKey").finish_non_exhaustive()
    }
}
