//! A key set in a file. It is read again and again rather than watched by name: what counts is the content, however it came there, so
//! that a symbolic link that is swapped (Kubernetes) is seen like any other change.

use std::{fs::File, io::Read, os::unix::fs::MetadataExt, path::Path, time::Duration};

use crate::token::{KeySet, KeySetError, KeySetLimits};

/// Time between two looks. Longer than it takes to read the file, short enough that a removal is felt at once.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Reads the keys that the file holds now. A set that is empty on purpose is a set.
pub(super) fn read(path: &Path, limits: &KeySetLimits) -> Result<KeySet, String> {
    let failed = |error: std::io::Error| format!("cannot be read: {error}");
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err("is not a regular file".to_owned());
    }
    if metadata.mode() & 0o002 != 0 {
        return Err("can be changed by anybody, who could put in keys of their own; run chmod o-w".to_owned());
    }
    let mut document = Vec::new();
    file.take(limits.bytes as u64 + 1).read_to_end(&mut document).map_err(failed)?;
    match KeySet::parse(&document, limits) {
        Err(KeySetError::NoUsableKey { skipped }) if skipped.is_empty() => Ok(KeySet::default()),
        parsed => parsed.map_err(|error| error.to_string()),
    }
}
