//! This program once more, in another role, and the CPU time it has used.

use std::{
    error::Error,
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::role::Part;

/// A running part. Dropping it ends it.
pub struct RoleProcess {
    child: Child,
    address: SocketAddr,
    /// What it said after its address.
    words: Vec<String>,
    log: File,
    _folder: tempfile::TempDir,
}

impl RoleProcess {
    /// Starts a part and waits until it serves. Its log goes to a file.
    pub fn start(part: &Part) -> io::Result<Self> {
        Self::spawn(&part.arguments())
    }

    /// The same, of another build of this program.
    pub fn start_of(program: &Path, part: &Part) -> io::Result<Self> {
        Self::spawn_of(program, &part.arguments())
    }

    /// Starts this program with other arguments, which have it serve and say where: its address, then other words.
    pub fn spawn(arguments: &[String]) -> io::Result<Self> {
        Self::spawn_of(&std::env::current_exe()?, arguments)
    }

    /// A part of this program, run by another one: a profiler and its arguments.
    pub fn start_under(runner: &[String], part: &Part) -> io::Result<Self> {
        let [runner, arguments @ ..] = runner else { return Err(io::Error::other("no program")) };
        let program = std::env::current_exe()?.display().to_string();
        let all: Vec<_> = arguments.iter().cloned().chain([program]).chain(part.arguments()).collect();
        Self::spawn_of(Path::new(runner), &all)
    }

    fn spawn_of(program: &Path, arguments: &[String]) -> io::Result<Self> {
        let folder = folder_in_memory()?;
        let log = OpenOptions::new().create(true).append(true).open(folder.path().join("log"))?;
        let mut command = Command::new(program);
        // It ends when its standard input does, so that none is left behind whatever happens here.
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log.try_clone()?).spawn()?;
        let said = child.stdout.take().ok_or_else(|| io::Error::other("no standard output"))?;
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line)?;
        let mut words = line.split_whitespace();
        let address = words.next().and_then(|word| word.parse().ok());
        let address = address.ok_or_else(|| io::Error::other(format!("{} does not serve", arguments.join(" "))))?;
        Ok(Self { child, address, words: words.map(str::to_owned).collect(), log, _folder: folder })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A token that it accepts; empty where it takes none.
    pub fn token(&self) -> &str {
        self.word(0)
    }

    /// Where the issuer of that token has its keys; empty where there is not a token.
    pub fn keys_url(&self) -> &str {
        self.word(1)
    }

    /// What it said after its address; empty where it said less.
    pub fn word(&self, index: usize) -> &str {
        self.words.get(index).map_or("", String::as_str)
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// CPU time of all threads since the start.
    pub fn cpu_time(&self) -> io::Result<Duration> {
        cpu_time(self.child.id())
    }

    /// So that long benches do not fill the disk.
    pub fn empty_log(&self) -> io::Result<()> {
        self.log.set_len(0)
    }
}

impl Drop for RoleProcess {
    fn drop(&mut self) {
        // It ends with its input, and what it started with it; else it is made to.
        drop(self.child.stdin.take());
        let deadline = Instant::now() + Duration::from_secs(2);
        while self.child.try_wait().is_ok_and(|status| status.is_none()) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder that costs no disk, for logs and configs. Dropping it removes it.
pub fn folder_in_memory() -> io::Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
}

/// Free a moment ago. If another process takes it before a server does, the server says so.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Waits for a server that says nothing itself.
pub fn wait_until_it_listens(server: &mut Child, address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(address).is_err() {
        if let Some(status) = server.try_wait()? {
            return Err(format!("ended with {status}").into());
        }
        if Instant::now() > deadline {
            return Err("does not listen".into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Asks a server to end, and waits for it: nginx ends its workers, too. It may have ended by itself.
pub fn end(server: &mut Child) {
    if let Some(process) = i32::try_from(server.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
    }
    let _ = server.wait();
}

/// CPU time of a process and of all that it started and that still run, since their start. Linux only.
pub fn cpu_time(process: u32) -> io::Result<Duration> {
    let mut total = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let thread = thread?.path();
        // In nanoseconds; `stat` next to it counts in hundredths of a second. A thread that has just ended has no file any more.
        let Some(line) = unless_gone(fs::read_to_string(thread.join("schedstat")))? else { continue };
        total += Duration::from_nanos(line.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default());
        let children = unless_gone(fs::read_to_string(thread.join("children")))?;
        for child in children.iter().flat_map(|children| children.split_whitespace()) {
            total += child.parse().map(cpu_time).map_err(io::Error::other)??;
        }
    }
    Ok(total)
}

fn unless_gone(read: io::Result<String>) -> io::Result<Option<String>> {
    match read {
        Err(error)
            if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) =>
        {
            Ok(None)
        }
        read => read.map(Some),
    }
}
