//! Panics, counted per process: every [`Metrics`](super::Metrics) shows them.

use std::sync::OnceLock;

use prometheus::IntCounter;

use super::MetricsError;

static PANICS: OnceLock<IntCounter> = OnceLock::new();

/// Counts one: `syncgate_panics_total`. Before the first [`Metrics`](super::Metrics) of the process there is nobody to show it.
pub fn count_panic() {
    if let Some(panics) = PANICS.get() {
        panics.inc();
    }
}

/// The one counter of the process.
pub(super) fn counter(name: &str, help: &str) -> Result<IntCounter, MetricsError> {
    let counter = IntCounter::new(name, help)?;
    Ok(PANICS.get_or_init(|| counter).clone())
}
