//! [`Schedule`]: when each request is due.

use std::{
    io,
    os::fd::OwnedFd,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use rustix::{
    io::{Errno, read},
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{Semaphore, TryAcquireError},
    time::sleep_until,
};

/// Between two looks at the clock. Shorter ones would cost more than the requests of most runs.
const MIN_SLEEP: Duration = Duration::from_micros(50);
/// A request that is sent later than this, although a connection was free, is late by the generator's fault.
const PUNCTUAL: Duration = Duration::from_millis(1);

/// One request to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    /// When it is due. Its latency counts from here.
    pub due: Instant,
    /// It was due before there was a free connection for it.
    pub has_waited: bool,
}

/// What decides when requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// The clock, so many times per second: an open loop.
    Rate(f64),
    /// The answers: a closed loop.
    Answers,
    /// None are sent; connections are kept open.
    Idle,
}

/// Tells the connections when to send. Shared by all of them.
#[derive(Debug)]
pub struct Schedule {
    start: Instant,
    end: Instant,
    pace: Pace,
    /// How many there are in an open loop.
    total: u64,
    /// Requests that are due and that nobody has taken.
    due: Semaphore,
    issued: AtomicU64,
    taken: AtomicU64,
    late: AtomicU64,
}

impl Schedule {
    /// Requests from now on.
    pub fn start_now(pace: Pace, duration: Duration) -> Self {
        let start = Instant::now();
        Self {
            start,
            end: start + duration,
            pace,
            total: pace.requests(duration),
            due: Semaphore::new(0),
            issued: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            late: AtomicU64::new(0),
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
        match self.pace {
            Pace::Rate(_) => self.next_due().await,
            Pace::Answers => {
                let due = Instant::now();
                (due < self.end).then_some(Ticket { due, has_waited: false })
            }
            Pace::Idle => {
                sleep_until(self.end.into()).await;
                None
            }
        }
    }

    async fn next_due(&self) -> Option<Ticket> {
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
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        if number >= self.total {
            return None;
        }
        let due = self.due_at(number);
        // A connection was free and the request was not sent in time: the generator has too much to do.
        if !has_waited && due.elapsed() > PUNCTUAL {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
        Some(Ticket { due, has_waited })
    }

    /// Issues the requests of an open loop at their times; then tells so many connections that there are no more.
    pub async fn pace(&self, connections: usize) -> io::Result<()> {
        let Pace::Rate(_) = self.pace else { return Ok(()) };
        let timer = Timer::new()?;
        let mut issued = 0;
        while issued < self.total {
            let now = Instant::now();
            let first = issued;
            while issued < self.total && self.due_at(issued) <= now {
                issued += 1;
            }
            self.issued.store(issued, Ordering::Relaxed);
            self.due.add_permits(usize::try_from(issued - first).unwrap_or(0));
            timer.sleep(self.due_at(issued).duration_since(now).max(MIN_SLEEP)).await?;
        }
        self.due.add_permits(connections);
        Ok(())
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
        match self.pace {
            Pace::Rate(rate) => self.start + Duration::from_secs_f64(number as f64 / rate),
            Pace::Answers | Pace::Idle => self.start,
        }
    }
}

impl Pace {
    /// How many requests are due in that time. Only an open loop knows.
    pub fn requests(self, duration: Duration) -> u64 {
        match self {
            Self::Rate(rate) => (rate * duration.as_secs_f64()).ceil() as u64,
            Self::Answers | Self::Idle => 0,
        }
    }
}

/// The kernel's timer: exact to some microseconds, where tokio's own counts milliseconds.
struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "the successor is unsafe, for types whose descriptor may change; an OwnedFd has one for life"
        )]
        let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
        Ok(Self(timer))
    }

    async fn sleep(&self, time: Duration) -> io::Result<()> {
        let it_value = Timespec::try_from(time).map_err(io::Error::other)?;
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value })?;
        let expirations = |timer: &OwnedFd| match read(timer, &mut [0; 8]) {
            Err(Errno::AGAIN) => Err(io::ErrorKind::WouldBlock.into()),
            other => Ok(other?),
        };
        self.0.async_io(Interest::READABLE, expirations).await.map(|_| ())
    }
}
