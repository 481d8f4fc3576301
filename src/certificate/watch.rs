//! Certificates that are renewed while the gateway runs.
//!
//! Content is compared, not dates and not what inotify says: a Kubernetes secret changes by a swapped link to a folder, and
//! certbot's `live/` are links too. Key and chain are two files, so for a moment they may not fit; the old pair serves on.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration, time::SystemTime};

use tokio_util::sync::CancellationToken;

use super::{
    CertificateError, ServerTls,
    life::shown,
    pair::{Content, Pair},
};
use crate::metrics::Metrics;

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

impl ServerTls {
    /// Looks at the files until it is stopped, and serves what has changed and fits. It reads them on threads for that.
    pub async fn watch(self: Arc<Self>, _metrics: Arc<Metrics>, stop: CancellationToken) {
        let mut refused = Refused::default();
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let tls = Arc::clone(&self);
            let look = move || {
                tls.look(&mut refused, SystemTime::now());
                refused
            };
            // After a panic, which is logged, all is as if nothing had been refused before.
            refused = tokio::task::spawn_blocking(look).await.unwrap_or_default();
        }
    }

    /// Looks at the files once.
    fn look(&self, refused: &mut Refused, now: SystemTime) {
        let current = self.current();
        let mut pairs = current.pairs.clone();
        let mut renewed = Vec::new();
        for (index, pair) in current.pairs.iter().enumerate() {
            match newer(pair, now) {
                Ok(None) => refused.forget(pair),
                Ok(Some(new)) => {
                    refused.forget(pair);
                    let new = Arc::new(new);
                    if let Some(place) = pairs.get_mut(index) {
                        *place = Arc::clone(&new);
                    }
                    renewed.push(new);
                }
                Err(error) => refused.note(pair, &error),
            }
        }
        if renewed.is_empty() {
            return;
        }
        match self.renew(&current, pairs) {
            Ok(()) => renewed.iter().for_each(|pair| log_renewed(pair)),
            Err(error) => renewed.iter().for_each(|pair| refused.note(pair, &error)),
        }
    }
}

/// What the files of a pair hold now, if it is something else than before.
fn newer(pair: &Pair, now: SystemTime) -> Result<Option<Pair>, CertificateError> {
    let content = Content::read(&pair.files)?;
    if content.digest() == pair.digest {
        return Ok(None);
    }
    Pair::of(&pair.files, &content, now).map(Some)
}

fn log_renewed(pair: &Pair) {
    let until = pair.lives.first().map(|life| shown(life.not_after)).unwrap_or_default();
    tracing::info!(file = %pair.files.chain.display(), until, "a renewed certificate is in use");
}

/// What was found wrong at the last look, by file of the chain.
#[derive(Debug, Default)]
struct Refused(HashMap<PathBuf, Complaint>);

#[derive(Debug)]
struct Complaint {
    text: String,
    is_logged: bool,
}

impl Refused {
    fn forget(&mut self, pair: &Pair) {
        self.0.remove(&pair.files.chain);
    }

    /// Logs what is still wrong at a second look, once: between two files that are being written, no pair fits.
    fn note(&mut self, pair: &Pair, error: &CertificateError) {
        let text = error.to_string();
        match self.0.get_mut(&pair.files.chain) {
            Some(known) if known.text == text => {
                if !known.is_logged {
                    known.is_logged = true;
                    tracing::warn!(%error, "a changed certificate cannot be used; the one before it serves on");
                }
            }
            _ => {
                self.0.insert(pair.files.chain.clone(), Complaint { text, is_logged: false });
            }
        }
    }
}
