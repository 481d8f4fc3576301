//! Detects changes of the system clock, by comparison with a monotonic clock.

use std::time::{Duration, Instant, SystemTime};

use crate::metrics::Metrics;

/// Smaller differences are how clocks are kept right.
const MIN_STEP: Duration = Duration::from_secs(1);
/// What may pass between the readings of the two clocks. After a longer pause they say nothing of each other.
const MAX_READING_GAP: Duration = Duration::from_millis(100);

/// A clock that was set, or stood still while the machine slept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Forward(Duration),
    Back(Duration),
}

/// Compares the clocks, now and then.
#[derive(Debug)]
pub(super) struct ClockWatch {
    wall: SystemTime,
    running: Instant,
}

impl ClockWatch {
    pub(in crate::proxy) fn start() -> Self {
        Self { wall: SystemTime::now(), running: Instant::now() }
    }

    /// Whether the clock was set since the last look.
    pub(in crate::proxy) fn look(&mut self) -> Option<Step> {
        let before = Instant::now();
        let wall = SystemTime::now();
        let running = Instant::now();
        if running.duration_since(before) > MAX_READING_GAP {
            return None;
        }
        self.step_to(wall, running)
    }

    fn step_to(&mut self, wall: SystemTime, running: Instant) -> Option<Step> {
        let expected = self.wall.checked_add(running.saturating_duration_since(self.running));
        *self = Self { wall, running };
        let step = match wall.duration_since(expected?) {
            Ok(ahead) => Step::Forward(ahead),
            Err(behind) => Step::Back(behind.duration()),
        };
        Some(step).filter(|step| step.size() >= MIN_STEP)
    }
}

impl Step {
    /// The values of the label `direction`.
    pub(super) const DIRECTIONS: [&str; 2] = ["forward", "back"];

    fn size(self) -> Duration {
        match self {
            Self::Forward(size) | Self::Back(size) => size,
        }
    }

    /// Logs and counts it.
    pub(in crate::proxy) fn tell(self, metrics: &Metrics) {
        let [forward, back] = Self::DIRECTIONS;
        let direction = if matches!(self, Self::Forward(_)) { forward } else { back };
        metrics.proxy.clock_steps.with_label_values(&[direction]).inc();
        tracing::warn!(
            direction,
            seconds = self.size().as_secs_f64(),
            "the system clock was changed, or the machine was suspended. Tokens are checked against the new time; if it is wrong, users \
             are refused: check the time synchronisation (chronyc tracking, timedatectl)"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_told_by_its_way_and_size_and_once() {
        let second = Duration::from_secs(1);
        let mut watch = ClockWatch::start();
        let (wall, running) = (watch.wall, watch.running);
        let mut look = |wall_after: i64, running_after: u32| {
            let by = Duration::from_millis(wall_after.unsigned_abs());
            let wall = if wall_after < 0 { wall - by } else { wall + by };
            watch.step_to(wall, running + second * running_after)
        };
        assert_eq!(look(1_000, 1), None);
        assert_eq!(look(2_999, 2), None, "a clock that is corrected a little");
        assert_eq!(look(3_002_000, 3), Some(Step::Forward(Duration::from_millis(2_998_001))));
        assert_eq!(look(3_003_000, 4), None);
        assert_eq!(look(5_000, 5), Some(Step::Back(Duration::from_millis(2_999_000))));
        assert_eq!(look(-60_000, 6), Some(Step::Back(Duration::from_millis(66_000))));
        // A slow clock, a busy machine: both say how long it took.
        assert_eq!(look(40_000, 106), None);
    }

    #[test]
    fn nobody_has_set_the_clock_of_this_test() {
        let mut watch = ClockWatch::start();
        assert_eq!(watch.look(), None);
    }
}
