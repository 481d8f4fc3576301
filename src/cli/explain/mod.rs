//! `syncgate explain`.

mod exchange;
mod pasted;
mod report;

use std::{
    fs::File,
    io::{self, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use self::{
    exchange::Exchange,
    pasted::{Pasted, token_in},
    report::Report,
};
use crate::{
    cli::Failure,
    config::{Config, IssuerConfig},
    endpoint::EndpointSettings,
    jwks::{FetchedKeys, JwksSettings, fetch_once},
    proxy::RouteSettings,
    server::install_crypto,
    terminal::Look,
    token::{
        Circumstances, Demands, Explanation, IssuerRule, KeySet, KeySetError, KeySetLimits, KeysAtHand, TakenAt, Timestamp,
        TokenLimits, TrustedIssuer, Verdict,
    },
};

/// Explain why a token is accepted or refused, check by check.
///
/// Reads the token from standard input, runs the gateway's checks in order, and prints what each of them expected and found. The first
/// failure, the one that the client gets, is marked; for each failure it says what to change. The issuer's keys are fetched as in
/// the gateway, unless --jwks names a file.
///
/// Shows claims, but never the token or its signature. The exit code is 0 if the token is accepted, 1 if it is refused, 2 if that
/// is unknown, for example because the keys cannot be fetched.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pbpaste | syncgate explain --config gateway.yaml --route default
  pbpaste | syncgate explain --config gateway.yaml --route token     (the form of a token exchange)
  syncgate explain gateway.yaml --jwks keys.json --now 2026-03-01T12:00:00Z < token.txt")]
pub(super) struct ExplainArgs {
    /// The config file (YAML).
    #[arg(long, short, value_name = "FILE", required_unless_present = "file")]
    config: Option<PathBuf>,
    /// The same, without --config.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Also check what this route requires. Not needed if there is only one route.
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// The value of the route's nonce header.
    #[arg(long, value_name = "TEXT")]
    nonce: Option<String>,
    /// Use the issuer's keys from this file instead of fetching them.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Check as of this time (RFC 3339, or seconds since 1970) instead of now.
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
    now: Option<Timestamp>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Standard input, which is always read.
    #[arg(value_name = "-", value_parser = ["-"], hide = true)]
    input: Option<String>,
}

/// Why the result is unknown although every source responded.
const UNDISCOVERED: &str =
    "the iss of an issuer is in its discovery document, which is not fetched with --jwks or does not name one";

impl ExplainArgs {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let config = Config::load(self.config_file()?).map_err(trouble)?;
        let route = route(&config, self.route.as_deref())?;
        if self.nonce.is_some() && route.is_none() {
            return Err(Failure::Trouble("--nonce is for a route: add --route NAME".to_owned()));
        }
        route.map_or(Ok(()), exchange::check_route)?;
        let Pasted { token, around, form } = read_token()?;
        let now = self.now.unwrap_or_else(|| SystemTime::now().into());
        let (issuers, keys) = self.issuers_and_keys(&issuers_at(&config, route), &config.token_limits, &token, now)?;
        let missing = (!keys.failures.is_empty()).then(|| keys.failures.join("; "));
        let mut explanation = Explanation::of(
            &token,
            &Circumstances {
                issuers: &issuers,
                limits: &config.token_limits,
                keys: KeysAtHand {
                    set: &keys.keys,
                    skipped: &keys.skipped,
                    denied: &keys.denied,
                    denied_keys: &keys.denied_keys,
                    missing: missing.as_deref(),
                },
                demands: route
                    .map(|route| Demands { permission: &route.permission, nonce: self.nonce.as_deref().map(str::as_bytes) }),
                now,
            },
        );
        let mut missing = missing;
        if let Some(form) = &form {
            let Exchange { before, after, unknown } = Exchange::examine(route, form, &token, &config.token_limits)?;
            explanation.steps.splice(0..0, before);
            explanation.steps.extend(after);
            missing = missing.or(unknown);
        }
        let answers = exchange::error(route);
        let report = Report::new(&explanation, route.map(|route| route.name.as_str()), &around, now, answers);
        print(&match self.json {
            true => report.json(),
            false => report.text(if io::stdout().is_terminal() { Look::Terminal } else { Look::Plain }),
        });
        match explanation.verdict() {
            Verdict::Accepted => Ok(()),
            Verdict::Refused(_) => Err(Failure::No(String::new())),
            Verdict::Unknown => Err(Failure::Trouble(missing.unwrap_or_else(|| UNDISCOVERED.to_owned()))),
        }
    }

    /// The file that `--config FILE` or `FILE` names. `-`, which is standard input, may be given too.
    fn config_file(&self) -> Result<&Path, Failure> {
        let is_input = |file: &Path| self.input.is_none() && file == Path::new("-");
        match (self.config.as_deref(), self.file.as_deref()) {
            (Some(config), None) => Ok(config),
            (Some(config), Some(file)) if is_input(file) => Ok(config),
            (Some(_), Some(_)) => {
                Err(Failure::Trouble("the config file is given twice: use either --config FILE or FILE".to_owned()))
            }
            (None, Some(file)) if is_input(file) => Err(Failure::Trouble("no config file is given: add --config FILE".to_owned())),
            // Not shown: it may be good for an hour.
            (None, Some(file)) if is_token(file) => Err(Failure::Trouble(
                "this is a token, not a config file: use --config FILE for the config file, and pass the token on standard input"
                    .to_owned(),
            )),
            (None, file) => Ok(file.unwrap_or(Path::new(""))),
        }
    }

    /// The issuers, those that are discovered with what their documents say, and the keys of the one that the token is held against.
    fn issuers_and_keys(
        &self,
        configured: &[&IssuerConfig],
        limits: &TokenLimits,
        token: &[u8],
        now: Timestamp,
    ) -> Result<(Vec<TrustedIssuer>, FetchedKeys), Failure> {
        let mut issuers = Vec::new();
        let mut fetched = Vec::new();
        for IssuerConfig { rules, jwks } in configured {
            let issuer = TrustedIssuer::new(rules.clone());
            let documents = match rules.issuer {
                IssuerRule::Discovered if self.jwks.is_none() => Some(fetch(jwks, now)?),
                _ => None,
            };
            let named = documents.as_ref().map(|documents| documents.issuers.clone()).unwrap_or_default();
            issuers.push(if named.is_empty() { issuer } else { issuer.discovered(named) });
            fetched.push(documents);
        }
        let index = Explanation::issuer_of(token, limits, &issuers);
        let own = index.and_then(|index| fetched.get_mut(index)).and_then(Option::take);
        let keys = match (&self.jwks, own, index.and_then(|index| configured.get(index))) {
            (Some(path), _, Some(issuer)) => read_keys(path, &issuer.jwks, now)?,
            (Some(_), _, None) => FetchedKeys::default(),
            (None, Some(own), _) => own,
            (None, None, Some(issuer)) => fetch(&issuer.jwks, now)?,
            // Why an issuer is not known, if that is so.
            (None, None, None) => {
                let failures = fetched.into_iter().flatten().flat_map(|documents| documents.failures).collect();
                FetchedKeys { failures, ..FetchedKeys::default() }
            }
        };
        Ok((issuers, keys))
    }
}

/// Whether the token was given instead of the config file.
fn is_token(file: &Path) -> bool {
    file.to_str().is_some_and(|text| text.starts_with("eyJ") && text.matches('.').count() == 2) && !file.exists()
}

/// The issuers whose tokens count on a route: those of callers at an endpoint for sign-ins, those of clients elsewhere.
fn issuers_at<'c>(config: &'c Config, route: Option<&RouteSettings>) -> Vec<&'c IssuerConfig> {
    let taken_at = match route.and_then(|route| route.endpoint.as_ref()) {
        Some(EndpointSettings::SignIn(_)) => TakenAt::Endpoints,
        _ => TakenAt::Routes,
    };
    config.issuers.iter().filter(|issuer| issuer.rules.taken_at == taken_at).collect()
}

/// The route of this name; without a name the only route, none if there are several.
fn route<'c>(config: &'c Config, name: Option<&str>) -> Result<Option<&'c RouteSettings>, Failure> {
    let routes = &config.proxy.routes;
    let Some(name) = name else {
        return Ok(match routes.as_slice() {
            [only] => Some(only),
            _ => None,
        });
    };
    routes.iter().find(|one| one.name == name).map(Some).ok_or_else(|| {
        let names: Vec<_> = routes.iter().map(|route| route.name.as_str()).collect();
        Failure::Trouble(format!("there is no route {name:?}; the config has: {}", names.join(", ")))
    })
}

/// The token in what was pasted. Never more than the gateway would look at.
fn read_token() -> Result<Pasted, Failure> {
    /// Longer than any limit that can be set.
    const MAX_INPUT_BYTES: u64 = 1024 * 1024;
    let input = io::stdin();
    if input.is_terminal() {
        eprintln!("Paste the token, then press Enter and Ctrl-D.");
    }
    let mut text = Vec::new();
    input
        .lock()
        .take(MAX_INPUT_BYTES)
        .read_to_end(&mut text)
        .map_err(|error| Failure::Trouble(format!("standard input: {error}")))?;
    let pasted = token_in(&text);
    let none = || Failure::Trouble("there is no token on standard input".to_owned());
    if pasted.token.is_empty() { Err(none()) } else { Ok(pasted) }
}

fn read_keys(path: &Path, settings: &JwksSettings, now: Timestamp) -> Result<FetchedKeys, Failure> {
    let limits = KeySetLimits::default();
    let mut document = Vec::new();
    let most = u64::try_from(limits.bytes).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut document))
        .map_err(|error| Failure::Trouble(format!("{}: {error}", path.display())))?;
    match KeySet::parse(&document, &limits) {
        Ok(keys) => Ok(FetchedKeys::of_document(&keys, settings, now)),
        // A set without a usable key answers the question: the reasons stand with the key that the token names.
        Err(KeySetError::NoUsableKey { skipped }) => Ok(FetchedKeys { skipped, ..FetchedKeys::default() }),
        Err(error) => Err(Failure::Trouble(format!("{}: {error}", path.display()))),
    }
}

fn fetch(settings: &JwksSettings, now: Timestamp) -> Result<FetchedKeys, Failure> {
    install_crypto();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Trouble(format!("cannot start: {error}")))?;
    runtime.block_on(fetch_once(settings, now)).map_err(trouble)
}

/// A closed pipe does not change the exit code.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn trouble(error: impl std::fmt::Display) -> Failure {
    Failure::Trouble(error.to_string())
}

fn time(text: &str) -> Result<Timestamp, &'static str> {
    let seconds = text.parse().ok().map(Timestamp::from_seconds);
    seconds.or_else(|| Timestamp::from_rfc3339(text)).ok_or("accepted: 2026-03-01T12:00:00Z, or seconds since 1970")
}
