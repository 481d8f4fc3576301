//! A client for `syncgate admin`. It connects to the admin listener of its config, over plain HTTP/1.1.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{
    AdminSettings,
    credential::{Credential, CredentialError},
};

/// Connecting, and each pause while the answer comes. A refresh takes 10 s at most.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Maximum response. Bytes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The config names no credential.
    #[error("the config has no admin.credential_file: set it, and create the file with `syncgate admin credential --config FILE`")]
    NotConfigured,
    /// The credential cannot be used.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// Not reachable.
    #[error("the gateway does not respond at {address} (admin.address): {source}")]
    Unreachable {
        /// Where it was looked for.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Something else answers.
    #[error("the server at {0} is not syncgate")]
    NotSyncgate(SocketAddr),
    /// It says no.
    #[error("{0}")]
    Refused(String),
}

/// The admin listener of one config.
#[derive(Debug)]
pub struct AdminClient {
    address: SocketAddr,
    credential: Credential,
}

impl AdminClient {
    /// For a gateway with these settings on this machine.
    pub fn new(settings: &AdminSettings) -> Result<Self, ClientError> {
        let path = settings.credential_file.as_ref().ok_or(ClientError::NotConfigured)?;
        let mut address = settings.address;
        // Which of its addresses does not matter.
        match address.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        Ok(Self { address, credential: Credential::read(path)? })
    }

    /// Has the keys of an issuer fetched now. Returns its element of `/keys`.
    pub fn refresh(&self, issuer: &str) -> Result<Value, ClientError> {
        self.post(&format!("/keys/{}/refresh", encoded(issuer)))
    }

    /// Denies a key until the gateway ends; with `force` also where no key has this name, or several have it. Returns what it says of it.
    pub fn purge(&self, issuer: &str, kid: &str, force: bool) -> Result<Value, ClientError> {
        let force = if force { "&force=true" } else { "" };
        self.post(&format!("/keys/{}/purge?kid={}{force}", encoded(issuer), encoded(kid)))
    }

    /// The upstreams and their addresses.
    pub fn upstreams(&self) -> Result<Value, ClientError> {
        self.ask("GET", "/upstreams")
    }

    /// Drains an address of an upstream, or ends that. Returns the upstream as it is then.
    pub fn drain(&self, upstream: &str, address: &str, is_to_drain: bool) -> Result<Value, ClientError> {
        let verb = if is_to_drain { "drain" } else { "undrain" };
        self.post(&format!("/upstreams/{}/{verb}?address={}", encoded(upstream), encoded(address)))
    }

    fn post(&self, target: &str) -> Result<Value, ClientError> {
        self.ask("POST", target)
    }

    fn ask(&self, method: &str, target: &str) -> Result<Value, ClientError> {
        let unreachable = |source| ClientError::Unreachable { address: self.address, source };
        let (status, body) = self.exchange(method, target).map_err(unreachable)?.ok_or(ClientError::NotSyncgate(self.address))?;
        let body: Value = serde_json::from_slice(&body).map_err(|_| ClientError::NotSyncgate(self.address))?;
        match (status, body["error_description"].as_str()) {
            (200, _) => Ok(body),
            (_, Some(description)) => Err(ClientError::Refused(description.to_owned())),
            _ => Err(ClientError::NotSyncgate(self.address)),
        }
    }

    /// Status and body; none if the answer is not HTTP.
    fn exchange(&self, method: &str, target: &str) -> io::Result<Option<(u16, Vec<u8>)>> {
        let mut stream = TcpStream::connect_timeout(&self.address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let credential = self.credential.bearer();
        let head = zeroize::Zeroizing::new(format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nAccept: application/json\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n",
            self.address,
            credential.as_str()
        ));
        stream.write_all(head.as_bytes())?;
        let mut answer = Vec::new();
        stream.take(MAX_BYTES).read_to_end(&mut answer)?;
        Ok(split(&answer))
    }
}

fn encoded(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

fn split(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = answer.split_at_checked(end + 4)?;
    let status = std::str::from_utf8(head).ok()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some((status, body.to_vec()))
}
