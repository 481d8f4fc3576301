//! Real clients and real backends from npm, with the gateway between them: `tests/interop`.
//!
//! Needs Node 20 or newer and npm. Without them the tests are skipped and say so; with `SYNCGATE_NO_SKIP` that is a failure.

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

use crate::{
    kit::{Kit, gateway_before},
    recorder::config,
};

/// Longer than a client takes that retries with an expired token.
const DEADLINE: Duration = Duration::from_secs(90);

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/interop")
}

/// Whether the packages are there; installs them if they are not. Skips aloud where that is not possible.
async fn is_ready() -> bool {
    static INSTALLING: LazyLock<Mutex<Option<Result<(), String>>>> = LazyLock::new(Mutex::default);
    let mut installed = INSTALLING.lock().await;
    if installed.is_none() {
        *installed = Some(install().await);
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

async fn install() -> Result<(), String> {
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
    fn start(name: &str) -> Self {
        let mut child = Command::new("node")
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

/// Runs a client against a backend through a gateway with this preset. What the client found.
async fn meet(preset: &'static str, server: &str, client: &str) -> (Value, Kit) {
    let mut server = Script::start(server);
    let port = u16::try_from(server.hears("port").await.as_u64().unwrap()).unwrap();
    let settings = config(json!({ "routes": { "preset": preset } }));
    let kit = gateway_before(([127, 0, 0, 1], port).into(), move |config| {
        config.proxy.routes = settings.proxy.routes;
        config.profiles = settings.profiles;
        config.issuers[0].rules.leeway = Duration::ZERO;
    })
    .await;
    server.tell(&json!({ "key": kit.pinned_key_pem })).await;
    server.hears("ready").await;
    let mut client = Script::start(client);
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
    let found = client.hears("result").await;
    (found, kit)
}

#[tokio::test]
async fn pouchdb_replicates_live_and_outlives_its_token() {
    if !is_ready().await {
        return;
    }
    let (found, kit) = meet("couchdb", "couchdb-server.mjs", "pouchdb-client.mjs").await;
    assert_eq!(found["errors"], json!([]), "{found}");
    assert!(found["live"].as_u64().unwrap() < 5_000, "{found}");
    // The feed ended with the token; the client waited, and went on with the next one.
    assert_eq!(
        (&found["expired"], &found["errorsOfExpired"], &found["missed"]),
        (&json!(["token_expired"]), &json!([]), &json!(true))
    );
    // What was never good ends a replication.
    assert_eq!(found["refusedStranger"], json!(["unauthorized"]), "{found}");
    assert_eq!(found["stranger"].as_array().unwrap().len(), 1, "{found}");
    assert!(kit.metric("syncgate_connections_cut_total", &[("cause", "token_end")]) >= 1.0);
    assert_eq!(kit.metric("syncgate_upstream_unauthorized_total", &[]), 0.0);
    kit.stop().await;
}

#[tokio::test]
async fn triplit_syncs_live_and_is_told_in_its_socket_that_a_token_is_invalid() {
    if !is_ready().await {
        return;
    }
    let (found, kit) = meet("triplit", "triplit-server.mjs", "triplit-client.mjs").await;
    assert_eq!(found["errors"], json!([]), "{found}");
    assert!(found["live"].as_u64().unwrap() < 5_000, "{found}");
    assert_eq!((&found["missed"], &found["toldAfterExpiry"]), (&json!(true), &json!(true)), "{found}");
    assert_eq!(found["expired"], json!(["UNAUTHORIZED"]), "{found}");
    assert_eq!(found["stranger"], json!(["UNAUTHORIZED"]), "{found}");
    assert!(kit.metric("syncgate_left_to_backend_total", &[("reason", "expired")]) >= 1.0);
    assert!(kit.metric("syncgate_left_to_backend_total", &[("reason", "bad_signature")]) >= 1.0);
    kit.stop().await;
}
