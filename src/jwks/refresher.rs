//! The background task that keeps one issuer's keys fresh: the only one that fetches.

use std::{
    collections::HashMap,
    future::Future,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_util::future::join_all;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{
    JwksError, JwksSettings, KeyStore, Purges,
    clock_skew::ClockSkew,
    demand::Trigger,
    discovery::is_one_issuer,
    fetch::{Fetched, Fetcher, Source},
    fetch_error::FetchError,
    key_file,
    key_store::Merged,
    merge::{HeldKeys, Keep},
    printable::printable,
    schedule, snapshot,
};
use crate::{
    metrics::Metrics,
    token::{KeySetLimits, SkipReason, SkippedKey, Timestamp},
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
    /// Prepares the sources of the issuer with this configured name, and reads its snapshot. Fetches nothing yet. `purges` holds what was
    /// denied of this issuer since the process began.
    ///
    /// rustls must have a default provider by then.
    pub fn new(issuer: &str, settings: &JwksSettings, purges: &Arc<Purges>, metrics: Arc<Metrics>) -> Result<Self, JwksError> {
        let sources = settings.sources.iter().map(Source::new).collect::<Result<Vec<_>, _>>()?;
        let fetcher = Fetcher::new(settings, KeySetLimits::default())?;
        let places: Vec<_> = sources.iter().map(Source::place).collect();
        let suppressed = metrics.jwks.suppressed.with_label_values(&[issuer]);
        let keys = Keys {
            issuer: issuer.to_owned(),
            store: Arc::new(KeyStore::for_sources(places.clone(), settings, Some(suppressed), Arc::clone(purges))),
            refresh: schedule::interval(settings.refresh, settings.keep),
            keep: sources
                .iter()
                .map(|source| if source.is_file() { Keep::WhileListed } else { Keep::For(settings.keep) })
                .collect(),
            places,
            snapshot: settings.snapshot_file.clone(),
            saving: Mutex::new(()),
            metrics,
            out_of_keys: AtomicBool::new(false),
            clock: ClockSkew::default(),
        };
        keys.declare_series();
        let now = Timestamp::from(SystemTime::now());
        purges.bind(&keys.store, now);
        keys.restore(settings.keep, now);
        Ok(Self { fetcher, sources, keys })
    }

    /// Takes over from the store that had this issuer's keys under the settings before: keys whose source is still there go on to
    /// serve.
    pub fn inherit(&self, old: &KeyStore) {
        let Keys { store, places, keep, .. } = &self.keys;
        let known = old.demand.sources();
        let renumber = |source: usize| {
            let place = &known.get(source)?.place;
            let index = places.iter().position(|own| own == place)?;
            Some((index, *keep.get(index)?))
        };
        store.inherit(old, Timestamp::from(SystemTime::now()), renumber);
    }

    /// Where the keys are published.
    pub fn store(&self) -> Arc<KeyStore> {
        Arc::clone(&self.keys.store)
    }

    /// Fetches until `stop` is cancelled, also in the middle of a fetch.
    pub async fn run(self, stop: CancellationToken) {
        let Self { fetcher, sources, keys } = &self;
        // What was counted under the settings before is counted again.
        for reason in SkipReason::ALL {
            let _ = keys.metrics.jwks.skipped.remove_label_values(&[keys.issuer.as_str(), reason.label()]);
        }
        let sources = sources.iter().enumerate().map(|(index, source)| {
            let interval = if source.is_file() { keys.refresh.min(key_file::POLL_INTERVAL) } else { keys.refresh };
            keys.keep_fresh(index, interval, || fetcher.fetch(source), || Timestamp::from(SystemTime::now()))
        });
        tokio::select! {
            // First, so that nothing is done any more once it is cancelled.
            biased;
            () = stop.cancelled() => {}
            _ = join_all(sources) => {}
        }
    }
}

/// The keys of one issuer, with their metrics and log lines.
#[derive(Debug)]
struct Keys {
    issuer: String,
    store: Arc<KeyStore>,
    refresh: Duration,
    /// How long the keys of each source are kept.
    keep: Vec<Keep>,
    /// The URL or file of each source.
    places: Vec<String>,
    snapshot: Option<PathBuf>,
    /// Held while the snapshot is written.
    saving: Mutex<()>,
    metrics: Arc<Metrics>,
    /// Whether it was logged that no key is left.
    out_of_keys: AtomicBool,
    clock: ClockSkew,
}

/// How a source has been doing.
#[derive(Debug, Default)]
struct SourceState {
    fetched_before: bool,
    failures: u32,
    skipped: Vec<SkippedKey>,
    /// An issuer that was named instead of the first one, and was logged.
    other_issuer: Option<Arc<str>>,
}

impl Keys {
    /// Fetches one source forever: at once, then by the schedule, and on request. The next fetch starts only after the
    /// last one has ended.
    async fn keep_fresh<F, Fut>(&self, index: usize, interval: Duration, fetch: F, clock: impl Fn() -> Timestamp)
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<Fetched, FetchError>>,
    {
        let mut state = SourceState::default();
        let mut scheduled = Trigger::Start;
        loop {
            // The keys are as old as the question: an answer may have been in progress for a while.
            let asked = clock();
            let trigger = self.store.demand.begin(index, scheduled, asked);
            let outcome = fetch().await;
            let fresh_for = schedule::honouring(outcome.as_ref().ok().and_then(|fetched| fetched.max_age), interval);
            let error = outcome.as_ref().err().map(ToString::to_string);
            let result = match &outcome {
                Ok(fetched) => self.succeeded(&mut state, index, fetched, asked),
                Err(error) => self.failed(&mut state, index, error, clock()),
            };
            self.metrics.jwks.refreshes.with_label_values(&[self.issuer.as_str(), trigger.label(), result]).inc();
            let trusted = self.store.load(clock()).distinct();
            self.metrics.jwks.keys.with_label_values(&[&self.issuer]).set(i64::try_from(trusted).unwrap_or(i64::MAX));
            let pause = schedule::pause(fresh_for, state.failures, random());
            self.store.demand.end(index, |status| {
                status.failures = state.failures;
                status.error = error;
                status.skipped.clone_from(&state.skipped);
                status.next = Some(clock().plus(pause));
            });
            if outcome.is_ok() {
                self.save(index).await;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.store.demand.wanted(index) => {}
            }
            scheduled = if state.failures > 0 { Trigger::Retry } else { Trigger::Timer };
        }
    }

    fn succeeded(&self, state: &mut SourceState, index: usize, fetched: &Fetched, asked: Timestamp) -> &'static str {
        let keep = self.keep.get(index).copied().unwrap_or(Keep::WhileListed);
        let Merged { changed, conflicts } = self.store.merge(index, &fetched.keys, asked, keep);
        let trusted = self.store.load(asked).distinct();
        let url = self.place(index);
        self.out_of_keys.store(false, Ordering::Relaxed);
        for conflict in conflicts {
            self.metrics.jwks.conflicts.with_label_values(&[&self.issuer]).inc();
            error!(
                issuer = self.issuer,
                url,
                kid = printable(&conflict.kid),
                known = %conflict.known,
                new = %conflict.new,
                "the provider published another key under a known kid; the known key is used until it expires, then the new one. If the provider \
                 did not announce this, find out why. If it did, use the new one now: syncgate admin purge --config FILE --issuer {} \
                 --kid {}",
                self.issuer,
                conflict.known
            );
        }
        if state.failures > 0 && state.fetched_before {
            info!(issuer = self.issuer, url, attempts = state.failures + 1, trusted, "keys can be fetched again");
        } else if changed || !state.fetched_before {
            info!(issuer = self.issuer, url, fetched = fetched.keys.distinct(), trusted, "keys fetched");
        }
        if let Some(issuer) = &fetched.issuer {
            self.discovered(state, index, issuer);
        }
        self.look_at_clock(fetched.clock_skew);
        self.report_skipped(state, url, fetched.keys.skipped());
        if let Some(success) = self.store.last_success() {
            self.metrics.jwks.last_success.with_label_values(&[&self.issuer]).set(success.as_millis() as f64 / 1_000.0);
        }
        state.fetched_before = true;
        state.failures = 0;
        if changed { "changed" } else { "unchanged" }
    }

    fn failed(&self, state: &mut SourceState, index: usize, error: &FetchError, now: Timestamp) -> &'static str {
        state.failures = state.failures.saturating_add(1);
        let trusted = self.store.load(now).distinct();
        let url = self.place(index);
        if trusted == 0 && !self.out_of_keys.swap(true, Ordering::Relaxed) {
            error!(issuer = self.issuer, url, %error, "no keys are available; requests with tokens of this issuer are answered with 503");
        } else if state.failures == 1 {
            warn!(issuer = self.issuer, url, %error, trusted, "keys could not be fetched; the known keys are used until they expire");
        } else {
            debug!(issuer = self.issuer, url, %error, failures = state.failures, "keys could not be fetched");
        }
        "error"
    }

    fn look_at_clock(&self, skew: Option<f64>) {
        if let Some(skew) = skew {
            self.metrics.jwks.clock_skew.with_label_values(&[&self.issuer]).set(skew);
            self.clock.tell(&self.issuer, skew);
        }
    }

    /// The first issuer that a discovery document names stays. Another one later is an alarm.
    fn discovered(&self, state: &mut SourceState, index: usize, issuer: &Arc<str>) {
        let url = self.place(index);
        self.store.name(index, issuer, &self.issuer);
        self.metrics.jwks.issuer_mismatch.with_label_values(&[&self.issuer]).set(i64::from(!self.store.misnamed().is_empty()));
        if !is_one_issuer(issuer) {
            return;
        }
        match self.store.discover(index, issuer) {
            None => info!(issuer = self.issuer, url, iss = printable(issuer), "the discovery document names its issuer"),
            Some(known) if known == *issuer || state.other_issuer.as_ref() == Some(issuer) => {}
            Some(known) => {
                self.metrics.jwks.issuer_changes.with_label_values(&[&self.issuer]).inc();
                error!(
                    issuer = self.issuer,
                    url,
                    iss = printable(&known),
                    other = printable(issuer),
                    "the discovery document names another issuer than before; the first one is kept"
                );
                state.other_issuer = Some(Arc::clone(issuer));
            }
        }
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

    /// Reads the snapshot, if there is one. Whatever is wrong with it, the provider will be asked.
    fn restore(&self, keep: Duration, now: Timestamp) {
        let Some(path) = &self.snapshot else { return };
        match snapshot::load(path, &self.places) {
            Ok(None) => {}
            Ok(Some(restored)) => {
                for (source, issuer) in &restored.issuers {
                    self.store.discover(*source, issuer);
                }
                self.store.restore(HeldKeys::restore(restored.keys, now, keep), now);
                let (keys, left_out) = (self.store.load(now).distinct(), restored.left_out);
                info!(issuer = self.issuer, file = %path.display(), keys, left_out, "keys of the last run loaded from the snapshot");
            }
            Err(error) => error!(issuer = self.issuer, %error, "the key snapshot cannot be used"),
        }
    }

    /// Writes the snapshot, if one is wanted and the keys came over the network.
    async fn save(&self, index: usize) {
        let Some(path) = self.snapshot.clone().filter(|_| self.keep.get(index) != Some(&Keep::WhileListed)) else { return };
        let _turn = self.saving.lock().await;
        let (store, places) = (Arc::clone(&self.store), self.places.clone());
        let saved = tokio::task::spawn_blocking(move || snapshot::save(&path, &store, &places)).await;
        let error = match saved {
            Ok(outcome) => outcome.err().map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = &error {
            error!(
                issuer = self.issuer,
                error, "the key snapshot could not be written; a restart without the provider would have older keys, or none"
            );
        }
        self.metrics.jwks.snapshot.with_label_values(&[&self.issuer]).set(i64::from(error.is_none()));
        self.store.note_snapshot(error);
    }

    fn place(&self, index: usize) -> &str {
        self.places.get(index).map_or("", String::as_str)
    }

    /// Makes the series exist before the first event, so that alerts on their increase work.
    fn declare_series(&self) {
        let jwks = &self.metrics.jwks;
        for trigger in Trigger::ALL {
            for result in ["changed", "unchanged", "error"] {
                jwks.refreshes.with_label_values(&[self.issuer.as_str(), trigger.label(), result]);
            }
        }
        jwks.conflicts.with_label_values(&[&self.issuer]);
        jwks.issuer_changes.with_label_values(&[&self.issuer]);
        jwks.issuer_mismatch.with_label_values(&[&self.issuer]);
        jwks.keys.with_label_values(&[&self.issuer]);
        jwks.last_success.with_label_values(&[&self.issuer]);
    }
}

/// A random number in `0.0..=1.0`, for jitter.
fn random() -> f64 {
    let mut bytes = [0; 4];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod history_tests;
#[cfg(test)]
#[path = "refresher_tests.rs"]
mod tests;
#[cfg(test)]
#[path = "unknown_kid_tests.rs"]
mod unknown_kid_tests;
