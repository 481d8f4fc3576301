//! One fetch of everything, outside of the schedule: the keys that a gateway which starts now would trust.

use futures_util::future::join_all;

use super::{
    JwksError, JwksSettings,
    denied::Denied,
    fetch::{Fetcher, Source},
    merge::{HeldKeys, Keep},
};
use crate::token::{KeySet, KeySetLimits, SkippedKey, Timestamp};

/// The keys of one issuer, fetched once from all of its sources.
#[derive(Debug)]
pub struct FetchedKeys {
    /// The keys that can be used.
    pub keys: KeySet,
    /// The keys that are published and cannot be used.
    pub skipped: Vec<SkippedKey>,
    /// Why sources could not be fetched, a text for each: printable, with the URL.
    pub failures: Vec<String>,
}

/// Fetches every source of an issuer, with the timeouts and bounds of the gateway.
///
/// rustls must have a default provider by then.
pub async fn fetch_once(settings: &JwksSettings, now: Timestamp) -> Result<FetchedKeys, JwksError> {
    let sources = settings.sources.iter().map(Source::new).collect::<Result<Vec<_>, _>>()?;
    let fetcher = Fetcher::new(settings, KeySetLimits::default())?;
    let (mut held, mut skipped, mut failures) = (HeldKeys::default(), Vec::new(), Vec::new());
    for (index, outcome) in join_all(sources.iter().map(|source| fetcher.fetch(source))).await.into_iter().enumerate() {
        match outcome {
            Ok(fetched) => {
                skipped.extend_from_slice(fetched.keys.skipped());
                held = held.merge(index, &fetched.keys, now, Keep::For(settings.keep)).0;
            }
            Err(error) => failures.push(error.to_string()),
        }
    }
    Ok(FetchedKeys { keys: held.trusted(now, &Denied::configured(&settings.deny_kids)).0, skipped, failures })
}

#[cfg(test)]
#[path = "once_tests.rs"]
mod tests;
