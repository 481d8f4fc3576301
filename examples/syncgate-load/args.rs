//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Parser, Subcommand};
use hyper::{Method, Uri};
use serde_json::Value;

/// Loads a gateway with many users, each with their own token, and reports how long they wait.
///
/// With --rate the load is an open loop: requests are sent at fixed times, regardless of earlier ones, as real users do. Latency
/// counts from the time at which the request was due, so stalls are not hidden. Use this to size a deployment. Without --rate each
/// connection sends its next request when the last one is answered (a closed loop): that shows the maximum throughput, but its latencies
/// mean little.
///
/// Users are hot or cold. Hot users send many requests, and their tokens are in the gateway's cache. A cold user sends one request with a
/// new token, which the gateway has to verify and sign a token for.
#[derive(Debug, Parser)]
#[command(name = "syncgate-load", max_term_width = 110, after_long_help = EXAMPLES, disable_help_subcommand = true)]
pub struct Args {
    #[command(subcommand)]
    pub mode: Mode,
}

const EXAMPLES: &str = "\
Examples:
  Try it, with issuer, gateway and backend in this process:
    syncgate-load http --demo --rate 500 --duration 10

  A deployment, with tokens from a file, one per line:
    syncgate-load http --url https://sync.contoso.example/docs/42 --tokens tokens.txt --connections 64 --rate 1000

  A morning: 5,000 active users, and 50 logins per second:
    syncgate-load http --url https://sync.contoso.example/docs/42 --signing-key issuer.pem --kid test-1 \\
      --issuer https://login.contoso.example/v2.0/ --audience my-api --users 5000 --rate 2000 --cold-rate 50

  The maximum throughput:
    syncgate-load http --url https://sync.contoso.example/docs/42 --tokens tokens.txt --connections 64

  5,000 devices with a WebSocket each, 500 of which send a message each second:
    syncgate-load websocket --url https://sync.contoso.example/live --tokens tokens.txt --connections 5000 --rate 500

  2,000 devices that wait for changes, which the backend answers after 30 seconds if there are none:
    syncgate-load long-poll --url 'https://sync.contoso.example/changes?feed=longpoll' --tokens tokens.txt \\
      --connections 2000 --hold 30 --duration 120

In a pipeline: --expect-status 200 makes any other response a failure, --json prints the report for programs.
Exit codes: 0 done; 1 an unexpected status; 2 the target was not reachable, or the command line is wrong.";

#[derive(Debug, Subcommand)]
pub enum Mode {
    Http(HttpArgs),
    LongPoll(LongPollArgs),
    Websocket(WebSocketArgs),
}

/// Requests and responses over keep-alive connections.
#[derive(Debug, ClapArgs)]
pub struct HttpArgs {
    #[command(flatten)]
    pub common: Common,
    /// The method of each request.
    #[arg(long, default_value = "GET", help_heading = "Target")]
    pub method: Method,
    /// The body of each request.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help_heading = "Target")]
    pub body: Option<String>,
    /// Requests per second of all connections together. Without it: a closed loop.
    #[arg(long, value_name = "R", value_parser = positive, help_heading = "Load")]
    pub rate: Option<f64>,
    /// Requests per second of cold users, part of --rate.
    #[arg(long, value_name = "R", value_parser = positive, requires = "rate", help_heading = "Load")]
    pub cold_rate: Option<f64>,
    /// The same as a share of --rate: 0.05 is one request in twenty.
    #[arg(long, value_name = "SHARE", value_parser = share, requires = "rate", conflicts_with = "cold_rate", help_heading = "Load")]
    pub cold_share: Option<f64>,
    /// Do not add each hot user to the gateway's cache before the measurement starts.
    #[arg(long, help_heading = "Load")]
    pub no_warm_up: bool,
    /// Seconds until a request counts as lost.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds, help_heading = "Load")]
    pub timeout: Duration,
}

/// Polls that the backend answers when it has news, or after a while. Each connection polls again when it has its response.
///
/// Polls that are open at the end are not errors.
#[derive(Debug, ClapArgs)]
pub struct LongPollArgs {
    #[command(flatten)]
    pub common: Common,
    /// Seconds for which the backend holds a poll without news. The latency of a response is the time beyond that.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = any_seconds, help_heading = "Target")]
    pub hold: Duration,
    /// Seconds until a poll counts as lost.
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = seconds, help_heading = "Load")]
    pub timeout: Duration,
}

/// WebSockets, each opened with its user's token.
///
/// Measures the time from a ping to its pong, which any backend sends, or from a message to the next message. Statuses are those of
/// the handshakes: 101 for an open WebSocket.
#[derive(Debug, ClapArgs)]
pub struct WebSocketArgs {
    #[command(flatten)]
    pub common: Common,
    /// The message to send instead of pings; the next message from the backend is the response.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help_heading = "Target")]
    pub message: Option<String>,
    /// Pings or messages per second of all WebSockets together. Without it: a closed loop.
    #[arg(long, value_name = "R", value_parser = positive, help_heading = "Load")]
    pub rate: Option<f64>,
    /// Only keep the WebSockets open.
    #[arg(long, conflicts_with_all = ["rate", "message"], help_heading = "Load")]
    pub idle: bool,
    /// Seconds until a ping or message counts as lost.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds, help_heading = "Load")]
    pub timeout: Duration,
}

/// Options of all modes.
#[derive(Debug, ClapArgs)]
pub struct Common {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub users: UserArgs,
    /// Connections, kept open.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Load")]
    pub connections: u32,
    /// How long, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds, help_heading = "Load")]
    pub duration: Duration,
    /// Threads of the generator. One is enough for about 20,000 requests per second.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..), help_heading = "Load")]
    pub threads: u16,
    /// Fail on any other status or a missing response.
    #[arg(long, value_name = "STATUS", help_heading = "Report")]
    pub expect_status: Option<u16>,
    /// Print the report as one JSON object. Latencies are in microseconds.
    #[arg(long, help_heading = "Report")]
    pub json: bool,
    /// No progress line every second.
    #[arg(long, help_heading = "Report")]
    pub quiet: bool,
}

#[derive(Debug, ClapArgs)]
pub struct TargetArgs {
    /// Where requests go: http or https, with path and query.
    #[arg(long, required_unless_present = "demo", help_heading = "Target")]
    pub url: Option<Uri>,
    /// Start issuer, gateway and backend in this process, and use them.
    #[arg(long, conflicts_with_all = ["url", "tokens", "signing_key", "ca_file"], help_heading = "Target")]
    pub demo: bool,
    /// A header of each request, "Name: value". Can be given several times.
    #[arg(long, value_name = "HEADER", help_heading = "Target")]
    pub header: Vec<String>,
    /// PEM file with the certificates to trust instead of the system's.
    #[arg(long, value_name = "FILE", help_heading = "Target")]
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub struct UserArgs {
    /// Hot users. Default: 100, or as many as the file has tokens.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Users")]
    pub users: Option<u32>,
    /// File with tokens, one per line: the first for --users hot users, the others for cold ones.
    #[arg(long, value_name = "FILE", conflicts_with = "signing_key", help_heading = "Users")]
    pub tokens: Option<PathBuf>,
    /// Private key of a test issuer (PEM) to create tokens with: RSA for RS256, P-256 for ES256. They look like those of Azure AD B2C.
    #[arg(long, value_name = "FILE", requires_all = ["kid", "issuer", "audience"], help_heading = "Users")]
    pub signing_key: Option<PathBuf>,
    /// The key's id in the issuer's key set.
    #[arg(long, value_name = "KID", allow_hyphen_values = true, requires = "signing_key", help_heading = "Users")]
    pub kid: Option<String>,
    /// `iss` of the created tokens.
    #[arg(long, value_name = "URL", requires = "signing_key", help_heading = "Users")]
    pub issuer: Option<String>,
    /// `aud` of the created tokens.
    #[arg(long, value_name = "AUDIENCE", allow_hyphen_values = true, requires = "signing_key", help_heading = "Users")]
    pub audience: Option<String>,
    /// A claim of the created tokens, "name=value", as JSON or as text: scp=sync, roles=["admin"]. Can be given several times.
    #[arg(long, value_name = "CLAIM", value_parser = claim, help_heading = "Users")]
    pub claim: Vec<(String, Value)>,
    /// Lifetime of the created tokens, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds, help_heading = "Users")]
    pub token_lifetime: Duration,
    /// The header with the token.
    #[arg(long, value_name = "HEADER", default_value = "Authorization: Bearer {token}", help_heading = "Users")]
    pub token_header: String,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = positive(text)?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn any_seconds(text: &str) -> Result<Duration, String> {
    if text == "0" { Ok(Duration::ZERO) } else { seconds(text) }
}

fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("not \"name=value\"")?;
    Ok((name.into(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if number > 0.0 && number.is_finite() { Ok(number) } else { Err("must be above 0".into()) }
}

fn share(text: &str) -> Result<f64, String> {
    positive(text).and_then(|share| if share <= 1.0 { Ok(share) } else { Err("must be at most 1".into()) })
}
