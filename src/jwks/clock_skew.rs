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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwks::test_log::Log;

    #[tokio::test(start_paused = true)]
    async fn a_difference_is_told_with_its_direction_once_an_hour_and_so_is_its_end() {
        let (log, _listening) = Log::listen();
        let skew = ClockSkew::default();
        let told = |seconds| {
            let before = log.lines().len();
            skew.tell("contoso", seconds);
            log.lines().split_off(before).join("\n")
        };
        assert_eq!(told(10.0), "");
        assert!(told(11.0).contains("this one is ahead; backends that check iat refuse"));
        tokio::time::advance(LOG_INTERVAL - Duration::from_millis(1)).await;
        assert_eq!(told(11.0), "");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(told(-11.0).contains("this one is behind; fresh tokens are refused"));
        assert!(told(-10.0).contains("agrees with the provider's again"));
        assert_eq!(told(10.0), "");
        assert!(told(-10.5).contains("behind"));
    }
}
