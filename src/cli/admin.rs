//! `syncgate admin`.

use std::{
    collections::HashSet,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::{
    admin::{
        AdminSettings,
        client::{AdminClient, ClientError},
        credential::Credential,
    },
    cli::Failure,
    config::Config,
};

/// Change a running gateway: fetch keys now, purge a key, drain an address of an upstream.
///
/// Connects to the config's admin listener, with the credential in `admin.credential_file`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  syncgate admin credential --config gateway.yaml
  syncgate admin refresh --config gateway.yaml --issuer contoso
  syncgate admin purge --config gateway.yaml --issuer contoso --kid X5eXk4xyojNFum1kl2Ytv8dlNP4
  syncgate admin drain --config gateway.yaml --address 10.0.0.7:5984")]
pub(super) struct AdminArgs {
    #[command(subcommand)]
    command: AdminCommand,
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// Create the credential: 32 random bytes in a file that only you can read. The gateway reads it at each call.
    Credential {
        #[command(flatten)]
        gateway: GatewayArgs,
        /// Replace the file if it exists.
        #[arg(long)]
        force: bool,
    },
    /// Fetch the keys of an issuer now, and print the result. Fails if a source could not be fetched.
    Refresh {
        #[command(flatten)]
        gateway: GatewayArgs,
        #[command(flatten)]
        issuer: IssuerArgs,
    },
    /// Stop trusting a key at once, also for users in the cache. Lasts until the gateway stops; prints the config line that makes it
    /// permanent.
    Purge {
        #[command(flatten)]
        gateway: GatewayArgs,
        #[command(flatten)]
        issuer: IssuerArgs,
        /// The kid of the key, or its RFC 7638 thumbprint.
        #[arg(long, allow_hyphen_values = true)]
        kid: String,
        /// Deny it even if no key or several keys match. Without this, such a purge fails and changes nothing.
        #[arg(long)]
        force: bool,
    },
    /// Print the addresses of each upstream, their state, and what is in progress there.
    Upstreams {
        #[command(flatten)]
        gateway: GatewayArgs,
    },
    /// Send no new requests to an address of an upstream, and close its WebSockets within `drain_spread`. Lasts until it is undone or the
    /// gateway stops.
    Drain(AddressArgs),
    /// Send requests to an address again.
    Undrain(AddressArgs),
}

#[derive(Debug, Args)]
struct AddressArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    /// The name of the upstream in the config. Not needed if there is only one.
    #[arg(long, value_name = "NAME")]
    upstream: Option<String>,
    /// The address, as `syncgate admin upstreams` prints it.
    #[arg(long)]
    address: String,
}

#[derive(Debug, Args)]
struct GatewayArgs {
    /// The config file of the gateway.
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct IssuerArgs {
    /// The name of the issuer in the config. Not needed if there is only one.
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
}

impl AdminArgs {
    pub(super) fn execute(self) -> Result<(), Failure> {
        match self.command {
            AdminCommand::Credential { gateway, force } => {
                let config = load(&gateway.config)?;
                let path = config.admin.credential_file.ok_or_else(|| unnamed(&gateway.config))?;
                Credential::create(&path, force).map_err(trouble)?;
                say(&format!("The credential is in {}.\n", path.display()))
            }
            AdminCommand::Refresh { gateway, issuer } => {
                let config = load(&gateway.config)?;
                let name = issuer.name(&config)?;
                let answer = client(&config.admin)?.refresh(&name).map_err(no)?;
                let failed = answer["sources"].as_array().is_some_and(|sources| sources.iter().any(|one| one["error"].is_string()));
                let purge = format!("syncgate admin purge --config {} --issuer {name}", gateway.config.display());
                let text = refreshed(&answer, &purge);
                if failed { Err(Failure::No(text)) } else { say(&format!("{text}\n")) }
            }
            AdminCommand::Purge { gateway, issuer, kid, force } => {
                let config = load(&gateway.config)?;
                let answer = client(&config.admin)?.purge(&issuer.name(&config)?, &kid, force).map_err(no)?;
                let word = |name: &str| answer[name].as_str().unwrap_or_default();
                say(&format!(
                    "Denied: {} ({} dropped). It lasts {}.\nTo make it permanent, add to the config ({}):\n  {}\n",
                    word("denied"),
                    keys(answer["keys_dropped"].as_u64().unwrap_or(0)),
                    word("lasts"),
                    word("config_place"),
                    word("config"),
                ))
            }
            AdminCommand::Upstreams { gateway } => {
                let config = load(&gateway.config)?;
                let answer = client(&config.admin)?.upstreams().map_err(no)?;
                say(&answer["upstreams"].as_array().into_iter().flatten().map(addresses).collect::<String>())
            }
            AdminCommand::Drain(address) => address.change(true),
            AdminCommand::Undrain(address) => address.change(false),
        }
    }
}

impl AddressArgs {
    fn change(self, is_to_drain: bool) -> Result<(), Failure> {
        let config = load(&self.gateway.config)?;
        let names: Vec<_> = config.proxy.upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
        let name = match (self.upstream.as_deref(), names.as_slice()) {
            (Some(name), _) => name,
            (None, [only]) => *only,
            (None, names) => {
                return Err(Failure::Trouble(format!("which upstream? Add --upstream with one of: {}", names.join(", "))));
            }
        };
        let answer = client(&config.admin)?.drain(name, &self.address, is_to_drain).map_err(no)?;
        say(&addresses(&answer))
    }
}

/// One line for each address of an upstream.
fn addresses(upstream: &Value) -> String {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let line = |address: &Value| {
        let draining = if address["draining"] == true { ", draining" } else { "" };
        let (state, in_flight, websockets) = (text(address, "state"), &address["in_flight"], &address["websockets"]);
        format!(
            "{} {}: {state}{draining}; {in_flight} in progress, {websockets} of them WebSockets\n",
            text(upstream, "name"),
            text(address, "address")
        )
    };
    upstream["addresses"].as_array().into_iter().flatten().map(line).collect()
}

impl IssuerArgs {
    fn name(self, config: &Config) -> Result<String, Failure> {
        let names: Vec<_> = config.issuers.iter().map(|issuer| issuer.rules.name.as_str()).collect();
        match (self.issuer, names.as_slice()) {
            (Some(name), _) => Ok(name),
            (None, [only]) => Ok((*only).to_owned()),
            (None, names) => Err(Failure::Trouble(format!("which issuer? Add --issuer with one of: {}", names.join(", ")))),
        }
    }
}

fn keys(count: u64) -> String {
    format!("{count} key{}", if count == 1 { "" } else { "s" })
}

/// One line for each source, how many keys there are, and which of them wait for another one to end. `purge` is the command that ends one.
fn refreshed(answer: &Value, purge: &str) -> String {
    let list = |name: &str| answer[name].as_array().cloned().unwrap_or_default();
    let (all, of_state) = (list("keys"), |key: &&Value, state: &str| key["state"] == state);
    // A key has an entry for each of its issuers and certificates.
    let trusted: HashSet<_> =
        all.iter().filter(|key| of_state(key, "trusted")).map(|key| (key["kid"].as_str(), key["thumbprint"].as_str())).collect();
    let trusted = trusted.len() as u64;
    let known = |waiting: &Value| all.iter().find(|key| of_state(key, "trusted") && key["kid"] == waiting["kid"]);
    let waiting = all.iter().filter(|key| of_state(key, "waiting")).filter_map(|waiting| {
        let text = |key: &Value, name: &str| key[name].as_str().unwrap_or_default().escape_default().to_string();
        Some(format!(
            "another key with the kid {} is used once the known one expires. If the provider changed it on purpose, use it now:\n  {purge} \
             --kid {}",
            text(waiting, "kid"),
            text(known(waiting)?, "thumbprint")
        ))
    });
    let verb = if trusted == 1 { "is" } else { "are" };
    let source = |source: &Value| {
        let outcome = source["error"].as_str().map_or_else(|| "fetched".to_owned(), |error| format!("failed: {error}"));
        format!("{}: {outcome}", source["place"].as_str().unwrap_or_default())
    };
    let trusted = format!("{} {verb} trusted", keys(trusted));
    let lines: Vec<_> = list("sources").iter().map(source).chain([trusted]).chain(waiting).collect();
    lines.join("\n")
}

fn load(path: &Path) -> Result<Config, Failure> {
    Config::load(path).map_err(trouble)
}

/// There is no place for the credential.
fn unnamed(config: &Path) -> Failure {
    let config = config.display();
    Failure::Trouble(format!("{config} has no admin.credential_file: set it to the file to create, and run this again"))
}

fn client(settings: &AdminSettings) -> Result<AdminClient, Failure> {
    AdminClient::new(settings).map_err(trouble)
}

/// The gateway refused, or is not reachable.
fn no(error: ClientError) -> Failure {
    match error {
        ClientError::Refused(_) => Failure::No(error.to_string()),
        other => trouble(other),
    }
}

fn trouble(error: impl std::fmt::Display) -> Failure {
    Failure::Trouble(error.to_string())
}

fn say(text: &str) -> Result<(), Failure> {
    io::stdout().lock().write_all(text.as_bytes()).map_err(|error| Failure::Trouble(format!("cannot write the output: {error}")))
}
