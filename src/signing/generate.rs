//! [`PrivateKeyPem`]: a new key, on its way to a file.

use std::{fmt, path::Path};

use zeroize::Zeroizing;

use crate::signing::{SigningError, SigningKey, key_file, pem, rsa};

/// A private key as the text of a PEM file (PKCS#8, not encrypted). Overwritten when dropped; cannot be printed.
pub struct PrivateKeyPem(Zeroizing<String>);

impl PrivateKeyPem {
    /// A new RSA key of 2048, 3072 or 4096 bits.
    pub fn generate_rsa(bits: u32) -> Result<Self, SigningError> {
        Ok(Self(pem::encode("PRIVATE KEY", rsa::generate_pkcs8(bits)?.as_ref())))
    }

    /// Writes it to a file with mode 0600 from its first byte on. An existing file is an error, unless it is to be replaced.
    pub fn create(&self, path: &Path, replace: bool) -> Result<(), SigningError> {
        key_file::create(path, self.0.as_bytes(), replace)
    }

    /// The key itself.
    pub fn signing_key(&self) -> Result<SigningKey, SigningError> {
        SigningKey::parse(self.0.as_bytes(), None).map_err(|_| SigningError::Generation)
    }
}

impl fmt::Debug for PrivateKeyPem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("PrivateKeyPem(..)")
    }
}
