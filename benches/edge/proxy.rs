//! A proxy with TLS as users run it.

use std::{error::Error, fs, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, pem::PemObject as _},
};
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

/// The key of its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateKey {
    P256,
    Rsa2048,
}

impl CertificateKey {
    pub fn title(self) -> &'static str {
        match self {
            Self::P256 => "EC P-256",
            Self::Rsa2048 => "RSA-2048",
        }
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
        Self::start_with(kind, CertificateKey::P256, core, upstream, issuer)
    }

    /// The same with a key of this kind.
    pub fn start_with(
        kind: Kind,
        key: CertificateKey,
        core: usize,
        upstream: SocketAddr,
        issuer: &Issuer,
    ) -> Result<Self, Box<dyn Error>> {
        let mut authority_pem = String::new();
        let program = Program::start(&kind.recipe(), core, upstream, issuer, |folder| {
            let certificate = match key {
                CertificateKey::P256 => DemoCertificate::create(folder)?,
                CertificateKey::Rsa2048 => DemoCertificate::create_with_rsa(folder)?,
            };
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

    /// What a client offers that trusts it and speaks this protocol.
    pub fn client_config(&self, protocol: &[u8]) -> Result<Arc<ClientConfig>, Box<dyn Error>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority_pem.as_bytes())?)?;
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions()?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(Arc::new(config))
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
