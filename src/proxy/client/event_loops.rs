//! The threads that serve connections.
//!
//! Each runs its own event loop. A connection stays on its loop, with its timers and its connection to the upstream: loops
//! share no work, so an event on one connection wakes no other loop.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// How long the end of the threads is waited for.
const STOP_TIMEOUT: Duration = Duration::from_millis(50);

/// Running event loops, at least one.
///
/// When this is dropped they end, and with them what still runs on them. That takes no time unless something on them blocks, and is waited
/// for, for 50 ms at most.
#[derive(Debug)]
pub struct EventLoops {
    loops: Vec<EventLoop>,
    stop: CancellationToken,
    /// Closed when all threads have ended.
    ended: Mutex<mpsc::Receiver<()>>,
}

impl EventLoops {
    /// Starts so many threads; 0: one for each core.
    pub fn start(threads: usize) -> io::Result<Self> {
        let threads = match threads {
            0 => thread::available_parallelism()?.get(),
            threads => threads,
        };
        Self::start_named("loop", threads, || {})
    }

    /// Starts threads of this name, each of which does `first` first.
    pub(super) fn start_named(name: &str, threads: usize, first: fn()) -> io::Result<Self> {
        let (running, ended) = mpsc::channel();
        let mut started = Self { loops: Vec::with_capacity(threads), stop: CancellationToken::new(), ended: Mutex::new(ended) };
        for number in 0..threads {
            let handle = start(format!("{name}-{number}"), first, started.stop.clone(), running.clone())?;
            started.loops.push(EventLoop { handle, connections: Arc::default() });
        }
        Ok(started)
    }

    /// Each of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &EventLoop> {
        self.loops.iter()
    }
}

impl Drop for EventLoops {
    fn drop(&mut self) {
        self.stop.cancel();
        // Whatever this says, there is nothing more to do.
        let _ = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner).recv_timeout(STOP_TIMEOUT);
    }
}

/// Starts one thread. `running` is dropped when it ends.
fn start(name: String, first: fn(), stop: CancellationToken, running: mpsc::Sender<()>) -> io::Result<Handle> {
    let (report, started) = mpsc::channel();
    thread::Builder::new().name(name).spawn(move || {
        first();
        // Built here, since a runtime must not be dropped on a thread that serves another.
        match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                let _ = report.send(Ok(runtime.handle().clone()));
                runtime.block_on(stop.cancelled());
                // Nothing that is left may hold up the end: a file being read, a name being looked up.
                runtime.shutdown_background();
            }
            Err(error) => drop(report.send(Err(error))),
        }
        drop(running);
    })?;
    started.recv().unwrap_or_else(|_| Err(io::Error::other("an event loop has ended")))
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct EventLoop {
    handle: Handle,
    connections: Arc<AtomicUsize>,
}

impl EventLoop {
    /// Where to spawn what it is to run.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// How many connections it has.
    pub(in crate::proxy) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Gives it one more connection, for as long as what is returned lives.
    pub(super) fn take_on(&self) -> TakenOn {
        self.connections.fetch_add(1, Ordering::Relaxed);
        TakenOn(Arc::clone(&self.connections))
    }
}

/// One connection of an event loop.
#[derive(Debug)]
pub(super) struct TakenOn(Arc<AtomicUsize>);

impl Drop for TakenOn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use super::*;

    #[tokio::test]
    async fn each_has_a_thread_of_its_own() {
        let loops = EventLoops::start(3).unwrap();
        let mut threads = BTreeSet::new();
        for event_loop in loops.iter() {
            let name = event_loop.handle().spawn(async { thread::current().name().map(str::to_owned) });
            threads.insert(name.await.unwrap().unwrap());
        }
        assert_eq!(threads.into_iter().collect::<Vec<_>>(), ["loop-0", "loop-1", "loop-2"]);
    }

    #[tokio::test]
    async fn what_runs_on_them_ends_with_them() {
        let loops = EventLoops::start(2).unwrap();
        let tasks: Vec<_> = loops.iter().map(|event_loop| event_loop.handle().spawn(std::future::pending::<()>())).collect();
        drop(loops);
        for task in tasks {
            let outcome = tokio::time::timeout(Duration::from_secs(10), task).await.expect("it goes on");
            assert!(outcome.unwrap_err().is_cancelled());
        }
    }

    #[test]
    fn connections_are_counted_while_they_last() {
        let loops = EventLoops::start(2).unwrap();
        let [first, second] = &loops.iter().collect::<Vec<_>>()[..] else { panic!("two loops") };
        let taken = [first.take_on(), first.take_on(), second.take_on()];
        assert_eq!((first.connections(), second.connections()), (2, 1));
        drop(taken);
        assert_eq!((first.connections(), second.connections()), (0, 0));
    }
}
