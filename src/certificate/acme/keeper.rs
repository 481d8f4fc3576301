//! Keeps the certificate of a listener issued.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;

use super::{
    super::{AcmeSettings, ServerTls, life::shown, pair::Pair},
    order::{order, suggestion},
    schedule,
};
use crate::metrics::Metrics;

/// How often an authority is asked at least for its opinion, and how often at most.
const SUGGESTION_INTERVALS: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(86_400));
/// How often, if it has none.
const NO_SUGGESTION_INTERVAL: Duration = Duration::from_secs(86_400);

/// How fast this goes; in tests faster.
#[derive(Clone, Copy, Debug)]
pub(in crate::certificate) struct Pace {
    /// How often it is looked at whether something is due.
    pub(in crate::certificate) look: Duration,
    /// By how much less is waited after a failure.
    pub(in crate::certificate) hurry: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { look: Duration::from_secs(10), hurry: 1 }
    }
}

/// What is known from one look to the next.
struct Keeper {
    /// From 0 to 1, the same for the life of this process.
    chance: f64,
    pace: Pace,
    failures: u32,
    not_before: Option<SystemTime>,
    /// When the authority wants the certificate with this digest renewed.
    suggested: Option<([u8; 32], SystemTime)>,
    ask_again: SystemTime,
}

impl ServerTls {
    /// Orders a certificate when one is due, until it is stopped.
    pub(in crate::certificate) async fn keep_issued(self: Arc<Self>, metrics: Arc<Metrics>, pace: Pace, stop: CancellationToken) {
        let mut keeper =
            Keeper { chance: chance(), pace, failures: 0, not_before: None, suggested: None, ask_again: SystemTime::UNIX_EPOCH };
        let mut ticks = tokio::time::interval(pace.look);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let Some(settings) = self.current().settings.acme.clone() else { continue };
            tokio::select! {
                () = stop.cancelled() => return,
                () = keeper.look(&self, &settings, &metrics) => {}
            }
        }
    }
}

impl Keeper {
    async fn look(&mut self, tls: &ServerTls, settings: &AcmeSettings, metrics: &Metrics) {
        let (files, now) = (settings.pair(), SystemTime::now());
        let current = tls.current();
        let pair = current.pairs.iter().find(|pair| pair.files == files);
        let pair = pair.filter(|pair| settings.domains.iter().all(|domain| pair.names.contains(domain)));
        if let Some(pair) = pair {
            self.ask(settings, pair, now).await;
        }
        let is_due = pair.is_none_or(|pair| self.renewal(pair) <= now);
        if !is_due || self.not_before.is_some_and(|at| now < at) {
            return;
        }
        // Only where the authority has an opinion, and not after a failure that may be due to this.
        let replaced = pair.filter(|pair| self.failures == 0 && self.suggestion(pair).is_some()).and_then(|pair| leaf(pair));
        let outcome = order(settings, tls.challenges(), replaced).await;
        let now = SystemTime::now();
        let domain = settings.domains.first().map(String::as_str).unwrap_or_default();
        match outcome {
            Ok(()) => {
                (self.failures, self.not_before) = (0, None);
                metrics.certificates.orders.with_label_values(&["issued"]).inc();
                tls.take_issued(now);
                tracing::info!(domain, "a certificate was issued");
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let again = now + schedule::retry_in(self.failures, chance()) / self.pace.hurry;
                self.not_before = Some(again);
                metrics.certificates.orders.with_label_values(&["failed"]).inc();
                // The authority's words are nobody's here.
                let error = error.to_string().escape_debug().take(1_000).collect::<String>();
                tracing::warn!(domain, error, again = shown(again), "no certificate was issued; what serves goes on serving");
            }
        }
    }

    /// Asks the authority when it wants this certificate renewed.
    async fn ask(&mut self, settings: &AcmeSettings, pair: &Pair, now: SystemTime) {
        let is_known = self.suggested.is_some_and(|(digest, _)| digest == pair.digest);
        if now < self.ask_again && (is_known || self.suggested.is_none()) {
            return;
        }
        let Some(leaf) = leaf(pair) else { return };
        let (at_least, at_most) = SUGGESTION_INTERVALS;
        match suggestion(settings, leaf).await {
            Ok(Some(((start, end), again))) => {
                self.suggested = Some((pair.digest, schedule::suggested(start, end, self.chance)));
                self.ask_again = now + again.clamp(at_least, at_most) / self.pace.hurry;
            }
            Ok(None) => (self.suggested, self.ask_again) = (None, now + NO_SUGGESTION_INTERVAL),
            // The certificate's own dates count as long as it does not answer.
            Err(_) => self.ask_again = now + at_least * 60 / self.pace.hurry,
        }
    }

    fn suggestion(&self, pair: &Pair) -> Option<SystemTime> {
        self.suggested.filter(|(digest, _)| *digest == pair.digest).map(|(_, at)| at)
    }

    /// At two thirds of its life, or when the authority wants it, whichever is first.
    fn renewal(&self, pair: &Pair) -> SystemTime {
        let by_life = pair.lives.first().map_or(SystemTime::UNIX_EPOCH, |life| schedule::renewal(life, self.chance));
        self.suggestion(pair).map_or(by_life, |suggested| suggested.min(by_life))
    }
}

fn leaf(pair: &Pair) -> Option<&CertificateDer<'static>> {
    pair.key.cert.first()
}

/// From 0 to 1.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    // Without chance machines come together, which does no harm here.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX)
}
