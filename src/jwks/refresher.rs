//! The background task that keeps one issuer's keys fresh: the only one that fetches.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{
    JwksError, JwksSettings, KeyStore,
    fetch::{FetchError, Fetcher, Source, printable},
    key_store::Merged,
    schedule,
};
use crate::{
    metrics::Metrics,
    token::{KeySet, KeySetLimits, SkippedKey, Timestamp},
};

/// Keeps the keys of one issuer fresh. Each of its sources is fetched at start and by its own schedule, so that a source that is slow
/// or down costs the others nothing.
#[derive(Debug)]
pub struct Refresher {
    fetcher: Fetcher,
    sources: Vec<Source>,
    keys: Keys,
}

impl Refresher {
    /// Prepares the sources of the issuer with this configured name. Fetches nothing yet.
    ///
    /// rustls must have a default provider by then.
    pub fn new(issuer: &str, settings: &JwksSettings, metrics: Arc<Metrics>) -> Result<Self, JwksError> {
        let sources = settings.sources.iter().map(Source::new).collect::<Result<Vec<_>, _>>()?;
        let fetcher = Fetcher::new(settings, KeySetLimits::default())?;
        let store = Arc::new(KeyStore::new(sources.len()));
        let keys = Keys {
            issuer: issuer.to_owned(),
            store,
            refresh: schedule::interval(settings.refresh, settings.keep),
            keep: settings.keep,
            metrics,
            out_of_keys: AtomicBool::new(false),
        };
        keys.declare_series();
        Ok(Self { fetcher, sources, keys })
    }

    /// Where the keys are published.
    pub fn store(&self) -> Arc<KeyStore> {
        Arc::clone(&self.keys.store)
    }

    /// Fetches until `stop` is cancelled, also in the middle of a fetch.
    pub async fn run(self, stop: CancellationToken) {
        let Self { fetcher, sources, keys } = &self;
        let sources = sources.iter().enumerate().map(|(index, source)| {
            let fetch = || fetcher.fetch(source);
            keys.keep_fresh(index, source.url().as_str(), fetch, || Timestamp::from(SystemTime::now()))
        });
        stop.run_until_cancelled(join_all(sources)).await;
    }
}

/// The keys of one issuer, and what is said about them.
#[derive(Debug)]
struct Keys {
    issuer: String,
    store: Arc<KeyStore>,
    refresh: Duration,
    keep: Duration,
    metrics: Arc<Metrics>,
    /// Whether it was logged that no key is left.
    out_of_keys: AtomicBool,
}

/// How a source has been doing.
#[derive(Debug, Default)]
struct SourceState {
    fetched_before: bool,
    failures: u32,
    skipped: Vec<SkippedKey>,
}

impl Keys {
    /// Fetches one source for ever: at once, and then by the schedule. The next fetch starts only after the last one has ended.
    async fn keep_fresh<F, Fut>(&self, index: usize, url: &str, fetch: F, clock: impl Fn() -> Timestamp)
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<KeySet, FetchError>>,
    {
        let mut state = SourceState::default();
        loop {
            let trigger = match &state {
                SourceState { failures: 1.., .. } => "retry",
                SourceState { fetched_before: true, .. } => "timer",
                _ => "start",
            };
            // The keys are as old as the question: an answer may have been under way for a while.
            let asked = clock();
            let outcome = match fetch().await {
                Ok(fetched) => self.succeeded(&mut state, index, url, &fetched, asked),
                Err(error) => self.failed(&mut state, url, &error, clock()),
            };
            self.metrics.jwks.refreshes.with_label_values(&[&self.issuer, trigger, outcome]).inc();
            let trusted = self.store.load(clock()).keys().len();
            self.metrics.jwks.keys.with_label_values(&[&self.issuer]).set(i64::try_from(trusted).unwrap_or(i64::MAX));
            tokio::time::sleep(schedule::pause(self.refresh, state.failures, random())).await;
        }
    }

    fn succeeded(&self, state: &mut SourceState, index: usize, url: &str, fetched: &KeySet, asked: Timestamp) -> &'static str {
        let Merged { changed, conflicts } = self.store.merge(index, fetched, asked, self.keep);
        let trusted = self.store.load(asked).keys().len();
        self.out_of_keys.store(false, Ordering::Relaxed);
        for conflict in conflicts {
            self.metrics.jwks.conflicts.with_label_values(&[&self.issuer]).inc();
            error!(
                issuer = self.issuer,
                url,
                kid = printable(&conflict.kid),
                "the provider publishes another key under a known kid; the known key serves until it ends, then the new one. \
                 If the provider did not announce this, find out why"
            );
        }
        if state.failures > 0 && state.fetched_before {
            info!(issuer = self.issuer, url, attempts = state.failures + 1, trusted, "keys are fetched again");
        } else if changed || !state.fetched_before {
            info!(issuer = self.issuer, url, fetched = fetched.keys().len(), trusted, "keys fetched");
        }
        self.report_skipped(state, url, fetched.skipped());
        if let Some(success) = self.store.last_success() {
            self.metrics.jwks.last_success.with_label_values(&[&self.issuer]).set(success.as_millis() as f64 / 1_000.0);
        }
        state.fetched_before = true;
        state.failures = 0;
        if changed { "changed" } else { "unchanged" }
    }

    fn failed(&self, state: &mut SourceState, url: &str, error: &FetchError, now: Timestamp) -> &'static str {
        state.failures = state.failures.saturating_add(1);
        let trusted = self.store.load(now).keys().len();
        if trusted == 0 && !self.out_of_keys.swap(true, Ordering::Relaxed) {
            error!(issuer = self.issuer, url, %error, "no keys are there; requests with tokens of this issuer are answered 503");
        } else if state.failures == 1 {
            warn!(issuer = self.issuer, url, %error, trusted, "keys could not be fetched; the keys at hand serve until they end");
        } else {
            debug!(issuer = self.issuer, url, %error, failures = state.failures, "keys could not be fetched");
        }
        "error"
    }

    fn report_skipped(&self, state: &mut SourceState, url: &str, skipped: &[SkippedKey]) {
        if state.skipped == skipped {
            return;
        }
        let count = |keys: &[SkippedKey]| {
            let mut counts: HashMap<&'static str, i64> = HashMap::new();
            for key in keys {
                *counts.entry(key.reason.label()).or_default() += 1;
            }
            counts
        };
        let gauge = |reason: &str| self.metrics.jwks.skipped.with_label_values(&[self.issuer.as_str(), reason]);
        count(&state.skipped).into_iter().for_each(|(reason, number)| gauge(reason).sub(number));
        count(skipped).into_iter().for_each(|(reason, number)| gauge(reason).add(number));
        for key in skipped.iter().filter(|key| !state.skipped.contains(key)) {
            let kid = key.kid.as_deref().map(printable);
            info!(issuer = self.issuer, url, kid, reason = key.reason.label(), "a published key is not used");
        }
        state.skipped = skipped.to_vec();
    }

    /// Makes the series exist before the first event, so that alerts on their increase work.
    fn declare_series(&self) {
        let jwks = &self.metrics.jwks;
        for trigger in ["start", "timer", "retry"] {
            for result in ["changed", "unchanged", "error"] {
                jwks.refreshes.with_label_values(&[&self.issuer, trigger, result]);
            }
        }
        jwks.conflicts.with_label_values(&[&self.issuer]);
        jwks.keys.with_label_values(&[&self.issuer]);
        jwks.last_success.with_label_values(&[&self.issuer]);
    }
}

/// A random number in `0.0..1.0`, for jitter.
fn random() -> f64 {
    let mut bytes = [0; 4];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
#[path = "refresher_tests.rs"]
mod tests;
