//! The recorded documents. They are not part of the repository: `SYNCGATE_CORPUS` names their folder.

use std::{
    env, fs,
    io::{self, Write},
    path::PathBuf,
};

use serde_json::Value;

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

/// One document of it.
pub fn bytes(name: &str) -> Option<Vec<u8>> {
    let path = folder()?.join(name);
    Some(fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// One document of it, as JSON.
pub fn json(name: &str) -> Option<Value> {
    bytes(name).map(|bytes| serde_json::from_slice(&bytes).expect(name))
}
