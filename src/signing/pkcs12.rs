//! PKCS#12 files (RFC 7292), as `openssl pkcs12 -export` writes them, with and without `-legacy`.
//!
//! The parser leaves its copies of the key in freed memory; ours are overwritten.

use p12_keystore::{Pkcs12Archive, error::Error};
use zeroize::Zeroizing;

use crate::signing::{
    KeyProblem,
    content::{Content, PrivateKeyDer},
    secret::SecretText,
};

/// The content of a PKCS#12 file. Without a passphrase the empty one is tried, which some tools take for none.
pub(super) fn parse(data: &[u8], passphrase: Option<&SecretText>) -> Result<Content, KeyProblem> {
    let archive = Pkcs12Archive::from_pkcs12(data, passphrase.map_or("", SecretText::as_str)).map_err(|error| match error {
        // The integrity check comes first; the others are how a wrong passphrase shows in a file that has none.
        Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_) if passphrase.is_none() => KeyProblem::PassphraseMissing,
        Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_) => KeyProblem::PassphraseWrong,
        Error::UnsupportedEncryptionScheme | Error::UnsupportedMacAlgorithm => KeyProblem::Encryption(error.to_string()),
        error => KeyProblem::Damaged(error.to_string()),
    })?;
    Ok(Content {
        keys: archive.keys.iter().map(|bag| PrivateKeyDer::Pkcs8(Zeroizing::new(bag.key.as_der().to_vec()))).collect(),
        certificates: archive.certs.iter().map(|bag| bag.cert.as_der().to_vec()).collect(),
    })
}
