//! A proxy with TLS as users run it: its config written, started on the proxies' core.

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

use syncgate::demo::DemoCertificate;

use crate::{
    harness::{
        process::{cpu_time, end, folder_in_memory, free_address, wait_until_it_listens},
        role,
    },
    issuer::Issuer,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Haproxy,
    Syncgate,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Nginx, Self::Haproxy, Self::Syncgate];

    pub fn title(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Syncgate => "syncgate",
        }
    }

    fn program(self) -> PathBuf {
        match self {
            Self::Nginx => "nginx".into(),
            Self::Haproxy => "haproxy".into(),
            Self::Syncgate => env!("CARGO_BIN_EXE_syncgate").into(),
        }
    }

    /// All but the config's name, which is the last.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Nginx => &["-c"],
            Self::Haproxy => &["-db", "-f"],
            Self::Syncgate => &["run", "--config"],
        }
    }

    fn config(self) -> &'static str {
        match self {
            Self::Nginx => include_str!("conf/nginx.conf"),
            Self::Haproxy => include_str!("conf/haproxy.cfg"),
            Self::Syncgate => include_str!("conf/syncgate.yaml"),
        }
    }
}

/// A running proxy. Dropping it ends it.
pub struct Proxy {
    kind: Kind,
    child: Child,
    address: SocketAddr,
    folder: tempfile::TempDir,
    authority_pem: String,
}

impl Proxy {
    /// Starts it on a core and waits until it listens.
    pub fn start(kind: Kind, core: usize, upstream: SocketAddr, issuer: &Issuer) -> Result<Self, Box<dyn Error>> {
        let folder = folder_in_memory()?;
        let certificate = DemoCertificate::create(folder.path())?;
        let both = [fs::read(&certificate.files.chain)?, fs::read(&certificate.files.key)?].concat();
        fs::write(folder.path().join("both.pem"), both)?;
        let address = free_address()?;
        let values = [
            ("folder", folder.path().display().to_string()),
            ("listen", address.to_string()),
            ("upstream", upstream.to_string()),
            ("issuer", issuer.name.clone()),
            ("audience", issuer.audience.clone()),
        ];
        let config =
            values.iter().fold(kind.config().to_owned(), |config, (name, value)| config.replace(&format!("${{{name}}}"), value));
        let config_file = folder.path().join("config.yaml");
        fs::write(&config_file, config)?;
        fs::write(folder.path().join("issuer.json"), &issuer.key_set)?;
        if kind == Kind::Syncgate {
            make_key(folder.path())?;
        }
        let log = || OpenOptions::new().create(true).append(true).open(log_file(folder.path()));
        let mut command = Command::new(kind.program());
        command.args(kind.arguments()).arg(&config_file).stdin(Stdio::null()).stdout(log()?).stderr(log()?);
        // A process starts on the core of the thread that starts it.
        let child = thread::spawn(move || role::pin_to(core).and_then(|()| command.spawn()));
        let child = child.join().map_err(|_| "the thread that starts proxies ended early")??;
        let mut proxy = Self { kind, child, address, folder, authority_pem: certificate.authority_pem };
        let listens = wait_until_it_listens(&mut proxy.child, address);
        listens.map_err(|error| {
            format!("{kind:?}: {error}: {}", fs::read_to_string(log_file(proxy.folder.path())).unwrap_or_default())
        })?;
        Ok(proxy)
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What its clients have to trust.
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    /// Of all its processes since the start.
    pub fn cpu_time(&self) -> io::Result<Duration> {
        cpu_time(self.child.id())
    }

    /// Memory of all its processes that is resident, in bytes.
    pub fn resident(&self) -> io::Result<u64> {
        resident(self.child.id())
    }

    /// So that long benches do not fill the memory.
    pub fn empty_log(&self) -> io::Result<()> {
        OpenOptions::new().write(true).open(log_file(self.folder.path()))?.set_len(0)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn resident(process: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or_default();
    let own = line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or_default() * 1_024;
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|child| child.parse().ok()).map(resident).sum::<io::Result<u64>>().map(|sum| own + sum)
}

/// What syncgate signs with.
fn make_key(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(Kind::Syncgate.program());
    let made = command.args(["keys", "generate", "--bits", "2048", "--out"]).arg(folder.join("signing.pem")).output()?;
    if made.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&made.stderr).into()) }
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("access.log")
}
