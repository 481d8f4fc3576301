//! [`Demand`]: what the tasks that fetch one issuer's keys are asked for, and what they are doing.

use std::time::Duration;

use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
    time::{Instant, timeout_at},
};

use super::{UnknownKidSettings, budget::Budget};
use crate::{
    metrics::IntCounter,
    token::{SkippedKey, Timestamp},
};

/// Requests that may wait for one issuer's keys at a time. Further ones are answered at once, so that a flood does not pile up.
const MAX_WAITING: usize = 1024;

/// Why a source is fetched. The closed list behind the label `trigger`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trigger {
    /// The first fetch.
    Start,
    /// The schedule.
    Timer,
    /// The last fetch failed.
    Retry,
    /// A token with an unknown `kid`.
    UnknownKid,
    /// An operator.
    Admin,
}

impl Trigger {
    pub(super) const ALL: [Self; 5] = [Self::Start, Self::Timer, Self::Retry, Self::UnknownKid, Self::Admin];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Timer => "timer",
            Self::Retry => "retry",
            Self::UnknownKid => "unknown_kid",
            Self::Admin => "admin",
        }
    }
}

/// How a source is doing.
#[derive(Clone, Debug, Default)]
pub struct SourceStatus {
    /// Its URL or file.
    pub place: String,
    /// When it was last asked; none: not yet.
    pub last_attempt: Option<Timestamp>,
    /// Failures in a row.
    pub failures: u32,
    /// Why the last attempt failed, if it did.
    pub error: Option<String>,
    /// When it will be asked next; none while it is being asked.
    pub next: Option<Timestamp>,
    /// Keys of its last set that are not used.
    pub skipped: Vec<SkippedKey>,
    /// The last refresh that it began for.
    served: u64,
    is_fetching: bool,
    was_tried: bool,
}

#[derive(Debug)]
struct State {
    budget: Budget,
    /// Refreshes wanted so far beside the schedule. A source whose `served` is lower has still to begin.
    wanted: u64,
    trigger: Trigger,
    /// Fetches that have ended, whatever came of them.
    ended: u64,
    sources: Vec<SourceStatus>,
}

impl State {
    fn is_under_way(&self) -> bool {
        self.sources.iter().any(|source| source.is_fetching || source.served < self.wanted)
    }
}

/// The meeting place of requests that miss a key and tasks that fetch.
#[derive(Debug)]
pub(super) struct Demand {
    state: watch::Sender<State>,
    wait: Duration,
    places: Semaphore,
    /// Counts the refreshes that the budget did not allow.
    suppressed: Option<IntCounter>,
}

impl Demand {
    pub(super) fn new(places: Vec<String>, settings: &UnknownKidSettings, suppressed: Option<IntCounter>) -> Self {
        let sources = places.into_iter().map(|place| SourceStatus { place, ..SourceStatus::default() }).collect();
        let budget = Budget::new(settings.budget, settings.refill);
        let state = State { budget, wanted: 0, trigger: Trigger::Start, ended: 0, sources };
        Self { state: watch::Sender::new(state), wait: settings.wait, places: Semaphore::new(MAX_WAITING), suppressed }
    }

    /// A key is missing. Joins the fetch that is in progress, or has one started if the budget allows.
    pub(super) fn miss(&self, now: Timestamp) -> KeysAwaited<'_> {
        let mut is_suppressed = false;
        let mut ended = 0;
        self.state.send_if_modified(|state| {
            ended = state.ended;
            if state.is_under_way() {
                return false;
            }
            is_suppressed = !state.budget.claim(now);
            if !is_suppressed {
                state.wanted += 1;
                state.trigger = Trigger::UnknownKid;
            }
            !is_suppressed
        });
        if let (true, Some(counter)) = (is_suppressed, &self.suppressed) {
            counter.inc();
        }
        let place = self.places.try_acquire().ok().filter(|_| !is_suppressed && !self.wait.is_zero());
        KeysAwaited { state: self.state.subscribe(), ended, deadline: Instant::now() + self.wait, place }
    }

    /// Has every source fetched now, whatever the budget says, and waits until each has been, `most` at the longest.
    pub(super) async fn refresh(&self, most: Duration) {
        let mut round = 0;
        self.state.send_modify(|state| {
            state.wanted += 1;
            state.trigger = Trigger::Admin;
            round = state.wanted;
        });
        let mut state = self.state.subscribe();
        let is_done = |state: &State| state.sources.iter().all(|source| source.served >= round && !source.is_fetching);
        // Too late is not an error: what there is to say then is in the status of each source.
        let _ = tokio::time::timeout(most, state.wait_for(is_done)).await;
    }

    /// A source begins to fetch. Returns why: what was wanted meanwhile comes before its own schedule.
    pub(super) fn begin(&self, index: usize, scheduled: Trigger, now: Timestamp) -> Trigger {
        let mut trigger = scheduled;
        self.state.send_if_modified(|state| {
            let (wanted, reason) = (state.wanted, state.trigger);
            if let Some(source) = state.sources.get_mut(index) {
                if source.served < wanted && scheduled != Trigger::Start {
                    trigger = reason;
                }
                source.served = wanted;
                source.is_fetching = true;
                source.last_attempt = Some(now);
                source.next = None;
            }
            false
        });
        trigger
    }

    /// A source has been fetched, or not. `change` records the result.
    pub(super) fn end(&self, index: usize, change: impl FnOnce(&mut SourceStatus)) {
        self.state.send_modify(|state| {
            state.ended += 1;
            if let Some(source) = state.sources.get_mut(index) {
                source.is_fetching = false;
                source.was_tried = true;
                change(source);
            }
        });
    }

    /// Resolves when a fetch of this source is requested.
    pub(super) async fn wanted(&self, index: usize) {
        let mut state = self.state.subscribe();
        let is_wanted = |state: &State| state.sources.get(index).is_some_and(|source| source.served < state.wanted);
        // Fails only when the sender is gone, which is `self`.
        let _ = state.wait_for(is_wanted).await;
    }

    /// How each source is doing.
    pub(super) fn sources(&self) -> Vec<SourceStatus> {
        self.state.borrow().sources.clone()
    }

    /// Whether each source has been asked, with whatever outcome.
    pub(super) fn was_tried(&self) -> bool {
        self.state.borrow().sources.iter().all(|source| source.was_tried)
    }

    /// Takes over how the sources were doing.
    pub(super) fn inherit(&self, old: &Self) {
        let known = old.sources();
        self.state.send_modify(|state| {
            for source in &mut state.sources {
                if let Some(known) = known.iter().find(|known| known.place == source.place) {
                    *source = SourceStatus { served: 0, is_fetching: false, ..known.clone() };
                }
            }
        });
    }
}

/// A request that may wait for keys.
#[derive(Debug)]
pub struct KeysAwaited<'a> {
    state: watch::Receiver<State>,
    ended: u64,
    deadline: Instant,
    /// Held while waiting; none: this request does not wait.
    place: Option<SemaphorePermit<'a>>,
}

impl KeysAwaited<'_> {
    /// Waits until a fetch has ended, so that it is worth looking again. `false`: it is not, since nothing is in progress any more, the
    /// time is over, or this request may not wait.
    pub async fn next(&mut self) -> bool {
        if self.place.is_none() {
            return false;
        }
        let ended = self.ended;
        let is_news = |state: &State| state.ended != ended || !state.is_under_way();
        match timeout_at(self.deadline, self.state.wait_for(is_news)).await {
            Ok(Ok(state)) if state.ended != ended => {
                self.ended = state.ended;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
#[path = "demand_tests.rs"]
mod tests;
