//! The load itself, for the command line and for benches: many clients, each request at its time, and what came of it.

pub mod client;
pub mod http;
pub mod mint;
pub mod schedule;
pub mod tally;
pub mod target;
pub mod tokens;
pub mod websocket;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard one, and says how many there may be.
pub fn raise_descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile);
    // Where that fails, the limit is as it was.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

/// Why there is no load: in words that say what to change.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(pub String);

impl Trouble {
    /// Something that went wrong with this file, URL or option.
    pub fn with(place: impl std::fmt::Display, what: impl std::fmt::Display) -> Self {
        Self(format!("{place}: {what}"))
    }
}
