//! The log: standard error, one line per event.

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

use crate::{
    config::{LogFormat, LogLevel, LogSettings},
    metrics::count_panic,
};

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
    /// How many lines have been lost so far: they were not read fast enough, or could not be written.
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
/// A separate thread writes, so that a slow reader of the log blocks nobody; lines beyond its queue are dropped.
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

/// Logs and counts a panic. The process keeps running: the panicked task serves one connection.
pub(super) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        count_panic();
        let thread = std::thread::current();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        // Words that were put together at run time could hold what a client sent.
        let words = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("(built at run time, so not shown)");
        tracing::error!(
            thread = thread.name().unwrap_or_default(),
            place,
            words,
            "panic: a fault of the gateway, which keeps running"
        );
    }));
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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Not a test: what the next one runs in a process of its own, since the hook is the process's.
    #[test]
    #[ignore = "run by a_panic_is_a_line_of_the_log_and_a_count"]
    fn panic_under_the_hook() {
        let log = start(&LogSettings { format: LogFormat::Json, ..LogSettings::default() });
        log_panics();
        let metrics = crate::metrics::Metrics::new().unwrap();
        for number in 0..2 {
            let panicking = std::thread::Builder::new().name("loop-0".into()).spawn(move || match number {
                0 => panic!("out of luck"),
                _ => panic!("cannot read {}", String::from("eyJhbGciOi")),
            });
            assert!(panicking.unwrap().join().is_err());
        }
        drop(log);
        println!("{}", metrics.render().unwrap());
    }

    #[test]
    fn a_panic_is_a_line_of_the_log_and_a_count() {
        let name = "cli::logging::tests::panic_under_the_hook";
        let output =
            Command::new(std::env::current_exe().unwrap()).args([name, "--exact", "--ignored", "--nocapture"]).output().unwrap();
        let (out, log) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success() && out.contains("syncgate_panics_total 2"), "{out}\n{log}");
        let lines: Vec<serde_json::Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let words: Vec<_> = lines.iter().map(|line| (line["level"].as_str().unwrap(), line["words"].as_str().unwrap())).collect();
        assert_eq!(words, [("ERROR", "out of luck"), ("ERROR", "(built at run time, so not shown)")], "{log}");
        assert!(lines.iter().all(|line| line["thread"] == "loop-0" && line["place"].as_str().unwrap().contains("logging.rs:")));
        assert!(!log.contains("eyJhbGciOi"), "{log}");
    }
}
