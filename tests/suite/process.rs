//! `syncgate run` as a process of its own: its log, its memory, its time, its limits.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;
use syncgate::demo::{DemoIssuer, DemoKey};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const DEADLINE: Duration = Duration::from_secs(60);

/// A running gateway. Killed when it is dropped.
pub struct Process {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    pub address: SocketAddr,
    pub admin: SocketAddr,
    _folder: TempDir,
}

impl Process {
    /// Starts one with this upstream, these lines in the config besides, and so many file descriptors; ready to serve.
    pub async fn start(issuer: &DemoIssuer, upstream: SocketAddr, more: &str, descriptors: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("signing.pem");
        fs::write(&key_file, DemoKey::shared(5).unwrap().private_key_pem().unwrap().as_bytes()).unwrap();
        fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
        let config = folder.path().join("gateway.yaml");
        let text = format!(
            "admin: {{ address: \"127.0.0.1:0\" }}\nissuers:\n  - name: contoso\n    discovery: {}\n    issuer: {}\n    audiences: \
             [{}]\n    user_id: oid\nsigning: {{ key_file: signing.pem }}\nupstream: {{ url: \"http://{upstream}\" }}\n{more}\n",
            issuer.discovery_url(),
            issuer.issuer(),
            issuer.options().audience
        );
        fs::write(&config, text).unwrap();
        let script = format!("ulimit -n {descriptors} && exec \"$0\" run --config \"$1\"");
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_syncgate")).arg(&config).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                shared.lock().unwrap().push(line);
            }
        });
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut process = Self { child, log, address: nowhere, admin: nowhere, _folder: folder };
        let serving = process.line("serving").await;
        let address = |name: &str| serving[name].as_str().unwrap().parse().unwrap();
        (process.address, process.admin) = (address("address"), address("admin_address"));
        process
            .eventually(async |process| process.admin("/readyz").await.is_some_and(|answer| answer.starts_with("{\"ready\":true")))
            .await;
        process
    }

    /// The first log line so far, or to come, with this message.
    pub async fn line(&self, message: &str) -> Value {
        let found = || self.lines(message).into_iter().next();
        let started = Instant::now();
        loop {
            if let Some(line) = found() {
                return line;
            }
            assert!(started.elapsed() < DEADLINE, "no line {message:?} in {:#?}", self.log.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// All log lines so far whose message begins so.
    pub fn lines(&self, message: &str) -> Vec<Value> {
        let is_meant = |line: &&Value| line["message"].as_str().is_some_and(|found| found.starts_with(message));
        self.log.lock().unwrap().iter().filter(is_meant).cloned().collect()
    }

    /// Waits until something is so.
    pub async fn eventually(&self, is_so: impl AsyncFn(&Self) -> bool) {
        let started = Instant::now();
        while !is_so(self).await {
            assert!(started.elapsed() < DEADLINE, "the deadline passed: {:#?}", self.log.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What the operators' listener answers with 200, within a second.
    pub async fn admin(&self, path: &str) -> Option<String> {
        let answer = ask(self.admin, path, "", Duration::from_secs(1)).await?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.1 200 ").then(|| body.to_owned())
    }

    /// Whether a user is served, within so long.
    pub async fn serves(&self, token: &str, within: Duration) -> bool {
        let answer = ask(self.address, "/docs/a", &format!("Authorization: Bearer {token}\r\n"), within).await;
        answer.is_some_and(|answer| answer.starts_with("HTTP/1.1 2"))
    }

    /// Bytes of its memory that are resident.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
    }

    /// The processor time that it has used.
    pub fn time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        // A tick is 10 ms wherever Linux runs today.
        Duration::from_millis(ticks * 10)
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        Command::new("kill").arg(name).arg(self.child.id().to_string()).status().unwrap();
    }

    /// Its exit code, when it has ended.
    pub async fn exit(&mut self) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(started.elapsed() < DEADLINE, "the process hangs");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already in some tests.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All of an answer, if it comes within so long.
async fn ask(address: SocketAddr, path: &str, fields: &str, within: Duration) -> Option<String> {
    let asking = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n").as_bytes())
            .await
            .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    };
    tokio::time::timeout(within, asking).await.ok().flatten()
}

/// Lets this process, which plays the clients, open so many files, if it may.
pub fn allow_descriptors(count: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < count) {
        let maximum = limit.maximum.map(|maximum| maximum.max(count));
        setrlimit(Resource::Nofile, Rlimit { current: Some(count), maximum }).expect("the limit of descriptors cannot be raised");
    }
}
