//! What a WebSocket carries, in both directions, and how it ends.
//!
//! A tunnel ends when one side ends it, when the token does or its key is trusted no longer, at its greatest age, at shutdown, or when
//! neither side has sent anything for long. In all cases but the first both sides are told by a Close frame, which may only stand between
//! two frames.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::{Pin, pin},
    sync::atomic::{AtomicU64, Ordering},
    task::{Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use pingora::protocols::Stream;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    sync::watch,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::proxy::{
    cut::Cut,
    frames::{self, FrameTracker, Towards},
    transport::SharedTcp,
};

/// After one side has ended, or both were told to, there is so much time for last words.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(2);
/// Most bytes that are read at once.
const PIECE: usize = 16 * 1024;

/// Both ends of a tunnel, with what was read behind the handshake.
pub(super) struct Ends {
    pub(super) client: SharedTcp,
    pub(super) from_client: Option<Bytes>,
    pub(super) upstream: Stream,
    pub(super) from_upstream: Option<Bytes>,
}

/// When a tunnel is ended by the gateway.
pub(super) struct Bounds {
    /// How long from now, and why then.
    pub(super) ends_in: (Duration, Cut),
    /// How long neither side may send anything.
    pub(super) idle: Duration,
    /// How often both sides are pinged; never if none.
    pub(super) ping_every: Option<Duration>,
    /// How long a side may take nothing of what is sent to it.
    pub(super) write_timeout: Duration,
    /// Cancelled when the gateway stops.
    pub(super) stopping: CancellationToken,
}

/// Carries bytes both ways to the end. None: a peer ended it.
///
/// `untrusted` resolves when the key behind the socket is trusted no longer.
pub(super) async fn carry(ends: Ends, bounds: Bounds, untrusted: impl Future<Output = ()>) -> Option<Cut> {
    let activity = Activity::new();
    let (close, closing) = watch::channel(None);
    let (upstream_read, upstream_write) = tokio::io::split(ends.upstream);
    let direction = |towards| Direction {
        towards,
        ping_every: bounds.ping_every,
        write_timeout: bounds.write_timeout,
        closing: closing.clone(),
        activity: &activity,
    };
    let mut up = pin!(direction(Towards::Upstream).run(ends.client.clone(), upstream_write, ends.from_client));
    let mut down = pin!(direction(Towards::Client).run(upstream_read, ends.client, ends.from_upstream));
    let gateway_ends_it = async {
        let (ends_in, why) = bounds.ends_in;
        tokio::select! {
            () = tokio::time::sleep(ends_in) => why,
            () = bounds.stopping.cancelled() => Cut::Shutdown,
            () = activity.ceases_for(bounds.idle) => Cut::Idle,
            () = untrusted => Cut::KeyUntrusted,
        }
    };
    // However a direction ends, the tunnel is over: its errors are those of a side that has left.
    tokio::select! {
        _ = &mut up => drop(tokio::time::timeout(LAST_WORDS, down).await),
        _ = &mut down => drop(tokio::time::timeout(LAST_WORDS, up).await),
        cut = gateway_ends_it => {
            close.send_replace(Some(cut));
            drop(tokio::time::timeout(LAST_WORDS, async { tokio::join!(up, down) }).await);
            return Some(cut);
        }
    }
    None
}

/// Status code (RFC 6455 section 7.4.1) and reason for a Close: 1008 where the rules end a tunnel, 1001 where the gateway goes away.
fn farewell(cut: Cut) -> (u16, &'static str) {
    match cut {
        Cut::TokenEnd => (1008, "token expired"),
        Cut::MaxAge => (1008, "connected for too long"),
        Cut::KeyUntrusted => (1008, "key no longer trusted"),
        Cut::Idle => (1001, "idle"),
        Cut::Shutdown | Cut::HeaderTimeout => (1001, "going away"),
    }
}

/// One direction of a tunnel.
struct Direction<'a> {
    towards: Towards,
    ping_every: Option<Duration>,
    write_timeout: Duration,
    closing: watch::Receiver<Option<Cut>>,
    activity: &'a Activity,
}

impl Direction<'_> {
    async fn run(self, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, first: Option<Bytes>) -> io::Result<()> {
        let (mut frames, mut closing) = (FrameTracker::default(), self.closing.clone());
        if let Some(bytes) = first {
            pass_on(&mut to, &bytes, &mut frames).await?;
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
            let told = async { closing.wait_for(Option::is_some).await.ok().and_then(|cut| *cut).unwrap_or(Cut::Shutdown) };
            tokio::select! {
                cut = told => {
                    return self.close(&mut from, &mut to, &mut frames, cut).await;
                }
                piece = read_piece(&mut from) => {
                    let piece = piece?;
                    if piece.is_empty() {
                        return to.shutdown().await;
                    }
                    self.activity.happens();
                    tokio::time::timeout(self.write_timeout, pass_on(&mut to, &piece, &mut frames)).await??;
                }
                () = tick, if frames.is_between_frames() => {
                    to.write_all(&frames::ping(self.towards)).await?;
                    to.flush().await?;
                }
            }
        }
    }

    /// Finishes the frame under way, says Close and nothing after it, and hears the other side out.
    async fn close(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        frames: &mut FrameTracker,
        cut: Cut,
    ) -> io::Result<()> {
        while !frames.is_between_frames() {
            let piece = read_piece(from).await?;
            if piece.is_empty() {
                return to.shutdown().await;
            }
            let rest = piece.get(..frames.rest_of_frame(&piece)).unwrap_or(&piece);
            pass_on(to, rest, frames).await?;
        }
        let (code, reason) = farewell(cut);
        to.write_all(&frames::close(code, reason, self.towards)).await?;
        to.flush().await?;
        to.shutdown().await?;
        // Closing with something unread would reset the connection, and the other side might never see the Close.
        while !read_piece(from).await?.is_empty() {}
        Ok(())
    }
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

async fn pass_on(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8], frames: &mut FrameTracker) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await?;
    frames.follow(bytes);
    Ok(())
}

/// When something last came from either side.
struct Activity {
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

    async fn ceases_for(&self, idle: Duration) {
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
    use tokio::io::AsyncReadExt as _;

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

    /// A tunnel whose token ends after 200 ms: the client's socket, the upstream's, and the outcome.
    async fn tunnel() -> (tokio::net::TcpStream, tokio::io::DuplexStream, tokio::task::JoinHandle<Option<Cut>>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let (upstream, far_upstream) = tokio::io::duplex(1024);
        let ends = Ends { client: SharedTcp::new(accepted), from_client: None, upstream: Box::new(upstream), from_upstream: None };
        let bounds = Bounds {
            ends_in: (Duration::from_millis(200), Cut::TokenEnd),
            idle: Duration::from_secs(60),
            ping_every: None,
            write_timeout: Duration::from_secs(60),
            stopping: CancellationToken::new(),
        };
        (client, far_upstream, tokio::spawn(carry(ends, bounds, std::future::pending())))
    }

    #[tokio::test]
    async fn a_close_stands_between_two_frames_in_both_directions() {
        let (mut client, mut upstream, outcome) = tunnel().await;
        // Half a frame each way when the token ends; the rest comes within the time for last words, and another frame behind it.
        client.write_all(&[0x82, 0x82, 1, 2, 3, 4, 9]).await.unwrap();
        upstream.write_all(&[0x82, 0x03, 7]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        client.write_all(&[9, 0x82, 0x80, 1, 2, 3, 4]).await.unwrap();
        upstream.write_all(&[8, 9, 0x82, 0x00]).await.unwrap();

        let (mut to_client, mut to_upstream) = (Vec::new(), Vec::new());
        client.read_to_end(&mut to_client).await.unwrap();
        upstream.read_to_end(&mut to_upstream).await.unwrap();
        drop((client, upstream));
        assert_eq!(to_client, [&[0x82, 0x03, 7, 8, 9][..], &frames::close(1008, "token expired", Towards::Client)].concat());
        let close = frames::close(1008, "token expired", Towards::Upstream);
        assert_eq!(to_upstream, [&[0x82, 0x82, 1, 2, 3, 4, 9, 9][..], &close].concat());
        assert_eq!(outcome.await.unwrap(), Some(Cut::TokenEnd));
    }

    #[tokio::test]
    async fn a_peer_that_leaves_a_frame_unfinished_does_not_hold_the_tunnel() {
        let (mut client, upstream, outcome) = tunnel().await;
        client.write_all(&[0x82, 0x82, 1]).await.unwrap();
        let outcome = tokio::time::timeout(Duration::from_secs(10), outcome).await.unwrap();
        assert_eq!(outcome.unwrap(), Some(Cut::TokenEnd));
        drop((client, upstream));
    }
}
