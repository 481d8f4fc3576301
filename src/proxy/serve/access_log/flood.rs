//! [`Flood`]: how many refusals are logged per second, and the summary of the others. Pure.

/// Seconds that the ends of two requests may be out of order.
const APART: u64 = 60;

/// The refusals of this second.
#[derive(Debug)]
pub(super) struct Flood {
    /// Maximum number of lines in one second.
    most: u32,
    /// Since the epoch.
    second: u64,
    logged: u32,
    left_out: LeftOut,
}

/// Refusals without a log line, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut(Vec<(&'static str, u64)>);

impl Flood {
    pub(super) fn new(most: u32) -> Self {
        Self { most, second: 0, logged: 0, left_out: LeftOut::default() }
    }

    /// Has so many lines written in a second from now on.
    pub(super) fn set_most(&mut self, most: u32) {
        self.most = most;
    }

    /// Whether a refusal for this reason, in this second, gets a line. If not, it is counted.
    pub(super) fn admits(&mut self, second: u64, reason: &'static str) -> bool {
        // Threads are a little apart. A clock that was set back by more begins again.
        if second > self.second || second < self.second.saturating_sub(APART) {
            (self.second, self.logged) = (second, 0);
        }
        let admits = self.logged < self.most;
        if admits {
            self.logged += 1;
        } else {
            self.left_out.add(reason);
        }
        admits
    }

    /// Whether any was left out since they were last taken.
    pub(super) fn has_left_out(&self) -> bool {
        !self.left_out.0.is_empty()
    }

    /// Those that were left out since they were last taken.
    pub(super) fn take(&mut self) -> LeftOut {
        std::mem::take(&mut self.left_out)
    }
}

impl LeftOut {
    fn add(&mut self, reason: &'static str) {
        match self.0.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => self.0.push((reason, 1)),
        }
    }

    /// All of them.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// The number for each reason.
    pub(super) fn by_reason(&self) -> &[(&'static str, u64)] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_lines_and_every_refusal_is_logged_or_counted() {
        let mut flood = Flood::new(3);
        let mut logged = 0;
        for second in [10, 11, 11, 13, 12] {
            for reason in ["expired", "expired", "bad_signature"] {
                logged += u64::from(flood.admits(second, reason));
            }
        }
        assert_eq!(logged, 9);
        let left_out = flood.take();
        assert_eq!((left_out.count(), left_out.by_reason()), (6, [("expired", 4), ("bad_signature", 2)].as_slice()));
        assert!(!flood.has_left_out() && flood.take().count() == 0);
        assert!(!flood.admits(13, "expired"));
        flood.set_most(4);
        assert!(flood.admits(13, "expired") && !flood.admits(13, "expired"));
        assert!(Flood { second: 10_000, logged: 4, ..flood }.admits(6_400, "expired"), "the clock was set back by an hour");
    }
}
