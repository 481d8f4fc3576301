//! Programs that nobody here wrote, from npm and PyPI, with the gateway between them: `tests/interop`.
//!
//! Needs Node 20 or newer with npm; the logins and one of the exchanges need Python 3.10 or newer, too. `installed.rs` says what happens without them.

mod backends;
mod exchange;
mod feeds;
mod https;
mod login;

use std::{
    process::Stdio,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{
    installed::INTEROP,
    kit::Kit,
    recorder::{gateway_of, secure_gateway_of},
};

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
        Self::start(Command::new("node"), name)
    }

    /// The same, where the gateway's certificate is trusted.
    fn trusting_node(name: &str, kit: &Kit) -> Self {
        let mut node = Command::new("node");
        if let Some(certificate) = &kit.certificate {
            node.env("NODE_EXTRA_CA_CERTS", &certificate.authority_file);
        }
        Self::start(node, name)
    }

    fn python(name: &str) -> Self {
        Self::start(Command::new(INTEROP.python_command("python")), name)
    }

    fn start(mut program: Command, name: &str) -> Self {
        let mut child = program
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
        Self::hold_over("http", file, server, client).await
    }

    /// The same over http or https.
    async fn hold_over(scheme: &str, file: Value, server: &str, client: &str) -> Self {
        let (kit, server, mut client) = Self::begin_over(scheme, file, server, client).await;
        let found = client.hears("result").await;
        Self { found, kit, server }
    }

    /// Lets both begin: the gateway, the backend and the client.
    async fn begin(file: Value, server: &str, client: &str) -> (Kit, Script, Script) {
        Self::begin_over("http", file, server, client).await
    }

    async fn begin_over(scheme: &str, file: Value, server: &str, client: &str) -> (Kit, Script, Script) {
        let mut server = Script::node(server);
        let port = u16::try_from(server.hears("port").await.as_u64().unwrap()).unwrap();
        let upstream = ([127, 0, 0, 1], port).into();
        let kit = match scheme {
            "https" => secure_gateway_of(upstream, file).await,
            _ => gateway_of(upstream, file).await,
        };
        let address = kit.tls_address().unwrap_or(kit.gateway.address());
        server.tell(&json!({ "key": kit.pinned_key_pem })).await;
        server.hears("ready").await;
        let mut client = Script::trusting_node(client, &kit);
        // Its life begins when the client has loaded.
        client.hears("ready").await;
        let life = 10;
        let expires_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(life);
        let token = |user: &str| kit.issuer.token(user);
        client
            .tell(&json!({
                "gateway": format!("{scheme}://localhost:{}", address.port()),
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
