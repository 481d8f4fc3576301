//! [`Tally`]: what came of the requests.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use hyper::StatusCode;

use super::Trouble;

/// Latencies in microseconds, to three digits.
pub type Latencies = Histogram<u64>;

/// Longer ones count as this: an hour.
const MAX_LATENCY: u64 = 3_600_000_000;

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// The target could not be reached.
    Connect,
    /// The handshake of a socket was refused; the statuses say how.
    Refused,
    /// The connection ended before the answer.
    Closed,
    /// What came cannot be understood.
    Protocol,
    /// Nothing came in time.
    Timeout,
    /// No connection was free until the end.
    NotSent,
}

impl Problem {
    /// The name in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Refused => "refused",
            Self::Closed => "closed",
            Self::Protocol => "protocol",
            Self::Timeout => "timeout",
            Self::NotSent => "not_sent",
        }
    }

    /// A request that waited in vain has waited: its time counts. One that failed at once would make the target look fast.
    fn counts_as_latency(self) -> bool {
        matches!(self, Self::Timeout | Self::NotSent)
    }
}

/// Counts of a run. Shared by all connections.
#[derive(Debug)]
pub struct Tally(Mutex<Counts>);

/// The counts at one moment.
#[derive(Clone, Debug)]
pub struct Counts {
    /// Requests that were sent.
    pub sent: u64,
    /// Those that were answered.
    pub completed: u64,
    /// Those that were due before a connection was free.
    pub waited: u64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without an answer.
    pub problems: BTreeMap<Problem, u64>,
    /// How long the handshakes took.
    pub openings: Latencies,
    /// Latencies since the start.
    pub latencies: Latencies,
    /// Latencies since the last [`Tally::take_recent`].
    pub recent: Latencies,
}

impl Tally {
    /// Nothing yet.
    pub fn new() -> Result<Self, Trouble> {
        let latencies = Histogram::new_with_bounds(1, MAX_LATENCY, 3).map_err(|error| Trouble::with("a histogram", error))?;
        Ok(Self(Mutex::new(Counts {
            sent: 0,
            completed: 0,
            waited: 0,
            statuses: BTreeMap::new(),
            problems: BTreeMap::new(),
            recent: latencies.clone(),
            openings: latencies.clone(),
            latencies,
        })))
    }

    /// A request goes out.
    pub fn sent(&self, has_waited: bool) {
        let mut counts = self.counts();
        counts.sent += 1;
        counts.waited += u64::from(has_waited);
    }

    /// The handshake of a socket had this answer and took so long.
    pub fn opened(&self, status: StatusCode, took: Duration) {
        let mut counts = self.counts();
        *counts.statuses.entry(status.as_u16()).or_default() += 1;
        counts.openings.saturating_record(as_microseconds(took));
    }

    /// The answer is complete, so long after the request was due.
    pub fn answered(&self, status: Option<StatusCode>, latency: Duration) {
        let mut counts = self.counts();
        counts.completed += 1;
        if let Some(status) = status {
            *counts.statuses.entry(status.as_u16()).or_default() += 1;
        }
        counts.record(latency);
    }

    /// There is not an answer to a request that was due then, or a connection ended without one.
    pub fn failed(&self, problem: Problem, due: Option<Instant>) {
        let mut counts = self.counts();
        *counts.problems.entry(problem).or_default() += 1;
        if let Some(due) = due.filter(|_| problem.counts_as_latency()) {
            counts.record(due.elapsed());
        }
    }

    /// Everything until now.
    pub fn so_far(&self) -> Counts {
        self.counts().clone()
    }

    /// Answers, failures, and the latencies since the last call, for which this empty histogram is given in exchange: connections wait
    /// meanwhile, so nothing here takes long.
    pub fn take_recent(&self, empty: Latencies) -> (u64, u64, Latencies) {
        let mut counts = self.counts();
        let recent = std::mem::replace(&mut counts.recent, empty);
        (counts.completed, counts.failures(), recent)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// All requests without an answer.
    pub fn failures(&self) -> u64 {
        self.problems.values().sum()
    }

    fn record(&mut self, latency: Duration) {
        let microseconds = as_microseconds(latency);
        self.latencies.saturating_record(microseconds);
        self.recent.saturating_record(microseconds);
    }
}

fn as_microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
