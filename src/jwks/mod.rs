//! An issuer's keys: discovery, fetch, merge, refresh; and the cell that readers load them from.
//!
//! ```text
//! Refresher (one task per issuer) --fetch--> provider
//!     |   merge: old keys + fetched keys + now -> keys
//!     v
//! KeyStore <--load-- every request
//! ```
//!
//! No request ever fetches. The task starts at once, keeps to an hourly schedule, and after a failure retries within a minute;
//! the known keys are used until each has expired. A request that misses a key may ask for a refresh, within a budget, and wait
//! a moment for it. What needs no I/O (the schedule, the budget, the merge) is kept separate as pure functions.

mod answer;
mod budget;
mod cache_control;
mod clock_skew;
mod demand;
mod denied;
mod discovery;
mod fetch;
mod fetch_error;
mod key_file;
mod key_store;
mod merge;
mod misnamed;
mod named_issuer;
mod once;
mod printable;
mod proxy;
mod purges;
mod refresher;
mod safe_url;
mod schedule;
mod snapshot;
#[cfg(test)]
pub(crate) mod test_keys;
#[cfg(test)]
pub(crate) mod test_log;
#[cfg(test)]
mod test_provider;
mod view;

use std::{path::PathBuf, time::Duration};

pub use demand::{KeysAwaited, SourceStatus};
pub use key_file::check_key_file;
pub use key_store::KeyStore;
pub use merge::KeyState;
pub use once::{FetchedKeys, fetch_once};
pub use purges::Purges;
pub use refresher::Refresher;
pub use view::{KeyView, KeysView, SourceView};

/// Where and how the keys of one issuer are fetched.
#[derive(Clone, Debug, PartialEq)]
pub struct JwksSettings {
    /// The sources; their keys are merged. Never empty.
    pub sources: Vec<KeySource>,
    /// PEM file of the authorities to trust for them, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Time between refreshes, 10 % more or less. Default 1 h, 5 min to 24 h; at most half of `keep` is used. A provider's
    /// `Cache-Control: max-age` makes it shorter, down to 5 min.
    pub refresh: Duration,
    /// How long a key is kept after it was last seen. Default 26 h: Microsoft's keys vanish for up to a day and return.
    pub keep: Duration,
    /// Connect timeout. Default 2 s.
    pub connect_timeout: Duration,
    /// Timeout of one fetch in all, discovery included. Default 5 s.
    pub timeout: Duration,
    /// URL of the proxy that fetches go through: http, https, socks5, or socks5h, which resolves names itself. Default: none; the
    /// environment is not asked.
    pub proxy: Option<String>,
    /// A private file with the login at the proxy: one line `user:password`. Default: none. Read when the settings are put to use.
    pub proxy_credentials_file: Option<PathBuf>,
    /// What an unknown `kid` may cause.
    pub unknown_kid: UnknownKidSettings,
    /// Keys that are not trusted, whatever the provider says: by `kid` or by RFC 7638 thumbprint.
    pub deny_kids: Vec<String>,
    /// Where the last good keys are kept for a start without the provider. Default: nowhere.
    pub snapshot_file: Option<PathBuf>,
}

/// What a token with an unknown `kid` may cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKidSettings {
    /// Refreshes at once. Default 2.
    pub budget: u32,
    /// Time in which one more is allowed. Default 5 min, as Microsoft has it; the config takes no less than 30 s.
    pub refill: Duration,
    /// How long a request waits for a fetch that is in progress. Default 1 s; may be 0.
    pub wait: Duration,
}

impl Default for UnknownKidSettings {
    fn default() -> Self {
        Self { budget: 2, refill: Duration::from_secs(300), wait: Duration::from_secs(1) }
    }
}

impl JwksSettings {
    /// The default of `keep`.
    pub const KEEP: Duration = Duration::from_secs(26 * 3600);

    /// These sources, and the default for everything else.
    pub fn new(sources: Vec<KeySource>) -> Self {
        Self {
            sources,
            ca_file: None,
            refresh: Duration::from_secs(3600),
            keep: Self::KEEP,
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
            proxy: None,
            proxy_credentials_file: None,
            unknown_kid: UnknownKidSettings::default(),
            deny_kids: Vec::new(),
            snapshot_file: None,
        }
    }
}

/// One source of keys: a file, an https URL, or an http URL of this machine. The query string of a URL is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// An OpenID discovery document that names the `jwks_uri`.
    Discovery(String),
    /// A key set.
    Jwks(String),
    /// A key set in a file, read again every two seconds. Its keys are trusted as long as they are there.
    File(PathBuf),
}

/// Why keys cannot be fetched at all, with a message that an operator can act on. Found at start; a provider that does not respond
/// is not such an error.
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
    #[error("certificate authorities for the provider, {}: {problem}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// The proxy cannot be used.
    #[error("proxy to the provider, {proxy}: {problem}")]
    Proxy {
        /// As configured.
        proxy: String,
        /// Why not.
        problem: String,
    },
    /// The HTTP client cannot be built.
    #[error(
        "cannot set up TLS to the provider ({0}); install the system's certificate authorities (ca-certificates), or set ca_file"
    )]
    Client(String),
}
