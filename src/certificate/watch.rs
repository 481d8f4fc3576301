//! Certificates that are renewed while the gateway runs.
//!
//! Content is compared, not dates and not what inotify says: a Kubernetes secret changes by a swapped link to a folder, and
//! certbot's `live/` are links too. Key and chain are two files, so for a moment they may not fit; the old pair serves on.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio_util::sync::CancellationToken;

use super::{
    CertificateError, ClientRules, ServerTls,
    acme::Pace,
    life::shown,
    pair::{Content, Pair},
    policies::{Trusts, all_rules},
    series::Series,
    trust::{Trust, TrustContent},
};
use crate::metrics::Metrics;

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

impl ServerTls {
    /// Looks at the files until it is stopped, and serves what has changed and fits; has certificates issued where the settings say so.
    pub async fn watch(self: Arc<Self>, metrics: Arc<Metrics>, stop: CancellationToken) {
        let issuing = Arc::clone(&self).keep_issued(Arc::clone(&metrics), Pace::default(), stop.clone());
        tokio::join!(self.keep_fresh(metrics, stop), issuing);
    }

    /// Looks at the files. It reads them on threads for that.
    async fn keep_fresh(self: Arc<Self>, metrics: Arc<Metrics>, stop: CancellationToken) {
        let mut watch = Watch::new(metrics);
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let (tls, metrics) = (Arc::clone(&self), Arc::clone(watch.metrics()));
            let look = move || {
                watch.look(&tls, SystemTime::now());
                watch
            };
            // After a panic, which is counted, all is as if nothing had been refused before.
            watch = tokio::task::spawn_blocking(look).await.unwrap_or_else(|_| Watch::new(metrics));
        }
    }
}

/// What is known from one look to the next. Dropped, it ends its series.
pub(super) struct Watch {
    refused: Refused,
    series: Series,
}

impl Watch {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { refused: Refused::default(), series: Series::new(metrics) }
    }

    fn metrics(&self) -> &Arc<Metrics> {
        self.series.metrics()
    }

    /// Looks at the files once.
    pub(super) fn look(&mut self, tls: &ServerTls, now: SystemTime) {
        let current = tls.current();
        let (mut pairs, mut trusts) = (current.pairs.clone(), current.trusts.clone());
        let mut renewed = Vec::new();
        for (pair, place) in current.pairs.iter().zip(&mut pairs) {
            let file = &pair.files.chain;
            if let Some(new) = self.note(file, newer_pair(pair, now)) {
                *place = Arc::new(new);
                renewed.push((file.clone(), place.lives.first().map(|life| life.not_after)));
            }
        }
        let rules = all_rules(&current.settings.client_certificates);
        for ((rules, trust), place) in rules.zip(&current.trusts.0).zip(&mut trusts.0) {
            let Some(trust) = trust else { continue };
            let file = &trust.authorities.0;
            if let Some(new) = self.note(file, newer_trust(rules, trust, now)) {
                renewed.push((file.clone(), new.lists.iter().filter_map(|(_, next)| *next).min()));
                *place = Some(Arc::new(new));
            }
        }
        self.adopt(tls, &current, pairs, trusts, renewed);
        self.series.show(&tls.current(), |file| !self.refused.has(file));
    }

    fn adopt(
        &mut self,
        tls: &ServerTls,
        seen: &Arc<super::server_tls::Current>,
        pairs: Vec<Arc<Pair>>,
        trusts: Trusts,
        renewed: Vec<(PathBuf, Option<SystemTime>)>,
    ) {
        if renewed.is_empty() {
            return;
        }
        match tls.renew(seen, pairs, trusts) {
            Ok(()) => renewed.iter().for_each(|(file, until)| {
                let until = until.map(shown).unwrap_or_default();
                tracing::info!(file = %file.display(), until, "what has changed in the files of certificates is in use");
            }),
            Err(error) => renewed.iter().for_each(|(file, _)| self.refused.note(file, &error)),
        }
    }

    /// Remembers what is wrong with a file.
    fn note<T>(&mut self, file: &PathBuf, newer: Result<Option<T>, CertificateError>) -> Option<T> {
        match newer {
            Ok(newer) => {
                self.refused.0.remove(file);
                newer
            }
            Err(error) => {
                self.refused.note(file, &error);
                None
            }
        }
    }
}

/// What the files of a pair hold now, if it is something else than before.
fn newer_pair(pair: &Pair, now: SystemTime) -> Result<Option<Pair>, CertificateError> {
    let content = Content::read(&pair.files)?;
    match content.digest() == pair.digest {
        true => Ok(None),
        false => Pair::of(&pair.files, &content, now).map(Some),
    }
}

/// The same for authorities and lists of revoked certificates.
fn newer_trust(rules: &ClientRules, trust: &Trust, now: SystemTime) -> Result<Option<Trust>, CertificateError> {
    match TrustContent::read(rules)? {
        Some(content) if content.digest() != trust.digest => Trust::of(&content, now).map(Some),
        _ => Ok(None),
    }
}

/// What was found wrong at the last look, by file.
#[derive(Debug, Default)]
struct Refused(HashMap<PathBuf, Complaint>);

#[derive(Debug)]
struct Complaint {
    text: String,
    is_logged: bool,
}

impl Refused {
    fn has(&self, file: &PathBuf) -> bool {
        self.0.get(file).is_some_and(|complaint| complaint.is_logged)
    }

    /// Logs what is still wrong at a second look, once: between two files that are being written, no pair fits.
    fn note(&mut self, file: &PathBuf, error: &CertificateError) {
        let text = error.to_string();
        match self.0.get_mut(file) {
            Some(known) if known.text == text => {
                if !known.is_logged {
                    known.is_logged = true;
                    tracing::warn!(%error, "a changed file of certificates cannot be used; what it held before serves on");
                }
            }
            _ => {
                self.0.insert(file.clone(), Complaint { text, is_logged: false });
            }
        }
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
