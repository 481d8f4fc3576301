//! Files that hold secrets: read only if nobody else can, written so that nobody else ever could.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::signing::SigningError;

/// The longest key file with a chain of certificates is a small part of this.
const MAX_BYTES: usize = 1024 * 1024;

/// Reads a file, if its permissions keep it secret. At most 1 MiB.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, SigningError> {
    let failed = |source| SigningError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    // Of the open file, not of the path: what is checked is what is read.
    let metadata = file.metadata().map_err(failed)?;
    if is_exposed(metadata.mode(), metadata.uid()) {
        return Err(SigningError::Exposed { path: path.to_owned(), mode: metadata.mode() & 0o7777 });
    }
    // All at once: a vector that grows would leave copies of the secret behind.
    let mut data = Zeroizing::new(vec![0; MAX_BYTES + 1]);
    let length = read_fully(&mut file, &mut data).map_err(failed)?;
    if length > MAX_BYTES {
        return Err(SigningError::TooLarge { path: path.to_owned(), limit: MAX_BYTES });
    }
    data.truncate(length);
    Ok(data)
}

/// Writes a file that only its owner can read, from its first byte on. An existing file stays as it is unless it is to be replaced;
/// then it is replaced as a whole or not at all.
pub(super) fn create(path: &Path, content: &[u8], replace: bool) -> Result<(), SigningError> {
    let written_to = if replace { beside(path) } else { path.to_owned() };
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => SigningError::Exists { path: written_to.clone() },
        _ => SigningError::Write { path: path.to_owned(), source },
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&written_to).map_err(failed)?;
    let result = file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| match replace {
        true => fs::rename(&written_to, path),
        false => Ok(()),
    });
    result.map_err(|error| {
        // Half a key is of no use to anybody; that it cannot be removed adds nothing to the first error.
        let _ = fs::remove_file(&written_to);
        failed(error)
    })
}

/// Whether others may read or change a file of this owner.
///
/// The group may read what belongs to root, as PostgreSQL has it for its keys: only an administrator can have chosen that group,
/// and a process that is not root reads a file of root in no other way.
fn is_exposed(mode: u32, owner: u32) -> bool {
    const ROOT: u32 = 0;
    let forbidden = if owner == ROOT { 0o037 } else { 0o077 };
    mode & forbidden != 0
}

fn read_fully(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn only_the_owner_may_read_and_for_files_of_root_the_group() {
        for (mode, owner, exposed) in [
            (0o100600, 1000, false),
            (0o100400, 1000, false),
            (0o100640, 1000, true),
            (0o100620, 1000, true),
            (0o100604, 1000, true),
            (0o100644, 1000, true),
            (0o100601, 1000, true),
            (0o100400, 0, false),
            (0o100440, 0, false),
            (0o100640, 0, false),
            (0o100660, 0, true),
            (0o100444, 0, true),
        ] {
            assert_eq!(is_exposed(mode, owner), exposed, "{mode:o} of {owner}");
        }
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
        assert!(matches!(&error, SigningError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound), "{error}");

        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(&error, SigningError::Read { source, .. } if source.kind() == io::ErrorKind::IsADirectory), "{error}");

        let path = folder.path().join("long.pem");
        create(&path, &vec![b'x'; MAX_BYTES], false).unwrap();
        assert_eq!(read(&path).unwrap().len(), MAX_BYTES);
        create(&path, &vec![b'x'; MAX_BYTES + 1], true).unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(error, SigningError::TooLarge { limit: MAX_BYTES, .. }), "{error}");
    }

    #[test]
    fn a_new_file_is_secret_and_never_replaces_another_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        create(&path, b"first", false).unwrap();
        assert_eq!(mode(&path), 0o600);

        let error = create(&path, b"second", false).unwrap_err();
        assert!(matches!(&error, SigningError::Exists { path: existing } if *existing == path), "{error}");
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
        assert!(matches!(&error, SigningError::Write { source, .. } if source.kind() == io::ErrorKind::NotFound), "{error}");

        let occupied = folder.path().join("occupied");
        fs::create_dir_all(occupied.join("inner")).unwrap();
        let error = create(&occupied, b"content", true).unwrap_err();
        assert!(matches!(error, SigningError::Write { .. }), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
