//! [`SecretText`]: the passphrase of a key file, or a secret shared with the backend.

use std::{ffi::OsString, fmt, os::unix::ffi::OsStringExt};

use zeroize::{Zeroize, Zeroizing};

use crate::signing::{SecretSource, SigningError, key_file};

/// Some editors on Windows begin a text with it.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// Overwritten when dropped; cannot be printed. May be empty.
pub(super) struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Reads it from where the settings say.
    pub(super) fn read(source: &SecretSource) -> Result<Self, SigningError> {
        Self::read_with(source, |name| std::env::var_os(name))
    }

    /// Reads a passphrase. A byte order mark before it is passed over: no passphrase begins with one.
    pub(super) fn read_passphrase(source: &SecretSource) -> Result<Self, SigningError> {
        let text = Self::read(source)?;
        Ok(match text.as_str().strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) => Self(Zeroizing::new(rest.to_owned())),
            None => text,
        })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn read_with(source: &SecretSource, variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, SigningError> {
        match source {
            SecretSource::File(path) => {
                let content = key_file::read(path)?;
                let line = content.strip_suffix(b"\n").unwrap_or(&content);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                let hint = if content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff") {
                    ": it is UTF-16; convert it with `iconv -f UTF-16 -t UTF-8 OLD > NEW`"
                } else {
                    ""
                };
                let not_text = || SigningError::SecretNotText { place: path.display().to_string(), hint };
                Self::from_bytes(line.to_vec()).ok_or_else(not_text)
            }
            SecretSource::Environment(name) => {
                let value = variable(name).ok_or_else(|| SigningError::SecretNotSet { name: name.clone() })?;
                Self::from_bytes(value.into_vec()).ok_or_else(|| SigningError::SecretNotText { place: name.clone(), hint: "" })
            }
        }
    }

    pub(super) fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        match String::from_utf8(bytes) {
            Ok(text) => Some(Self(Zeroizing::new(text))),
            Err(error) => {
                error.into_bytes().zeroize();
                None
            }
        }
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SecretText(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn file_with(content: &[u8]) -> (tempfile::TempDir, SecretSource) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        (folder, SecretSource::File(path))
    }

    #[test]
    fn of_a_file_one_line_break_is_dropped_and_nothing_else() {
        for (content, expected) in [
            (&b"open sesame"[..], "open sesame"),
            (b"open sesame\n", "open sesame"),
            (b"open sesame\r\n", "open sesame"),
            (b" open sesame \n\n", " open sesame \n"),
            (b"", ""),
            (b"\n", ""),
        ] {
            let (_folder, source) = file_with(content);
            assert_eq!(SecretText::read(&source).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn a_variable_is_taken_as_it_is_and_may_be_empty() {
        let source = SecretSource::Environment("KEY_PASSPHRASE".into());
        let read = |value: Option<&str>| {
            SecretText::read_with(&source, |name| (name == "KEY_PASSPHRASE").then(|| value.map(Into::into))?)
        };
        assert_eq!(read(Some("open sesame\n")).unwrap().as_str(), "open sesame\n");
        assert_eq!(read(Some("")).unwrap().as_str(), "");
        let error = read(None).unwrap_err();
        assert!(matches!(&error, SigningError::SecretNotSet { name } if name == "KEY_PASSPHRASE"), "{error}");
    }

    #[test]
    fn what_is_not_text_is_refused_without_being_shown() {
        let (_folder, source) = file_with(b"open sesame\xff");
        let error = SecretText::read(&source).unwrap_err();
        assert!(matches!(error, SigningError::SecretNotText { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("sesame"), "{error:?}");
    }

    #[test]
    fn what_windows_makes_of_a_text_is_passed_over_or_named() {
        let (_folder, source) = file_with("\u{feff}open sesame\r\n".as_bytes());
        assert_eq!(SecretText::read_passphrase(&source).unwrap().as_str(), "open sesame");
        assert_eq!(SecretText::read(&source).unwrap().as_str(), "\u{feff}open sesame");
        let utf16: Vec<u8> = "\u{feff}open sesame\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let (_folder, source) = file_with(&utf16);
        let error = SecretText::read_passphrase(&source).unwrap_err().to_string();
        assert!(
            error.ends_with("is not UTF-8 text: it is UTF-16; convert it with `iconv -f UTF-16 -t UTF-8 OLD > NEW`"),
            "{error}"
        );
    }

    #[test]
    fn it_cannot_be_printed() {
        let (_folder, source) = file_with(b"open sesame");
        assert_eq!(format!("{:?}", SecretText::read(&source).unwrap()), "SecretText(..)");
    }
}
