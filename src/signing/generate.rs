//! [`PrivateKeyPem`]: a new key, on its way to a file.

use std::{fmt, path::Path};

use zeroize::Zeroizing;

use crate::{
    private_file::PrivateFileError,
    signing::{SigningError, SigningKey, ec, ed25519, key_file, pem, rsa},
};

/// A kind of key to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewKey {
    /// RSA of 2048, 3072 or 4096 bits.
    Rsa(u32),
    /// EC: P-256 (256 bits) or P-384 (384 bits).
    Ec(u32),
    /// Ed25519.
    Ed25519,
}

/// A private key as the text of a PEM file (PKCS#8, not encrypted). Overwritten when dropped; cannot be printed.
pub struct PrivateKeyPem(Zeroizing<String>);

impl PrivateKeyPem {
    /// A new key.
    pub fn generate(kind: NewKey) -> Result<Self, SigningError> {
        let pem = |der: &[u8]| Self(pem::encode("PRIVATE KEY", der));
        Ok(match kind {
            NewKey::Rsa(bits) => pem(rsa::generate(bits)?.as_ref()),
            NewKey::Ec(bits) => pem(ec::generate(bits)?.as_ref()),
            NewKey::Ed25519 => pem(ed25519::generate()?.as_ref()),
        })
    }

    /// Writes it to a file with mode 0600 from its first byte on. An existing file is an error, unless it is to be replaced.
    pub fn create(&self, path: &Path, replace: bool) -> Result<(), SigningError> {
        Ok(key_file::create(path, self.0.as_bytes(), replace)?)
    }

    /// As [`create`](Self::create), and then writes the public key to a world-readable file. Neither is touched where one of
    /// them exists and is not to be replaced.
    pub fn create_pair(&self, private: &Path, public: &Path, replace: bool) -> Result<(), SigningError> {
        if private == public {
            return Err(SigningError::OneFileForBoth);
        }
        // A key whose public half cannot be put where it belongs would only are in the way of the next one.
        if !replace && public.symlink_metadata().is_ok() {
            return Err(PrivateFileError::Exists { path: public.to_owned() }.into());
        }
        let key = self.signing_key()?;
        let pem = key.public().ok_or(SigningError::Generation)?.pem();
        self.create(private, replace)?;
        key_file::create_public(public, pem.as_bytes(), replace)
            .map_err(|cause| SigningError::PublicKey { private: private.to_owned(), cause })
    }

    /// The key itself, with the usual algorithm of its kind.
    pub fn signing_key(&self) -> Result<SigningKey, SigningError> {
        SigningKey::parse(self.0.as_bytes(), None, None).map_err(|_| SigningError::Generation)
    }
}

impl fmt::Debug for PrivateKeyPem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("PrivateKeyPem(..)")
    }
}
