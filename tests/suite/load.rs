//! The load generator, `examples/syncgate-load`, as a program: before a gateway, and before servers that misbehave.

use std::{io::Write as _, path::PathBuf, process::Output, sync::Arc, time::Duration};

use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    process::Command,
    time::Instant,
};

use crate::kit::{Kit, serve_tls};

const DEADLINE: Duration = Duration::from_secs(60);

/// The program. `cargo test` builds examples, `cargo test --test suite` does not: then tests are skipped aloud.
fn program() -> Option<PathBuf> {
    let own = std::env::current_exe().unwrap();
    let path = own.ancestors().nth(2).unwrap().join("examples/syncgate-load");
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("SYNCGATE_NO_SKIP").is_none(), "syncgate-load is missing: cargo build --example syncgate-load");
    eprintln!("SKIPPED: syncgate-load is missing: cargo build --example syncgate-load");
    None
}

async fn load(program: PathBuf, arguments: &[&str]) -> Output {
    let run = Command::new(program).args(arguments).args(["--quiet", "--json"]).kill_on_drop(true).output();
    tokio::time::timeout(DEADLINE, run).await.expect("the load does not end").unwrap()
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no report: {output:?}"))
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// Tokens of three users, one a line.
fn tokens(kit: &Kit) -> NamedTempFile {
    let tokens = ["ann", "bob", "cem"].map(|user| kit.issuer.token(user).sign());
    file(&tokens.join("\n"))
}

#[tokio::test]
async fn an_open_loop_sends_what_was_asked_for() {
    let Some(program) = program() else { return };
    let kit = Kit::start().await;
    let (tokens, url) = (tokens(&kit), kit.url("/echo"));
    let arguments =
        ["http", "--url", &url, "--tokens", path(&tokens), "--rate", "100", "--duration", "1", "--expect-status", "200"];
    let output = load(program, &arguments).await;
    assert!(output.status.success(), "{output:?}");
    let report = report(&output);
    let counts = ["mode", "sent", "completed", "errors", "statuses", "wanted_rate"].map(|name| report[name].clone());
    assert_eq!(counts, [json!("http"), json!(100), json!(100), json!({}), json!({"200": 100}), json!(100.0)]);
    for name in ["p50", "p90", "p99", "p999", "max"] {
        assert!(report["latency_us"][name].as_u64().is_some_and(|latency| latency > 0), "{name}: {report}");
    }
    // Each of 64 connections had its first request before the clock started.
    assert_eq!(kit.backend.received_count(), 100 + 64);
    kit.stop().await;
}

#[tokio::test]
async fn a_key_id_may_look_like_an_option() {
    let Some(program) = program() else { return };
    let kit = Kit::start().await;
    let (key, url) = (file(&kit.issuer.signing_key().private_key_pem().unwrap()), kit.url("/echo"));
    let arguments =
        ["http", "--url", &url, "--signing-key", path(&key), "--kid", "-of-another-key", "--issuer", &kit.issuer.issuer()];
    let rest = ["--audience", &kit.issuer.options().audience, "--rate", "10", "--duration", "0.5"];
    // The gateway has to ask the issuer for the key first.
    let statuses = report(&load(program, &[&arguments[..], &rest].concat()).await)["statuses"].clone();
    let counts = statuses.as_object().unwrap();
    assert!(counts.keys().all(|status| status == "401" || status == "503") && !counts.is_empty(), "{statuses}");
    kit.stop().await;
}

#[tokio::test]
async fn cold_users_have_tokens_never_seen_before() {
    let Some(program) = program() else { return };
    let kit = Kit::start().await;
    let (key, url) = (kit.issuer.signing_key(), kit.url("/echo"));
    let (key_file, issuer) = (file(&key.private_key_pem().unwrap()), kit.issuer.issuer());
    let arguments = ["http", "--url", &url, "--signing-key", path(&key_file), "--kid", key.kid(), "--issuer", &issuer];
    let mix =
        ["--audience", &kit.issuer.options().audience, "--users", "5", "--rate", "100", "--cold-rate", "20", "--duration", "1"];
    for run in 1..=2 {
        let output = load(program.clone(), &[&arguments[..], &mix].concat()).await;
        assert_eq!(report(&output)["statuses"], json!({"200": 100}), "{output:?}");
        let misses = kit.metric("syncgate_cache_requests_total", &[("cache", "identity"), ("result", "miss")]);
        assert_eq!(misses, f64::from(run * (5 + 20)), "hot users once, cold ones with each request");
    }
    kit.stop().await;
}

#[tokio::test]
async fn refused_tokens_are_counted_by_status() {
    let Some(program) = program() else { return };
    let kit = Kit::start().await;
    let (tokens, url) = (file("garbage\n"), kit.url("/echo"));
    let arguments =
        ["http", "--url", &url, "--tokens", path(&tokens), "--rate", "50", "--duration", "0.5", "--expect-status", "200"];
    let output = load(program, &arguments).await;
    assert_eq!((output.status.code(), &report(&output)["statuses"]), (Some(1), &json!({"401": 25})));
    kit.stop().await;
}

#[tokio::test]
async fn a_target_that_is_not_there_is_a_failure() {
    let Some(program) = program() else { return };
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", unused.local_addr().unwrap());
    drop(unused);
    let output = load(program, &["http", "--url", &url, "--duration", "1"]).await;
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the target cannot be reached"), "{output:?}");
}

#[tokio::test]
async fn sockets_open_with_their_users_tokens_and_are_answered() {
    let Some(program) = program() else { return };
    let kit = Kit::start().await;
    let (tokens, url) = (tokens(&kit), kit.url("/live"));
    let arguments =
        ["websocket", "--url", &url, "--tokens", path(&tokens), "--connections", "3", "--rate", "40", "--duration", "1"];
    // The backend tells a user of each document that he sends.
    for message in [&[][..], &["--message", r#"{"id":"note","doc":{"text":"hello"}}"#]] {
        let output = load(program.clone(), &[&arguments[..], message].concat()).await;
        let report = report(&output);
        let counts = ["mode", "sent", "completed", "errors", "statuses"].map(|name| report[name].clone());
        assert_eq!(counts, [json!("websocket"), json!(40), json!(40), json!({}), json!({"101": 3})], "{report}");
        assert!(report["open_us"]["max"].as_u64().is_some_and(|latency| latency > 0), "{report}");
    }
    // Each was closed as is proper, and none is left.
    kit.eventually(|| kit.metric("syncgate_websocket_connections", &[]) == 0.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn sockets_that_are_refused_are_counted_by_status() {
    let Some(program) = program() else { return };
    let kit = Kit::start().await;
    let (tokens, url) = (file("garbage\n"), kit.url("/live"));
    let arguments = ["websocket", "--url", &url, "--tokens", path(&tokens), "--connections", "3", "--idle", "--duration", "0.3"];
    let output = load(program, &arguments).await;
    assert_eq!(report(&output)["statuses"], json!({"401": 3}), "{output:?}");
    kit.stop().await;
}

#[tokio::test]
async fn long_polls_are_asked_again_and_may_be_open_at_the_end() {
    let Some(program) = program() else { return };
    let kit = Kit::start().await;
    let (tokens, url) = (tokens(&kit), kit.url("/changes?feed=longpoll&timeout=300"));
    let arguments =
        ["long-poll", "--url", &url, "--tokens", path(&tokens), "--connections", "3", "--hold", "0.3", "--duration", "1"];
    let output = load(program, &[&arguments[..], &["--expect-status", "200"]].concat()).await;
    assert!(output.status.success(), "{output:?}");
    let report = report(&output);
    let count = |name: &str| report[name].as_u64().unwrap();
    assert_eq!(report["statuses"], json!({"200": count("completed")}));
    // None is answered before its time, so there are three answers in a second at most.
    assert!((3..=9).contains(&count("completed")) && count("sent") <= count("completed") + 3, "{report}");
    kit.stop().await;
}

#[tokio::test]
async fn a_stall_shows_in_the_latencies_of_all_requests_that_were_due_in_it() {
    const STALL: Duration = Duration::from_millis(300);
    let Some(program) = program() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut stalled = None;
        while let Ok((stream, _)) = listener.accept().await {
            // From 300 ms after the connections were opened.
            let begins = *stalled.get_or_insert_with(|| Instant::now() + STALL);
            tokio::spawn(answer_all(stream, begins..begins + STALL));
        }
    });
    let output = load(program, &["http", "--url", &url, "--connections", "4", "--rate", "200", "--duration", "1"]).await;
    let report = report(&output);
    assert_eq!(report["statuses"], json!({"200": 200}));
    // Sixty requests were due in it, and had to wait for the rest of it: a tenth of all for more than 200 ms.
    let latency = |name: &str| Duration::from_micros(report["latency_us"][name].as_u64().unwrap());
    assert!(latency("max") > STALL * 9 / 10, "{report}");
    assert!(latency("p99") > STALL * 8 / 10, "{report}");
    assert!(latency("p90") > STALL / 2, "{report}");
    assert!(report["waited_for_connection"].as_u64() > Some(40), "{report}");
}

#[tokio::test]
async fn https_is_spoken_with_the_certificates_that_are_given() {
    let Some(program) = program() else { return };
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], private).unwrap();
    let address = serve_tls(config, |stream| answer_all(stream, Instant::now()..Instant::now())).await;
    let url = format!("https://localhost:{}/", address.port());
    let arguments = ["http", "--url", &url, "--connections", "2", "--rate", "20", "--duration", "0.5"];
    let authority = file(&certificate.pem());
    let output = load(program.clone(), &[&arguments[..], &["--ca-file", path(&authority)]].concat()).await;
    assert_eq!(report(&output)["statuses"], json!({"200": 10}), "{output:?}");
    let output = load(program, &arguments).await;
    assert_eq!(output.status.code(), Some(2), "the system does not know this certificate: {output:?}");
}

/// Answers each request, but none while it is stalled.
async fn answer_all(stream: impl AsyncRead + AsyncWrite + Unpin, stalled: std::ops::Range<Instant>) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|length| length > 0) {
        if line == "\r\n" {
            if stalled.contains(&Instant::now()) {
                tokio::time::sleep_until(stalled.end).await;
            }
            if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.is_err() || stream.flush().await.is_err() {
                return;
            }
        }
        line.clear();
    }
}

fn path(file: &NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}
