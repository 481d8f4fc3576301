//! The recorded documents. They are not part of the repository: `SYNCGATE_CORPUS` names their folder. Unit tests and the suite share this.

use std::{
    env,
    io::{self, Write as _},
    path::PathBuf,
};

/// The folder. Without it a test says that it skips and ends; with `SYNCGATE_NO_SKIP` it fails instead.
pub fn folder() -> Option<PathBuf> {
    let folder = env::var_os("SYNCGATE_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        assert!(env::var_os("SYNCGATE_NO_SKIP").is_none(), "SYNCGATE_CORPUS is not set");
        // Past the capture of the test harness, which hides what a passing test prints.
        let _ = io::stderr().write_all(b"SKIPPED: SYNCGATE_CORPUS does not name a folder of recorded documents\n");
    }
    folder
}
