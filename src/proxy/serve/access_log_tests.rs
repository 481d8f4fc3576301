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
    is_refusal: false,
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
    let (written, lines) = channel();
    let gate = Arc::new(Mutex::new(()));
    let counts = counts();
    let log = AccessLog::start_to(Pipe { written, gate: Arc::clone(&gate) }, format, 100, counts.clone()).unwrap();
    (log, lines, gate, counts.dropped)
}

fn counts() -> Counts {
    let counter = |name: &str| IntCounter::new(name, name).unwrap();
    Counts { dropped: counter("dropped"), left_out: counter("left_out") }
}

/// Everything that was written to the end.
fn written(log: Arc<AccessLog>, lines: &Receiver<String>) -> String {
    log.finish();
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
    let sent = 3 * MAX_WAITING_BYTES / 1_000;
    for _ in 0..sent {
        log.write(&Line { path: &path, ..LINE });
    }
    assert!(dropped.get() > 0);
    drop(closed);
    let text = written(log, &lines);
    assert_eq!(text.lines().count() + usize::try_from(dropped.get()).unwrap(), sent);
}

#[test]
fn of_a_flood_of_refusals_so_many_a_second_are_logged_and_the_rest_is_summed_up() {
    let (written_to, lines) = channel();
    let counts = counts();
    let pipe = Pipe { written: written_to, gate: Arc::default() };
    let log = AccessLog::start_to(pipe, AccessLogFormat::Json, 100, counts.clone()).unwrap();
    const FLOOD: usize = 200_000;
    thread::scope(|scope| {
        for (number, reason) in ["bad_signature", "expired"].into_iter().enumerate() {
            let at = LINE.at + Duration::from_secs(100 * number as u64);
            let log = &log;
            scope.spawn(move || {
                for count in 0..FLOOD {
                    // Of these seconds there are ten.
                    let at = at + Duration::from_secs((count * 10 / FLOOD) as u64);
                    log.write(&Line { at, status: 401, reason, is_refusal: true, ..LINE });
                    // A good request always has its line.
                    if count % (FLOOD / 10) == 0 {
                        log.write(&LINE);
                    }
                }
            });
        }
    });
    let text = written(log, &lines);
    let all: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |status: u64| all.iter().filter(|line| line["status"] == status).count();
    let left_out: u64 = all.iter().filter_map(|line| line["left_out"].as_u64()).sum();
    assert_eq!(count(200), 20);
    assert_eq!(count(401) as u64 + left_out, 2 * FLOOD as u64, "every one is logged or counted");
    assert_eq!((left_out, counts.dropped.get()), (counts.left_out.get(), 0));
    // Where the threads take turns, each turn begins another second: how many are left out is for the scheduler to say.
    assert!(left_out > FLOOD as u64 / 10, "{left_out}");
    let of_reasons = all.iter().filter(|line| line.get("left_out").is_some()).map(|line| &line["reasons"]);
    let sum = |reason: &str| of_reasons.clone().filter_map(|reasons| reasons[reason].as_u64()).sum::<u64>();
    assert_eq!(sum("bad_signature") + sum("expired"), left_out);
}

#[test]
fn what_was_left_out_is_told_though_nothing_more_comes() {
    let (written_to, lines) = channel();
    let pipe = Pipe { written: written_to, gate: Arc::default() };
    let log = AccessLog::start_to(pipe, AccessLogFormat::Text, 1, counts()).unwrap();
    for _ in 0..3 {
        log.write(&Line { reason: "expired", is_refusal: true, ..LINE });
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut text = String::new();
    while !text.contains("left_out=2 expired=2") {
        text += &lines.recv_timeout(deadline.saturating_duration_since(Instant::now())).unwrap();
    }
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn lines_that_nobody_can_read_any_more_are_counted() {
    /// Takes a line and a half, and then nothing.
    struct Broken(usize);
    impl Write for Broken {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken == 0 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(taken) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let counts = counts();
    let mut line = Vec::new();
    LINE.write_json(&mut line).unwrap();
    let log = AccessLog::start_to(Broken(line.len() * 3 / 2), AccessLogFormat::Json, 100, counts.clone()).unwrap();
    (0..10).for_each(|_| log.write(&LINE));
    log.finish();
    assert_eq!(counts.dropped.get(), 9);
}

#[test]
fn dropping_the_log_waits_for_no_reader_and_loses_nothing() {
    let (log, lines, gate, _) = log(AccessLogFormat::Json);
    let closed = gate.lock().unwrap();
    log.write(&LINE);
    let started = Instant::now();
    drop(log);
    assert!(started.elapsed() < SHUTDOWN_TIMEOUT / 2);
    drop(closed);
    assert_eq!(lines.recv_timeout(Duration::from_secs(10)).unwrap().lines().count(), 1);
}
