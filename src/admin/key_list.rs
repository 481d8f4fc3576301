//! [`Keys`]: the contents of `/keys`: the keys of each issuer and the state of their sources.

use serde::Serialize;

use crate::{
    jwks::{KeyState, KeyStore, KeyView, SourceView},
    token::Timestamp,
};

/// The document: one element for each issuer.
#[derive(Debug, Serialize)]
pub(super) struct Keys {
    /// When it was written.
    pub(super) now: String,
    pub(super) issuers: Vec<IssuerKeys>,
}

/// The keys of one issuer.
#[derive(Debug, Serialize)]
pub(super) struct IssuerKeys {
    pub(super) name: String,
    /// Whether it has keys to verify with.
    pub(super) ready: bool,
    /// The `iss` values that its discovery documents name.
    pub(super) discovered_issuers: Vec<String>,
    /// Those that they name and the config does not take: tokens of these are answered 503.
    pub(super) misnamed_issuers: Vec<String>,
    pub(super) keys: Vec<Key>,
    pub(super) sources: Vec<Source>,
    /// Names that the config denies.
    pub(super) denied: Vec<String>,
    /// Names that an operator denied since the start.
    pub(super) purged: Vec<String>,
    /// Why the snapshot could not be written last; absent if it was, or if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) snapshot_error: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Key {
    pub(super) kid: Option<String>,
    pub(super) r#type: &'static str,
    pub(super) algorithms: Vec<String>,
    /// RFC 7638, SHA-256.
    pub(super) thumbprint: String,
    pub(super) state: &'static str,
    pub(super) first_seen: String,
    pub(super) last_seen: String,
    /// Until when it serves if it is not seen again; absent for a key that is in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ends: Option<String>,
    /// URL or file.
    pub(super) source: String,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Source {
    /// URL or file.
    pub(super) place: String,
    pub(super) last_attempt: Option<String>,
    pub(super) last_success: Option<String>,
    pub(super) next_refresh: Option<String>,
    /// Failures in a row.
    pub(super) failures: u32,
    pub(super) error: Option<String>,
    pub(super) skipped: Vec<Skipped>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Skipped {
    pub(super) kid: Option<String>,
    pub(super) reason: &'static str,
}

impl IssuerKeys {
    pub(super) fn of(name: &str, store: &KeyStore, now: Timestamp) -> Self {
        let view = store.view(now);
        let place = |source: usize| view.sources.get(source).map(|source| source.status.place.clone()).unwrap_or_default();
        Self {
            name: name.to_owned(),
            ready: store.is_ready(now),
            keys: view.keys.iter().map(|key| Key::of(key, place(key.source))).collect(),
            sources: view.sources.iter().map(Source::of).collect(),
            misnamed_issuers: store.misnamed().iter().map(ToString::to_string).collect(),
            discovered_issuers: view.discovered_issuers.iter().map(ToString::to_string).collect(),
            denied: view.denied,
            purged: view.purged,
            snapshot_error: view.snapshot_error,
        }
    }

    /// The keys that wait under the `kid` of another one, each with that one.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (&Key, &Key)> {
        let of_name = |waiting: &Key| self.keys.iter().find(|key| key.state == "trusted" && key.kid == waiting.kid);
        self.keys.iter().filter(|key| key.state == "waiting").filter_map(move |waiting| Some((waiting, of_name(waiting)?)))
    }
}

impl Key {
    fn of(KeyView { key, first_seen, last_seen, end, state, .. }: &KeyView, source: String) -> Self {
        Self {
            kid: key.kid().map(str::to_owned),
            r#type: key.type_name(),
            algorithms: key.algorithms().map(|algorithm| format!("{algorithm:?}")).collect(),
            thumbprint: key.id().to_string(),
            state: self::state(*state),
            first_seen: shown(*first_seen),
            last_seen: shown(*last_seen),
            ends: end.map(shown),
            source,
        }
    }
}

impl Source {
    fn of(SourceView { status, last_success }: &SourceView) -> Self {
        let skipped = |key: &crate::token::SkippedKey| Skipped { kid: key.kid.clone(), reason: key.reason.label() };
        Self {
            place: status.place.clone(),
            last_attempt: status.last_attempt.map(shown),
            last_success: last_success.map(shown),
            next_refresh: status.next.map(shown),
            failures: status.failures,
            error: status.error.clone(),
            skipped: status.skipped.iter().map(skipped).collect(),
        }
    }
}

/// The word for what becomes of a key.
pub(super) fn state(state: KeyState) -> &'static str {
    match state {
        KeyState::Trusted => "trusted",
        KeyState::Waiting => "waiting",
        KeyState::Denied => "denied",
    }
}

/// In whole seconds, as RFC 3339 has it.
pub(super) fn shown(time: Timestamp) -> String {
    Timestamp::from_seconds(time.as_seconds()).to_string()
}
