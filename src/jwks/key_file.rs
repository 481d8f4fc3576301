//! A key set in a file. It is polled rather than watched by name: only the content matters, so that a swapped symbolic link
//! (Kubernetes) is noticed like any other change.

use std::{fs::File, io::Read, os::unix::fs::MetadataExt, path::Path, time::Duration};

use super::{fetch_error::FetchError, printable::printable};
use crate::token::{KeySet, KeySetError, KeySetLimits};

/// Time between two looks. Longer than it takes to read the file, short enough that a removal is noticed at once.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Whether a gateway could use the keys that the file holds now; if not, why, in the words of its log.
pub fn check_key_file(path: &Path) -> Result<(), String> {
    let failed = |problem| FetchError::File { path: path.to_owned(), problem }.to_string();
    read(path, &KeySetLimits::default()).map(|_| ()).map_err(failed)
}

/// Reads the keys that the file holds now. A set that is empty on purpose is a set. What is said otherwise goes on from the file's name
/// and is printable.
pub(super) fn read(path: &Path, limits: &KeySetLimits) -> Result<KeySet, String> {
    let failed = |error: std::io::Error| format!("cannot be read: {error}");
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err("is not a regular file".to_owned());
    }
    if metadata.mode() & 0o002 != 0 {
        let path = path.display();
        return Err(format!("can be changed by anyone, who could add keys: run `chmod o-w {path}`"));
    }
    let mut document = Vec::new();
    file.take(limits.bytes as u64 + 1).read_to_end(&mut document).map_err(failed)?;
    match KeySet::parse(&document, limits) {
        Err(KeySetError::NoUsableKey { skipped }) if skipped.is_empty() => Ok(KeySet::default()),
        parsed => parsed.map_err(|error| printable(&error.to_string())),
    }
}
