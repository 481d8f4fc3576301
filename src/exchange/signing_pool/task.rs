//! [`Task`]: a job with a waiting receiver, which two threads may execute. The first result counts.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::metrics::Metrics;

/// A task, whatever comes of it.
pub(super) trait Work: Send + Sync {
    /// Does the job and sends the result, unless the receiver is gone.
    fn perform(&self);
}

/// A job and its caller.
pub(super) struct Task<T, J> {
    job: J,
    /// None once it has its answer.
    caller: Mutex<Option<Caller<T>>>,
}

struct Caller<T> {
    answer: oneshot::Sender<T>,
    counted: Counted,
}

impl<T, J> Task<T, J> {
    /// A task, and where its answer comes. Without an answer, the job has panicked.
    pub(super) fn new(job: J, metrics: &Arc<Metrics>) -> (Self, oneshot::Receiver<T>) {
        let (answer, answered) = oneshot::channel();
        let caller = Caller { answer, counted: Counted::new(metrics) };
        (Self { job, caller: Mutex::new(Some(caller)) }, answered)
    }

    /// The receiver is gone.
    pub(super) fn withdraw(&self) {
        *self.caller() = None;
    }

    fn caller(&self) -> MutexGuard<'_, Option<Caller<T>>> {
        self.caller.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send, J: Fn() -> T + Send + Sync> Work for Task<T, J> {
    fn perform(&self) {
        if self.caller().as_ref().is_none_or(|caller| caller.answer.is_closed()) {
            return self.withdraw();
        }
        // A panic has been reported by the panic hook, and the caller learns of it since its channel closes.
        let value = catch_unwind(AssertUnwindSafe(&self.job));
        let Some(Caller { answer, counted }) = self.caller().take() else { return };
        drop(counted);
        if let Ok(value) = value {
            // If the caller has gone meanwhile, nobody wants the result.
            let _ = answer.send(value);
        }
    }
}

/// A task in the metric `syncgate_signing_queue`, from its acceptance to its end.
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
