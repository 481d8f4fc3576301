//! This program once more, in another role, and the CPU time it has used.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::role::Part;

/// A running part. Dropping it ends it.
pub struct RoleProcess {
    child: Child,
    address: SocketAddr,
    token: String,
    log: File,
    _folder: tempfile::TempDir,
}

impl RoleProcess {
    /// Starts a part and waits until it serves. Its log goes to a file.
    pub fn start(part: &Part) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let log = OpenOptions::new().create(true).append(true).open(folder.path().join("log"))?;
        let mut command = Command::new(std::env::current_exe()?);
        // It ends when its standard input does, so that none is left behind whatever happens here.
        let mut child =
            command.args(part.arguments()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log.try_clone()?).spawn()?;
        let said = child.stdout.take().ok_or_else(|| io::Error::other("no standard output"))?;
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line)?;
        let mut words = line.split_whitespace();
        let address = words.next().and_then(|word| word.parse().ok());
        let address = address.ok_or_else(|| io::Error::other(format!("{:?} does not serve", part.role)))?;
        Ok(Self { child, address, token: words.next().unwrap_or_default().to_owned(), log, _folder: folder })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A token that it accepts; empty where it takes none.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// CPU time of all threads since the start.
    pub fn cpu_time(&self) -> io::Result<Duration> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let line = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += line.split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or_default();
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// So that long benches do not fill the disk.
    pub fn empty_log(&self) -> io::Result<()> {
        self.log.set_len(0)
    }
}

impl Drop for RoleProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
