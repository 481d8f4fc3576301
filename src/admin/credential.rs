//! The admin credential: one line in a file that only its owner may read. Anyone who can read the file may make changes.

use std::path::Path;

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::private_file::{self, PrivateFileError, Secret};

/// Largest file. Bytes.
const MAX_BYTES: usize = 4_096;

/// Why the credential cannot be used, with a message that an operator can act on.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// Something else is in the file.
    #[error(
        "{0} contains no credential of at least 32 printable characters: create one with `syncgate admin credential --config FILE --force`"
    )]
    Content(String),
    /// The cryptographic library gave no random number.
    #[error("no credential could be generated: the cryptographic library failed")]
    Random,
}

/// A credential. It cannot be printed.
#[derive(Debug)]
pub struct Credential(Secret);

impl Credential {
    /// Makes a new one and writes it to a file of mode 0600. An existing file stays as it is unless it is to be replaced.
    pub fn create(path: &Path, replace: bool) -> Result<(), CredentialError> {
        let mut random = Zeroizing::new([0; 32]);
        rand::fill(&mut random[..]).map_err(|_| CredentialError::Random)?;
        let line = Zeroizing::new(format!("{}\n", URL_SAFE_NO_PAD.encode(&random[..])));
        Ok(private_file::write(path, line.as_bytes(), replace)?)
    }

    /// Reads it.
    pub fn read(path: &Path) -> Result<Self, CredentialError> {
        let data = private_file::read(path, MAX_BYTES)?;
        let text = data.strip_suffix(b"\n").unwrap_or(&data);
        Secret::of(text).map(Self).ok_or_else(|| CredentialError::Content(path.display().to_string()))
    }

    /// Whether this is the credential. In constant time.
    pub(super) fn is(&self, said: &[u8]) -> bool {
        self.0.is(said)
    }

    /// The value of `Authorization`.
    pub(super) fn bearer(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("Bearer {}", self.0.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn what_is_made_is_private_and_known_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credential");
        Credential::create(&path, false).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(matches!(Credential::create(&path, false), Err(CredentialError::File(PrivateFileError::Exists { .. }))));
        let line = fs::read_to_string(&path).unwrap();
        let credential = Credential::read(&path).unwrap();
        assert!(credential.is(line.trim_end().as_bytes()));
        for wrong in ["", "x", &line, &line.trim_end()[1..], &line.trim_end().to_uppercase()] {
            assert!(!credential.is(wrong.as_bytes()), "{wrong:?}");
        }
        assert_eq!(format!("{credential:?}"), "Credential(Secret(..))");
        Credential::create(&path, true).unwrap();
        assert!(!Credential::read(&path).unwrap().is(line.trim_end().as_bytes()));
    }

    #[test]
    fn a_file_that_others_can_read_or_that_holds_no_credential_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credential");
        for content in ["", "short\n", &"a b".repeat(20), &"\u{e9}".repeat(40)] {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(Credential::read(&path), Err(CredentialError::Content(_))), "{content:?}");
        }
        fs::write(&path, "x".repeat(40)).unwrap();
        // For all to read: by the group alone is fine for a file of root, which this test may make.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Credential::read(&path), Err(CredentialError::File(PrivateFileError::Exposed { .. }))));
    }
}
