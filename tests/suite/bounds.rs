//! What a client without a token can make the gateway hold or compute is bounded while it grows, on both listeners. Real processes.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use syncgate::demo::DemoIssuer;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use crate::{
    process::{Process, allow_descriptors},
    recorder::Recorder,
};

const BEGUN: &[u8] = b"GET /docs/a HTTP/1.1\r\nHost: g\r\nX: ";
const HEADER_BYTES: usize = 64 * 1024;
/// What a connection may take besides.
const BESIDES: u64 = 16 * 1024;
/// What threads and their allocators take for themselves while they are busy, in all.
const BUSY: u64 = 4 * 1024 * 1024;
/// Connections that are not counted.
const FIRST: usize = 40;

struct Stage {
    issuer: DemoIssuer,
    _backend: Recorder,
    process: Process,
}

impl Stage {
    async fn set(more: &str, descriptors: u64) -> Self {
        let (issuer, backend) = (DemoIssuer::start().await.unwrap(), Recorder::silent().await);
        // All clients are behind one address.
        let more = format!("{more}\nlimits: {{ address: {{ connections: none, new: none }} }}");
        let process = Process::start(&issuer, backend.address, &more, descriptors).await;
        Self { issuer, _backend: backend, process }
    }

    async fn serves(&self, within: Duration) -> bool {
        self.process.serves(&self.issuer.token("alice").sign(), within).await
    }
}

/// Opens so many connections and writes these bytes to each, as far as they are taken.
async fn connections(address: SocketAddr, count: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let mut open = Vec::new();
    while open.len() < count {
        let some = (0..count - open.len()).take(50).map(|_| async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // Broken off where the gateway has read enough.
            let _ = stream.write_all(bytes).await;
            stream
        });
        open.extend(join_all(some).await);
    }
    open
}

/// Unfinished headers cost no more than they may, and what they cost is given back.
async fn unfinished_headers_are_bounded(count: usize) {
    let clients = u64::try_from(count).unwrap();
    allow_descriptors(2 * clients + 1_000);
    let settings = format!("listen: {{ address: \"127.0.0.1:0\", header_timeout: 5m, max_connections: {} }}", count + 100);
    let stage = Stage::set(&settings, 3 * clients + 1_000).await;
    // As much as is held, and no more, so that nobody is refused.
    let most = [BEGUN, &vec![b'a'; HEADER_BYTES - BEGUN.len() - 1]].concat();
    // What each thread takes once, for the first few, is no cost of a connection.
    for bytes in [most.clone(), [BEGUN, &vec![b'a'; 900_000]].concat()] {
        drop(connections(stage.process.address, FIRST, &bytes).await);
        assert!(stage.serves(Duration::from_secs(10)).await);
    }
    let before = stage.process.resident();

    let held = connections(stage.process.address, count, &most).await;
    is_held(&stage, count * most.len()).await;
    let each = stage.process.resident().saturating_sub(before) / clients;
    println!("{count} unfinished headers of {} bytes: {each} bytes each", most.len());
    assert!(each <= HEADER_BYTES as u64 + BESIDES + BUSY / clients, "{each} bytes for each connection");
    assert!(stage.serves(Duration::from_secs(10)).await);
    drop(held);
    is_given_back(&stage, before, clients).await;

    // More than is held: refused while it comes.
    let flood = connections(stage.process.address, count, &[BEGUN, &vec![b'a'; 900_000]].concat()).await;
    let each = stage.process.resident().saturating_sub(before) / clients;
    println!("{count} headers of 900 KB: {each} bytes each");
    assert!(each <= HEADER_BYTES as u64 + BESIDES + BUSY / clients, "{each} bytes for each connection");
    assert!(stage.serves(Duration::from_secs(10)).await);
    drop(flood);
    is_given_back(&stage, before, clients).await;
}

/// All that was sent is held, sooner or later.
async fn is_held(stage: &Stage, bytes: usize) {
    let started = Instant::now();
    loop {
        let metrics = stage.process.admin("/metrics").await.unwrap_or_default();
        let value = |name: &str| metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("?").trim().to_owned();
        let held = value("syncgate_unfinished_header_bytes ");
        if held == bytes.to_string() {
            return;
        }
        let connections = value("syncgate_connections ");
        assert!(started.elapsed() < Duration::from_secs(150), "{held} bytes of {bytes} on {connections} connections");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Within ten seconds all is as it was, but for what an allocator keeps of a busy time: a tenth of what they may cost, and a little.
async fn is_given_back(stage: &Stage, before: u64, clients: u64) {
    const KEPT: u64 = 8 * 1024 * 1024;
    let started = Instant::now();
    loop {
        let more = stage.process.resident().saturating_sub(before);
        if more <= KEPT + clients * (HEADER_BYTES as u64 + BESIDES) / 10 {
            println!("given back but for {} KiB after {:?}", more / 1_024, started.elapsed());
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{} KiB are kept", more / 1_024);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn unfinished_headers_cost_what_they_may_and_are_given_back() {
    unfinished_headers_are_bounded(600).await;
}

#[tokio::test]
#[ignore = "takes a minute, and 15,000 descriptors: cargo test --release --test suite bounds -- --ignored --nocapture"]
async fn unfinished_headers_of_5000_connections_cost_what_they_may() {
    unfinished_headers_are_bounded(5_000).await;
}

#[tokio::test]
async fn a_drip_behind_a_long_header_costs_no_more_than_one_behind_a_short() {
    const CLIENTS: usize = 60;
    let stage = Stage::set("listen: { address: \"127.0.0.1:0\", header_timeout: 2m }", 1_024).await;
    let mut took = Vec::new();
    for length in [100, HEADER_BYTES - 2_000] {
        let mut clients = connections(stage.process.address, CLIENTS, &[BEGUN, &vec![b'a'; length]].concat()).await;
        let before = stage.process.time();
        for _ in 0..300 {
            for client in &mut clients {
                client.write_all(b"a").await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        took.push(stage.process.time() - before);
    }
    println!("{} bytes one by one: {took:?} behind a short and a long header", CLIENTS * 300);
    assert!(took[1] <= took[0] * 2 + Duration::from_millis(100), "{took:?}");
}

/// Many connections that say nothing, or begin to.
fn flood(address: SocketAddr, count: usize, bytes: &'static [u8]) -> JoinSet<()> {
    let mut flood = JoinSet::new();
    for _ in 0..count {
        flood.spawn(async move {
            // Those that are closed come again.
            loop {
                if let Ok(mut stream) = TcpStream::connect(address).await {
                    let _ = stream.write_all(bytes).await;
                    let _ = stream.read(&mut [0]).await;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
    }
    flood
}

async fn assert_operators_are_answered(process: &Process) {
    for path in ["/livez", "/readyz", "/metrics"] {
        assert!(process.admin(path).await.is_some(), "{path} is not answered within a second");
    }
}

#[tokio::test]
async fn silent_operators_starve_neither_users_nor_probes() {
    allow_descriptors(8_000);
    let stage = Stage::set("listen: { address: \"127.0.0.1:0\" }", 1_024).await;
    for bytes in [&b""[..], b"GET /metrics HTTP/1.1\r\nX: "] {
        let flood = flood(stage.process.admin, 1_500, bytes);
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert!(stage.serves(Duration::from_secs(1)).await, "users are not served");
            assert_operators_are_answered(&stage.process).await;
        }
        drop(flood);
    }
}

#[tokio::test]
async fn silent_clients_do_not_starve_operators() {
    allow_descriptors(8_000);
    let stage = Stage::set("listen: { address: \"127.0.0.1:0\", header_timeout: 500ms }", 256).await;
    let lowered = stage.process.lines("listen.max_connections is lowered");
    let [line] = lowered.as_slice() else { panic!("one warning: {lowered:?}") };
    assert_eq!(
        (line["level"].as_str(), line["limit"].as_u64(), line["max_connections"].as_u64()),
        (Some("WARN"), Some(256), Some(10_000))
    );
    let most = line["lowered_to"].as_u64().unwrap();
    assert!((32..=64).contains(&most), "{most}");
    let metrics = stage.process.admin("/metrics").await.unwrap();
    assert!(metrics.contains(&format!("syncgate_connections_limit {most}\n")), "{metrics}");
    let flood = flood(stage.process.address, 400, b"");
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_operators_are_answered(&stage.process).await;
    }
    assert!(stage.serves(Duration::from_secs(20)).await, "users are not served when their turn comes");
    let metrics = stage.process.admin("/metrics").await.unwrap();
    assert!(!metrics.contains("accept_errors"), "{metrics}");
    drop(flood);
}

#[tokio::test]
async fn operators_that_begin_and_do_not_end_are_closed() {
    let stage = Stage::set("listen: { address: \"127.0.0.1:0\" }", 1_024).await;
    let whole = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for bytes in [&b""[..], b"GET /livez HTTP/1.1\r\nX: ", whole] {
        let mut stream = TcpStream::connect(stage.process.admin).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let reading = async { while matches!(stream.read(&mut [0; 1_024]).await, Ok(1..)) {} };
        tokio::time::timeout(Duration::from_secs(20), reading).await.expect("it is not closed");
    }
}

#[tokio::test]
async fn what_is_no_http_leaves_a_line_a_count_and_an_answer() {
    let stage = Stage::set("listen: { address: \"[::]:0\" }", 1_024).await;
    let address = SocketAddr::from(([127, 0, 0, 1], stage.process.address.port()));
    let fields = format!("GET / HTTP/1.1\r\nHost: g\r\n{}\r\n", "a: b\r\n".repeat(256));
    let kinds = [
        (
            &b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET / HTTP/1.1\r\nHost: g\r\n\r\n"[..],
            "proxy_protocol",
            400,
            "request_malformed",
        ),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\xdc\x04\x01\xbb",
            "proxy_protocol",
            400,
            "request_malformed",
        ),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", "tls", 400, "request_malformed"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "http2", 400, "request_malformed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "request_line", 400, "request_malformed"),
        (b"GET / HTTP/1.1\r\nHost: g\r\nno field\r\n\r\n", "field", 400, "request_malformed"),
        (b"GET / HTTP/1.1\r\nHost: g\r\nHost: h\r\n\r\n", "ambiguous", 400, "request_malformed"),
        (b"GET /a b HTTP/1.1\r\nHost: g\r\n\r\n", "target", 400, "target_malformed"),
        (b"GET / HTTP/1.2\r\nHost: g\r\n\r\n", "version", 505, "version_not_supported"),
        (b"CONNECT g:443 HTTP/1.1\r\nHost: g:443\r\n\r\n", "connect", 405, "method_not_allowed"),
        (fields.as_bytes(), "too_many_fields", 431, "headers_too_large"),
    ];
    for (bytes, kind, status, reason) in kinds {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(bytes).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(Duration::from_secs(5), client.read_to_string(&mut answer)).await.expect(kind).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{kind}: {answer}");
        assert!(
            answer.contains("\r\nConnection: close\r\n") && answer.contains(&format!("{{\"error\":\"{reason}\"")),
            "{kind}: {answer}"
        );
        let from = client.local_addr().unwrap().to_string();
        stage.process.eventually(async |process| process.lines("request").iter().any(|line| line["client"] == from.as_str())).await;
        let line = stage.process.lines("request").into_iter().find(|line| line["client"] == from.as_str()).unwrap();
        assert_eq!((line["status"].as_u64(), line["reason"].as_str()), (Some(status), Some(reason)), "{kind}");
    }
    let complaints = stage.process.lines("a client sent something other than a request");
    let mut told: Vec<_> = complaints.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    told.sort_unstable();
    let mut expected: Vec<_> = kinds.iter().map(|(_, kind, ..)| *kind).collect();
    expected.sort_unstable();
    expected.dedup();
    // The second one of a kind comes within ten seconds of the first.
    assert_eq!(told, expected);
    assert!(complaints.iter().all(|line| line["client"].as_str().unwrap().starts_with("127.0.0.1:") && line["level"] == "WARN"));
    let metrics = stage.process.admin("/metrics").await.unwrap();
    assert!(metrics.contains("syncgate_unreadable_requests_total{kind=\"proxy_protocol\"} 2\n"), "{metrics}");
}

#[tokio::test]
async fn a_second_signal_does_not_wait() {
    let issuer = DemoIssuer::start().await.unwrap();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = "listen: { address: \"127.0.0.1:0\" }\nshutdown: { grace: 5m }";
    let mut process = Process::start(&issuer, silent.local_addr().unwrap(), listen, 1_024).await;
    let mut client = TcpStream::connect(process.address).await.unwrap();
    let token = issuer.token("alice").sign();
    client.write_all(format!("GET /a HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes()).await.unwrap();
    let _upstream = tokio::time::timeout(Duration::from_secs(10), silent.accept()).await.unwrap().unwrap();
    process.signal("-TERM");
    process.line("stopping").await;
    process.signal("-TERM");
    assert_eq!(process.exit().await, Some(0));
}
