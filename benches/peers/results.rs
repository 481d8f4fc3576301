//! What the bench found out, in `target/bench/peers.json`. `benches/report` makes tables and plots of it.

use serde::{Deserialize, Serialize};

/// One run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Results {
    pub machine: Vec<Fact>,
    pub versions: Vec<Fact>,
    pub setting: Setting,
    pub proxies: Vec<Proxy>,
}

/// Something said of the machine or a program.
#[derive(Debug, Serialize, Deserialize)]
pub struct Fact {
    pub name: String,
    pub value: String,
}

/// What was the same for all.
#[derive(Debug, Serialize, Deserialize)]
pub struct Setting {
    pub connections: usize,
    pub token_bytes: usize,
    /// How often all proxies were started.
    pub starts: usize,
    /// Of CPU time: how many rounds with each start, and requests to each proxy in each.
    pub cpu_rounds: usize,
    pub cpu_requests: usize,
    /// Of latency: with how many of the starts.
    pub latency_rounds: usize,
    pub latency_seconds: u64,
    /// Requests a second while latency is measured; 0 if it was not.
    pub latency_rate: u64,
}

/// One proxy, round by round. The rounds of all proxies are those of the same minutes.
#[derive(Debug, Serialize, Deserialize)]
pub struct Proxy {
    pub case: Case,
    /// CPU time for each request, in microseconds.
    pub cpu_us: Vec<f64>,
    /// Requests a second, as fast as it answers: for each start.
    pub rate: Vec<f64>,
    pub latency_us: Vec<Percentiles>,
}

/// Of the latency of one round, in microseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Percentiles {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
}

/// A proxy in one configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Case {
    Nginx,
    NginxWithoutLog,
    Haproxy,
    HaproxyJwtVerify,
    Envoy,
    EnvoyJwtAuthn,
    EnvoyJwtAuthnCache,
    Pingora,
    PingoraWithoutLog,
    Syncgate,
    SyncgateWithoutLog,
    /// Built with a profile: `make release-pgo`.
    SyncgateProfiled,
}

impl Case {
    /// For tables and plots.
    pub fn title(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::NginxWithoutLog => "nginx, no log",
            Self::Haproxy => "HAProxy",
            Self::HaproxyJwtVerify => "HAProxy jwt_verify",
            Self::Envoy => "Envoy",
            Self::EnvoyJwtAuthn => "Envoy jwt_authn",
            Self::EnvoyJwtAuthnCache => "Envoy jwt_authn, cache",
            Self::Pingora => "bare Pingora",
            Self::PingoraWithoutLog => "bare Pingora, no log",
            Self::Syncgate => "syncgate",
            Self::SyncgateWithoutLog => "syncgate, no log",
            Self::SyncgateProfiled => "syncgate, PGO",
        }
    }

    /// Whether it refuses a request without a good token.
    pub fn verifies(self) -> bool {
        matches!(self, Self::HaproxyJwtVerify | Self::EnvoyJwtAuthn | Self::EnvoyJwtAuthnCache) || self.is_syncgate()
    }

    /// Whether it is the gateway, in whatever build.
    pub fn is_syncgate(self) -> bool {
        matches!(self, Self::Syncgate | Self::SyncgateWithoutLog | Self::SyncgateProfiled)
    }
}
