//! [`SigningPool`]: signs on threads of its own. An RSA-4096 signature would hold up an event loop for milliseconds.
//!
//! Where there are fewer cores than work, a signature can wait for a request, but not the other way round. So the threads are in the
//! scheduler's idle class, which gives way the moment anything else wants the core; a merely nicer thread has its slice first, whatever
//! its nice value. Were that all, a machine whose cores are never idle would sign nothing: one more thread, the relief, is of low
//! priority only, and takes jobs while the others get nowhere.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, Select, Sender, TryRecvError, TrySendError, bounded};
use tokio::sync::oneshot;

use crate::metrics::Metrics;

mod priority;

type Job = Box<dyn FnOnce() + Send>;

/// Many times what a signature takes, and too short for a user to notice.
const STANDSTILL: Duration = Duration::from_millis(20);

/// A fixed number of threads, one for their relief, and a bounded queue before them. The threads end when the pool is dropped.
#[derive(Debug)]
pub struct SigningPool {
    jobs: Sender<Job>,
    metrics: Arc<Metrics>,
}

/// Why a job was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningRefused {
    /// As many jobs wait as may. Come back later.
    #[error("the signing queue is full")]
    QueueFull,
    /// The job panicked.
    #[error("a signing job panicked")]
    Panicked,
}

impl SigningPool {
    /// Starts the threads; 0: one fewer than there are cores, at least one. At most `queue` jobs wait (at least 1), besides those under way.
    /// The relief is not counted.
    pub fn new(threads: usize, queue: usize, metrics: Arc<Metrics>) -> io::Result<Self> {
        let threads = match threads {
            // A core is left to the event loops: with all of them signing, users who log in make those who work wait.
            0 => thread::available_parallelism()?.get().saturating_sub(1).max(1),
            threads => threads,
        };
        let (jobs, waiting) = bounded(queue.max(1));
        let done = Arc::new(AtomicU64::new(0));
        for number in 0..threads {
            let (waiting, done) = (waiting.clone(), Arc::clone(&done));
            thread::Builder::new().name(format!("signing-{number}")).spawn(move || {
                priority::give_way_at_once();
                work(&waiting, &done);
            })?;
        }
        thread::Builder::new().name("signing-relief".into()).spawn(move || {
            priority::give_way();
            relieve(&waiting, &done);
        })?;
        Ok(Self { jobs, metrics })
    }

    /// Runs a job on one of the threads. If the queue is full, it is refused at once.
    ///
    /// A caller that goes away, by dropping the future, disturbs nobody; its job is skipped if it has not begun.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, SigningRefused> {
        let (result, wanted) = oneshot::channel();
        let counted = Counted::new(&self.metrics);
        let job = Box::new(move || {
            if result.is_closed() {
                return;
            }
            let value = job();
            drop(counted);
            // If the caller has gone meanwhile, nobody wants the result.
            let _ = result.send(value);
        });
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => SigningRefused::QueueFull,
            // Threads end after the pool only, and panics do not end them.
            TrySendError::Disconnected(_) => SigningRefused::Panicked,
        })?;
        wanted.await.map_err(|_| SigningRefused::Panicked)
    }
}

/// One thread: a job after the other, until the pool is dropped. Counts those it has done.
fn work(waiting: &Receiver<Job>, done: &AtomicU64) {
    while let Ok(job) = waiting.recv() {
        perform(job);
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// The relief: if jobs wait and none has been done for [`STANDSTILL`], takes them until the others get on, until the pool is dropped.
fn relieve(waiting: &Receiver<Job>, done: &AtomicU64) {
    let mut jobs = Select::new();
    jobs.recv(waiting);
    loop {
        // Until a job waits or the pool is dropped; takes none.
        jobs.ready();
        let before = done.load(Ordering::Relaxed);
        thread::sleep(STANDSTILL);
        while done.load(Ordering::Relaxed) == before {
            match waiting.try_recv() {
                Ok(job) => perform(job),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
    }
}

fn perform(job: Job) {
    // A panic has been reported by the panic hook, and the caller learns of it since its channel closes.
    let _ = catch_unwind(AssertUnwindSafe(job));
}

/// A job in the metric `syncgate_signing_queue`, from its acceptance to its end.
struct Counted(Arc<Metrics>);

impl Counted {
    fn new(metrics: &Arc<Metrics>) -> Self {
        metrics.exchange.signing_queue.inc();
        Self(Arc::clone(metrics))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.exchange.signing_queue.dec();
    }
}

#[cfg(test)]
#[path = "signing_pool_tests.rs"]
mod tests;
