//! Servers that nobody here wrote, started with the settings in `tests/differential`, each on ports of its own.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use std::os::unix::process::CommandExt as _;

use super::{
    connection::Connection,
    request::{Handler, Request, Seen},
};

/// How long a server may take to start on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A server in several setups.
pub struct Program {
    /// What each setup is called; each has a port of its own.
    pub setups: &'static [&'static str],
    /// The command that must be there.
    pub needs: &'static str,
    /// The settings that it reads, in which ports and the folder are filled in.
    pub settings: Option<&'static str>,
    /// Its arguments.
    pub arguments: fn(&Place) -> Vec<String>,
}

/// Where a server runs.
pub struct Place {
    folder: tempfile::TempDir,
    /// One for each setup.
    pub ports: Vec<u16>,
    /// The settings, filled in.
    pub settings: PathBuf,
}

impl Place {
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

/// One setup that serves.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub name: &'static str,
    pub address: SocketAddr,
}

impl Setup {
    pub fn connect(&self) -> Connection {
        // Puma does not answer a bad request that is not the first one of its connection.
        Connection::new(self.address, !matches!(self.name, "rack" | "sinatra"))
    }
}

/// A server that runs. It ends when this is dropped, or when this process does.
pub struct Running {
    pub setups: Vec<Setup>,
    guard: Child,
    place: Place,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential")
}

impl Program {
    /// Whether its command is there.
    pub fn is_installed(&self) -> bool {
        let found = |folder: &Path| folder.join(self.needs).is_file();
        let path = std::env::var_os("PATH").unwrap_or_default();
        Path::new(self.needs).is_file() || std::env::split_paths(&path).any(|folder| found(&folder)) || found("/usr/sbin".as_ref())
    }

    /// Starts it and waits until the handlers of each setup answer.
    pub async fn start(&self) -> Running {
        let place = self.place();
        let log = std::fs::File::create(place.path("log")).unwrap();
        // Whatever becomes of this process, its end closes the pipe, and the guard ends the whole group.
        let guard = Command::new("sh")
            .args(["-c", "\"$@\" </dev/null & cat >/dev/null; kill -9 0", "guard", self.needs])
            .args((self.arguments)(&place))
            .current_dir(sources())
            .env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()))
            .env("PORT1", place.ports.get(1).copied().unwrap_or_default().to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let address = |port: &u16| SocketAddr::from(([127, 0, 0, 1], *port));
        let setups =
            self.setups.iter().zip(place.ports.iter().map(address)).map(|(name, address)| Setup { name, address }).collect();
        let running = Running { setups, guard, place };
        running.await_handlers().await.unwrap_or_else(|why| panic!("{} does not start: {why}", self.needs));
        running
    }

    fn place(&self) -> Place {
        let folder = tempfile::Builder::new().prefix("syncgate-differential-").tempdir().unwrap();
        std::fs::create_dir(folder.path().join("empty")).unwrap();
        // All are held at once, so that none is given twice.
        let held: Vec<_> = self.setups.iter().map(|_| free_port()).collect();
        let ports: Vec<u16> = held.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        let mut settings = PathBuf::new();
        if let Some(name) = self.settings {
            let mut text = std::fs::read_to_string(sources().join(name)).unwrap();
            text = text.replace("@FOLDER@", &folder.path().display().to_string());
            for (index, port) in ports.iter().enumerate() {
                text = text.replace(&format!("@PORT{index}@"), &port.to_string());
            }
            settings = folder.path().join(name);
            std::fs::write(&settings, text).unwrap();
        }
        Place { folder, ports, settings }
    }
}

/// A port that is free, and that the system gives to nobody who asks for any: a server that is told to take it does so a while later.
fn free_port() -> TcpListener {
    /// Below the ports that Linux gives by itself.
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let offset = std::process::id().wrapping_mul(257).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", u16::try_from(FIRST + offset).unwrap())) {
            return listener;
        }
    }
}

impl Running {
    /// Waits until each handler of each setup answers; else what was answered, and the log.
    pub async fn await_handlers(&self) -> Result<(), String> {
        let started = Instant::now();
        for setup in &self.setups {
            let mut connection = setup.connect();
            for (request, handler) in controls() {
                loop {
                    let seen = Seen::of(connection.ask(&request.bytes("")).await.as_ref());
                    if seen.handler == handler {
                        break;
                    }
                    if started.elapsed() > START {
                        let log = std::fs::read_to_string(self.place.path("log")).unwrap_or_default();
                        return Err(format!("{}: {} is a matter of {:?}: {log}", setup.name, request.shown(), seen.handler));
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        Ok(())
    }
}

/// A plain request for each handler.
fn controls() -> [(Request, Handler); 7] {
    [
        (Request::get("/admin"), Handler::Admin),
        (Request::get("/admin/x"), Handler::Below),
        (Request::get("/auth"), Handler::Auth),
        (Request::get("/public"), Handler::Public),
        (Request::get("/public/x"), Handler::Public),
        (Request::get("/x"), Handler::Other),
        (Request::get("/x").host("admin.test"), Handler::Host),
    ]
}
