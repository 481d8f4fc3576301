//! [`KeysView`]: one issuer's keys, for operators. Never used by requests.

use std::sync::Arc;

use super::{KeyStore, demand::SourceStatus, merge::KeyState};
use crate::token::{Timestamp, VerificationKey};

/// The keys of one issuer and how they come.
#[derive(Clone, Debug)]
pub struct KeysView {
    /// The `iss` values that discovery documents named.
    pub discovered_issuers: Vec<Arc<str>>,
    /// The sources, in the order of the config.
    pub sources: Vec<SourceView>,
    /// The keys whose time is not over.
    pub keys: Vec<KeyView>,
    /// Names that the config denies.
    pub denied: Vec<String>,
    /// Names that were denied since the start.
    pub purged: Vec<String>,
    /// Why the snapshot could not be written last, if so.
    pub snapshot_error: Option<String>,
}

/// One source.
#[derive(Clone, Debug)]
pub struct SourceView {
    /// How it is doing.
    pub status: SourceStatus,
    /// When it was last asked with success.
    pub last_success: Option<Timestamp>,
}

/// One key.
#[derive(Clone, Debug)]
pub struct KeyView {
    /// The key.
    pub key: Arc<VerificationKey>,
    /// Its source: an index into the sources.
    pub source: usize,
    /// When it was first seen by this process, or by the one that wrote the snapshot.
    pub first_seen: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// Until when it serves if it is not seen again; none: as long as it is in its file.
    pub end: Option<Timestamp>,
    /// What becomes of it.
    pub state: KeyState,
}

impl KeyStore {
    /// What there is to show at `now`.
    pub fn view(&self, now: Timestamp) -> KeysView {
        let published = self.published();
        let (denied, purged) = published.denied.lists();
        let keys = published.held.live(now, &published.denied).map(|(held, state)| KeyView {
            key: Arc::clone(&held.key),
            source: held.source,
            first_seen: held.first_seen,
            last_seen: held.last_seen,
            end: held.end,
            state,
        });
        let answers = published.answers.iter().map(|answer| answer.asked);
        let sources = self.demand.sources().into_iter().zip(answers);
        KeysView {
            discovered_issuers: self.discovered_issuers(),
            sources: sources.map(|(status, last_success)| SourceView { status, last_success }).collect(),
            keys: keys.collect(),
            denied: denied.to_vec(),
            purged: purged.to_vec(),
            snapshot_error: self.snapshot_error(),
        }
    }
}
