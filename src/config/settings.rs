//! [`Config`]: every setting of the gateway. Most of its parts are the settings types of the other rooms.

use std::time::Duration;

use crate::{
    admin::AdminSettings,
    exchange::CacheSettings,
    jwks::JwksSettings,
    proxy::ProxySettings,
    signing::SigningSettings,
    token::{IssuerSettings, MintingProfile, TokenLimits},
};

/// All settings of the gateway, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The edge.
    pub proxy: ProxySettings,
    /// The operators' listener.
    pub admin: AdminSettings,
    /// The issuers and where their keys are; never empty.
    pub issuers: Vec<IssuerConfig>,
    /// Bounds of a client's token.
    pub token_limits: TokenLimits,
    /// What minted tokens say; never empty.
    pub profiles: Vec<MintingProfile>,
    /// Our own key.
    pub signing: SigningSettings,
    /// Bounds of the token cache.
    pub cache: CacheSettings,
    /// The log.
    pub log: LogSettings,
    /// How long requests may go on after SIGTERM. Default 30 s; 0 to 1 h.
    pub shutdown_grace: Duration,
    /// How long `/readyz` says no before the listener closes, so that load balancers stop sending. Default 0; 0 to 5 min.
    pub shutdown_delay: Duration,
    /// Event loops, each on its own thread; 0: one per core. Default 0; up to 1024. A change takes a restart.
    pub threads: usize,
}

impl Config {
    /// The default of `shutdown_grace`.
    pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(30);
}

/// One issuer.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuerConfig {
    /// The rules for its tokens.
    pub rules: IssuerSettings,
    /// Where its keys come from.
    pub jwks: JwksSettings,
}

/// The log on standard error, one line for each event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Readable text or JSON. Default JSON.
    pub format: LogFormat,
    /// The least important level that is written. Default info.
    pub level: LogLevel,
    /// Whether each request is logged. Default yes.
    pub requests: bool,
    /// Maximum number of refusals that are logged in one second; of further ones one line says how many they were. Default 100, 1
    /// to 1,000,000.
    pub refusals_per_second: u32,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Json, level: LogLevel::Info, requests: true, refusals_per_second: 100 }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `key=value` text.
    Text,
    /// One JSON object a line.
    Json,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Only what needs an operator now.
    Error,
    /// And what may need one.
    Warn,
    /// And what happens.
    Info,
    /// And why.
    Debug,
}
