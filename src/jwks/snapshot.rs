//! The last good keys on disk, for starts while the provider is down.
//!
//! Each key is stored with the times at which it was seen, so that a restart extends nothing. The file names trusted keys: it
//! must be private to its owner, or it is refused. Its content is read key by key, like that of a provider.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::key_store::KeyStore;
use crate::{
    private_file::{self, PrivateFileError},
    token::{KeySet, KeySetLimits, Party, Timestamp, VerificationKey},
};

/// Largest snapshot in bytes: some thousand keys with certificates.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Maximum number of keys that are read from one.
const MAX_KEYS: usize = 1024;
/// The only version there is.
const VERSION: u32 = 1;

/// A key as it was held, its source, and when it was first and last seen.
pub(super) type Seen = (Arc<VerificationKey>, usize, Timestamp, Timestamp);

/// What a snapshot held that can be used.
#[derive(Debug, Default)]
pub(super) struct Restored {
    pub(super) keys: Vec<Seen>,
    /// The issuer that each source's discovery document named.
    pub(super) issuers: Vec<(usize, Arc<str>)>,
    /// Keys that cannot be used, or whose source is no longer configured.
    pub(super) left_out: usize,
}

/// Why a snapshot is not used, or not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum SnapshotError {
    #[error(transparent)]
    File(#[from] PrivateFileError),
    #[error("{0}")]
    Content(String),
}

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    /// By source.
    issuers: BTreeMap<&'a str, &'a str>,
    keys: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    source: &'a str,
    first_seen_ms: i64,
    last_seen_ms: i64,
    /// Whose discovery document led to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    party: Option<&'a str>,
    jwk: &'a RawValue,
}

#[derive(Deserialize)]
struct StoredDocument<'a> {
    version: u32,
    #[serde(default)]
    issuers: BTreeMap<String, String>,
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct StoredEntry<'a> {
    source: String,
    first_seen_ms: i64,
    last_seen_ms: i64,
    #[serde(default)]
    party: Option<String>,
    #[serde(borrow)]
    jwk: &'a RawValue,
}

/// Writes the keys of the store, except those that come from files. `places` are the sources.
pub(super) fn save(path: &Path, store: &KeyStore, places: &[String]) -> Result<(), SnapshotError> {
    let published = store.published();
    let place = |source: usize| places.get(source).map(String::as_str);
    let now = Timestamp::MIN;
    let mut room = MAX_BYTES / 2;
    let mut keys = Vec::new();
    for (held, _) in published.held.live(now, &published.denied).filter(|(held, _)| held.end.is_some()) {
        let jwk: Option<&RawValue> = held.key.document().and_then(|text| serde_json::from_str(text).ok());
        let (Some(jwk), Some(source)) = (jwk, place(held.source)) else { continue };
        let Some(left) = room.checked_sub(jwk.get().len() + source.len()) else { break };
        room = left;
        let (first_seen_ms, last_seen_ms) = (held.first_seen.as_millis(), held.last_seen.as_millis());
        let party = held.key.party().map(Party::as_str);
        keys.push(Entry { source, first_seen_ms, last_seen_ms, party, jwk });
    }
    let issuers = published.answers.iter().enumerate();
    let issuers = issuers.filter_map(|(source, answer)| Some((place(source)?, answer.issuer.as_deref()?))).collect();
    let document = serde_json::to_vec(&Document { version: VERSION, issuers, keys });
    let document =
        document.map_err(|error| SnapshotError::Content(format!("{}: the keys cannot be written: {error}", path.display())))?;
    Ok(private_file::write(path, &document, true)?)
}

/// Reads a snapshot. None: there is none yet.
pub(super) fn load(path: &Path, places: &[String]) -> Result<Option<Restored>, SnapshotError> {
    let data = match private_file::read(path, MAX_BYTES) {
        Err(PrivateFileError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        data => data?,
    };
    let content = |what: &str| SnapshotError::Content(format!("{} {what}", path.display()));
    let document: StoredDocument<'_> =
        serde_json::from_slice(&data).map_err(|error| content(&format!("is not a key snapshot (line {})", error.line())))?;
    if document.version != VERSION {
        return Err(content(&format!("has version {}, not {VERSION}", document.version)));
    }
    let index = |place: &str| places.iter().position(|known| known == place);
    let mut restored = Restored { left_out: document.keys.len().saturating_sub(MAX_KEYS), ..Restored::default() };
    for entry in document.keys.into_iter().take(MAX_KEYS) {
        match key(entry, index) {
            Some(key) => restored.keys.push(key),
            None => restored.left_out += 1,
        }
    }
    let issuers = document.issuers.iter().filter_map(|(place, issuer)| Some((index(place)?, issuer.as_str().into())));
    restored.issuers = issuers.collect();
    Ok(Some(restored))
}

fn key(entry: &RawValue, index: impl Fn(&str) -> Option<usize>) -> Option<Seen> {
    let entry: StoredEntry<'_> = serde_json::from_str(entry.get()).ok()?;
    // As a set of one, so that it passes everything that a provider's key has to pass.
    let document = format!("{{\"keys\":[{}]}}", entry.jwk.get());
    let party = entry.party.as_deref().map(Party::restored);
    let set = KeySet::parse_of(document.as_bytes(), &KeySetLimits::default(), party.as_ref()).ok()?;
    let key = Arc::clone(set.keys().first()?);
    Some((key, index(&entry.source)?, Timestamp::from_millis(entry.first_seen_ms), Timestamp::from_millis(entry.last_seen_ms)))
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
