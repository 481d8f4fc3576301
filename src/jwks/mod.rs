//! How an issuer's keys arrive: discovery, fetch, merge, refresh; and the cell that readers load them from.

mod key_store;

use std::{path::PathBuf, time::Duration};

pub use key_store::KeyStore;

/// Where and how the keys of one issuer are fetched.
#[derive(Clone, Debug, PartialEq)]
pub struct JwksSettings {
    /// The sources; their keys are merged.
    pub sources: Vec<KeySource>,
    /// PEM file of the authorities to trust for them, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Time between refreshes. Default 1 h, 5 min to 24 h.
    pub refresh: Duration,
    /// How long a key is kept after it was last seen. Default 26 h.
    pub keep: Duration,
    /// Connect timeout. Default 2 s.
    pub connect_timeout: Duration,
    /// Timeout of one fetch in all. Default 5 s.
    pub timeout: Duration,
}

/// One source of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// An OpenID discovery document that names the `jwks_uri`.
    Discovery(String),
    /// A key set.
    Jwks(String),
}
