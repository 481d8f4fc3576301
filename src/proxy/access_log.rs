//! The access log: one line for each request, on standard error, in the form of the other log lines.
//!
//! The thread that served the request formats the line and appends it to a buffer; a thread of its own writes the buffer out, many lines
//! at a time. So a request pays for no system call, and a slow reader of the log holds nobody up: when the buffer is full, lines are
//! dropped and counted.

use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, SystemTime},
};

use crate::{metrics::IntCounter, proxy::log_time};

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// `key=value` text.
    Text,
    /// One JSON object.
    Json,
}

/// What is logged of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// When the request ended.
    pub(super) at: SystemTime,
    pub(super) route: &'a str,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) status: u16,
    pub(super) reason: &'static str,
    pub(super) websocket: bool,
    pub(super) duration: Duration,
    /// Address and port.
    pub(super) client: &'a str,
}

/// Takes lines from every thread. Dropping it writes out what is left.
#[derive(Debug)]
pub struct AccessLog {
    format: AccessLogFormat,
    shared: Arc<Shared>,
    dropped: IntCounter,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<u8>,
    is_closing: bool,
    is_closed: bool,
}

/// How long a line waits for others.
const GATHER: Duration = Duration::from_millis(100);
/// Bytes from which on lines wait no longer.
const ENOUGH: usize = 64 * 1024;
/// Most bytes that wait. Further lines are dropped.
const MOST: usize = 4 * 1024 * 1024;
/// How long the last lines may take at the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl AccessLog {
    /// Starts the thread that writes to standard error. Each line that is dropped is counted in `dropped`.
    pub fn start(format: AccessLogFormat, dropped: IntCounter) -> io::Result<Arc<Self>> {
        Self::start_to(io::stderr(), format, dropped)
    }

    fn start_to(out: impl Write + Send + 'static, format: AccessLogFormat, dropped: IntCounter) -> io::Result<Arc<Self>> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        thread::Builder::new().name("access-log".into()).spawn(move || of_thread.write_to(out))?;
        Ok(Arc::new(Self { format, shared, dropped }))
    }

    pub(super) fn write(&self, line: &Line<'_>) {
        let mut text = Vec::with_capacity(512);
        let formatted = match self.format {
            AccessLogFormat::Json => line.write_json(&mut text),
            AccessLogFormat::Text => line.write_text(&mut text),
        };
        if formatted.is_err() || !self.shared.append(&text) {
            self.dropped.inc();
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_closing = true;
        self.shared.changed.notify_all();
        // A reader that takes nothing must not keep the process from ending.
        drop(self.shared.changed.wait_timeout_while(state, LAST_WORDS, |state| !state.is_closed));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there was room.
    fn append(&self, line: &[u8]) -> bool {
        let mut state = self.lock();
        let (before, after) = (state.lines.len(), state.lines.len() + line.len());
        if after > MOST {
            return false;
        }
        state.lines.extend_from_slice(line);
        drop(state);
        if before == 0 || (before < ENOUGH && after >= ENOUGH) {
            self.changed.notify_all();
        }
        true
    }

    fn write_to(&self, mut out: impl Write) {
        let mut lines = Vec::new();
        loop {
            let waiting = |state: &mut State| state.lines.is_empty() && !state.is_closing;
            let state = self.changed.wait_while(self.lock(), waiting).unwrap_or_else(PoisonError::into_inner);
            let gathering = |state: &mut State| state.lines.len() < ENOUGH && !state.is_closing;
            let gathered = self.changed.wait_timeout_while(state, GATHER, gathering);
            let (mut state, _) = gathered.unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut state.lines, &mut lines);
            let is_last = state.is_closing;
            drop(state);
            // There is no better place to report that the log cannot be written.
            let _ = out.write_all(&lines);
            lines.clear();
            if is_last {
                self.lock().is_closed = true;
                self.changed.notify_all();
                return;
            }
        }
    }
}

impl Line<'_> {
    /// Put together by hand: through `write!` it took twice the instructions, for each request.
    fn write_json(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let (millis, micros) = self.milliseconds();
        out.extend_from_slice(br#"{"timestamp":""#);
        log_time::write(self.at, out);
        out.extend_from_slice(br#"","level":"INFO","message":"request","route":"#);
        write_string(self.route, out)?;
        out.extend_from_slice(br#","method":"#);
        write_string(self.method, out)?;
        out.extend_from_slice(br#","path":"#);
        write_string(self.path, out)?;
        out.extend_from_slice(br#","status":"#);
        write_number(self.status, out);
        out.extend_from_slice(br#","reason":"#);
        write_string(self.reason, out)?;
        out.extend_from_slice(br#","websocket":"#);
        out.extend_from_slice(if self.websocket { b"true" } else { b"false" });
        out.extend_from_slice(br#","duration_ms":"#);
        write_number(millis, out);
        out.push(b'.');
        log_time::write_padded::<3>(micros, out);
        out.extend_from_slice(br#","client":"#);
        write_string(self.client, out)?;
        out.extend_from_slice(b",\"target\":\"syncgate::access\"}\n");
        Ok(())
    }

    fn write_text(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let Self { route, method, path, status, reason, websocket, client, .. } = self;
        let (millis, micros) = self.milliseconds();
        log_time::write(self.at, out);
        write!(out, "  INFO syncgate::access: request route={route:?} method={method:?} path={path:?} ")?;
        writeln!(out, "status={status} reason={reason:?} websocket={websocket} duration_ms={millis}.{micros:03} client={client}")
    }

    /// The duration in milliseconds, and the rest of it in microseconds.
    fn milliseconds(&self) -> (u64, u32) {
        let millis = u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX);
        (millis, self.duration.subsec_micros() % 1_000)
    }
}

/// A string of JSON. Nearly all are as they are; the others are for `serde_json`.
fn write_string(text: &str, out: &mut Vec<u8>) -> io::Result<()> {
    if text.bytes().any(|byte| matches!(byte, b'"' | b'\\' | ..b' ')) {
        return Ok(serde_json::to_writer(out, text)?);
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
    Ok(())
}

fn write_number(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[cfg(test)]
#[path = "access_log_tests.rs"]
mod tests;
