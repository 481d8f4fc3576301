//! How our own key is loaded: PEM and PKCS#12 files, read once at start, refused if others can read them.
//!
//! The result is a [`SigningKey`]: it signs, shows its public key, and cannot be printed.
//!
//! | key | algorithms |
//! |---|---|
//! | RSA of 2048 to 4096 bits | RS256, RS384, RS512, PS256, PS384, PS512 |
//! | RSA-PSS, the same for PSS alone (RFC 4055) | PS256, PS384, PS512; one of them, or none, if the key is for one hash function |
//! | P-256 | ES256 |
//! | P-384 | ES384 |
//! | Ed25519 | EdDSA |
//! | a secret of at least 32 bytes, shared with the backend | HS256, only when asked for: anyone who can verify can mint |
//!
//! # Accepted files
//!
//! | file | made by, for example |
//! |---|---|
//! | PEM, `PRIVATE KEY` (PKCS#8), `RSA PRIVATE KEY` (PKCS#1) or `EC PRIVATE KEY` (SEC 1) | `syncgate keys generate`, `openssl genrsa` |
//! | the same in DER | `openssl pkcs8 -topk8 -nocrypt -outform DER` |
//! | PEM, key and certificate in one file | `openssl req -x509 -newkey rsa:4096 -keyout mycert.pem -out mycert.pem`, with or without `-nodes` |
//! | PEM, `ENCRYPTED PRIVATE KEY` (PKCS#8), or the same in DER | `openssl genrsa -aes256`, `openssl pkcs8 -topk8` |
//! | PEM with `DEK-Info` | `openssl genrsa -aes256` of OpenSSL 1, `openssl rsa -traditional -aes256` |
//! | PKCS#12 in DER or BER | `openssl pkcs12 -export -out certificate.pfx -inkey mycert.pem -in mycert.pem`, Windows, Azure Key Vault, Java, NSS |
//!
//! Encrypted with AES, Camellia, 3DES, DES, RC2 or RC4, by PBES2 (PBKDF2 with any SHA-1 or SHA-2, or scrypt), PBES1, the scheme of
//! PKCS#12, or none. A PKCS#12 without a password opens whichever way its maker understood that. What is not supported (ARIA, SEED,
//! SHA-3 ...) is named, with the command that converts it.
//!
//! A file holds exactly one private key. Certificates are optional; if there are any, one of them must
//! belong to the key. Their dates do not matter, since the backend pins the public key and not the certificate.
//!
//! # Who may read the file
//!
//! Only its owner; if that is root, also its group. So Kubernetes mounts a secret for a pod with `fsGroup`: of root, mode 0440
//! whatever its `defaultMode` says. Without `fsGroup`, a `defaultMode` of 0400 is needed, and a container that runs as root.
//! A file with the passphrase is checked against the same rule. Symbolic links are followed; the target's mode counts.

mod ber;
mod content;
mod der;
mod ec;
mod ed25519;
mod effort;
mod encrypted_pkcs8;
mod encryption;
mod error;
mod family;
mod foreign;
mod format;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod generate;
mod hmac;
mod key_file;
mod passphrase;
mod pem;
mod pem_encryption;
mod pkcs12;
mod pss;
mod public_key;
mod remedy;
mod rsa;
mod secret;
mod settings;
mod structure;

use std::{fmt, path::Path, sync::Arc};

use jsonwebtoken::Algorithm;

pub use error::{KeyProblem, SigningError};
pub use generate::{NewKey, PrivateKeyPem};
pub use public_key::PublicKey;
pub use settings::{SecretSource, SigningKeySource, SigningSettings};

use crate::{
    signing::{
        content::Opening,
        ec::EcSigner,
        ed25519::Ed25519Signer,
        effort::{Effort, MAX_ROUNDS},
        family::Family,
        hmac::HmacSigner,
        rsa::RsaSigner,
        secret::{BYTE_ORDER_MARK, SecretText},
    },
    token::TokenSigner,
};

/// The active signing key.
#[derive(Clone)]
pub struct SigningKey {
    signer: Arc<dyn TokenSigner>,
    public: Option<PublicKey>,
}

impl SigningKey {
    /// Reads and parses what the settings name. The algorithm must fit the key.
    pub fn load(settings: &SigningSettings) -> Result<Self, SigningError> {
        match &settings.key {
            SigningKeySource::PrivateKey { .. } if settings.algorithm == Algorithm::HS256 => {
                Err(SigningError::AlgorithmOfOtherKind(settings.algorithm))
            }
            SigningKeySource::PrivateKey { file, passphrase } => Self::read(file, passphrase.as_ref(), Some(settings.algorithm)),
            SigningKeySource::Secret(source) if settings.algorithm == Algorithm::HS256 => Self::shared(source),
            SigningKeySource::Secret(_) => Err(SigningError::AlgorithmOfOtherKind(settings.algorithm)),
        }
    }

    /// Reads and parses a key file, with the passphrase that opens it if it is encrypted; a passphrase that is not needed is ignored.
    /// It signs with the usual algorithm of its kind.
    pub fn open(path: &Path, passphrase: Option<&SecretSource>) -> Result<Self, SigningError> {
        Self::read(path, passphrase, None)
    }

    /// A new RSA key of so many bits (2048, 3072, 4096), for the demo and tests. It lives in memory only.
    pub fn generate_rsa(bits: u32) -> Result<Self, SigningError> {
        PrivateKeyPem::generate(NewKey::Rsa(bits))?.signing_key()
    }

    /// The signer.
    pub fn signer(&self) -> &Arc<dyn TokenSigner> {
        &self.signer
    }

    /// The public half, which the backend pins. A shared secret has none.
    pub fn public(&self) -> Option<&PublicKey> {
        self.public.as_ref()
    }

    /// Whether both make tokens that a backend cannot tell apart: the same algorithm with the same key or secret.
    pub fn signs_like(&self, other: &Self) -> bool {
        if self.signer.algorithm() != other.signer.algorithm() {
            return false;
        }
        match (self.signer.thumbprint(), other.signer.thumbprint()) {
            (Some(one), Some(other)) => one == other,
            // An HMAC of anything tells two secrets apart, and neither of them can be had from it. No token is signed with this text.
            (None, None) => {
                let [one, other] = [self, other].map(|key| key.signer.try_sign(b"the same secret?").ok());
                one.is_some() && one == other
            }
            _ => false,
        }
    }

    fn read(path: &Path, passphrase: Option<&SecretSource>, algorithm: Option<Algorithm>) -> Result<Self, SigningError> {
        let data = key_file::read(path)?;
        let passphrase = passphrase.map(SecretText::read_passphrase).transpose()?;
        Self::parse(&data, passphrase.as_ref(), algorithm).map_err(|problem| SigningError::Key { path: path.to_owned(), problem })
    }

    fn parse(data: &[u8], passphrase: Option<&SecretText>, algorithm: Option<Algorithm>) -> Result<Self, KeyProblem> {
        Self::parse_within(data, passphrase, algorithm, MAX_ROUNDS)
    }

    /// As [`parse`](Self::parse), with no more than so many rounds of key derivation.
    fn parse_within(
        data: &[u8],
        passphrase: Option<&SecretText>,
        algorithm: Option<Algorithm>,
        rounds: u64,
    ) -> Result<Self, KeyProblem> {
        let content = format::parse(data, &Opening { passphrase, effort: Effort::new(rounds) })?;
        let key = content.private_key()?;
        let family = Family::of(key)?;
        let algorithm = family.choose(algorithm)?;
        let (signer, public): (Arc<dyn TokenSigner>, _) = match family {
            Family::Rsa | Family::RsaPss(_) => {
                let signer = RsaSigner::parse(key, algorithm)?;
                let public = signer.public().clone();
                (Arc::new(signer), public)
            }
            Family::P256 | Family::P384 => {
                let signer = EcSigner::parse(key, algorithm)?;
                let public = signer.public().clone();
                (Arc::new(signer), public)
            }
            Family::Ed25519 => {
                let signer = Ed25519Signer::parse(key)?;
                let public = signer.public().clone();
                (Arc::new(signer), public)
            }
        };
        content.check_certificates(public.bits())?;
        Ok(Self { signer, public: Some(public) })
    }

    fn shared(source: &SecretSource) -> Result<Self, SigningError> {
        let secret = SecretText::read(source)?;
        if secret.as_str().starts_with(BYTE_ORDER_MARK) {
            return Err(SigningError::SecretWithMark(source.place()));
        }
        let length = secret.as_str().len();
        let signer = HmacSigner::new(secret.as_str().as_bytes());
        let signer = signer.ok_or_else(|| SigningError::SecretTooShort { place: source.place(), length })?;
        Ok(Self { signer: Arc::new(signer), public: None })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SigningKey").field("thumbprint", &self.signer.thumbprint()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
