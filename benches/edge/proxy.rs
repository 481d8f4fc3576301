//! A proxy with TLS as users run it.

use std::{error::Error, fs, io, net::SocketAddr, path::Path, time::Duration};

use syncgate::demo::DemoCertificate;

use crate::harness::{
    issuer::Issuer,
    program::{Program, Recipe},
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

    fn recipe(self) -> Recipe<'static> {
        let (program, arguments, config): (_, &[_], _) = match self {
            Self::Nginx => ("nginx", &["-c"], include_str!("conf/nginx.conf")),
            Self::Haproxy => ("haproxy", &["-db", "-f"], include_str!("conf/haproxy.cfg")),
            Self::Syncgate => (env!("CARGO_BIN_EXE_syncgate"), &["run", "--config"], include_str!("conf/syncgate.yaml")),
        };
        Recipe { title: self.title(), program: Path::new(program), arguments, config, is_syncgate: self == Self::Syncgate }
    }
}

/// A running proxy. Dropping it ends it.
pub struct Proxy {
    kind: Kind,
    program: Program,
    authority_pem: String,
}

impl Proxy {
    /// Starts it on a core, with a new certificate, and waits until it listens.
    pub fn start(kind: Kind, core: usize, upstream: SocketAddr, issuer: &Issuer) -> Result<Self, Box<dyn Error>> {
        let mut authority_pem = String::new();
        let program = Program::start(&kind.recipe(), core, upstream, issuer, |folder| {
            let certificate = DemoCertificate::create(folder)?;
            let both = [fs::read(&certificate.files.chain)?, fs::read(&certificate.files.key)?].concat();
            fs::write(folder.join("both.pem"), both)?;
            authority_pem = certificate.authority_pem;
            Ok(Vec::new())
        })?;
        Ok(Self { kind, program, authority_pem })
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn address(&self) -> SocketAddr {
        self.program.address()
    }

    /// What its clients have to trust.
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    pub fn cpu_time(&self) -> io::Result<Duration> {
        self.program.cpu_time()
    }

    pub fn resident(&self) -> io::Result<u64> {
        self.program.resident()
    }

    pub fn empty_log(&self) -> io::Result<()> {
        self.program.empty_log()
    }
}
