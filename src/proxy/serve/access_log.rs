//! The access log: one line per request, on standard error, in the format of the other log lines.
//!
//! The thread that served the request formats the line and appends it to a buffer; a separate thread writes the buffer, many
//! lines at a time. So a request needs no system call, and a slow reader of the log blocks nobody: when the buffer is full,
//! lines are dropped and counted. Under a flood of refusals those beyond a rate get no line: one line summarises how many they
//! were, and why.

mod flood;
mod summary;

use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};

use self::flood::{Flood, LeftOut};
use crate::{
    metrics::{IntCounter, ProxyMetrics},
    proxy::serve::log_time,
};

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
pub(in crate::proxy) struct Line<'a> {
    /// When the request ended.
    pub(in crate::proxy) at: SystemTime,
    pub(in crate::proxy) route: &'a str,
    pub(in crate::proxy) method: &'a str,
    pub(in crate::proxy) path: &'a str,
    pub(in crate::proxy) status: u16,
    pub(in crate::proxy) reason: &'static str,
    /// Whether the gateway refused it.
    pub(super) is_refusal: bool,
    pub(in crate::proxy) websocket: bool,
    pub(in crate::proxy) duration: Duration,
    /// Address and port.
    pub(in crate::proxy) client: &'a str,
}

/// Takes lines from every thread. When it is dropped, its thread writes out what is left and ends; [`finish`](Self::finish) waits for that.
#[derive(Debug)]
pub struct AccessLog {
    format: AccessLogFormat,
    shared: Arc<Shared>,
    counts: Counts,
}

/// Counters of lost lines.
#[derive(Clone, Debug)]
struct Counts {
    dropped: IntCounter,
    left_out: IntCounter,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    lines: Vec<u8>,
    flood: Flood,
    is_closing: bool,
    is_closed: bool,
}

/// How long a line waits for others.
const FLUSH_INTERVAL: Duration = Duration::from_millis(100);
/// Bytes from which on lines wait no longer.
const ENOUGH: usize = 64 * 1024;
/// Maximum bytes that wait. Further lines are dropped.
const MAX_WAITING_BYTES: usize = 4 * 1024 * 1024;
/// How long the last lines may take at the end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);
/// How often refusals without a line are summarised.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(1);

impl AccessLog {
    /// Starts the thread that writes to standard error. At most `refusals` are logged in a second.
    pub fn start(format: AccessLogFormat, refusals: u32, metrics: &ProxyMetrics) -> io::Result<Arc<Self>> {
        let counts = Counts { dropped: metrics.access_log_dropped.clone(), left_out: metrics.access_log_left_out.clone() };
        Self::start_to(io::stderr(), format, refusals, counts)
    }

    fn start_to(out: impl Write + Send + 'static, format: AccessLogFormat, refusals: u32, counts: Counts) -> io::Result<Arc<Self>> {
        let state = State { lines: Vec::new(), flood: Flood::new(refusals), is_closing: false, is_closed: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let (of_thread, dropped) = (Arc::clone(&shared), counts.dropped.clone());
        thread::Builder::new().name("access-log".into()).spawn(move || of_thread.write_to(out, format, &dropped))?;
        Ok(Arc::new(Self { format, shared, counts }))
    }

    /// Logs at most so many refusals in a second from now on.
    pub fn limit_refusals(&self, most: u32) {
        self.shared.lock().flood.set_most(most);
    }

    /// Flushes the remaining lines, and waits for it: a second at most, since a stalled reader must not keep the process from
    /// ending. Blocks the thread. Later lines are lost.
    pub fn finish(&self) {
        let state = self.shared.close();
        drop(self.shared.changed.wait_timeout_while(state, SHUTDOWN_TIMEOUT, |state| !state.is_closed));
    }

    pub(in crate::proxy) fn write(&self, line: &Line<'_>) {
        if line.is_refusal && !self.shared.admits(line) {
            self.counts.left_out.inc();
            return;
        }
        let mut text = Vec::with_capacity(512);
        let formatted = match self.format {
            AccessLogFormat::Json => line.write_json(&mut text),
            AccessLogFormat::Text => line.write_text(&mut text),
        };
        if formatted.is_err() || !self.shared.append(&text) {
            self.counts.dropped.inc();
        }
    }
}

impl Drop for AccessLog {
    /// Waits for nothing: the last request of a log that a reload has replaced drops it, on an event loop.
    fn drop(&mut self) {
        drop(self.shared.close());
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.is_closing = true;
        self.changed.notify_all();
        state
    }

    /// Whether a refusal gets a line.
    fn admits(&self, line: &Line<'_>) -> bool {
        let second = line.at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut state = self.lock();
        let is_first = !state.flood.has_left_out();
        let admits = state.flood.admits(second, line.reason);
        drop(state);
        if !admits && is_first {
            self.changed.notify_all();
        }
        admits
    }

    /// Whether there was room.
    fn append(&self, line: &[u8]) -> bool {
        let mut state = self.lock();
        let (before, after) = (state.lines.len(), state.lines.len() + line.len());
        if after > MAX_WAITING_BYTES {
            return false;
        }
        state.lines.extend_from_slice(line);
        drop(state);
        if before == 0 || (before < ENOUGH && after >= ENOUGH) {
            self.changed.notify_all();
        }
        true
    }

    fn write_to(&self, mut out: impl Write, format: AccessLogFormat, dropped: &IntCounter) {
        let mut lines = Vec::new();
        let mut summed_up = Instant::now();
        loop {
            let waiting = |state: &mut State| state.lines.is_empty() && !state.flood.has_left_out() && !state.is_closing;
            let state = self.changed.wait_while(self.lock(), waiting).unwrap_or_else(PoisonError::into_inner);
            let gathering = |state: &mut State| state.lines.len() < ENOUGH && !state.is_closing;
            let gathered = self.changed.wait_timeout_while(state, FLUSH_INTERVAL, gathering);
            let (mut state, _) = gathered.unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut state.lines, &mut lines);
            let is_last = state.is_closing;
            let is_due = is_last || summed_up.elapsed() >= SUMMARY_INTERVAL;
            let left_out = if is_due { state.flood.take() } else { LeftOut::default() };
            drop(state);
            if left_out.count() > 0 {
                summed_up = Instant::now();
                // Writing to a vector does not fail.
                let _ = summary::write(&left_out, format, SystemTime::now(), &mut lines);
            }
            dropped.inc_by(write_lines(&mut out, &lines));
            lines.clear();
            if is_last {
                self.lock().is_closed = true;
                self.changed.notify_all();
                return;
            }
        }
    }
}

/// Writes lines out. Returns how many did not come through whole: the reader is gone, the disk is full.
fn write_lines(out: &mut impl Write, mut lines: &[u8]) -> u64 {
    while !lines.is_empty() {
        match out.write(lines) {
            Ok(0) => break,
            Ok(count) => lines = lines.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
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
