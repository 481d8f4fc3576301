//! Where the log goes: standard error, one line for each event.

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{Layer as _, filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::config::{LogFormat, LogLevel, LogSettings};

/// Starts the log. Only the gateway's own events: what libraries log can hold the path and query of a client.
///
/// A thread of its own writes, so that nobody waits for a slow reader of the log; what it cannot take in is dropped. The guard that is
/// returned writes out what is left when it is dropped.
pub(super) fn start(settings: &LogSettings) -> WorkerGuard {
    let level = match settings.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let own = Targets::new().with_target("syncgate", level);
    let (writer, guard) = NonBlockingBuilder::default().thread_name("log").finish(std::io::stderr());
    let lines = fmt::layer().with_writer(writer);
    let layer = match settings.format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
    };
    // A second start in one process (tests) keeps the first log.
    let _ = tracing_subscriber::registry().with(layer.with_filter(own)).try_init();
    guard
}
