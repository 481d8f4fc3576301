//! The request in progress, and the deadline that ends it whatever it is waiting for. An HTTP/1.1 connection has one, for one
//! request after another.
//!
//! Pingora has timeouts for single reads and writes. It cannot limit the time for a whole header, or end a WebSocket or feed
//! with its token even if nothing is read. Both are one absolute deadline here, raced against all work on the request.

use std::{
    future::{Future as _, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use tokio::{task::unconstrained, time::Instant};

use crate::{
    exchange::{Identity, LastToken},
    proxy::{
        client::{
            cut::Cut,
            key_watch::{Changes, KeyWatch},
        },
        http::LazyTimer,
    },
    token::Timestamp,
};

/// Between requests; in a header; in a request; connected, and nothing has come yet; in a header whose clock has not been started; in one
/// that is too large, so that only its beginning is read; idle, and closed since its place was needed.
const IDLE: u8 = 0;
const HEADER: u8 = 1;
const REQUEST: u8 = 2;
const CONNECTED: u8 = 3;
const HEADER_BEGAN: u8 = 4;
const HEADER_CUT: u8 = 5;
const DISPLACED: u8 = 6;

/// What bytes that come in belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A header that begins with them.
    NewHeader,
    /// A header that has begun.
    Header,
    /// What follows a header.
    Body,
}

/// What the transport, the request and the deadline know of one request. One task uses it, so plain loads and stores do.
#[derive(Debug)]
pub(in crate::proxy) struct RequestState {
    header_timeout: Duration,
    /// Milliseconds.
    write_timeout: AtomicU64,
    phase: AtomicU8,
    opened: Instant,
    /// Microseconds from `opened` to the last pause between two requests.
    paused_at: AtomicU64,
    /// Milliseconds since the epoch; `i64::MAX`: none.
    deadline: AtomicI64,
    /// Whether a write is in progress that the client does not take.
    is_blocked: AtomicBool,
    /// Why the deadline was set.
    cause: AtomicU8,
    /// Why the request was ended; `UNCUT` while it was not.
    cut: AtomicU8,
    /// Why the request is to end; `UNCUT` while it may go on.
    told: AtomicU8,
    /// Whom the request is admitted as.
    identity: Mutex<Option<Arc<Identity>>>,
    /// Of the connection, so streams of HTTP/2 have one together.
    last_token: Arc<Mutex<LastToken>>,
}

const UNCUT: u8 = u8::MAX;

impl RequestState {
    /// The one to come on a connection that has just been made. Its header is due from the start: a client that connects and says
    /// nothing takes up a place.
    pub(super) fn new(header_timeout: Duration) -> Self {
        let state = Self::empty(header_timeout, Instant::now());
        state.set_deadline(Timestamp::from(SystemTime::now()).plus(header_timeout), Cut::HeaderTimeout);
        state
    }

    fn empty(header_timeout: Duration, opened: Instant) -> Self {
        Self {
            header_timeout,
            write_timeout: AtomicU64::new(u64::MAX),
            phase: AtomicU8::new(CONNECTED),
            opened,
            paused_at: AtomicU64::new(0),
            deadline: AtomicI64::new(i64::MAX),
            is_blocked: AtomicBool::new(false),
            cause: AtomicU8::new(Cut::HeaderTimeout as u8),
            cut: AtomicU8::new(UNCUT),
            told: AtomicU8::new(UNCUT),
            identity: Mutex::default(),
            last_token: Arc::default(),
        }
    }

    /// The one of a stream of this connection. Its header has come.
    pub(super) fn of_stream(&self) -> Self {
        let state = Self { last_token: Arc::clone(&self.last_token), ..Self::empty(self.header_timeout, self.opened) };
        state.bound_writes(self.write_timeout());
        state
    }

    /// Bytes came in. The first ones of a request begin its header. Says what they belong to.
    pub(super) fn received_bytes(&self) -> Part {
        match self.phase.load(Ordering::Relaxed) {
            REQUEST => return Part::Body,
            CONNECTED => self.phase.store(HEADER, Ordering::Relaxed),
            IDLE => self.phase.store(HEADER_BEGAN, Ordering::Relaxed),
            _ => return Part::Header,
        }
        Part::NewHeader
    }

    /// Whether a header was begun and no request came of it.
    pub(in crate::proxy) fn is_in_header(&self) -> bool {
        matches!(self.phase.load(Ordering::Relaxed), HEADER | HEADER_BEGAN | HEADER_CUT)
    }

    /// Notes that the header is too large, and that only its beginning is read.
    pub(super) fn header_is_cut(&self) {
        self.phase.store(HEADER_CUT, Ordering::Relaxed);
    }

    /// Whether only the beginning of the header was read. It is not a header to decide by.
    pub(in crate::proxy) fn is_header_cut(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == HEADER_CUT
    }

    /// Starts the clock of a header that was begun. When the connection pauses, so that a header that came whole costs no look at
    /// the clock.
    fn paused(&self) {
        if self.phase.load(Ordering::Relaxed) == HEADER_BEGAN {
            self.phase.store(HEADER, Ordering::Relaxed);
            self.set_deadline(Timestamp::from(SystemTime::now()).plus(self.header_timeout), Cut::HeaderTimeout);
        }
    }

    /// The header is complete and a request begins.
    pub(in crate::proxy) fn request_began(&self) {
        self.phase.store(REQUEST, Ordering::Relaxed);
        self.told.store(UNCUT, Ordering::Relaxed);
        self.deadline.store(i64::MAX, Ordering::Relaxed);
    }

    /// The request is over; the next one may come.
    pub(in crate::proxy) fn request_ended(&self) {
        self.rests_on(None);
        self.phase.store(IDLE, Ordering::Relaxed);
        self.deadline.store(i64::MAX, Ordering::Relaxed);
    }

    /// The wait for the next request has begun.
    pub(in crate::proxy) fn waits_from(&self, now: Instant) {
        let micros = now.saturating_duration_since(self.opened).as_micros();
        self.paused_at.store(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Since when a request is waited for; none while there is one. Where nothing has been said yet, that counts if it `is_silent`.
    pub(super) fn idle_since(&self, is_silent: impl Fn(&std::time::Instant) -> bool) -> Option<std::time::Instant> {
        match self.phase.load(Ordering::Relaxed) {
            IDLE => {
                let paused = Duration::from_micros(self.paused_at.load(Ordering::Relaxed));
                self.opened.into_std().checked_add(paused)
            }
            CONNECTED => Some(self.opened.into_std()).filter(is_silent),
            _ => None,
        }
    }

    /// Whether a request is waited for.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase.load(Ordering::Relaxed), IDLE | CONNECTED)
    }

    /// Notes that the connection is closed, since its place is needed.
    pub(super) fn displaced(&self) {
        self.phase.store(DISPLACED, Ordering::Relaxed);
        self.cut(Cut::Displaced);
    }

    /// Whether it was closed so. What comes in nevertheless was sent into a connection that is closed.
    pub(in crate::proxy) fn is_displaced(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == DISPLACED
    }

    /// Ends the connection at this time, whatever it is doing then, unless the request ends before.
    pub(in crate::proxy) fn set_deadline(&self, at: Timestamp, cause: Cut) {
        self.cause.store(cause as u8, Ordering::Relaxed);
        self.deadline.store(at.as_millis(), Ordering::Relaxed);
    }

    /// The token of the requests before this one.
    pub(in crate::proxy) fn last_token(&self) -> &Mutex<LastToken> {
        &self.last_token
    }

    /// Notes whom the request is admitted as, whose key must stay trusted for as long as the request lasts.
    pub(in crate::proxy) fn rests_on(&self, identity: Option<Arc<Identity>>) {
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = identity;
    }

    /// Notes that the gateway ends the connection now, so that what is dropped with it knows why.
    pub(in crate::proxy) fn cut(&self, cause: Cut) {
        self.cut.store(cause as u8, Ordering::Relaxed);
    }

    /// Tells the request in progress that what it rests on has ended, so that it may say so instead of being cut. Says whether that
    /// was news to it: an end that it does not heed by moving the deadline cuts the connection.
    pub(super) fn tell_end(&self, cause: Cut) -> bool {
        let may_answer = matches!(cause, Cut::TokenEnd | Cut::KeyUntrusted)
            && self.phase.load(Ordering::Relaxed) == REQUEST
            && !self.is_blocked.load(Ordering::Relaxed);
        may_answer && self.told.swap(cause as u8, Ordering::Relaxed) == UNCUT
    }

    /// Why the request in progress is to end, if it was told so.
    pub(in crate::proxy) fn told_end(&self) -> Option<Cut> {
        match self.told.load(Ordering::Relaxed) {
            UNCUT => None,
            told => Cut::from_stored(told),
        }
    }

    /// How long the client may stop reading.
    pub(in crate::proxy) fn bound_writes(&self, limit: Duration) {
        let millis = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        self.write_timeout.store(millis, Ordering::Relaxed);
    }

    pub(in crate::proxy) fn write_timeout(&self) -> Duration {
        Duration::from_millis(self.write_timeout.load(Ordering::Relaxed))
    }

    /// Notes whether the client takes what is written to it.
    pub(super) fn blocks_writes(&self, blocks: bool) {
        self.is_blocked.store(blocks, Ordering::Relaxed);
    }

    /// Why the gateway ended the connection, if it did.
    pub(in crate::proxy) fn was_cut(&self) -> Option<Cut> {
        Cut::from_stored(self.cut.load(Ordering::Relaxed))
    }

    /// Whom the request is admitted as, for somebody who sees to the end of its key. No other request follows.
    pub(in crate::proxy) fn take_identity(&self) -> Option<Arc<Identity>> {
        *self.last_token.lock().unwrap_or_else(PoisonError::into_inner) = LastToken::default();
        self.identity.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether the identity of the request, if it has one, is such.
    pub(in crate::proxy) fn identity_is(&self, holds: impl Fn(&Identity) -> bool) -> bool {
        let identity = self.identity.lock().unwrap_or_else(PoisonError::into_inner).clone();
        identity.is_none_or(|identity| holds(&identity))
    }

    /// What an identity says that a request rests on. None: it rests on none.
    pub(in crate::proxy) fn of_identity<T>(&self, read: impl FnOnce(&Identity) -> T) -> Option<T> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner).as_deref().map(read)
    }

    /// Ends a request whose identity does not hold any more.
    fn end_unless(&self, holds: impl Fn(&Identity) -> bool) {
        if !self.identity_is(holds) {
            self.set_deadline(Timestamp::from(SystemTime::now()), Cut::KeyUntrusted);
        }
    }

    fn cause(&self) -> Cut {
        Cut::from_stored(self.cause.load(Ordering::Relaxed)).unwrap_or(Cut::HeaderTimeout)
    }
}

/// Resolves when the connection's deadline passes, or when the key behind its request is no longer trusted. A client that is slow to take
/// the chunk that is being written may take it within the grace, so that a feed ends behind a whole chunk.
///
/// To be polled after the work that moves the deadline, always by the same task: it then sees each move without being woken for it. The
/// clock is looked at only when the deadline differs from the one that is counted to, so a quick request costs no look, and the requests
/// of one user on one connection share one.
#[derive(Debug)]
pub(super) struct DeadlineTimer<'a> {
    request: &'a RequestState,
    key_watch: &'a KeyWatch,
    changes: Changes,
    timer: LazyTimer,
    /// The deadline that the timer counts to.
    counts_to: i64,
    grace: Duration,
    is_grace: bool,
}

impl<'a> DeadlineTimer<'a> {
    pub(in crate::proxy) fn new(request: &'a RequestState, key_watch: &'a KeyWatch, grace: Duration) -> Self {
        Self {
            request,
            key_watch,
            changes: key_watch.changes(),
            timer: LazyTimer::unlimited(),
            counts_to: i64::MAX,
            grace,
            is_grace: false,
        }
    }

    /// Ready at the end. Not limited by the task's share of time, which work that never rests would have used up.
    pub(in crate::proxy) fn poll(&mut self, task: &mut Context<'_>) -> Poll<Cut> {
        pin!(unconstrained(poll_fn(|task| self.poll_at_once(task)))).poll(task)
    }

    fn poll_at_once(&mut self, task: &mut Context<'_>) -> Poll<Cut> {
        if self.changes.poll(task).is_ready() {
            self.request.end_unless(|identity| self.key_watch.holds(identity));
            // The clock may have been set, and a token ends at a time of day. What else has a deadline has so long from its start.
            self.counts_to = if self.request.cause() == Cut::TokenEnd { i64::MAX } else { self.counts_to };
        }
        self.request.paused();
        let deadline = self.request.deadline.load(Ordering::Relaxed);
        if deadline == i64::MAX {
            return Poll::Pending;
        }
        if deadline != self.counts_to {
            self.timer.restart(Some(Timestamp::from_millis(deadline).since(Timestamp::from(SystemTime::now()))));
            self.counts_to = deadline;
            self.is_grace = false;
        }
        if !self.is_grace {
            ready!(self.timer.poll_exceeded(task));
            self.is_grace = true;
            self.timer.restart(Some(self.grace));
        }
        if self.request.is_blocked.load(Ordering::Relaxed) {
            ready!(self.timer.poll_exceeded(task));
        }
        Poll::Ready(self.request.cause())
    }
}

#[cfg(test)]
#[path = "request_state_tests.rs"]
mod tests;
