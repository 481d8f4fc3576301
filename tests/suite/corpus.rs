//! Documents of the corpus, by their name.

#[path = "../corpus/mod.rs"]
mod folder;

use std::fs;

use serde_json::Value;

pub use self::folder::folder;

/// One document of it.
pub fn bytes(name: &str) -> Option<Vec<u8>> {
    let path = folder()?.join(name);
    Some(fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// One document of it, as JSON.
pub fn json(name: &str) -> Option<Value> {
    bytes(name).map(|bytes| serde_json::from_slice(&bytes).expect(name))
}
