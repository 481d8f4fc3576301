//! One proxy of the comparison, whoever made it.

use std::{
    error::Error,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::{
    harness::{issuer::forged, process::RoleProcess, program, role::ANSWER},
    results::Case,
};

/// A running proxy and the token it gets.
pub struct Contender {
    pub case: Case,
    pub token: String,
    program: Program,
}

enum Program {
    Played(RoleProcess),
    Peer(program::Program),
}

impl Contender {
    /// A proxy that this program plays.
    pub fn played(case: Case, process: RoleProcess, token: &str) -> Self {
        Self { case, token: token.to_owned(), program: Program::Played(process) }
    }

    /// A proxy as users run it.
    pub fn peer(case: Case, peer: program::Program, token: &str) -> Self {
        Self { case, token: token.to_owned(), program: Program::Peer(peer) }
    }

    pub fn address(&self) -> SocketAddr {
        match &self.program {
            Program::Played(process) => process.address(),
            Program::Peer(peer) => peer.address(),
        }
    }

    /// Of all its processes since the start.
    pub fn cpu_time(&self) -> io::Result<Duration> {
        match &self.program {
            Program::Played(process) => process.cpu_time(),
            Program::Peer(peer) => peer.cpu_time(),
        }
    }

    /// So that the logs do not fill the memory.
    pub fn empty_log(&self) -> io::Result<()> {
        match &self.program {
            Program::Played(process) => process.empty_log(),
            Program::Peer(peer) => peer.empty_log(),
        }
    }

    /// Makes sure that it does the work that it is measured for.
    pub fn check(&self) -> Result<(), Box<dyn Error>> {
        let answer = self.ask(Some(&self.token))?;
        let body = ANSWER.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        if !answer.starts_with(b"HTTP/1.1 200 ") || !answer.ends_with(body) {
            return Err(self.complaint("its token", &answer));
        }
        if self.case.verifies() {
            for (what, token) in [("no token", None), ("a forged token", Some(forged(&self.token)))] {
                let answer = self.ask(token.as_deref())?;
                if !answer.starts_with(b"HTTP/1.1 401 ") {
                    return Err(self.complaint(what, &answer));
                }
            }
        }
        Ok(())
    }

    fn complaint(&self, what: &str, answer: &[u8]) -> Box<dyn Error> {
        format!("{} answers to {what}: {}", self.case.title(), String::from_utf8_lossy(answer)).into()
    }

    fn ask(&self, token: Option<&str>) -> io::Result<Vec<u8>> {
        let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let mut stream = TcpStream::connect(self.address())?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET / HTTP/1.1\r\nHost: sync.contoso.example\r\n{authorization}Connection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }
}
