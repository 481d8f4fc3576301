//! Whether the clocks of this machine and of the provider agree, by the dates of its responses.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Differences that are logged. Tokens are checked with a leeway of 60 s by default, and minted with an `iat` that is set back by 10 s.
const TOLERATED_SECONDS: f64 = 10.0;
/// How often a difference is logged at most.
const LOG_INTERVAL: Duration = Duration::from_secs(3600);

/// When a difference was last logged; none: the clocks agree.
#[derive(Debug, Default)]
pub(super) struct ClockSkew(Mutex<Option<Instant>>);

impl ClockSkew {
    /// Tells the operator of a difference, in seconds that our clock is ahead, and of its end.
    pub(super) fn tell(&self, issuer: &str, seconds: f64) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seconds.abs() <= TOLERATED_SECONDS {
            if told.take().is_some() {
                tracing::info!(issuer, seconds, "the clock agrees with the provider's again");
            }
            return;
        }
        if told.is_some_and(|told| told.elapsed() < LOG_INTERVAL) {
            return;
        }
        *told = Some(Instant::now());
        let (direction, effect) = if seconds > 0.0 {
            ("ahead", "backends that check iat refuse the gateway's tokens, and users' tokens expire early")
        } else {
            ("behind", "fresh tokens are refused (401 not_yet_valid, issued_in_future), and old ones are accepted for longer")
        };
        tracing::warn!(
            issuer,
            seconds,
            "the clock of this machine or of the provider is wrong: this one is {direction}; {effect}. Check the time \
             synchronisation (chronyc tracking, timedatectl)"
        );
    }
}
