//! [`Secret`]: a shared secret in a private file.

use std::{fmt, path::Path};

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
};
use zeroize::Zeroizing;

use super::{PrivateFileError, read};

/// Largest file. Bytes.
const MAX_FILE_BYTES: usize = 4_096;
/// The fewest characters: as many of base64url hold 192 random bits.
const MIN_LENGTH: usize = 32;

/// Why a file holds no secret that can be used, in words an operator can act on.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// It holds something else.
    #[error(
        "{path} {problem}: accepted are one or two lines (the second while the secret is changed), each of 32 or more printable ASCII \
         characters without spaces; make one with `openssl rand -base64 33 | tr +/ -_`"
    )]
    Content {
        /// The file.
        path: String,
        /// What is wrong, as the end of a sentence that starts with the file.
        problem: String,
    },
}

/// A secret that two parties know. It cannot be printed.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text of at least 32 printable ASCII characters without spaces.
    pub fn of(text: &[u8]) -> Option<Self> {
        let is_secret = text.len() >= MIN_LENGTH && text.iter().all(u8::is_ascii_graphic);
        is_secret.then(|| Self(Zeroizing::new(String::from_utf8_lossy(text).into_owned())))
    }

    /// The one or two secrets in a file, a line for each: with two, either is the right one while both sides change over.
    pub fn read_all(path: &Path) -> Result<Vec<Self>, SecretError> {
        let data = read(path, MAX_FILE_BYTES)?;
        let wrong = |problem: String| SecretError::Content { path: path.display().to_string(), problem };
        let lines: Vec<_> = data.trim_ascii_end().split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).collect();
        if lines.len() > 2 {
            return Err(wrong(format!("has {} lines", lines.len())));
        }
        let secret = |(number, line): (usize, &&[u8])| {
            Self::of(line).ok_or_else(|| match line.len() {
                length @ ..MIN_LENGTH => wrong(format!("has {length} characters in line {}", number + 1)),
                _ => wrong(format!("has a space or another character that is not accepted in line {}", number + 1)),
            })
        };
        lines.iter().enumerate().map(secret).collect()
    }

    /// Whether somebody who says this knows it. Takes as long for a near miss as for a far one.
    pub fn is(&self, said: &[u8]) -> bool {
        let hash = |text: &[u8]| digest(&SHA256, text);
        verify_slices_are_equal(hash(said).as_ref(), hash(self.0.as_bytes()).as_ref()).is_ok()
    }

    /// The text itself, to be sent to who has asked for it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn read_of(content: &str) -> Result<Vec<Secret>, SecretError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        Secret::read_all(&path)
    }

    #[test]
    fn a_file_has_one_secret_or_two() {
        let (one, two) = ("a".repeat(32), "b".repeat(40));
        for (content, known) in [
            (one.clone(), vec![&one]),
            (format!("{one}\n"), vec![&one]),
            (format!("{one}\r\n{two}\r\n"), vec![&one, &two]),
            (format!("{one}\n{two}"), vec![&one, &two]),
            (format!("{one}\n{two}\n\n"), vec![&one, &two]),
        ] {
            let secrets = read_of(&content).unwrap();
            assert_eq!(secrets.len(), known.len());
            assert!(secrets.iter().zip(known).all(|(secret, text)| secret.is(text.as_bytes()) && !secret.is(b"")));
            assert_eq!(format!("{:?}", secrets[0]), "Secret(..)");
        }
    }

    #[test]
    fn what_holds_no_secret_is_refused_by_name() {
        let fine = "a".repeat(32);
        for content in [
            String::new(),
            "short\n".to_owned(),
            format!("{fine}\nshort"),
            format!("{fine}\n\n{fine}"),
            format!("{fine}\n{fine}\n{fine}"),
            "a b".repeat(20),
            "\u{e9}".repeat(40),
        ] {
            assert!(matches!(read_of(&content), Err(SecretError::Content { .. })), "{content:?}");
        }
    }
}
