//! From start to stop: without an issuer, with requests in progress, and as a process with signals.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use syncgate::demo::{
    DemoIssuer, DemoKey,
    issuer::{Behaviour, Endpoint},
    world::{self, WorldOptions},
};
use tempfile::TempDir;

use crate::{
    kit::Kit,
    recorder::{Recorder, gateway_with},
};

#[tokio::test]
async fn the_gateway_starts_without_its_issuer_and_recovers_by_itself() {
    let kit = Kit::start_unready(WorldOptions::default().issuer_behaves(Behaviour::Status(500))).await;
    let token = kit.issuer.token("alice").sign();
    assert_eq!(kit.admin("/livez").await.status(), 200);
    assert_eq!(kit.admin("/readyz").await.status(), 503);
    let refused = kit.get("/echo", &token).await;
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    assert!(!refused.headers().contains_key("www-authenticate"), "a 503 must not log the user out");
    assert_eq!(kit.backend.received_count(), 0);

    kit.issuer.behave(Endpoint::Discovery, Behaviour::Normal);
    kit.issuer.behave(Endpoint::Keys, Behaviour::Normal);
    kit.await_ready().await;
    assert_eq!(kit.get("/echo", &token).await.status(), 200);
    kit.stop().await;
}

#[tokio::test]
async fn keys_serve_on_while_the_issuer_is_away() {
    let kit = Kit::start().await;
    kit.issuer.stop().await;
    kit.eventually(|| kit.metric("syncgate_jwks_refresh_total", &[("result", "error")]) >= 2.0).await;
    kit.assert_serves().await;
    assert_eq!(kit.admin("/readyz").await.status(), 200);
    kit.stop().await;
}

#[tokio::test]
async fn requests_under_way_finish_and_then_nothing_holds_up_the_end() {
    let kit = Kit::start_with(|config| config.shutdown_grace = Duration::from_secs(15)).await;
    let token = kit.issuer.token("alice").sign();
    let mut idle = kit.connect().await;
    idle.write(format!("GET /echo HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes()).await;
    kit.within(idle.answer()).await.unwrap();
    let mut busy = kit.connect().await;
    busy.write(format!("GET /silent?ms=1000 HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes()).await;
    kit.eventually(|| kit.metric("syncgate_requests_in_flight", &[]) == 1.0).await;

    let started = Instant::now();
    let (answer, ()) = tokio::join!(async { busy.answer().await }, kit.stop());
    assert_eq!(answer.unwrap().status, 204);
    assert!(started.elapsed() < Duration::from_secs(10), "waited for the idle connection");
}

#[tokio::test]
async fn what_outlasts_the_grace_is_cut() {
    let kit = Kit::start_with(|config| config.shutdown_grace = Duration::from_millis(200)).await;
    let token = kit.issuer.token("alice").sign();
    let mut feed = kit.connect().await;
    let request = format!("GET /changes?feed=continuous HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n");
    feed.write(request.as_bytes()).await;
    kit.within(feed.read_until("200 OK")).await;
    let (rest, ()) = tokio::join!(async { feed.read_to_end().await }, kit.stop());
    assert!(!rest.ends_with(b"0\r\n\r\n"));
}

#[tokio::test]
async fn a_gateway_that_stops_says_so_before_it_refuses() {
    let kit = Kit::start_with(|config| config.shutdown_delay = Duration::from_secs(2)).await;
    let (ready, token) = (kit.admin_url("/readyz"), kit.issuer.token("alice").sign());
    let (client, url) = (syncgate::demo::http_client().unwrap(), kit.url("/echo"));
    let leaving = async {
        while client.get(&ready).send().await.unwrap().status() != 503 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        client.get(&url).bearer_auth(&token).send().await.unwrap().status()
    };
    let (status, ()) = tokio::join!(leaving, kit.stop());
    assert_eq!(status, 200, "a request that was under way to it is served");
}

/// Files for `syncgate run`, and the process.
pub struct Process {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
    _folder: TempDir,
}

fn write_config(issuer: &DemoIssuer, listen: &str, key_mode: u32) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("signing.pem");
    std::fs::write(&key_file, DemoKey::shared(5).unwrap().private_key_pem().unwrap().as_bytes()).unwrap();
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(key_mode)).unwrap();
    let config = folder.path().join("gateway.yaml");
    let text = format!(
        "listen: {{ address: \"{listen}\", max_connections: 100 }}\nadmin: {{ address: \"127.0.0.1:0\" }}\nissuers:\n  - name: contoso\n    discovery: {}\n    \
         issuer: {}\n    audiences: [{}]\n    user_id: oid\nsigning: {{ key_file: signing.pem }}\nupstream: {{ url: \"http://127.0.0.1:9\" }}\n",
        issuer.discovery_url(),
        issuer.issuer(),
        issuer.options().audience
    );
    std::fs::write(&config, text).unwrap();
    (folder, config)
}

/// Runs a gateway with this config, which lies in the folder.
pub fn run(folder: TempDir, config: &PathBuf) -> Process {
    let mut child =
        Command::new(env!("CARGO_BIN_EXE_syncgate")).arg("run").arg("--config").arg(config).stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    Process { child, log, _folder: folder }
}

impl Process {
    /// The fields of the first log line that has this message.
    fn await_line(&mut self, message: &str) -> serde_json::Value {
        self.await_line_that(|found| found == message, message)
    }

    /// The fields of the first log line whose message begins so.
    pub fn await_line_that_begins(&mut self, beginning: &str) -> serde_json::Value {
        self.await_line_that(|found| found.starts_with(beginning), beginning)
    }

    fn await_line_that(&mut self, is_it: impl Fn(&str) -> bool, message: &str) -> serde_json::Value {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.log.read_line(&mut line).unwrap(), 0, "the process ended before it said {message:?}");
            let value: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            if value["message"].as_str().is_some_and(&is_it) {
                return value;
            }
        }
    }

    /// Nobody reads its log any more.
    pub fn stop_reading(&mut self) {
        let (nobody, _) = std::io::pipe().unwrap();
        // Another end in its place: that of the process has no reader then.
        let stderr = std::process::ChildStderr::from(std::os::fd::OwnedFd::from(nobody));
        self.log = BufReader::new(stderr);
    }

    pub fn signal(&self, name: &str) {
        Command::new("kill").arg(name).arg(self.child.id().to_string()).status().unwrap();
    }

    /// Ends it as an operator does. What was left of the log.
    pub fn terminate(self) -> String {
        Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        self.await_exit(Duration::from_secs(10)).1
    }

    /// The exit code and what was left of the log.
    fn await_exit(mut self, within: Duration) -> (Option<i32>, String) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < within, "the process hangs");
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        (status.code(), rest)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already in a test that passed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn sigterm_ends_an_idle_process_at_once() {
    let issuer = DemoIssuer::start().await.unwrap();
    let (folder, config) = write_config(&issuer, "127.0.0.1:0", 0o600);
    let code = tokio::task::spawn_blocking(move || {
        let mut process = run(folder, &config);
        let serving = process.await_line("serving");
        let address = serving["address"].as_str().unwrap().to_owned();
        let mut client = std::net::TcpStream::connect(&address).unwrap();
        client.write_all("GET /\u{fc}?token=secret HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n".as_bytes()).unwrap();
        let request = process.await_line("request");
        assert_eq!(request["path"], "/%C3%BC", "neither the query nor raw text of a client");
        assert_eq!((request["status"].as_u64(), request["reason"].as_str()), (Some(401), Some("missing_token")));
        Command::new("kill").arg("-TERM").arg(process.child.id().to_string()).status().unwrap();
        process.await_exit(Duration::from_secs(5)).0
    });
    assert_eq!(code.await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_second_sigterm_cuts_what_is_under_way() {
    let issuer = DemoIssuer::start().await.unwrap();
    let token = issuer.token("alice").sign();
    let (folder, config) = write_config(&issuer, "127.0.0.1:0", 0o600);
    let code = tokio::task::spawn_blocking(move || {
        // Takes requests and says nothing.
        let upstream = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let text = std::fs::read_to_string(&config).unwrap();
        let url = format!("http://{}", upstream.local_addr().unwrap());
        std::fs::write(&config, text.replace("http://127.0.0.1:9", &url)).unwrap();
        let mut process = run(folder, &config);
        let serving = process.await_line("serving");
        let address = serving["address"].as_str().unwrap();
        upstream.set_nonblocking(true).unwrap();
        let started = Instant::now();
        // Until the keys are there the answer is 503.
        let _under_way = loop {
            assert!(started.elapsed() < Duration::from_secs(10), "no request reaches the upstream");
            let mut client = std::net::TcpStream::connect(address).unwrap();
            client
                .write_all(format!("GET / HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes())
                .unwrap();
            client.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            let _ = client.read(&mut [0]);
            if let Ok(accepted) = upstream.accept() {
                break (client, accepted);
            }
        };
        process.signal("-TERM");
        process.await_line("stopping");
        process.signal("-TERM");
        process.await_exit(Duration::from_secs(10)).0
    });
    assert_eq!(code.await.unwrap(), Some(0));
}

#[tokio::test]
async fn signals_of_other_servers_do_not_end_it_and_sigquit_ends_it_in_order() {
    let issuer = DemoIssuer::start().await.unwrap();
    let (folder, config) = write_config(&issuer, "127.0.0.1:0", 0o600);
    let code = tokio::task::spawn_blocking(move || {
        let mut process = run(folder, &config);
        process.await_line("serving");
        for name in ["USR1", "USR2"] {
            process.signal(&format!("-{name}"));
            assert_eq!(process.await_line("this signal is ignored")["signal"], format!("SIG{name}"));
        }
        process.signal("-QUIT");
        process.await_line("stopped");
        process.await_exit(Duration::from_secs(5)).0
    });
    assert_eq!(code.await.unwrap(), Some(0));
}

#[tokio::test]
async fn sighup_reads_the_config_again_and_keeps_the_last_good_one() {
    let issuer = DemoIssuer::start().await.unwrap();
    let (folder, config) = write_config(&issuer, "127.0.0.1:0", 0o600);
    let outcome = tokio::task::spawn_blocking(move || {
        let good = std::fs::read_to_string(&config).unwrap();
        let mut process = run(folder, &config);
        process.await_line("serving");
        let signal = |process: &Process, name: &str| {
            Command::new("kill").arg(name).arg(process.child.id().to_string()).status().unwrap();
        };
        std::fs::write(&config, format!("{good}realm: \"a\\\"b\"\n")).unwrap();
        signal(&process, "-HUP");
        let refused = process.await_line("the new config is not valid; the last good one is kept");
        std::fs::write(&config, format!("{good}threads: 3\nlog: {{ level: debug }}\n")).unwrap();
        signal(&process, "-HUP");
        process.await_line("the new config is in use");
        let restart = process.await_line("these changed settings need a restart");
        std::fs::write(&config, good).unwrap();
        signal(&process, "-HUP");
        process.await_line("the new config is in use");
        signal(&process, "-TERM");
        let (code, _) = process.await_exit(Duration::from_secs(5));
        (refused["error"].as_str().unwrap().to_owned(), restart["settings"].as_str().unwrap().to_owned(), code)
    });
    let (refused, restart, code) = outcome.await.unwrap();
    assert!(refused.contains("gateway.yaml") && refused.contains("realm"), "{refused}");
    assert_eq!((restart.as_str(), code), ("threads", Some(0)));
}

#[tokio::test]
async fn a_start_without_the_provider_serves_from_the_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = folder.path().join("contoso.json");
    let issuer = DemoIssuer::start().await.unwrap();
    // The first gateway writes it.
    let (trusted, file) = (world::trust(&issuer), snapshot.clone());
    let first = WorldOptions::default().config(move |config| {
        config.issuers = vec![trusted];
        config.issuers[0].jwks.snapshot_file = Some(file);
    });
    let kit = Kit::start_unready(first).await;
    kit.await_ready().await;
    kit.eventually(|| snapshot.exists()).await;
    kit.stop().await;
    // The second one starts while the provider is away.
    issuer.stop().await;
    let (trusted, file) = (world::trust(&issuer), snapshot.clone());
    let second = WorldOptions::default().config(move |config| {
        config.issuers = vec![trusted];
        config.issuers[0].jwks.snapshot_file = Some(file);
    });
    let kit = Kit::start_unready(second).await;
    kit.await_ready().await;
    assert_eq!(kit.get("/echo", &issuer.token("alice").sign()).await.status(), 200);
    let unknown = kit.get("/echo", &issuer.token("alice").header("kid", "x").sign()).await;
    assert_eq!(unknown.status(), 503, "a snapshot does not prove that a key is not there");
    kit.stop().await;
    // One that others can read is not trusted.
    std::fs::set_permissions(&snapshot, std::fs::Permissions::from_mode(0o644)).unwrap();
    let trusted = world::trust(&issuer);
    let third = WorldOptions::default().config(move |config| {
        config.issuers = vec![trusted];
        config.issuers[0].jwks.snapshot_file = Some(snapshot);
    });
    let kit = Kit::start_unready(third).await;
    assert_eq!(kit.get("/echo", &issuer.token("alice").sign()).await.status(), 503);
    kit.stop().await;
    drop(folder);
}

#[tokio::test]
async fn a_discovered_issuer_is_503_until_it_is_known_and_stays_what_it_was() {
    let options = WorldOptions::default().issuer_behaves(Behaviour::Status(500)).config(|config| {
        config.issuers[0].rules.issuer = syncgate::token::IssuerRule::Discovered;
        config.issuers[0].jwks.refresh = Duration::from_millis(50);
    });
    let kit = Kit::start_unready(options).await;
    let token = kit.issuer.token("alice").sign();
    assert_eq!(kit.get("/echo", &token).await.status(), 503);
    kit.issuer.behave(Endpoint::Discovery, Behaviour::Normal);
    kit.issuer.behave(Endpoint::Keys, Behaviour::Normal);
    kit.await_ready().await;
    assert_eq!(kit.get("/echo", &token).await.status(), 200);
    let other = serde_json::json!({ "issuer": "https://fabrikam.com/", "jwks_uri": kit.issuer.keys_url() });
    kit.issuer.behave(Endpoint::Discovery, Behaviour::Document(other.to_string()));
    kit.eventually(|| kit.metric("syncgate_jwks_issuer_changes_total", &[]) == 1.0).await;
    assert_eq!(kit.get("/echo", &kit.issuer.token("bob").sign()).await.status(), 200);
    assert_eq!(kit.get("/echo", &kit.issuer.token("bob").issuer("https://fabrikam.com/").sign()).await.status(), 401);
    kit.stop().await;
}

#[tokio::test]
async fn what_prevents_the_start_is_one_line_and_an_exit_code() {
    let issuer = DemoIssuer::start().await.unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_address = taken.local_addr().unwrap().to_string();
    for (listen, key_mode, expected) in
        [(taken_address.as_str(), 0o600, "cannot listen on"), ("127.0.0.1:0", 0o644, "gateway.yaml:9:12: signing.key_file: ")]
    {
        let (folder, config) = write_config(&issuer, listen, key_mode);
        let outcome = tokio::task::spawn_blocking(move || run(folder, &config).await_exit(Duration::from_secs(10))).await.unwrap();
        assert_eq!(outcome.0, Some(2), "{}", outcome.1);
        assert_eq!(outcome.1.lines().count(), 1, "{}", outcome.1);
        assert!(outcome.1.contains(expected), "{}", outcome.1);
    }
}

#[tokio::test]
async fn a_gateway_that_is_dropped_cuts_its_connections() {
    let recorder = Recorder::socket(|_| None).await;
    let kit = gateway_with(&recorder, serde_json::json!([{ "name": "live" }])).await;
    let mut idle = kit.connect().await;
    let mut socket = kit.socket(&kit.issuer.token("alice").sign()).await;
    kit.assert_metric("syncgate_connections", &[], 2.0).await;
    drop(kit);
    let ends = async { (idle.read_to_end().await, socket.read_to_end().await) };
    tokio::time::timeout(Duration::from_secs(10), ends).await.expect("connections go on");
}
