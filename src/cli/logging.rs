//! Where the log goes: standard error, one line for each event.

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    Layer as _, Registry, filter::Targets, fmt, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};

use crate::config::{LogFormat, LogLevel, LogSettings};

/// Changes the log while it runs. When it is dropped, what is left is written out.
pub(super) struct LogHandle {
    filter: reload::Handle<Targets, Registry>,
    _writer: WorkerGuard,
}

impl LogHandle {
    /// Writes events of this level and above from now on.
    pub(super) fn set_level(&self, level: LogLevel) {
        // Fails only when there is no log any more.
        let _ = self.filter.reload(own_events(level));
    }
}

/// Starts the log.
///
/// A thread of its own writes, so that nobody waits for a slow reader of the log; what it cannot take in is dropped.
pub(super) fn start(settings: &LogSettings) -> LogHandle {
    let (filter, handle) = reload::Layer::new(own_events(settings.level));
    let (writer, guard) = NonBlockingBuilder::default().thread_name("log").finish(std::io::stderr());
    let lines = fmt::layer().with_writer(writer);
    let layer = match settings.format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
    };
    // A second start in one process (tests) keeps the first log.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
    LogHandle { filter: handle, _writer: guard }
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
