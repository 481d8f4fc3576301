//! Tests of the access log.

use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::Value;

use super::*;

const LINE: Line<'_> = Line {
    at: SystemTime::UNIX_EPOCH,
    route: "docs",
    method: "GET",
    path: "/docs/1",
    status: 200,
    reason: "",
    websocket: false,
    duration: Duration::from_micros(1_500),
    client: "127.0.0.1:4711",
};

/// Hands over what is written; blocks while `gate` is held.
struct Pipe {
    written: Sender<String>,
    gate: Arc<Mutex<()>>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _open = self.gate.lock().unwrap();
        let _ = self.written.send(String::from_utf8(bytes.to_vec()).unwrap());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn log(format: AccessLogFormat) -> (Arc<AccessLog>, Receiver<String>, Arc<Mutex<()>>, IntCounter) {
    let dropped = IntCounter::new("dropped", "dropped").unwrap();
    let (written, lines) = channel();
    let gate = Arc::new(Mutex::new(()));
    let log = AccessLog::start_to(Pipe { written, gate: Arc::clone(&gate) }, format, dropped.clone()).unwrap();
    (log, lines, gate, dropped)
}

/// Everything that was written to the end.
fn written(log: Arc<AccessLog>, lines: &Receiver<String>) -> String {
    drop(log);
    lines.try_iter().collect()
}

#[test]
fn a_json_line_holds_every_field_and_hostile_text_stays_inside_its_string() {
    let (log, lines, ..) = log(AccessLogFormat::Json);
    log.write(&Line { path: "/a\"b\\\u{1b}\u{7f}ü", reason: "expired", status: 401, ..LINE });
    let text = written(log, &lines);
    assert_eq!(text.lines().count(), 1);
    let line: Value = serde_json::from_str(&text).unwrap();
    let expected = serde_json::json!({
        "timestamp": line["timestamp"], "level": "INFO", "message": "request", "target": "syncgate::access", "route": "docs",
        "method": "GET", "path": "/a\"b\\\u{1b}\u{7f}ü", "status": 401, "reason": "expired", "websocket": false,
        "duration_ms": 1.5, "client": "127.0.0.1:4711",
    });
    assert_eq!(line, expected);
    let timestamp = line["timestamp"].as_str().unwrap();
    assert!(timestamp.len() == 27 && timestamp.ends_with('Z') && timestamp.contains('T'), "{timestamp}");
}

#[test]
fn a_text_line_escapes_quotes_line_breaks_and_terminal_controls() {
    let (log, lines, ..) = log(AccessLogFormat::Text);
    log.write(&Line { path: "/a\"b\n\u{1b}[31m", ..LINE });
    let text = written(log, &lines);
    let (_, rest) = text.split_once(' ').unwrap();
    assert_eq!(
        rest,
        " INFO syncgate::access: request route=\"docs\" method=\"GET\" path=\"/a\\\"b\\n\\u{1b}[31m\" status=200 reason=\"\" \
         websocket=false duration_ms=1.500 client=127.0.0.1:4711\n"
    );
}

#[test]
fn lines_are_written_without_waiting_for_the_end() {
    let (log, lines, ..) = log(AccessLogFormat::Json);
    log.write(&LINE);
    assert_eq!(lines.recv_timeout(Duration::from_secs(10)).unwrap().lines().count(), 1);
    log.write(&LINE);
    assert_eq!(lines.recv_timeout(Duration::from_secs(10)).unwrap().lines().count(), 1);
}

#[test]
fn lines_of_many_threads_stay_whole_and_none_is_lost() {
    let (log, lines, _, dropped) = log(AccessLogFormat::Json);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..500).for_each(|_| log.write(&LINE)));
        }
    });
    let text = written(log, &lines);
    assert_eq!(text.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count(), 2_000);
    assert_eq!(dropped.get(), 0);
}

#[test]
fn a_reader_that_takes_nothing_costs_lines_and_holds_up_nobody() {
    let (log, lines, gate, dropped) = log(AccessLogFormat::Json);
    let closed = gate.lock().unwrap();
    let path = "a".repeat(1_000);
    let sent = 3 * MOST / 1_000;
    for _ in 0..sent {
        log.write(&Line { path: &path, ..LINE });
    }
    assert!(dropped.get() > 0);
    drop(closed);
    let text = written(log, &lines);
    assert_eq!(text.lines().count() + usize::try_from(dropped.get()).unwrap(), sent);
}
