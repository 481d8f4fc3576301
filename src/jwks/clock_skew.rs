//! Whether the clocks of this machine and of the provider agree, as far as the dates of its answers tell.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Differences that are told. Tokens are judged with a leeway of 60 s by default, and minted with an `iat` that is set back by 10 s.
const TOLERATED_SECONDS: f64 = 10.0;
/// As long as the clocks differ, it is told this often at most.
const LOG_INTERVAL: Duration = Duration::from_secs(3600);

/// When the operator was last told that the clocks differ; none: they agree.
#[derive(Debug, Default)]
pub(super) struct ClockSkew(Mutex<Option<Instant>>);

impl ClockSkew {
    /// Tells the operator of a difference, in seconds that our clock is ahead, and of its end.
    pub(super) fn tell(&self, issuer: &str, seconds: f64) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seconds.abs() <= TOLERATED_SECONDS {
            if told.take().is_some() {
                tracing::info!(issuer, seconds, "the clock agrees with that of the provider again");
            }
            return;
        }
        if told.is_some_and(|told| told.elapsed() < LOG_INTERVAL) {
            return;
        }
        *told = Some(Instant::now());
        let (direction, effect) = if seconds > 0.0 {
            ("ahead", "backends that look at iat refuse what the gateway mints, and users' tokens end early")
        } else {
            ("behind", "fresh tokens are refused (401 not_yet_valid, issued_in_future), and old ones live longer")
        };
        tracing::warn!(
            issuer,
            seconds,
            "the clock of this machine, or of the provider, is wrong: this one is {direction}; {effect}. Look at what keeps \
             it right (chronyc tracking, timedatectl)"
        );
    }
}
