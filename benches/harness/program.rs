//! A server as users run it, a process of its own: its config written, started on a core, its CPU time and memory read.

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

use super::{
    issuer::Issuer,
    process::{cpu_time, end, folder_in_memory, free_address, wait_until_it_listens},
    role,
};

/// What to start.
pub struct Recipe<'a> {
    pub title: &'a str,
    pub program: &'a Path,
    /// All but the config's name, which is the last.
    pub arguments: &'a [&'a str],
    /// With `${name}` for each value.
    pub config: &'a str,
    /// Whether it signs, and logs among its other words.
    pub is_syncgate: bool,
}

/// A running server. Dropping it ends it.
pub struct Program {
    child: Child,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Program {
    /// Starts it on a core and waits until it listens. `prepare` puts further files into its folder, and may give further values of the
    /// config.
    pub fn start(
        recipe: &Recipe<'_>,
        core: usize,
        upstream: SocketAddr,
        issuer: &Issuer,
        prepare: impl FnOnce(&Path) -> io::Result<Vec<(&'static str, String)>>,
    ) -> Result<Self, Box<dyn Error>> {
        let folder = folder_in_memory()?;
        let address = free_address()?;
        let mut values = prepare(folder.path())?;
        values.extend([
            ("folder", folder.path().display().to_string()),
            ("listen", address.to_string()),
            ("listen_host", address.ip().to_string()),
            ("listen_port", address.port().to_string()),
            ("upstream", upstream.to_string()),
            ("upstream_host", upstream.ip().to_string()),
            ("upstream_port", upstream.port().to_string()),
            ("issuer", issuer.name.clone()),
            ("audience", issuer.audience.clone()),
        ]);
        let fill = |config: String, (name, value): &(&str, String)| config.replace(&format!("${{{name}}}"), value);
        let config_file = folder.path().join("config.yaml");
        fs::write(&config_file, values.iter().fold(recipe.config.to_owned(), fill))?;
        fs::write(folder.path().join("issuer.json"), &issuer.key_set)?;
        fs::write(folder.path().join("issuer.pem"), &issuer.key_pem)?;
        let (log, mut said) = (log_file(folder.path()), folder.path().join("errors.log"));
        if recipe.is_syncgate {
            make_key(recipe.program, folder.path())?;
            said.clone_from(&log);
        }
        let mut command = Command::new(recipe.program);
        command.args(recipe.arguments).arg(&config_file);
        command.stdin(Stdio::null()).stdout(append(&log)?).stderr(append(&said)?);
        // A process starts on the core of the thread that starts it.
        let child = thread::spawn(move || role::pin_to(core).and_then(|()| command.spawn()));
        let child = child.join().map_err(|_| "the thread that starts servers ended early")??;
        let mut server = Self { child, address, folder };
        let listens = wait_until_it_listens(&mut server.child, address);
        listens.map_err(|error| format!("{}: {error}: {}", recipe.title, fs::read_to_string(said).unwrap_or_default()))?;
        Ok(server)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Of all its processes since the start.
    pub fn cpu_time(&self) -> io::Result<Duration> {
        cpu_time(self.child.id())
    }

    /// Memory of all its processes that is resident and its own, in bytes. Linux only.
    pub fn resident(&self) -> io::Result<u64> {
        resident(self.child.id())
    }

    /// So that long benches do not fill the memory.
    pub fn empty_log(&self) -> io::Result<()> {
        OpenOptions::new().write(true).open(log_file(self.folder.path()))?.set_len(0)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Those of these programs that are not installed.
pub fn missing(programs: &[&'static str]) -> Vec<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    programs.iter().copied().filter(|program| !is_there(program)).collect()
}

/// Where its access log is.
pub fn log_file(folder: &Path) -> PathBuf {
    folder.join("access.log")
}

/// What syncgate signs with.
fn make_key(program: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    let made =
        Command::new(program).args(["keys", "generate", "--bits", "2048", "--out"]).arg(folder.join("signing.pem")).output()?;
    if made.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&made.stderr).into()) }
}

fn resident(process: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or_default();
    let own = line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or_default() * 1_024;
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|child| child.parse().ok()).map(resident).sum::<io::Result<u64>>().map(|sum| own + sum)
}

fn append(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().create(true).append(true).open(path)
}
