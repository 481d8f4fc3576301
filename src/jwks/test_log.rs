//! What a test logs.

use std::{
    io,
    sync::{Arc, Mutex},
};

/// The lines that one thread has logged.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Collects what this thread logs until the guards are dropped.
    pub(crate) fn listen() -> (Self, impl Sized) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        // tracing remembers for each call site whether anybody listens. As long as there is one subscriber only, it asks the thread that
        // comes by first, which may run another test.
        let second = tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(io::sink).finish());
        (log, (second, tracing::subscriber::set_default(subscriber)))
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
