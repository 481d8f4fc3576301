//! Programs that nobody here wrote, from npm and PyPI, with the gateway between them: `tests/interop`.
//!
//! Needs Node 20 or newer with npm; the logins and one of the exchanges need Python 3.10 or newer, too. `installed.rs` says what happens without them.

mod backends;
mod exchange;
mod feeds;
mod login;

use std::{
    path::PathBuf,
    process::Stdio,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{installed::INTEROP, kit::Kit, recorder::gateway_of};

/// Longer than a client takes that retries with an expired token.
const DEADLINE: Duration = Duration::from_secs(90);

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
        Self::start(INTEROP.python_command("python").into(), name)
    }

    fn start(program: PathBuf, name: &str) -> Self {
        let mut child = Command::new(program)
            .arg(INTEROP.folder().join(name))
            .current_dir(INTEROP.folder())
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
