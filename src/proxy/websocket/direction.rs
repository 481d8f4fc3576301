//! One direction of a tunnel: input from one side is passed on to the other, and both are notified of the end between two
//! frames.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    sync::watch,
    time::{Instant, MissedTickBehavior},
};

use crate::proxy::websocket::{
    close::{CLOSE_TIMEOUT, Farewell, Side},
    frames::{self, FrameTracker, Towards},
};

/// Maximum bytes that are read at once.
const PIECE: usize = 16 * 1024;

/// How one direction stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Stop {
    /// Its source has ended; or it was told to stop, and has.
    Ended,
    /// The connection that it comes from broke.
    ReadFailed,
    /// The connection that it goes to broke.
    WriteFailed,
    /// What was written was not taken in time.
    WriteTimedOut,
}

/// What both directions know.
pub(in crate::proxy) struct Shared {
    pub(super) activity: Activity,
    /// Which side sent Close first.
    pub(super) first_close: OnceLock<Side>,
    /// Whose connection ended before the other's did.
    first_left: OnceLock<Side>,
}

/// One direction of a tunnel.
pub(super) struct Direction<'a> {
    pub(super) towards: Towards,
    /// How often a ping is sent; never if none.
    pub(in crate::proxy) ping_every: Option<Duration>,
    /// How long what is written may not be taken.
    pub(in crate::proxy) write_timeout: Duration,
    /// What to say at the end, once that has come.
    pub(in crate::proxy) closing: watch::Receiver<Option<Farewell>>,
    /// For a client whose upstream is gone.
    pub(in crate::proxy) lost: Farewell,
    pub(in crate::proxy) shared: &'a Shared,
}

impl Shared {
    pub(in crate::proxy) fn new() -> Self {
        Self { activity: Activity::new(), first_close: OnceLock::new(), first_left: OnceLock::new() }
    }
}

/// Where a direction leads to, and the frames on it.
struct Way<W> {
    to: W,
    frames: FrameTracker,
}

impl Direction<'_> {
    /// Passes on what comes, `first` before all, until a side stops or it is told to say goodbye.
    pub(in crate::proxy) async fn run(
        self,
        from: impl AsyncRead + Unpin,
        to: impl AsyncWrite + Unpin,
        first: Option<Bytes>,
    ) -> Stop {
        let (mut from, mut way) = (from, Way { to, frames: FrameTracker::default() });
        match self.run_until(&mut from, &mut way, first).await {
            Ok(()) => {
                let said = self.say_goodbye(&mut from, &mut way).await;
                said.map_or(Stop::WriteFailed, |()| Stop::Ended)
            }
            Err(stop) => {
                if matches!(stop, Stop::Ended | Stop::ReadFailed) {
                    self.shared.first_left.get_or_init(|| self.speaker());
                }
                if self.towards == Towards::Client && matches!(stop, Stop::Ended | Stop::ReadFailed) {
                    // However that goes, the upstream is what stopped first.
                    drop(tokio::time::timeout(CLOSE_TIMEOUT, self.tell_lost(&mut way)).await);
                } else if stop == Stop::Ended {
                    drop(tokio::time::timeout(self.write_timeout, way.to.shutdown()).await);
                }
                stop
            }
        }
    }

    /// Until it is told to say goodbye.
    async fn run_until<W: AsyncWrite + Unpin>(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        way: &mut Way<W>,
        first: Option<Bytes>,
    ) -> Result<(), Stop> {
        if let Some(bytes) = first
            && self.pass_on(way, &bytes).await?.is_told()
        {
            return Ok(());
        }
        let mut ping = self.ping_every.map(|every| {
            let mut ticks = tokio::time::interval_at(Instant::now() + every, every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        loop {
            let tick = async {
                match &mut ping {
                    Some(ticks) => drop(ticks.tick().await),
                    None => std::future::pending().await,
                }
            };
            let passed = tokio::select! {
                () = self.told() => return Ok(()),
                piece = read_piece(from) => match piece {
                    Ok(piece) if !piece.is_empty() => {
                        self.shared.activity.happens();
                        self.pass_on(way, &piece).await?
                    }
                    Ok(_) => return Err(Stop::Ended),
                    // Many a TLS server hangs up without saying so first.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Stop::Ended),
                    Err(_) => return Err(Stop::ReadFailed),
                },
                () = tick, if way.frames.is_between_frames() && !way.frames.has_closed() => {
                    self.pass_on(way, &frames::ping(self.towards)).await?
                }
            };
            if passed.is_told() {
                return Ok(());
            }
        }
    }

    /// Whose words go this way.
    fn speaker(&self) -> Side {
        if self.towards == Towards::Client { Side::Upstream } else { Side::Client }
    }

    /// Ready when it is to say goodbye.
    async fn told(&self) {
        let mut closing = self.closing.clone();
        // The tunnel lives as long as its directions do.
        let _ = closing.wait_for(Option::is_some).await;
    }

    /// Passes bytes on, or, if it is told to say goodbye before all of them are taken, the frame in progress alone.
    async fn pass_on<W: AsyncWrite + Unpin>(&self, way: &mut Way<W>, bytes: &[u8]) -> Result<Passed, Stop> {
        let passing = async {
            let (mut rest, mut passed) = (bytes, Passed::Whole);
            while !rest.is_empty() {
                let count = tokio::select! {
                    biased;
                    count = way.to.write(rest) => count?,
                    () = self.told(), if passed == Passed::Whole => {
                        passed = Passed::UntilTold;
                        rest = rest.get(..way.frames.rest_of_frame(rest)).unwrap_or_default();
                        continue;
                    }
                };
                let (taken, left) = rest.split_at_checked(count).filter(|_| count > 0).ok_or(io::ErrorKind::WriteZero)?;
                way.frames.follow(taken);
                rest = left;
            }
            way.to.flush().await?;
            Ok::<_, io::Error>(passed)
        };
        let passed = tokio::time::timeout(self.write_timeout, passing).await;
        let passed = passed.map_err(|_| Stop::WriteTimedOut)?.map_err(|_| Stop::WriteFailed)?;
        if way.frames.has_closed() {
            self.shared.first_close.get_or_init(|| self.speaker());
        }
        Ok(passed)
    }

    /// Finishes the frame in progress, says Close and nothing after it, and hears the other side out.
    async fn say_goodbye<W: AsyncWrite + Unpin>(&self, from: &mut (impl AsyncRead + Unpin), way: &mut Way<W>) -> io::Result<()> {
        while !way.frames.is_between_frames() {
            let piece = read_piece(from).await?;
            if piece.is_empty() {
                return way.to.shutdown().await;
            }
            let rest = piece.get(..way.frames.rest_of_frame(&piece)).unwrap_or(&piece);
            way.to.write_all(rest).await?;
            way.to.flush().await?;
            way.frames.follow(rest);
        }
        let farewell = *self.closing.borrow();
        if let Some(farewell) = farewell.filter(|_| !way.frames.has_closed()) {
            way.say(farewell, self.towards).await?;
        }
        way.to.shutdown().await?;
        // Closing with something unread would reset the connection, and the other side might never see the Close.
        drain(from).await;
        Ok(())
    }

    /// Tells the client that the upstream has left, if that may be said now and is news.
    async fn tell_lost<W: AsyncWrite + Unpin>(&self, way: &mut Way<W>) -> io::Result<()> {
        let is_news = self.shared.first_close.get().is_none() && self.shared.first_left.get() == Some(&Side::Upstream);
        if is_news && way.frames.is_between_frames() {
            way.say(self.lost, self.towards).await?;
        }
        way.to.shutdown().await
    }
}

impl<W: AsyncWrite + Unpin> Way<W> {
    async fn say(&mut self, farewell: Farewell, towards: Towards) -> io::Result<()> {
        self.to.write_all(&frames::close(farewell.code, farewell.reason, towards)).await?;
        self.to.flush().await
    }
}

/// How much was passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passed {
    Whole,
    UntilTold,
}

impl Passed {
    fn is_told(self) -> bool {
        self == Self::UntilTold
    }
}

/// Reads to the end, for nobody.
pub(in crate::proxy) async fn drain(from: &mut (impl AsyncRead + Unpin)) {
    while read_piece(from).await.is_ok_and(|piece| !piece.is_empty()) {}
}

/// Reads what is there; nothing at the end. While it waits it holds no buffer, since most sockets are idle most of the time.
async fn read_piece(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    poll_fn(|task| {
        let mut room = [MaybeUninit::uninit(); PIECE];
        let mut piece = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut *from).poll_read(task, &mut piece))?;
        Poll::Ready(Ok(piece.filled().to_vec()))
    })
    .await
}

/// When something last came from either side.
pub(super) struct Activity {
    start: Instant,
    last_millis: AtomicU64,
}

impl Activity {
    fn new() -> Self {
        Self { start: Instant::now(), last_millis: AtomicU64::new(0) }
    }

    fn happens(&self) {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_millis.store(millis, Ordering::Relaxed);
    }

    pub(super) async fn ceases_for(&self, idle: Duration) {
        loop {
            let silent_since = self.start + Duration::from_millis(self.last_millis.load(Ordering::Relaxed));
            if silent_since.elapsed() >= idle {
                return;
            }
            tokio::time::sleep_until(silent_since + idle).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_for_the_idle_time_and_no_less_ends_a_tunnel() {
        let activity = Activity::new();
        let idle = Duration::from_secs(60);
        tokio::time::sleep(Duration::from_secs(59)).await;
        activity.happens();
        let started = Instant::now();
        activity.ceases_for(idle).await;
        assert_eq!(started.elapsed(), idle);
    }
}
