//! Files that only their owner may read: refused if others can, written so that nobody else ever could.
//!
//! Signing keys, passphrases, the operators' credential and snapshots of key sets are held to this one rule.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// Why such a file cannot be read or written, in words an operator can act on.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// More bytes than such a file has.
    #[error("{path} is longer than {limit} bytes, so it is not the file that was meant")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Most bytes.
        limit: usize,
    },
    /// Others than the user of this process may read the file.
    #[error("{path} can be read by others (mode {mode:04o}): run `chmod 600 {path}`")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits; those of the target if it is a symbolic link.
        mode: u32,
    },
    /// It exists and was not to be replaced.
    #[error("{path} exists already and is left as it is: choose another file, or --force to replace it")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Reads a file of at most `limit` bytes, if its permissions keep it private.
pub fn read(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    let failed = |source| PrivateFileError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    // Of the open file, not of the path: what is checked is what is read.
    let metadata = file.metadata().map_err(failed)?;
    if is_exposed(metadata.mode(), metadata.uid()) {
        return Err(PrivateFileError::Exposed { path: path.to_owned(), mode: metadata.mode() & 0o7777 });
    }
    let too_large = || PrivateFileError::TooLarge { path: path.to_owned(), limit };
    let size = usize::try_from(metadata.len()).ok().filter(|size| *size <= limit).ok_or_else(too_large)?;
    // All at once: a vector that grows would leave copies of the secret behind. Files whose size is not known say 0.
    let mut data = Zeroizing::new(vec![0; if size == 0 { limit + 1 } else { size + 1 }]);
    let length = read_fully(&mut file, &mut data).map_err(failed)?;
    if length > limit {
        return Err(too_large());
    }
    data.truncate(length);
    Ok(data)
}

/// Writes a file that only its owner can read, from its first byte on. An existing file stays as it is unless it is to be replaced;
/// then it is replaced as a whole or not at all.
pub fn write(path: &Path, content: &[u8], replace: bool) -> Result<(), PrivateFileError> {
    let written_to = if replace { beside(path) } else { path.to_owned() };
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => PrivateFileError::Exists { path: written_to.clone() },
        _ => PrivateFileError::Write { path: path.to_owned(), source },
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&written_to).map_err(failed)?;
    let result = file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| match replace {
        true => fs::rename(&written_to, path),
        false => Ok(()),
    });
    result.map_err(|error| {
        // Half a file is of no use to anybody; that it cannot be removed adds nothing to the first error.
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
    use super::*;

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
}
