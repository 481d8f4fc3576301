//! The handshakes in progress: where they run, and how many there are at most.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use tokio::{net::TcpStream, runtime::Handle};
use tokio_util::sync::CancellationToken;

use crate::{
    certificate::ServerTls,
    metrics::{IntGauge, Metrics},
    priority,
    proxy::client::{
        event_loops::EventLoops,
        handshake::{HandshakeFault, Secured, shake_hands},
    },
};

/// Handshakes at a time. For a further one the oldest is given up: a client that means it is done within two round trips.
const MAX_UNFINISHED: usize = 1_000;
/// Cores for each thread that shakes hands.
const CORES_PER_THREAD: usize = 4;

/// The threads for handshakes, and what they have in progress.
#[derive(Debug)]
pub(super) struct Handshakes {
    threads: EventLoops,
    next: AtomicUsize,
    unfinished: Mutex<Unfinished>,
}

/// By the order in which they began.
#[derive(Debug, Default)]
struct Unfinished {
    began: u64,
    given_up: BTreeMap<u64, CancellationToken>,
}

impl Handshakes {
    /// Starts the threads: one for each four cores, at least one, which get a tenth of the time of an event loop where both want the core.
    pub(super) fn start() -> io::Result<Self> {
        let threads = thread::available_parallelism()?.get().div_ceil(CORES_PER_THREAD);
        let threads = EventLoops::start_named("handshake", threads, priority::give_way)?;
        Ok(Self { threads, next: AtomicUsize::new(0), unfinished: Mutex::default() })
    }

    /// Where the next one is to run: each of the threads in turn.
    pub(super) fn next_thread(&self) -> Option<&Handle> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.threads.iter().count().max(1);
        self.threads.iter().nth(turn % count).map(|thread| thread.handle())
    }

    /// Does a handshake, and counts it.
    pub(super) async fn shake_hands(&self, socket: std::net::TcpStream, tls: &ServerTls, metrics: &Metrics) -> Option<Secured> {
        let unfinished = self.begin(&metrics.secure.unfinished);
        let shaking = async {
            let socket = TcpStream::from_std(socket).map_err(|_| HandshakeFault::Closed)?;
            shake_hands(socket, tls).await
        };
        let shaken = tokio::select! {
            shaken = tokio::time::timeout(tls.handshake_timeout(), shaking) => shaken.unwrap_or(Err(HandshakeFault::Timeout)),
            () = unfinished.given_up.cancelled() => Err(HandshakeFault::Displaced),
        };
        match shaken {
            Ok(secured) => {
                let (version, kind) = secured.labels();
                metrics.secure.handshakes.with_label_values(&[version, kind]).inc();
                Some(secured)
            }
            Err(fault) => {
                metrics.secure.handshake_failures.with_label_values(&[fault.label()]).inc();
                None
            }
        }
    }

    /// Makes room for one more.
    fn begin<'a>(&'a self, gauge: &'a IntGauge) -> InProgress<'a> {
        let given_up = CancellationToken::new();
        let mut unfinished = self.unfinished();
        if unfinished.given_up.len() >= MAX_UNFINISHED
            && let Some((_, oldest)) = unfinished.given_up.pop_first()
        {
            oldest.cancel();
        }
        let number = unfinished.began;
        unfinished.began += 1;
        unfinished.given_up.insert(number, given_up.clone());
        gauge.inc();
        InProgress { of: self, number, given_up, gauge }
    }

    /// Nothing is left half done under this lock, so one that a panic left behind is as good as any.
    fn unfinished(&self) -> MutexGuard<'_, Unfinished> {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One handshake, until this is dropped.
struct InProgress<'a> {
    of: &'a Handshakes,
    number: u64,
    given_up: CancellationToken,
    gauge: &'a IntGauge,
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.of.unfinished().given_up.remove(&self.number);
        self.gauge.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_gives_way_when_all_places_are_taken() {
        let handshakes = Handshakes::start().unwrap();
        let gauge = IntGauge::new("unfinished", "unfinished").unwrap();
        let mut first: Vec<_> = (0..MAX_UNFINISHED).map(|_| handshakes.begin(&gauge)).collect();
        assert!(first.iter().all(|one| !one.given_up.is_cancelled()));
        let another = handshakes.begin(&gauge);
        assert!(first[0].given_up.is_cancelled() && !first[1].given_up.is_cancelled() && !another.given_up.is_cancelled());
        drop(first.remove(1));
        let last = handshakes.begin(&gauge);
        assert!(!first[1].given_up.is_cancelled(), "there was a place");
        assert_eq!(handshakes.unfinished().given_up.len(), MAX_UNFINISHED);
        drop((first, another, last));
        assert_eq!((handshakes.unfinished().given_up.len(), gauge.get()), (0, 0));
    }
}
