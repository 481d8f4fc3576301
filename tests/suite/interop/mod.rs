//! Programs that nobody here wrote, from npm and PyPI, with the gateway between them: `tests/interop`.
//!
//! Needs Node 20 or newer with npm; the logins need Python 3.10 or newer, too. Without them the tests are skipped and say so; with
//! `SYNCGATE_NO_SKIP` that is a failure. What is installed is pinned: `package-lock.json`, `requirements.txt`.

mod backends;
mod feeds;
mod login;

use std::{
    path::PathBuf,
    process::Stdio,
    sync::LazyLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Mutex,
};

use crate::{kit::Kit, recorder::gateway_of};

/// Longer than a client takes that retries with an expired token.
const DEADLINE: Duration = Duration::from_secs(90);

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/interop")
}

/// The Python of an environment of its own.
fn environment() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("interop-python")
}

type Installed = Mutex<Option<Result<(), String>>>;

/// Whether the packages of npm are there; installs them if they are not. Skips aloud where that is not possible.
async fn node() -> bool {
    static INSTALLED: LazyLock<Installed> = LazyLock::new(Mutex::default);
    is_ready(&INSTALLED, install_node()).await
}

/// The same for those of PyPI.
async fn python() -> bool {
    static INSTALLED: LazyLock<Installed> = LazyLock::new(Mutex::default);
    is_ready(&INSTALLED, install_python()).await
}

async fn is_ready(installed: &Installed, install: impl Future<Output = Result<(), String>>) -> bool {
    let mut installed = installed.lock().await;
    if installed.is_none() {
        *installed = Some(install.await);
    }
    match installed.as_ref().unwrap() {
        Ok(()) => true,
        Err(why) => {
            assert!(std::env::var_os("SYNCGATE_NO_SKIP").is_none(), "must not be skipped: {why}");
            eprintln!("SKIPPED: {why}");
            false
        }
    }
}

async fn install_node() -> Result<(), String> {
    let version = output("node", &["--version"]).await?;
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < 20) {
        return Err(format!("node is {}; 20 or newer is needed", version.trim()));
    }
    // What npm has installed it writes down there.
    let lock = std::fs::metadata(folder().join("package-lock.json")).and_then(|file| file.modified());
    let installed = std::fs::metadata(folder().join("node_modules/.package-lock.json")).and_then(|file| file.modified());
    if matches!((lock, installed), (Ok(lock), Ok(installed)) if installed >= lock) {
        return Ok(());
    }
    output("npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).await.map(drop)
}

async fn install_python() -> Result<(), String> {
    let wanted = std::fs::read(folder().join("requirements.txt")).map_err(|error| format!("requirements.txt: {error}"))?;
    let done = environment().join("installed.txt");
    if std::fs::read(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    output("python3", &["-c", "import sys; sys.exit('Python 3.10 or newer is needed' if sys.version_info < (3, 10) else 0)"])
        .await?;
    let environment = environment();
    output("python3", &["-m", "venv", "--clear", environment.to_str().unwrap()]).await?;
    let pip = environment.join("bin/pip");
    let arguments = ["install", "--quiet", "--require-hashes", "--only-binary", ":all:", "--requirement", "requirements.txt"];
    output(pip.to_str().unwrap(), &arguments).await?;
    std::fs::write(done, wanted).map_err(|error| error.to_string())
}

async fn output(program: &str, arguments: &[&str]) -> Result<String, String> {
    let run = Command::new(program).args(arguments).current_dir(folder()).kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_secs(300), run).await;
    match output.map_err(|_| format!("{program} does not end"))?.map_err(|error| format!("{program}: {error}"))? {
        output if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        output => Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr))),
    }
}

/// A script under `tests/interop`. It ends with this value.
struct Script {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Script {
    fn node(name: &str) -> Self {
        Self::start("node".into(), name)
    }

    fn python(name: &str) -> Self {
        Self::start(environment().join("bin/python"), name)
    }

    fn start(program: PathBuf, name: &str) -> Self {
        let mut child = Command::new(program)
            .arg(folder().join(name))
            .current_dir(folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { _child: child, input, output: BufReader::new(output).lines() }
    }

    async fn tell(&mut self, what: &Value) {
        self.input.write_all(format!("{what}\n").as_bytes()).await.unwrap();
    }

    /// The next thing that it says under this name.
    async fn hears(&mut self, name: &str) -> Value {
        let hearing = async {
            while let Some(line) = self.output.next_line().await.unwrap() {
                let Ok(said) = serde_json::from_str::<Value>(&line) else { continue };
                assert!(said.get("failed").is_none(), "{}", said["failed"].as_str().unwrap_or_default());
                if let Some(value) = said.get(name) {
                    return value.clone();
                }
            }
            panic!("the script ended without {name}");
        };
        tokio::time::timeout(DEADLINE, hearing).await.expect("the script says nothing")
    }
}

/// A client that met a backend through a gateway.
struct Meeting {
    /// What the client found.
    found: Value,
    kit: Kit,
    server: Script,
}

impl Meeting {
    /// Runs both to the end, with a gateway of these settings. One of the client's tokens lives for ten seconds.
    async fn hold(file: Value, server: &str, client: &str) -> Self {
        let (kit, server, mut client) = Self::begin(file, server, client).await;
        let found = client.hears("result").await;
        Self { found, kit, server }
    }

    /// Lets both begin: the gateway, the backend and the client.
    async fn begin(file: Value, server: &str, client: &str) -> (Kit, Script, Script) {
        let mut server = Script::node(server);
        let port = u16::try_from(server.hears("port").await.as_u64().unwrap()).unwrap();
        let kit = gateway_of(([127, 0, 0, 1], port).into(), file).await;
        server.tell(&json!({ "key": kit.pinned_key_pem })).await;
        server.hears("ready").await;
        let mut client = Script::node(client);
        // Its life begins when the client has loaded.
        client.hears("ready").await;
        let life = 10;
        let expires_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(life);
        let token = |user: &str| kit.issuer.token(user);
        client
            .tell(&json!({
                "gateway": kit.url(""),
                "good": token("alice").sign(),
                "another": token("alice").expires_in(1_800).sign(),
                "short": token("alice").expires_in(i64::try_from(life).unwrap()).sign(),
                "forged": token("alice").signature([1; 256]).sign(),
                "expiresAt": u64::try_from(expires_at.as_millis()).unwrap(),
            }))
            .await;
        (kit, server, client)
    }
}
