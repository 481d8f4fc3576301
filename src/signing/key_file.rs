//! The files of this room: read only if nobody else can, created so that nobody else ever could.

use std::path::Path;

use zeroize::Zeroizing;

use crate::private_file::{self, PrivateFileError};

/// The longest key file with a chain of certificates is a small part of this.
const MAX_BYTES: usize = 1024 * 1024;

/// Reads a file, if its permissions keep it secret. At most 1 MiB.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    private_file::read(path, MAX_BYTES)
}

/// Writes a file that only its owner can read, from its first byte on. An existing file stays as it is unless it is to be replaced;
/// it is there as a whole or not at all.
pub(super) fn create(path: &Path, content: &[u8], replace: bool) -> Result<(), PrivateFileError> {
    private_file::write(path, content, replace)
}

/// Writes a world-readable file. The rest is as with [`create`].
pub(super) fn create_public(path: &Path, content: &[u8], replace: bool) -> Result<(), PrivateFileError> {
    private_file::write_public(path, content, replace)
}

#[cfg(test)]
mod tests {
    use std::{
        fs, io,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_symbolic_link_is_as_secret_as_its_target() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("..data"), folder.path().join("key.pem"));
        fs::write(&target, "content").unwrap();
        symlink(&target, &link).unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o604)).unwrap();
        let error = read(&link).unwrap_err();
        assert_eq!(error.to_string(), format!("{0} can be read by others (mode 0604): run `chmod 600 {0}`", link.display()));
        fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&link).unwrap().as_slice(), b"content");
    }

    #[test]
    fn what_is_missing_a_folder_or_too_long_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let error = read(&path).unwrap_err();
        assert!(matches!(&error, PrivateFileError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound), "{error}");

        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(&error, PrivateFileError::Folder { path: folder } if *folder == path), "{error}");

        let path = folder.path().join("long.pem");
        create(&path, &vec![b'x'; MAX_BYTES], false).unwrap();
        assert_eq!(read(&path).unwrap().len(), MAX_BYTES);
        create(&path, &vec![b'x'; MAX_BYTES + 1], true).unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(error, PrivateFileError::TooLarge { limit: MAX_BYTES, .. }), "{error}");
    }

    #[test]
    fn a_new_file_is_secret_and_never_replaces_another_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        create(&path, b"first", false).unwrap();
        assert_eq!(mode(&path), 0o600);

        let error = create(&path, b"second", false).unwrap_err();
        assert!(matches!(&error, PrivateFileError::Exists { path: existing } if *existing == path), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"first");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        create(&path, b"second", true).unwrap();
        assert_eq!((fs::read(&path).unwrap().as_slice(), mode(&path)), (&b"second"[..], 0o600));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("key.pem");
        let error = create(&path, b"content", false).unwrap_err();
        assert!(matches!(&error, PrivateFileError::Write { source, .. } if source.kind() == io::ErrorKind::NotFound), "{error}");

        let occupied = folder.path().join("occupied");
        fs::create_dir_all(occupied.join("inner")).unwrap();
        let error = create(&occupied, b"content", true).unwrap_err();
        assert!(matches!(error, PrivateFileError::Write { .. }), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
