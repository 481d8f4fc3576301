//! [`Schedule`]: when each request is due.

use std::{
    io,
    os::fd::OwnedFd,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use rustix::{
    io::{Errno, read},
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{Semaphore, TryAcquireError},
};

/// Between two looks at the clock. A shorter one would cost more than the requests of most runs.
const SHORTEST_TICK: Duration = Duration::from_micros(50);
/// A request that is sent later than this, although a connection was free, is late by the generator's fault.
const PUNCTUAL: Duration = Duration::from_millis(1);

/// One request to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    /// Counts from 0.
    pub number: u64,
    /// When it is due. Its latency counts from here.
    pub due: Instant,
    /// It was due before there was a free connection for it.
    pub has_waited: bool,
}

/// Tells the connections when to send. Shared by all of them.
#[derive(Debug)]
pub struct Schedule {
    start: Instant,
    end: Instant,
    /// Seconds between two requests; none in a closed loop.
    interval: Option<f64>,
    total: u64,
    /// Requests that are due and that nobody has taken.
    due: Semaphore,
    issued: AtomicU64,
    taken: AtomicU64,
    late: AtomicU64,
    is_stopped: AtomicBool,
}

impl Schedule {
    /// Requests from now on, so many a second; without a rate as fast as they are answered.
    pub fn start_now(rate: Option<f64>, duration: Duration) -> Self {
        let start = Instant::now();
        let total = rate.map_or(u64::MAX, |rate| requests(rate, duration));
        Self {
            start,
            end: start + duration,
            interval: rate.map(|rate| 1.0 / rate),
            total,
            due: Semaphore::new(0),
            issued: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            late: AtomicU64::new(0),
            is_stopped: AtomicBool::new(false),
        }
    }

    /// When the first request is due.
    pub fn started(&self) -> Instant {
        self.start
    }

    /// When the last one is.
    pub fn end(&self) -> Instant {
        self.end
    }

    /// Waits until a request is due that no other connection has taken. None: there is none any more. A caller may stop waiting.
    pub async fn next(&self) -> Option<Ticket> {
        if self.interval.is_none() {
            let due = Instant::now();
            let is_over = due >= self.end || self.is_stopped.load(Ordering::Relaxed);
            return (!is_over).then(|| Ticket { number: self.taken.fetch_add(1, Ordering::Relaxed), due, has_waited: false });
        }
        let has_waited = match self.due.try_acquire() {
            Ok(permit) => {
                permit.forget();
                true
            }
            Err(TryAcquireError::NoPermits) => {
                self.due.acquire().await.ok()?.forget();
                false
            }
            Err(TryAcquireError::Closed) => return None,
        };
        if self.is_stopped.load(Ordering::Relaxed) {
            return None;
        }
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        if number >= self.total {
            return None;
        }
        let due = self.due_at(number);
        // A connection was free and the request was not sent in time: the generator has too much to do.
        if !has_waited && due.elapsed() > PUNCTUAL {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
        Some(Ticket { number, due, has_waited })
    }

    /// Issues the requests of an open loop at their times; then tells so many connections that there are no more.
    pub async fn pace(&self, connections: usize) -> io::Result<()> {
        let Some(interval) = self.interval else { return Ok(()) };
        let timer = Timer::every(Duration::from_secs_f64(interval).max(SHORTEST_TICK))?;
        let mut issued = 0;
        while issued < self.total && !self.is_stopped.load(Ordering::Relaxed) {
            timer.tick().await?;
            let now = Instant::now();
            let first = issued;
            while issued < self.total && self.due_at(issued) <= now {
                issued += 1;
            }
            self.issued.store(issued, Ordering::Relaxed);
            self.due.add_permits(usize::try_from(issued - first).unwrap_or(0));
        }
        self.due.add_permits(connections);
        Ok(())
    }

    /// No more requests from now on.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    /// Requests that the generator itself sent too late, by more than a millisecond.
    pub fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    /// When the requests were due that nobody has sent, for want of a free connection. Call at the end.
    pub fn unsent(&self) -> impl Iterator<Item = Instant> + '_ {
        (self.taken.load(Ordering::Relaxed)..self.issued.load(Ordering::Relaxed)).map(|number| self.due_at(number))
    }

    fn due_at(&self, number: u64) -> Instant {
        // Exact to microseconds for hours at any rate: 2^53 of them are 285 years.
        self.start + Duration::from_secs_f64(number as f64 * self.interval.unwrap_or(0.0))
    }
}

/// How many requests there are in an open loop.
pub fn requests(rate: f64, duration: Duration) -> u64 {
    (rate * duration.as_secs_f64()).ceil() as u64
}

/// The kernel's timer: exact to some microseconds, where tokio's own counts milliseconds.
struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    fn every(interval: Duration) -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let interval = Timespec::try_from(interval).map_err(io::Error::other)?;
        let spec = Itimerspec { it_interval: interval, it_value: Timespec { tv_sec: 0, tv_nsec: 1 } };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &spec)?;
        #[expect(
            deprecated,
            reason = "the successor is unsafe, for types whose descriptor may change; an OwnedFd has one for life"
        )]
        let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
        Ok(Self(timer))
    }

    async fn tick(&self) -> io::Result<()> {
        let count = |timer: &OwnedFd| match read(timer, &mut [0; 8]) {
            Err(Errno::AGAIN) => Err(io::ErrorKind::WouldBlock.into()),
            other => Ok(other?),
        };
        self.0.async_io(Interest::READABLE, count).await.map(|_| ())
    }
}
