//! One fetch of everything, outside the schedule: the keys that a gateway started now would trust.

use futures_util::future::join_all;

use super::{
    JwksError, JwksSettings,
    denied::Denied,
    discovery::is_one_issuer,
    fetch::{Fetcher, Source},
    merge::{HeldKeys, Keep},
};
use crate::token::{KeySet, KeySetLimits, SkippedKey, Timestamp};

/// The keys of one issuer, fetched once from all of its sources.
#[derive(Debug, Default)]
pub struct FetchedKeys {
    /// The keys that can be used.
    pub keys: KeySet,
    /// The keys that are published and cannot be used.
    pub skipped: Vec<SkippedKey>,
    /// The names of the keys that the config denies.
    pub denied: Vec<String>,
    /// Those of the keys that have such a name: a `kid`, or a thumbprint.
    pub denied_keys: KeySet,
    /// The `iss` values that the discovery documents name.
    pub issuers: Vec<String>,
    /// Why sources could not be fetched, a text for each: printable, with the URL.
    pub failures: Vec<String>,
}

/// Fetches every source of an issuer, with the timeouts and bounds of the gateway.
///
/// rustls must have a default provider by then.
pub async fn fetch_once(settings: &JwksSettings, now: Timestamp) -> Result<FetchedKeys, JwksError> {
    let sources = settings.sources.iter().map(Source::new).collect::<Result<Vec<_>, _>>()?;
    let fetcher = Fetcher::new(settings, KeySetLimits::default())?;
    let (mut held, mut answer) =
        (HeldKeys::default(), FetchedKeys { denied: settings.deny_kids.clone(), ..FetchedKeys::default() });
    for (index, outcome) in join_all(sources.iter().map(|source| fetcher.fetch(source))).await.into_iter().enumerate() {
        match outcome {
            Ok(fetched) => {
                answer.skipped.extend_from_slice(fetched.keys.skipped());
                answer.issuers.extend(fetched.issuer.filter(|named| is_one_issuer(named)).map(|issuer| issuer.to_string()));
                held = held.merge(index, &fetched.keys, now, Keep::For(settings.keep)).0;
            }
            Err(error) => answer.failures.push(error.to_string()),
        }
    }
    Ok(answer.with(&held, now))
}

impl FetchedKeys {
    /// The keys of a document, as if it were the issuer's one source.
    pub fn of_document(document: &KeySet, settings: &JwksSettings, now: Timestamp) -> Self {
        let held = HeldKeys::default().merge(0, document, now, Keep::For(settings.keep)).0;
        let answer = Self { skipped: document.skipped().to_vec(), denied: settings.deny_kids.clone(), ..Self::default() };
        answer.with(&held, now)
    }

    fn with(self, held: &HeldKeys, now: Timestamp) -> Self {
        let denied = Denied::configured(&self.denied);
        Self { keys: held.trusted(now, &denied).0, denied_keys: held.denied(now, &denied), ..self }
    }
}

#[cfg(test)]
#[path = "once_tests.rs"]
mod tests;
