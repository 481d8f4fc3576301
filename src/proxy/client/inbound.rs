//! The buffered input of a client, and whether it can be parsed at all.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;

use crate::proxy::client::{intake::Intake, unreadable::Unreadable};

/// The intake of one connection, for all who see to it. One task does, so its lock is never waited for.
#[derive(Debug)]
pub(in crate::proxy) struct Inbound {
    intake: Mutex<Intake>,
    /// Whether there is something in the intake.
    holds_bytes: AtomicBool,
    unreadable: Mutex<Option<Unreadable>>,
}

impl Inbound {
    pub(in crate::proxy) fn new(intake: Intake) -> Self {
        Self { intake: Mutex::new(intake), holds_bytes: AtomicBool::new(false), unreadable: Mutex::default() }
    }

    /// Whether there is something that came in and was not given yet.
    pub(super) fn holds_bytes(&self) -> bool {
        self.holds_bytes.load(Ordering::Relaxed)
    }

    /// Does something with what came in and was not given yet.
    pub(super) fn with_intake<T>(&self, work: impl FnOnce(&mut Intake) -> T) -> T {
        let mut intake = self.intake.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = work(&mut intake);
        self.holds_bytes.store(!intake.is_empty(), Ordering::Relaxed);
        outcome
    }

    /// These bytes, which were given, and what came in behind them. Pingora's session gets nothing more.
    pub(in crate::proxy) fn with_held(&self, given: Option<Bytes>) -> Option<Bytes> {
        if !self.holds_bytes() {
            return given;
        }
        let held = self.with_intake(Intake::take);
        Some(match given {
            Some(given) => [given, held].concat().into(),
            None => held,
        })
    }

    /// Notes that what came in is not a request.
    pub(super) fn is_unreadable(&self, kind: Unreadable) {
        *self.unreadable.lock().unwrap_or_else(PoisonError::into_inner) = Some(kind);
    }

    /// Why what came in is not a request, if it is none.
    pub(in crate::proxy) fn unreadable(&self) -> Option<Unreadable> {
        *self.unreadable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
