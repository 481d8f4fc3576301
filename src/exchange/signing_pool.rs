//! [`SigningPool`]: signs on threads of its own. An RSA-4096 signature would hold up an event loop for milliseconds.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};

use tokio::sync::oneshot;

use crate::metrics::Metrics;

type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of threads and a bounded queue before them. The threads end when the pool is dropped.
#[derive(Debug)]
pub struct SigningPool {
    jobs: SyncSender<Job>,
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
    pub fn new(threads: usize, queue: usize, metrics: Arc<Metrics>) -> io::Result<Self> {
        let threads = match threads {
            // A core is left to the event loops: with all of them signing, users who log in make those who work wait.
            0 => thread::available_parallelism()?.get().saturating_sub(1).max(1),
            threads => threads,
        };
        let (jobs, waiting) = sync_channel(queue.max(1));
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..threads {
            let waiting = Arc::clone(&waiting);
            thread::Builder::new().name(format!("signing-{number}")).spawn(move || {
                give_way();
                work(&waiting);
            })?;
        }
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

/// Lets the event loops go first where there are fewer cores than work: a signature can wait for a request, but not the other way round.
/// Where that is not permitted, signing goes on as it is.
#[cfg(target_os = "linux")]
fn give_way() {
    /// So many steps nicer than the rest of the process: about a tenth of its weight, and never nothing, so that users who log in are
    /// served on a busy machine, too.
    const STEPS: i32 = 10;
    const NICEST: i32 = 19;
    // On Linux both are of the calling thread alone.
    if let Ok(nice) = rustix::process::getpriority_process(None) {
        let _ = rustix::process::setpriority_process(None, (nice + STEPS).min(NICEST));
    }
}

/// Elsewhere it would be of the whole process.
#[cfg(not(target_os = "linux"))]
fn give_way() {}

/// One thread: a job after the other, until the pool is dropped.
fn work(waiting: &Mutex<Receiver<Job>>) {
    loop {
        // The lock is for taking a job, not for doing it: one thread waits at the queue, the others for their turn.
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // A panic has been reported by the panic hook, and the caller learns of it since its channel closes.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
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
