//! How an issuer's keys arrive: discovery, fetch, merge, refresh; and the cell that readers load them from.
//!
//! ```text
//! Refresher (one task per issuer) --fetch--> provider
//!     |   merge: old keys + fetched keys + now -> keys
//!     v
//! KeyStore <--load-- every request
//! ```
//!
//! No request ever fetches. The task starts at once, keeps to an hourly schedule, and after a failure tries again within a minute; the
//! keys at hand serve until each has ended. What needs no I/O (the schedule, the merge) is kept apart as pure functions.

mod fetch;
mod key_store;
mod merge;
mod once;
mod refresher;
mod schedule;
#[cfg(test)]
pub(crate) mod test_keys;
#[cfg(test)]
mod test_provider;

use std::{path::PathBuf, time::Duration};

pub use key_store::KeyStore;
pub use once::{FetchedKeys, fetch_once};
pub use refresher::Refresher;

/// Where and how the keys of one issuer are fetched.
#[derive(Clone, Debug, PartialEq)]
pub struct JwksSettings {
    /// The sources; their keys are merged. Never empty.
    pub sources: Vec<KeySource>,
    /// PEM file of the authorities to trust for them, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Time between refreshes, 10 % more or less. Default 1 h, 5 min to 24 h; at most half of `keep` is used.
    pub refresh: Duration,
    /// How long a key is kept after it was last seen. Default 26 h: Microsoft's keys vanish for up to a day and return.
    pub keep: Duration,
    /// Connect timeout. Default 2 s.
    pub connect_timeout: Duration,
    /// Timeout of one fetch in all, discovery included. Default 5 s.
    pub timeout: Duration,
}

impl JwksSettings {
    /// These sources, and the default for everything else.
    pub fn new(sources: Vec<KeySource>) -> Self {
        Self {
            sources,
            ca_file: None,
            refresh: Duration::from_secs(3600),
            keep: Duration::from_secs(26 * 3600),
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
        }
    }
}

/// One source of keys: an https URL, or an http URL of this machine. Its query string is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// An OpenID discovery document that names the `jwks_uri`.
    Discovery(String),
    /// A key set.
    Jwks(String),
}

/// Why keys cannot be fetched at all, in words an operator can act on. Found at start; a provider that does not answer is no such error.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// The URL of a source cannot be used.
    #[error("{url} {problem}")]
    Url {
        /// As configured.
        url: String,
        /// Why not.
        problem: String,
    },
    /// The file of authorities cannot be used.
    #[error("authorities for the provider, {}: {problem}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// The HTTP client cannot be built.
    #[error(
        "cannot prepare TLS towards the provider ({0}); install the system's authorities (ca-certificates) or name a file of them"
    )]
    Client(String),
}
