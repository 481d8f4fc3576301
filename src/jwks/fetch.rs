//! One fetch: discovery document to `jwks_uri` to key set, bounded in time and size.
//!
//! Redirects are not followed: a redirect to another host would let that host name the trusted keys, and no provider needs one.

use std::{error::Error, fmt, path::PathBuf, sync::Arc, time::Duration};

use reqwest::{Certificate, Client, Proxy, StatusCode, Url, redirect, tls::Version};
use serde::Deserialize;

use super::{JwksError, JwksSettings, KeySource, cache_control, key_file};
use crate::token::{KeySet, KeySetError, KeySetLimits};

/// Idle connections serve the second request of one fetch, not the next fetch an hour later.
const POOL_IDLE: Duration = Duration::from_secs(10);
/// Longer URLs are refused, also since they are logged.
const LONGEST_URL: usize = 2048;

/// Fetches the key sets of one issuer.
#[derive(Debug)]
pub(super) struct Fetcher {
    client: Client,
    limits: KeySetLimits,
    timeout: Duration,
}

/// A source with its URL parsed. The query string stays as it is: `?p=` and `?appid=` choose the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Discovery(Url),
    Jwks(Url),
    File(PathBuf),
}

/// What a source answered.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) keys: KeySet,
    /// How long the answer says that it stays fresh.
    pub(super) max_age: Option<Duration>,
    /// The issuer that the discovery document names.
    pub(super) issuer: Option<Arc<str>>,
}

/// Why a fetch failed. No text of the provider's stands in it unescaped.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{url}: {cause}")]
    Network { url: Url, cause: String },
    #[error("{url}: no answer within {} s", after.as_secs_f64())]
    TimedOut { url: Url, after: Duration },
    #[error("{url}: answered {status}{}", hint(*.status))]
    Status { url: Url, status: StatusCode },
    #[error("{url}: more than {limit} bytes")]
    TooLarge { url: Url, limit: usize },
    #[error("{url}: not a discovery document: {problem}")]
    Discovery { url: Url, problem: String },
    #[error("{url}: the jwks_uri {problem}")]
    JwksUri { url: Url, problem: String },
    #[error("{url}: {problem}")]
    Keys { url: Url, problem: String },
    #[error("{} {problem}", path.display())]
    File { path: PathBuf, problem: String },
}

impl Source {
    /// Parses and checks the URL of a source.
    pub(super) fn new(source: &KeySource) -> Result<Self, JwksError> {
        let url = |text: &String| safe_url(text).map_err(|problem| JwksError::Url { url: printable(text), problem });
        Ok(match source {
            KeySource::Discovery(text) => Self::Discovery(url(text)?),
            KeySource::Jwks(text) => Self::Jwks(url(text)?),
            KeySource::File(path) => Self::File(path.clone()),
        })
    }

    /// Its URL or file, for people.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Discovery(url) | Self::Jwks(url) => url.to_string(),
            Self::File(path) => path.display().to_string(),
        }
    }

    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

impl Fetcher {
    /// Prepares the client; reads the file of authorities, if one is named.
    pub(super) fn new(settings: &JwksSettings, limits: KeySetLimits) -> Result<Self, JwksError> {
        let mut client = Client::builder()
            .user_agent(concat!("syncgate/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            // Never from the environment: which way the keys come is a setting like any other.
            .no_proxy()
            .tls_version_min(Version::TLS_1_2)
            .connect_timeout(settings.connect_timeout)
            .pool_idle_timeout(POOL_IDLE);
        if let Some(path) = &settings.ca_file {
            let unusable = |problem: String| JwksError::CaFile { path: path.clone(), problem };
            let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
            let authorities = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(causes(&error)))?;
            if authorities.is_empty() {
                return Err(unusable("no CERTIFICATE in it; PEM is expected".to_owned()));
            }
            client = client.tls_certs_only(authorities);
        }
        if let Some(proxy) = &settings.proxy {
            let proxy = Proxy::all(proxy).map_err(|error| JwksError::Proxy { proxy: printable(proxy), problem: causes(&error) })?;
            client = client.proxy(proxy);
        }
        let client = client.build().map_err(|error| JwksError::Client(causes(&error)))?;
        Ok(Self { client, limits, timeout: settings.timeout })
    }

    /// Fetches the keys of a source, discovery included, within the configured time.
    pub(super) async fn fetch(&self, source: &Source) -> Result<Fetched, FetchError> {
        let (mut url, is_discovery) = match source {
            Source::Discovery(url) => (url.clone(), true),
            Source::Jwks(url) => (url.clone(), false),
            Source::File(path) => return self.read(path.clone()).await,
        };
        match tokio::time::timeout(self.timeout, self.keys_of(is_discovery, &mut url)).await {
            Ok(result) => result,
            Err(_) => Err(FetchError::TimedOut { url, after: self.timeout }),
        }
    }

    async fn read(&self, path: PathBuf) -> Result<Fetched, FetchError> {
        let (limits, place) = (self.limits.clone(), path.clone());
        let keys = tokio::task::spawn_blocking(move || key_file::read(&place, &limits)).await;
        let keys = keys.unwrap_or_else(|error| Err(error.to_string()));
        let keys = keys.map_err(|problem| FetchError::File { path, problem: printable(&problem) })?;
        Ok(Fetched { keys, max_age: None, issuer: None })
    }

    /// `url` is left at what is being fetched, so that a time-out can name it.
    async fn keys_of(&self, is_discovery: bool, url: &mut Url) -> Result<Fetched, FetchError> {
        let mut issuer = None;
        if is_discovery {
            let (document, _) = self.get(url).await?;
            let discovery = Discovery::parse(url, &document)?;
            *url = discovery.jwks_uri(url)?;
            issuer = discovery.issuer();
        }
        let (document, max_age) = self.get(url).await?;
        let keys = KeySet::parse(&document, &self.limits)
            .map_err(|error: KeySetError| FetchError::Keys { url: url.clone(), problem: printable(&error.to_string()) })?;
        Ok(Fetched { keys, max_age, issuer })
    }

    /// The body of an answer, and how long it says that it stays fresh.
    async fn get(&self, url: &Url) -> Result<(Vec<u8>, Option<Duration>), FetchError> {
        let network = |error: reqwest::Error| FetchError::Network { url: url.clone(), cause: causes(&error.without_url()) };
        let too_large = || FetchError::TooLarge { url: url.clone(), limit: self.limits.bytes };
        let request = self.client.get(url.clone()).header(http::header::ACCEPT, "application/json");
        let mut response = request.send().await.map_err(network)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status { url: url.clone(), status: response.status() });
        }
        let limit = u64::try_from(self.limits.bytes).unwrap_or(u64::MAX);
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let cache_control = response.headers().get_all(http::header::CACHE_CONTROL).iter();
        let max_age = cache_control::max_age(cache_control.filter_map(|value| value.to_str().ok()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(network)? {
            if chunk.len() > self.limits.bytes.saturating_sub(body.len()) {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok((body, max_age))
    }
}

/// What is read of a discovery document (OpenID Connect Discovery 1.0 section 3).
#[derive(Deserialize)]
struct Discovery {
    jwks_uri: String,
    #[serde(default)]
    issuer: serde_json::Value,
}

impl Discovery {
    fn parse(url: &Url, document: &[u8]) -> Result<Self, FetchError> {
        serde_json::from_slice(document)
            .map_err(|error| FetchError::Discovery { url: url.clone(), problem: printable(&error.to_string()) })
    }

    /// Where the keys are, query string included.
    fn jwks_uri(&self, url: &Url) -> Result<Url, FetchError> {
        safe_url(&self.jwks_uri).map_err(|problem| FetchError::JwksUri {
            url: url.clone(),
            problem: format!("{} {problem}", printable(&self.jwks_uri)),
        })
    }

    /// The issuer. A template (`{tenantid}`) names nobody; what is no text, or is too long, is left out.
    fn issuer(&self) -> Option<Arc<str>> {
        let issuer = self.issuer.as_str()?;
        let is_one = !issuer.is_empty() && issuer.len() <= LONGEST_URL && !issuer.contains(['{', '}']);
        is_one.then(|| issuer.into())
    }
}

/// A URL that keys may be fetched from: https, or http from this machine, without user and password.
fn safe_url(text: &str) -> Result<Url, String> {
    if text.len() > LONGEST_URL {
        return Err(format!("is longer than {LONGEST_URL} bytes"));
    }
    let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user or password in it".to_owned());
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err("is not https; plain http is taken from loopback only".to_owned()),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        300..=399 => "; redirects are not followed, configure the URL that it leads to",
        404 => "; is the tenant or policy in the URL right?",
        _ => "",
    }
}

/// An error with everything that caused it, for a log line.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        fmt::Write::write_fmt(&mut text, format_args!(": {cause}")).ok();
        next = cause.source();
    }
    printable(&text)
}

/// Text that a stranger may have chosen, fit for a log line: escaped, and not endless.
pub(super) fn printable(text: &str) -> String {
    const LONGEST: usize = 300;
    let readable = |c: char| if (' '..='~').contains(&c) { c.to_string() } else { c.escape_default().to_string() };
    let mut printable: String = text.chars().take(LONGEST).map(readable).collect();
    if text.chars().nth(LONGEST).is_some() {
        printable.push_str("...");
    }
    printable
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "fetch_corpus_tests.rs"]
mod corpus_tests;
