//! [`Content`]: the contents of a key file, in any format.

use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::signing::{
    KeyProblem,
    effort::{Effort, TooMuch},
    secret::SecretText,
};

/// The keys and certificates of a file, decrypted, not yet parsed.
#[derive(Default)]
pub(super) struct Content {
    pub(super) keys: Vec<PrivateKeyDer>,
    pub(super) certificates: Vec<Vec<u8>>,
    /// Other content that could be mistaken for the private key.
    pub(super) other: Option<&'static str>,
}

/// A private key; overwritten when dropped.
pub(super) enum PrivateKeyDer {
    /// `PrivateKeyInfo` (RFC 5208): says of which type it is.
    Pkcs8(Zeroizing<Vec<u8>>),
    /// `RSAPrivateKey` (RFC 8017 appendix A.1.2).
    Pkcs1(Zeroizing<Vec<u8>>),
    /// `ECPrivateKey` (RFC 5915, from SEC 1).
    Sec1(Zeroizing<Vec<u8>>),
}

/// What a file is opened with.
#[derive(Debug)]
pub(super) struct Opening<'a> {
    pub(super) passphrase: Option<&'a SecretText>,
    pub(super) effort: Effort,
}

impl Opening<'_> {
    /// The passphrase does not open it, or it needs one.
    pub(super) fn wrong(&self) -> KeyProblem {
        if self.passphrase.is_some() { KeyProblem::PassphraseWrong } else { KeyProblem::PassphraseMissing }
    }
}

impl From<TooMuch> for KeyProblem {
    fn from(TooMuch { most }: TooMuch) -> Self {
        Self::TooManyRounds { most, command: "openssl pkcs12 -in OLD -out NEW" }
    }
}

impl Content {
    /// The one private key.
    pub(super) fn private_key(&self) -> Result<&PrivateKeyDer, KeyProblem> {
        match self.keys.as_slice() {
            [] => {
                let certificate = (!self.certificates.is_empty()).then_some("a certificate");
                Err(self.other.or(certificate).map_or(KeyProblem::NoPrivateKey, KeyProblem::NotThePrivateKey))
            }
            [key] => Ok(key),
            keys => Err(KeyProblem::SeveralPrivateKeys(keys.len())),
        }
    }

    /// If there are certificates, one of them is of this public key: the content of its bit string. The others may be its authorities.
    pub(super) fn check_certificates(&self, public_key: &[u8]) -> Result<(), KeyProblem> {
        let mut is_ours = self.certificates.is_empty();
        for certificate in &self.certificates {
            let (_, certificate) = X509Certificate::from_der(certificate)
                .map_err(|error| KeyProblem::Damaged(format!("a certificate in it cannot be parsed: {error}")))?;
            is_ours |= certificate.public_key().subject_public_key.data == public_key;
        }
        if is_ours { Ok(()) } else { Err(KeyProblem::CertificateOfAnotherKey) }
    }
}
