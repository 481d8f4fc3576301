//! Where the log goes: standard error, one line for each event.

use std::{
    io::{self, IsTerminal as _, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    Layer as _, Registry, filter::Targets, fmt, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};

use crate::config::{LogFormat, LogLevel, LogSettings};

/// Changes the log while it runs. When it is dropped, what is left is written out.
pub(super) struct LogHandle {
    filter: reload::Handle<Targets, Registry>,
    not_read: ErrorCounter,
    not_written: Arc<AtomicU64>,
    _writer: WorkerGuard,
}

impl LogHandle {
    /// Writes events of this level and above from now on.
    pub(super) fn set_level(&self, level: LogLevel) {
        // Fails only when there is no log any more.
        let _ = self.filter.reload(own_events(level));
    }
}

impl LogHandle {
    /// How many lines have been lost so far: nobody took them fast enough, or they could not be written.
    pub(super) fn lost(&self) -> u64 {
        self.not_written.load(Ordering::Relaxed).saturating_add(u64::try_from(self.not_read.dropped_lines()).unwrap_or(u64::MAX))
    }
}

/// Standard error, with a count of what it does not take.
struct Counted(Arc<AtomicU64>);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // One line at a time comes here.
        let written = io::stderr().write_all(bytes);
        if written.is_err() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        written.map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Starts the log.
///
/// A thread of its own writes, so that nobody waits for a slow reader of the log; what it cannot take in is dropped.
pub(super) fn start(settings: &LogSettings) -> LogHandle {
    let (filter, handle) = reload::Layer::new(own_events(settings.level));
    let not_written = Arc::<AtomicU64>::default();
    let (writer, guard) = NonBlockingBuilder::default().thread_name("log").finish(Counted(Arc::clone(&not_written)));
    let not_read = writer.error_counter();
    let lines = fmt::layer().with_writer(writer);
    let layer = match settings.format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
    };
    // A second start in one process (tests) keeps the first log.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
    LogHandle { filter: handle, not_read, not_written, _writer: guard }
}

/// Only the gateway's own events: what libraries log can hold the path and query of a client.
fn own_events(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    Targets::new().with_target("syncgate", level)
}
