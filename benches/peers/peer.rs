//! A proxy as users run it, a process of its own: its config written, started on the proxies' core, its CPU time read.

use std::{
    error::Error,
    fs::{self, OpenOptions},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crate::{
    harness::{
        process::{cpu_time, end, folder_in_memory, free_address, wait_until_it_listens},
        role,
    },
    issuer::Issuer,
    results::Case,
};

/// Them, in the order in which the results name them.
pub const PEERS: [Case; 9] = [
    Case::Nginx,
    Case::NginxWithoutLog,
    Case::Haproxy,
    Case::HaproxyJwtVerify,
    Case::Envoy,
    Case::EnvoyJwtAuthn,
    Case::EnvoyJwtAuthnCache,
    Case::Syncgate,
    Case::SyncgateWithoutLog,
];

/// A running peer. Dropping it ends it.
pub struct Peer {
    child: Child,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Peer {
    /// Writes the config, starts the peer on a core and waits until it listens.
    pub fn start(case: Case, core: usize, upstream: SocketAddr, issuer: &Issuer) -> Result<Self, Box<dyn Error>> {
        Self::start_of(&program(case), case, core, upstream, issuer)
    }

    /// The same, of another build.
    pub fn start_of(
        program: &Path,
        case: Case,
        core: usize,
        upstream: SocketAddr,
        issuer: &Issuer,
    ) -> Result<Self, Box<dyn Error>> {
        let folder = folder_in_memory()?;
        let address = free_address()?;
        let config = config(case, folder.path(), address, upstream, issuer);
        let config_file = folder.path().join("config.yaml");
        fs::write(&config_file, config)?;
        fs::write(folder.path().join("issuer.json"), &issuer.key_set)?;
        fs::write(folder.path().join("issuer.pem"), &issuer.key_pem)?;
        let (log, mut said) = (log_file(folder.path()), folder.path().join("errors.log"));
        let mut command = Command::new(program);
        command.args(arguments(case)).arg(&config_file);
        if case.is_syncgate() {
            make_key(program, folder.path())?;
            // Its access log is among its other words.
            said.clone_from(&log);
        }
        command.stdin(Stdio::null()).stdout(append(&log)?).stderr(append(&said)?);
        // A process starts on the core of the thread that starts it.
        let child = thread::spawn(move || role::pin_to(core).and_then(|()| command.spawn()));
        let child = child.join().map_err(|_| "the thread that starts peers ended early")??;
        let mut peer = Self { child, address, folder };
        let listens = wait_until_it_listens(&mut peer.child, address);
        listens.map_err(|error| format!("{}: {error}: {}", case.title(), fs::read_to_string(said).unwrap_or_default()))?;
        Ok(peer)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Of all its processes since the start.
    pub fn cpu_time(&self) -> io::Result<Duration> {
        cpu_time(self.child.id())
    }

    /// So that long benches do not fill the memory.
    pub fn empty_log(&self) -> io::Result<()> {
        OpenOptions::new().write(true).open(log_file(self.folder.path()))?.set_len(0)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn config(case: Case, folder: &Path, listen: SocketAddr, upstream: SocketAddr, issuer: &Issuer) -> String {
    let template = match case {
        Case::Nginx | Case::NginxWithoutLog => include_str!("conf/nginx.conf"),
        Case::Haproxy => include_str!("conf/haproxy.cfg"),
        Case::HaproxyJwtVerify => include_str!("conf/haproxy-jwt.cfg"),
        Case::EnvoyJwtAuthn | Case::EnvoyJwtAuthnCache => include_str!("conf/envoy-jwt.yaml"),
        _ if case.is_syncgate() => include_str!("conf/syncgate.yaml"),
        _ => include_str!("conf/envoy.yaml"),
    };
    // Lines written together, as the gateway and Envoy do it.
    let log = format!("{} combined buffer=64k flush=1s", log_file(folder).display());
    let values = [
        ("folder", folder.display().to_string()),
        ("listen", listen.to_string()),
        ("listen_host", listen.ip().to_string()),
        ("listen_port", listen.port().to_string()),
        ("upstream", upstream.to_string()),
        ("upstream_host", upstream.ip().to_string()),
        ("upstream_port", upstream.port().to_string()),
        ("log_requests", (case != Case::SyncgateWithoutLog).to_string()),
        ("access_log", if case == Case::NginxWithoutLog { "off".to_owned() } else { log }),
        ("issuer", issuer.name.clone()),
        ("audience", issuer.audience.clone()),
        (
            "jwt_cache_config",
            if case == Case::EnvoyJwtAuthnCache { "jwt_cache_config: { jwt_cache_size: 1000 }" } else { "" }.to_owned(),
        ),
    ];
    values.iter().fold(template.to_owned(), |config, (name, value)| config.replace(&format!("${{{name}}}"), value))
}

fn program(case: Case) -> PathBuf {
    match case {
        Case::Nginx | Case::NginxWithoutLog => "nginx".into(),
        Case::Haproxy | Case::HaproxyJwtVerify => "haproxy".into(),
        _ if case.is_syncgate() => env!("CARGO_BIN_EXE_syncgate").into(),
        _ => "envoy".into(),
    }
}

/// All but the config's name, which is the last.
fn arguments(case: Case) -> &'static [&'static str] {
    match case {
        Case::Nginx | Case::NginxWithoutLog => &["-c"],
        Case::Haproxy | Case::HaproxyJwtVerify => &["-db", "-f"],
        _ if case.is_syncgate() => &["run", "--config"],
        _ => &["--concurrency", "1", "--disable-hot-restart", "--log-level", "warn", "-c"],
    }
}

/// What syncgate signs with.
fn make_key(program: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    let made =
        Command::new(program).args(["keys", "generate", "--bits", "2048", "--out"]).arg(folder.join("signing.pem")).output()?;
    if made.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&made.stderr).into()) }
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("access.log")
}

fn append(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().create(true).append(true).open(path)
}
