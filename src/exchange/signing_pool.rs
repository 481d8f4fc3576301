//! [`SigningPool`]: signs on its own threads. An RSA-4096 signature would block an event loop for milliseconds.
//!
//! If there is more work than cores, a signature may wait for a request, but not the other way round. So the threads are in the
//! scheduler's idle class, which yields at once when another thread of the process needs the core; a thread with a higher nice
//! value would still use up its time slice. On its own, this would sign next to nothing if no core is ever idle. So there is
//! one more thread, the relief, which only has a low priority. A task that waits for a signature passes it to the relief if the
//! other threads make no progress or it takes too long: the relief then signs it, whether or not another thread has begun.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use tokio::time::timeout;

use crate::{
    exchange::signing_pool::task::{Task, Work},
    metrics::Metrics,
};

mod task;

/// A fixed number of threads, one for their relief, and a bounded queue before them. The threads end when the pool is dropped.
#[derive(Debug)]
pub struct SigningPool {
    tasks: Sender<Arc<dyn Work>>,
    /// Tasks for the relief. They are in the queue, too, or have been begun.
    overdue: Sender<Arc<dyn Work>>,
    pace: Arc<Pace>,
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

/// Many times what a signature takes, and too short for a user to notice.
const STALL_TIMEOUT: Duration = Duration::from_millis(50);
/// What a user notices.
const OVERDUE_TIMEOUT: Duration = Duration::from_millis(500);
/// At least so often it is asked whether a task is overdue.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How many overdue tasks wait for the relief. Those beyond are shown to it again.
const OVERDUE: usize = 64;

impl SigningPool {
    /// Starts the threads; 0: one fewer than there are cores, at least one. At most `queue` jobs wait (at least 1), besides those
    /// in progress. The relief is not counted.
    pub fn new(threads: usize, queue: usize, metrics: Arc<Metrics>) -> io::Result<Self> {
        let threads = match threads {
            // A core is left to the event loops: with all of them signing, users who log in make those who work wait.
            0 => thread::available_parallelism()?.get().saturating_sub(1).max(1),
            threads => threads,
        };
        let (tasks, waiting) = bounded(queue.max(1));
        let (overdue, shown) = bounded(OVERDUE);
        let pace = Arc::new(Pace::new());
        for number in 0..threads {
            let (waiting, pace) = (waiting.clone(), Arc::clone(&pace));
            thread::Builder::new().name(format!("signing-{number}")).spawn(move || {
                crate::priority::give_way_at_once();
                work(&waiting, &pace);
            })?;
        }
        let pace_of_others = Arc::clone(&pace);
        thread::Builder::new().name("signing-relief".into()).spawn(move || {
            crate::priority::give_way();
            relieve(&shown, &waiting, &pace_of_others);
        })?;
        Ok(Self { tasks, overdue, pace, metrics })
    }

    /// Runs a job on one of the threads. If the queue is full, it is refused at once. It may run twice, where the thread that began with it
    /// gets no time; the first result counts.
    ///
    /// A caller may drop the future; its job is then skipped if it has not begun.
    pub async fn run<T: Send + 'static>(&self, job: impl Fn() -> T + Send + Sync + 'static) -> Result<T, SigningRefused> {
        let (task, mut answer) = Task::new(job, &self.metrics);
        let own = Arc::new(task);
        let task: Arc<dyn Work> = own.clone();
        match self.tasks.try_send(Arc::clone(&task)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                own.withdraw();
                // The queue may be full of what nobody waits for, nor shows to the relief.
                self.show_if_overdue(&task, Duration::ZERO);
                return Err(SigningRefused::QueueFull);
            }
            // Threads end after the pool only, and panics do not end them.
            Err(TrySendError::Disconnected(_)) => return Err(SigningRefused::Panicked),
        }
        let (mut waited, mut next) = (Duration::ZERO, STALL_TIMEOUT);
        loop {
            if let Ok(answer) = timeout(next, &mut answer).await {
                return answer.map_err(|_| SigningRefused::Panicked);
            }
            waited += next;
            next = (next * 2).min(CHECK_INTERVAL);
            self.show_if_overdue(&task, waited);
        }
    }

    fn show_if_overdue(&self, task: &Arc<dyn Work>, waited: Duration) {
        if waited >= OVERDUE_TIMEOUT || self.pace.stands_still() {
            // If the relief has enough to do, this one is shown again.
            let _ = self.overdue.try_send(Arc::clone(task));
        }
    }
}

/// When one of the threads, the relief aside, last began with a task or was done with one.
#[derive(Debug)]
struct Pace {
    start: Instant,
    /// Milliseconds after the start.
    last_step: AtomicU64,
}

impl Pace {
    fn new() -> Self {
        Self { start: Instant::now(), last_step: AtomicU64::new(0) }
    }

    fn step(&self) {
        self.last_step.fetch_max(self.millis(), Ordering::Relaxed);
    }

    fn stands_still(&self) -> bool {
        let since = self.millis().saturating_sub(self.last_step.load(Ordering::Relaxed));
        Duration::from_millis(since) >= STALL_TIMEOUT
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// One thread: a task after the other, until the pool is dropped.
fn work(waiting: &Receiver<Arc<dyn Work>>, pace: &Pace) {
    while let Ok(task) = waiting.recv() {
        pace.step();
        task.perform();
        pace.step();
    }
}

/// The relief: performs what is overdue, and then, while the others stand still, what waits.
fn relieve(overdue: &Receiver<Arc<dyn Work>>, waiting: &Receiver<Arc<dyn Work>>, pace: &Pace) {
    while let Ok(task) = overdue.recv() {
        task.perform();
        while pace.stands_still() {
            let Ok(task) = waiting.try_recv() else { break };
            task.perform();
        }
    }
}

#[cfg(test)]
#[path = "signing_pool_tests.rs"]
mod tests;
