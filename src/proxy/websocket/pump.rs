//! Relays a WebSocket in both directions, until its end.
//!
//! A tunnel ends when one side ends it, when a side does not read for too long, when its token expires or the token's key is no
//! longer trusted, at its maximum age, at shutdown, or when neither side has sent anything for too long. In all cases but the
//! first both sides get a Close frame, which may only be sent between two frames; in the first the client gets one if the
//! upstream disconnected without one.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use pingora::protocols::Stream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::proxy::{
    client::{ClientStream, Cut},
    websocket::{
        close::{CLOSE_TIMEOUT, Farewells, Side, SocketEnd},
        direction::{Direction, Shared, Stop, drain},
        frames::Towards,
    },
};

/// How long an upstream that no longer reads may still send.
const LAST_READ_TIMEOUT: Duration = Duration::from_millis(250);

/// Both ends of a tunnel, with what was read behind the handshake.
pub(in crate::proxy) struct Ends {
    pub(in crate::proxy) client: ClientStream,
    pub(in crate::proxy) from_client: Option<Bytes>,
    pub(in crate::proxy) upstream: Stream,
    pub(in crate::proxy) from_upstream: Option<Bytes>,
    /// Their close codes at the end.
    pub(in crate::proxy) farewells: Farewells,
}

/// When a tunnel is ended by the gateway.
pub(in crate::proxy) struct Bounds {
    /// How long from now, and why then.
    pub(in crate::proxy) ends_in: (Duration, Cut),
    /// How long neither side may send anything.
    pub(in crate::proxy) idle: Duration,
    /// How often both sides are pinged; never if none.
    pub(in crate::proxy) ping_every: Option<Duration>,
    /// How long a side may stop reading.
    pub(in crate::proxy) write_timeout: Duration,
    /// Cancelled when the gateway stops.
    pub(in crate::proxy) stopping: CancellationToken,
}

/// Carries bytes both ways to the end, and says why that came.
///
/// `ended_early` resolves when something else ends it: the key behind it is no longer trusted, or its address is drained.
pub(in crate::proxy) async fn carry(ends: Ends, bounds: Bounds, ended_early: impl Future<Output = Cut>) -> SocketEnd {
    let shared = Shared::new();
    let farewells = ends.farewells;
    let (close, closing) = watch::channel(None);
    let (upstream_read, upstream_write) = tokio::io::split(ends.upstream);
    let direction = |towards| Direction {
        towards,
        ping_every: bounds.ping_every,
        write_timeout: bounds.write_timeout,
        closing: closing.clone(),
        lost: farewells.upstream_lost(),
        shared: &shared,
    };
    let mut client = ends.client.clone();
    let mut up = pin!(direction(Towards::Upstream).run(ends.client.clone(), upstream_write, ends.from_client));
    let mut down = pin!(direction(Towards::Client).run(upstream_read, ends.client, ends.from_upstream));
    let gateway_ends_it = async {
        let (ends_in, why) = bounds.ends_in;
        tokio::select! {
            () = tokio::time::sleep(ends_in) => why,
            () = bounds.stopping.cancelled() => Cut::Shutdown,
            () = shared.activity.ceases_for(bounds.idle) => Cut::Idle,
            cut = ended_early => cut,
        }
    };
    let tell = |farewell| {
        close.send_replace(Some(farewell));
    };
    let (towards, stop) = tokio::select! {
        stop = &mut up => (Towards::Upstream, stop),
        stop = &mut down => (Towards::Client, stop),
        cut = gateway_ends_it => {
            tell(farewells.of(cut));
            drop(tokio::time::timeout(CLOSE_TIMEOUT, async { tokio::join!(up, down) }).await);
            return SocketEnd::Cut(cut);
        }
    };
    let end = end(towards, stop, shared.first_close.get().copied());
    let last_words = async {
        match (towards, stop) {
            // The client has left: there is nobody to tell.
            (Towards::Upstream, Stop::ReadFailed) | (Towards::Client, Stop::WriteFailed) => {}
            (Towards::Upstream, Stop::Ended) => drop(down.await),
            (Towards::Upstream, Stop::WriteFailed) => {
                // What the upstream said last may still be on its way.
                if tokio::time::timeout(LAST_READ_TIMEOUT, &mut down).await.is_err() {
                    tell(farewells.upstream_lost());
                    down.await;
                }
                drain(&mut client).await;
            }
            (Towards::Upstream, Stop::WriteTimedOut) => {
                tell(farewells.upstream_lost());
                down.await;
                drain(&mut client).await;
            }
            (Towards::Client, Stop::Ended | Stop::ReadFailed) => {
                up.await;
                drain(&mut client).await;
            }
            (Towards::Client, Stop::WriteTimedOut) => {
                tell(farewells.of(Cut::SlowClient));
                up.await;
            }
        }
    };
    drop(tokio::time::timeout(CLOSE_TIMEOUT, last_words).await);
    end
}

/// Why a tunnel ended of which this direction stopped first.
fn end(towards: Towards, stop: Stop, first_close: Option<Side>) -> SocketEnd {
    let (from, to, slow) = match towards {
        Towards::Upstream => (Side::Client, Side::Upstream, Cut::SlowUpstream),
        Towards::Client => (Side::Upstream, Side::Client, Cut::SlowClient),
    };
    match (stop, first_close) {
        (Stop::WriteTimedOut, _) => SocketEnd::Cut(slow),
        (_, Some(side)) => SocketEnd::Closed(side),
        (Stop::Ended, None) => SocketEnd::Ended(from),
        (Stop::ReadFailed, None) => SocketEnd::Reset(from),
        (Stop::WriteFailed, None) => SocketEnd::Reset(to),
    }
}

#[cfg(test)]
#[path = "pump_tests.rs"]
mod tests;
