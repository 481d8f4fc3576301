//! How our own key arrives: PEM and PKCS#12 files, read once at start, refused if others can read them.
//!
//! What leaves this room is a [`SigningKey`]: it signs, shows its public half, and cannot be printed.
//!
//! # Accepted files
//!
//! | file | made by, for example |
//! |---|---|
//! | PEM, `PRIVATE KEY` (PKCS#8) or `RSA PRIVATE KEY` (PKCS#1) | `syncgate keys generate`, `openssl genrsa` |
//! | PEM, key and certificate in one file | `openssl req -x509 -nodes -newkey rsa:4096 -keyout mycert.pem -out mycert.pem` |
//! | PEM, `ENCRYPTED PRIVATE KEY` (PKCS#8 with PBES2) | `openssl genrsa -aes256`, `openssl pkcs8 -topk8` |
//! | PKCS#12 in DER, also as `-legacy` writes it | `openssl pkcs12 -export -out certificate.pfx -inkey mycert.pem -in mycert.pem` |
//!
//! A file holds exactly one private key, RSA of 2048 to 4096 bits. Certificates are optional; if there are any, one of them must
//! belong to the key. Their dates do not matter, since the backend pins the public key and not the certificate.
//!
//! # Who may read the file
//!
//! Only its owner; if that is root, also its group. So Kubernetes mounts a secret for a pod with `fsGroup`: of root, mode 0440
//! whatever its `defaultMode` says. Without `fsGroup`, a `defaultMode` of 0400 is needed, and a container that runs as root.
//! A file with the passphrase is held to the same rule. Symbolic links are followed; the target's mode counts.

mod content;
mod error;
mod generate;
mod key_file;
mod passphrase;
mod pem;
mod pkcs12;
mod public_key;
mod rsa;
mod settings;

use std::{fmt, path::Path, sync::Arc};

pub use error::{KeyProblem, SigningError};
pub use generate::PrivateKeyPem;
pub use settings::{SecretSource, SigningSettings};

use crate::{
    signing::{content::Content, passphrase::Passphrase, public_key::PublicKey, rsa::RsaSigner},
    token::TokenSigner,
};

/// The active signing key.
#[derive(Clone)]
pub struct SigningKey {
    signer: Arc<dyn TokenSigner>,
    public: PublicKey,
}

impl SigningKey {
    /// Reads and parses the key file.
    pub fn load(settings: &SigningSettings) -> Result<Self, SigningError> {
        Self::open(&settings.key_file, settings.passphrase.as_ref())
    }

    /// Reads and parses a key file, with the passphrase that opens it if it is encrypted. A passphrase that is not needed is ignored.
    pub fn open(path: &Path, passphrase: Option<&SecretSource>) -> Result<Self, SigningError> {
        let data = key_file::read(path)?;
        let passphrase = passphrase.map(Passphrase::read).transpose()?;
        Self::parse(&data, passphrase.as_ref()).map_err(|problem| SigningError::Key { path: path.to_owned(), problem })
    }

    /// A new RSA key of so many bits (2048, 3072, 4096), for the demo and tests. It lives in memory only.
    pub fn generate_rsa(bits: u32) -> Result<Self, SigningError> {
        Self::of(RsaSigner::generate(bits)?).map_err(|_| SigningError::Generation)
    }

    /// The signer.
    pub fn signer(&self) -> &Arc<dyn TokenSigner> {
        &self.signer
    }

    /// The public half as the backend pins it: SubjectPublicKeyInfo in PEM, byte for byte what `openssl rsa -pubout` prints.
    pub fn public_key_pem(&self) -> String {
        self.public.pem.clone()
    }

    /// The RFC 7638 thumbprint (SHA-256), base64url: identifies the key in logs and metrics.
    pub fn thumbprint(&self) -> String {
        self.public.thumbprint.clone()
    }

    fn parse(data: &[u8], passphrase: Option<&Passphrase>) -> Result<Self, KeyProblem> {
        let content = Content::parse(data, passphrase)?;
        let signer = RsaSigner::parse(content.private_key()?)?;
        content.check_certificates(signer.public_key_der())?;
        Self::of(signer)
    }

    fn of(signer: RsaSigner) -> Result<Self, KeyProblem> {
        let public = PublicKey::of(&signer)?;
        Ok(Self { signer: Arc::new(signer), public })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SigningKey").field("thumbprint", &self.public.thumbprint).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
