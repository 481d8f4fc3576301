//! Idle connections to upstreams. Each event loop has its own.
//!
//! Pingora's pool runs a task for each idle connection, to notice when it closes, and asks the system for its address before it
//! is reused. Here a connection is checked when it is taken, and all idle ones are checked once a second.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::FutureExt as _;
use pingora::protocols::Stream;
use tokio::{
    io::AsyncReadExt as _,
    task::unconstrained,
    time::{Instant, MissedTickBehavior},
};

use crate::proxy::upstream::{place::Place, session::UpstreamSession};

/// How many wait at most, of all upstreams.
pub(in crate::proxy) const MAX_IDLE_CONNECTIONS: usize = 1_024;
const TEND_INTERVAL: Duration = Duration::from_secs(1);

/// The connections that wait.
#[derive(Debug)]
pub(in crate::proxy) struct Pool {
    waiting: Mutex<Connections>,
}

#[derive(Debug)]
struct Connections {
    places: Vec<Kept>,
    /// When they were looked at last.
    tended: Instant,
}

/// Those to one place. A reload that changes anything about an upstream makes new places, so what was connected by other settings is not
/// used again.
#[derive(Debug)]
struct Kept {
    place: Arc<Place>,
    /// The one that was used last is the last.
    connections: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    stream: Stream,
    /// When the others were looked at, shortly before this one was put here: exact enough, and no look at the clock for each request.
    since: Instant,
}

impl Default for Pool {
    fn default() -> Self {
        Self { waiting: Mutex::new(Connections { places: Vec::new(), tended: Instant::now() }) }
    }
}

impl Pool {
    /// A connection that the upstream has not closed, as far as is known.
    pub(in crate::proxy) fn take(&self, place: &Arc<Place>) -> Option<Stream> {
        let mut waiting = self.waiting();
        let connections = &mut find(&mut waiting.places, place)?.connections;
        loop {
            let mut connection = connections.pop()?;
            if connection.is_quiet() {
                return Some(connection.stream);
            }
        }
    }

    /// Keeps the connection of an exchange that is complete, if both sides agree to that.
    pub(in crate::proxy) fn keep(&self, place: &Arc<Place>, session: UpstreamSession) {
        if let Some(stream) = session.into_persistent() {
            self.put(place, stream);
        }
    }

    /// Closes those that wait for too long, those that upstreams have closed, and those to addresses that are no longer used. Goes on
    /// forever, and does this as often, too.
    pub(in crate::proxy) async fn tend(&self, also: impl Fn()) {
        let mut clock = tokio::time::interval(TEND_INTERVAL);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            self.close_spent();
            also();
        }
    }

    fn put(&self, place: &Arc<Place>, stream: Stream) {
        let Connections { places, tended } = &mut *self.waiting();
        let connection = Waiting { stream, since: *tended };
        if places.iter().map(|kept| kept.connections.len()).sum::<usize>() >= MAX_IDLE_CONNECTIONS {
            close_oldest(places);
        }
        match find(places, place) {
            Some(kept) => kept.connections.push(connection),
            None => places.push(Kept { place: Arc::clone(place), connections: vec![connection] }),
        }
    }

    fn close_spent(&self) {
        let now = Instant::now();
        let Connections { places, tended } = &mut *self.waiting();
        places.retain(|kept| !kept.place.standing.is_left());
        for Kept { place, connections } in places.iter_mut() {
            let idle_timeout = place.peer.options.idle_timeout.unwrap_or(Duration::MAX);
            connections.retain_mut(|connection| now.duration_since(connection.since) < idle_timeout && connection.is_quiet());
        }
        places.retain(|kept| !kept.connections.is_empty());
        *tended = now;
    }

    fn waiting(&self) -> MutexGuard<'_, Connections> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room for one.
fn close_oldest(places: &mut [Kept]) {
    let oldest = |kept: &&mut Kept| kept.connections.first().map(|connection| connection.since);
    if let Some(kept) = places.iter_mut().filter(|kept| !kept.connections.is_empty()).min_by_key(oldest) {
        kept.connections.remove(0);
    }
}

fn find<'a>(places: &'a mut [Kept], place: &Arc<Place>) -> Option<&'a mut Kept> {
    places.iter_mut().find(|known| Arc::ptr_eq(&known.place, place))
}

impl Waiting {
    /// Whether there is nothing to read: no end, and nothing that was not asked for. Whatever comes unasked could be taken for the answer
    /// to the next request.
    fn is_quiet(&mut self) -> bool {
        // Not limited by the task's share of time, which might be used up, and then everything looks quiet.
        unconstrained(self.stream.read(&mut [0])).now_or_never().is_none()
    }
}

#[cfg(test)]
mod tests {
    use pingora::upstreams::peer::HttpPeer;
    use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;
    use crate::proxy::upstream::standing::Standing;

    fn place(idle_timeout: Option<Duration>) -> Arc<Place> {
        let mut peer = HttpPeer::new("127.0.0.1:5984", false, String::new());
        peer.options.idle_timeout = idle_timeout;
        let standing = Arc::new(Standing::new("127.0.0.1:5984".to_owned()));
        Arc::new(Place { peer: Arc::new(peer), standing, target: 0 })
    }

    /// A connection that waits, and its other end.
    fn put(pool: &Pool, place: &Arc<Place>) -> DuplexStream {
        let (stream, end) = duplex(16);
        pool.put(place, Box::new(stream));
        end
    }

    fn count(pool: &Pool) -> usize {
        pool.waiting().places.iter().map(|kept| kept.connections.len()).sum()
    }

    #[tokio::test]
    async fn what_was_used_last_is_used_next() {
        let (pool, place) = (Pool::default(), place(None));
        let (_first, mut second) = (put(&pool, &place), put(&pool, &place));
        let mut taken = pool.take(&place).unwrap();
        taken.write_all(b"x").await.unwrap();
        assert_eq!(second.read_u8().await.unwrap(), b'x');
        assert!(pool.take(&place).is_some());
        assert!(pool.take(&place).is_none());
    }

    #[tokio::test]
    async fn a_connection_is_its_places_alone() {
        let (pool, one, other) = (Pool::default(), place(None), place(None));
        let _end = put(&pool, &one);
        assert!(pool.take(&other).is_none());
        assert!(pool.take(&one).is_some());
    }

    #[tokio::test]
    async fn what_the_peer_has_closed_or_said_something_on_is_not_used_again() {
        let (pool, place) = (Pool::default(), place(None));
        let _quiet = put(&pool, &place);
        let mut talkative = put(&pool, &place);
        drop(put(&pool, &place));
        talkative.write_all(b"HTTP/1.1 200").await.unwrap();
        assert!(pool.take(&place).is_some(), "the quiet one");
        assert!(pool.take(&place).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_too_long_is_closed_without_being_asked_for() {
        let (pool, place) = (Pool::default(), place(Some(Duration::from_secs(5))));
        let tending = async {
            let mut end = put(&pool, &place);
            let closed = put(&pool, &place);
            drop(closed);
            tokio::time::sleep(Duration::from_secs(3)).await;
            assert_eq!(count(&pool), 1, "the closed one is gone");
            let started = Instant::now();
            assert_eq!(end.read(&mut [0]).await.unwrap(), 0);
            assert!(started.elapsed() < Duration::from_secs(4));
            assert_eq!(count(&pool), 0);
        };
        tokio::select! {
            () = pool.tend(|| {}) => {}
            () = tending => {}
        }
    }

    #[tokio::test]
    async fn connections_to_an_address_that_is_drained_or_gone_are_closed() {
        for leave in [Standing::left, |standing: &Standing| standing.drain(Duration::ZERO)] {
            let (pool, one, other) = (Pool::default(), place(None), place(None));
            let (mut end, _kept) = (put(&pool, &one), put(&pool, &other));
            leave(&one.standing);
            pool.close_spent();
            assert_eq!((end.read(&mut [0]).await.unwrap(), count(&pool)), (0, 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_has_waited_longest_makes_room() {
        let (pool, one, other) = (Pool::default(), place(None), place(None));
        let _recent = put(&pool, &one);
        assert!(pool.take(&one).is_some(), "one without any");
        let mut oldest = put(&pool, &other);
        tokio::time::sleep(Duration::from_secs(1)).await;
        pool.close_spent();
        let _ends: Vec<_> = (1..MAX_IDLE_CONNECTIONS).map(|_| put(&pool, &one)).collect();
        let _newest = put(&pool, &one);
        assert_eq!(count(&pool), MAX_IDLE_CONNECTIONS);
        assert_eq!(oldest.read(&mut [0]).await.unwrap(), 0, "it is closed");
        assert!(pool.take(&other).is_none());
    }
}
