//! [`Standing`]: what is known of one address. It outlives the settings by which the address is used, and the address itself as long
//! as something is in progress there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::proxy::upstream::hashing::hash;

/// Milliseconds for which an address that did not accept a connection, or is being tried, is left to itself.
const LEFT_ALONE: u64 = 10_000;
/// How many failures in a row take an address out.
pub(super) const MAX_FAILURES: u32 = 5;
/// Milliseconds for which an address is out: for the first time, then twice, three times … as long.
const OUT: u64 = 30_000;
const MAX_OUT: u64 = 300_000;
/// Milliseconds without being out after which the next time counts as the first.
const FORGOTTEN: u64 = 600_000;
/// Milliseconds in which the share of an address grows that is new or has returned.
const SLOW_START: u64 = 10_000;

/// It did not accept a connection.
const REFUSES: u8 = 1;
/// It failed too often.
const OUT_MARK: u8 = 2;
/// It says that it is not well.
const UNWELL: u8 = 4;
/// An operator drains it.
const DRAINING: u8 = 8;
/// It is new, or has returned.
const FRESH: u8 = 16;
/// One that refuses or is out is being tried.
const ON_TRIAL: u8 = 32;
/// Its name no longer leads to it.
const GONE: u8 = 64;

/// What is known of one address. Times are milliseconds of any clock.
#[derive(Debug)]
pub(in crate::proxy) struct Standing {
    address: String,
    /// By which users are assigned to it.
    seed: u64,
    in_flight: AtomicUsize,
    sockets: AtomicUsize,
    marks: AtomicU8,
    /// In a row.
    failures: AtomicU32,
    /// How often it was out, until that is forgotten.
    times_out: AtomicU32,
    /// When one that refuses or is out is tried again.
    due: AtomicU64,
    /// When it began to be fresh.
    joined: AtomicU64,
    drain: watch::Sender<Option<Arc<Drain>>>,
}

/// Whether and why requests pass an address by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum AddressState {
    /// They do not.
    Serving,
    /// It does not accept connections.
    Refusing,
    /// It failed too often.
    Out,
    /// It says so itself.
    Unwell,
    /// Its name no longer leads to it.
    Gone,
}

impl AddressState {
    pub(in crate::proxy) const fn label(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Refusing => "refusing",
            Self::Out => "out",
            Self::Unwell => "unwell",
            Self::Gone => "gone",
        }
    }
}

impl Standing {
    pub(super) fn new(address: String) -> Self {
        Self {
            seed: hash(&[address.as_bytes()]),
            address,
            in_flight: AtomicUsize::new(0),
            sockets: AtomicUsize::new(0),
            marks: AtomicU8::new(0),
            failures: AtomicU32::new(0),
            times_out: AtomicU32::new(0),
            due: AtomicU64::new(0),
            joined: AtomicU64::new(0),
            drain: watch::Sender::new(None),
        }
    }

    /// As operators see it.
    pub(in crate::proxy) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// Requests in progress there, sockets included.
    pub(in crate::proxy) fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }

    pub(in crate::proxy) fn sockets(&self) -> usize {
        self.sockets.load(Relaxed)
    }

    pub(in crate::proxy) fn state(&self) -> AddressState {
        if self.has(GONE) {
            AddressState::Gone
        } else if self.has(OUT_MARK) {
            AddressState::Out
        } else if self.has(UNWELL) {
            AddressState::Unwell
        } else if self.has(REFUSES) {
            AddressState::Refusing
        } else {
            AddressState::Serving
        }
    }

    pub(in crate::proxy) fn is_draining(&self) -> bool {
        self.has(DRAINING)
    }

    /// Nothing is to be known of it before it is chosen.
    pub(super) fn is_plain(&self) -> bool {
        self.marks.load(Relaxed) == 0
    }

    pub(super) fn refuses(&self) -> bool {
        self.has(REFUSES)
    }

    /// Whether health keeps it from being chosen.
    pub(super) fn is_ill(&self) -> bool {
        self.has(OUT_MARK | UNWELL)
    }

    pub(super) fn is_out(&self) -> bool {
        self.has(OUT_MARK)
    }

    /// Whether connections that wait are of no more use.
    pub(super) fn is_left(&self) -> bool {
        self.has(GONE | DRAINING)
    }

    /// How far its slow start has come, of 256; 256 if it is over.
    pub(super) fn share(&self, now: u64) -> u64 {
        if !self.has(FRESH) {
            return 256;
        }
        let share = now.saturating_sub(self.joined.load(Relaxed)).saturating_mul(256) / SLOW_START;
        if share >= 256 {
            self.unmark(FRESH);
        }
        // It gets something from the first moment on.
        share.clamp(16, 256)
    }

    /// Whether it is time to try it again, for one of those that ask.
    pub(super) fn claim(&self, now: u64) -> bool {
        let due = self.due.load(Relaxed);
        let next = now.saturating_add(LEFT_ALONE);
        let is_claimed =
            self.has(REFUSES | OUT_MARK) && due <= now && self.due.compare_exchange(due, next, Relaxed, Relaxed).is_ok();
        if is_claimed {
            self.mark(ON_TRIAL);
        }
        is_claimed
    }

    /// It did not accept a connection. Says whether that is news.
    pub(super) fn refused(&self, now: u64) -> bool {
        self.unmark(ON_TRIAL);
        if !self.has(OUT_MARK) {
            self.due.store(now.saturating_add(LEFT_ALONE), Relaxed);
        }
        self.mark(REFUSES) & REFUSES == 0
    }

    /// It did. Says whether that is news.
    pub(super) fn accepted(&self, now: u64) -> bool {
        let is_news = self.refuses() && self.unmark(REFUSES) & REFUSES != 0;
        if is_news && !self.has(OUT_MARK) {
            self.unmark(ON_TRIAL);
            self.begin_fresh(now);
        }
        is_news
    }

    /// It has served a request. Says whether it has returned with that.
    pub(super) fn served(&self, now: impl FnOnce() -> u64) -> bool {
        if self.failures.load(Relaxed) == 0 {
            return false;
        }
        let is_out = self.has(OUT_MARK);
        // What began before it was out says nothing.
        if is_out && !self.has(ON_TRIAL) {
            return false;
        }
        self.failures.store(0, Relaxed);
        if is_out {
            self.unmark(OUT_MARK | ON_TRIAL);
            self.begin_fresh(now());
        }
        is_out
    }

    /// It has failed a request. Says whether it is to be taken out.
    pub(super) fn failed(&self) -> bool {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        failures >= MAX_FAILURES && (!self.has(OUT_MARK) || self.has(ON_TRIAL))
    }

    /// Takes it out.
    pub(super) fn take_out(&self, now: u64) {
        if !self.has(OUT_MARK) && now.saturating_sub(self.joined.load(Relaxed)) > FORGOTTEN {
            self.times_out.store(0, Relaxed);
        }
        let times = self.times_out.fetch_add(1, Relaxed).saturating_add(1);
        let span = OUT.saturating_mul(u64::from(times)).min(MAX_OUT);
        self.due.store(now.saturating_add(span), Relaxed);
        self.unmark(ON_TRIAL);
        self.mark(OUT_MARK);
    }

    /// Notes what it says of itself. Says whether that is news.
    pub(super) fn is_well(&self, is_well: bool, now: u64) -> bool {
        if !is_well {
            return self.mark(UNWELL) & UNWELL == 0;
        }
        let is_news = self.unmark(UNWELL) & UNWELL != 0;
        if is_news {
            self.begin_fresh(now);
        }
        is_news
    }

    /// Its name leads to it, again or for the first time.
    pub(super) fn resolved(&self) {
        self.unmark(GONE);
    }

    /// Its name no longer leads to it.
    pub(super) fn left(&self) {
        self.mark(GONE);
    }

    pub(super) fn begin_fresh(&self, now: u64) {
        self.joined.store(now, Relaxed);
        self.mark(FRESH);
    }

    /// From now on requests pass it by, and its sockets are closed within this time.
    pub(super) fn drain(&self, spread: Duration) {
        self.mark(DRAINING);
        let drain = Drain { began: Instant::now(), spread, sockets: self.sockets(), next: AtomicUsize::new(0) };
        self.drain.send_replace(Some(Arc::new(drain)));
    }

    /// From now on it is chosen again. Sockets that are still there stay.
    pub(super) fn undrain(&self, now: u64) {
        self.unmark(DRAINING);
        self.drain.send_replace(None);
        self.begin_fresh(now);
    }

    /// Ready when a socket there is to be closed, since an operator drains it.
    pub(in crate::proxy) async fn drained(&self) {
        let mut drains = self.drain.subscribe();
        loop {
            // The sender lives as long as this does.
            let Ok(Some(drain)) = drains.wait_for(Option::is_some).await.map(|drain| drain.clone()) else { return };
            tokio::select! {
                () = sleep_until(drain.turn()) => return,
                _ = drains.wait_for(Option::is_none) => {}
            }
        }
    }

    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(super) fn end(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    pub(super) fn begin_socket(&self) {
        self.sockets.fetch_add(1, Relaxed);
    }

    pub(super) fn end_socket(&self) {
        self.sockets.fetch_sub(1, Relaxed);
    }

    fn has(&self, marks: u8) -> bool {
        self.marks.load(Relaxed) & marks != 0
    }

    /// Says what there was.
    fn mark(&self, marks: u8) -> u8 {
        self.marks.fetch_or(marks, Relaxed)
    }

    fn unmark(&self, marks: u8) -> u8 {
        self.marks.fetch_and(!marks, Relaxed)
    }
}

/// How the sockets of an address are closed.
#[derive(Debug)]
struct Drain {
    began: Instant,
    spread: Duration,
    /// How many there were.
    sockets: usize,
    next: AtomicUsize,
}

impl Drain {
    /// When the next of them is: evenly over the time.
    fn turn(&self) -> Instant {
        let all = u32::try_from(self.sockets).unwrap_or(u32::MAX).max(1);
        let number = u32::try_from(self.next.fetch_add(1, Relaxed)).unwrap_or(u32::MAX).min(all);
        self.began + self.spread / all * number
    }
}

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;
