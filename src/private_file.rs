//! Files that only their owner may read: refused if others can, and created so that nobody else ever could.
//!
//! This rule applies to signing keys, passphrases, the admin credential and snapshots of key sets.

mod secret;

use std::{
    fmt,
    fs::{self, File, Metadata, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

pub use self::secret::{Secret, SecretError};

use tempfile::Builder;
use zeroize::Zeroizing;

/// The end of the name of a file that is being written. The text before it is the file's own name and letters by chance.
const UNFINISHED: &str = ".syncgate-new";
/// Nobody writes a file for so long: it was left behind by a process that was killed.
const LEFT_BEHIND: Duration = Duration::from_secs(60);

/// Why such a file cannot be read or written, with a message that an operator can act on.
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
    #[error("{path} is longer than {limit} bytes, so it is probably the wrong file")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Maximum bytes.
        limit: usize,
    },
    /// It is a directory.
    #[error("{path} is a directory; a file is needed")]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// Others than the user of this process may read the file.
    #[error("{path} can be read by others (mode {mode:04o}): {}", remedy.of(.path))]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits; those of the target if it is a symbolic link.
        mode: u32,
        /// What can be done about it.
        remedy: ModeRemedy,
    },
    /// It exists and was not to be replaced.
    #[error("{path} already exists and was not changed: choose another file, or replace it with --force")]
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

/// How the mode of a file can be put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModeRemedy {
    /// The user of this process may change it.
    Change,
    /// It belongs to somebody else, so that after the obvious change this process could not read it. The user of this process.
    Give(u32),
    /// It is on a read-only mount.
    Mount,
}

impl ModeRemedy {
    fn of(self, path: &Path) -> impl fmt::Display {
        let path = path.display();
        match self {
            Self::Change => format!("run `chmod 600 {path}`"),
            Self::Give(user) => format!("run `chown {user} {path} && chmod 600 {path}` as root"),
            Self::Mount => "it is mounted read-only, so set its mode where it is mounted. Kubernetes: `defaultMode: 0440` and an \
                            `fsGroup` of the pod; Secrets Store CSI: `filePermission: \"0440\"` and an `fsGroup`; Docker Swarm: \
                            `mode: 0400` and the `uid` of the process; a bind-mounted file: `chmod 600` on the host"
                .to_owned(),
        }
    }

    fn find(file: &File, owner: u32) -> Self {
        let user = rustix::process::geteuid().as_raw();
        let is_read_only =
            rustix::fs::fstatvfs(file).is_ok_and(|about| about.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
        match is_read_only {
            true => Self::Mount,
            false if user == ROOT || user == owner => Self::Change,
            false => Self::Give(user),
        }
    }
}

/// Reads a file of at most `limit` bytes, if its permissions keep it private.
pub fn read(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    let failed = |source| PrivateFileError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    // Of the open file, not of the path: what is checked is what is read.
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(PrivateFileError::Folder { path: path.to_owned() });
    }
    if is_exposed(metadata.mode(), metadata.uid()) {
        let (mode, remedy) = (metadata.mode() & 0o7777, ModeRemedy::find(&file, metadata.uid()));
        return Err(PrivateFileError::Exposed { path: path.to_owned(), mode, remedy });
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

/// Writes a file that only its owner can read, from its first byte on. An existing file stays as it is unless it is to be replaced.
///
/// The file is there as a whole or not at all, whenever the process or the machine stops: it is written under another name in the
/// same folder, by chance one that nobody else has, and then renamed. What a process that was killed has left of that is removed by
/// a later call.
pub fn write(path: &Path, content: &[u8], replace: bool) -> Result<(), PrivateFileError> {
    write_with_mode(path, content, replace, 0o600)
}

/// As [`write()`], for a world-readable file, such as a public key.
pub fn write_public(path: &Path, content: &[u8], replace: bool) -> Result<(), PrivateFileError> {
    write_with_mode(path, content, replace, 0o644)
}

fn write_with_mode(path: &Path, content: &[u8], replace: bool, mode: u32) -> Result<(), PrivateFileError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => PrivateFileError::Exists { path: path.to_owned() },
        _ => PrivateFileError::Write { path: path.to_owned(), source },
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
    let mut prefix = name.to_owned();
    prefix.push(".");
    let mut file = Builder::new()
        .prefix(&prefix)
        .suffix(UNFINISHED)
        .rand_bytes(12)
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)
        .map_err(|error| PrivateFileError::Write { path: path.to_owned(), source: error })?;
    // Where one of these fails, the file under the other name is removed as it is dropped.
    file.write_all(content).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    let outcome = if replace { file.persist(path) } else { file.persist_noclobber(path) };
    outcome.map_err(|error| failed(error.error))?;
    // Only now is the name on the disk; there are file systems that cannot be asked for it.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    remove_what_was_left(folder, &name.to_string_lossy());
    Ok(())
}

/// Removes what was left of the file `name` by processes that were killed while they wrote it. What it cannot remove does no harm.
fn remove_what_was_left(folder: &Path, name: &str) {
    let is_old =
        |about: Metadata| about.is_file() && about.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age > LEFT_BEHIND));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if is_unfinished(&entry.file_name().to_string_lossy(), name) && entry.metadata().is_ok_and(is_old) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether a file is one that was being written under the name `name`, also by version 0.1.0: `<name>.<process>.new`.
fn is_unfinished(candidate: &str, name: &str) -> bool {
    let Some(rest) = candidate.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')) else { return false };
    let is_middle = |part: &str, is_one: fn(&u8) -> bool| !part.is_empty() && part.as_bytes().iter().all(is_one);
    rest.strip_suffix(UNFINISHED).is_some_and(|part| is_middle(part, u8::is_ascii_alphanumeric))
        || rest.strip_suffix(".new").is_some_and(|part| is_middle(part, u8::is_ascii_digit))
}

const ROOT: u32 = 0;

/// Whether others may read or change a file of this owner.
///
/// The group may read what belongs to root, as PostgreSQL has it for its keys: only an administrator can have chosen that group,
/// and a process that is not root reads a file of root in no other way.
fn is_exposed(mode: u32, owner: u32) -> bool {
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

#[cfg(test)]
mod tests;
