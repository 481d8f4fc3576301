//! One fetch: discovery document to `jwks_uri` to key set, bounded in time and size.
//!
//! Redirects are not followed: a redirect to another host would let that host name the trusted keys, and no provider needs one.

use std::{error::Error, fmt, time::Duration};

use reqwest::{Certificate, Client, StatusCode, Url, redirect, tls::Version};
use serde::Deserialize;

use super::{JwksError, JwksSettings, KeySource};
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
pub(super) struct Source {
    url: Url,
    is_discovery: bool,
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
}

impl Source {
    /// Parses and checks the URL of a source.
    pub(super) fn new(source: &KeySource) -> Result<Self, JwksError> {
        let (KeySource::Discovery(text) | KeySource::Jwks(text)) = source;
        let url = safe_url(text).map_err(|problem| JwksError::Url { url: printable(text), problem })?;
        Ok(Self { url, is_discovery: matches!(source, KeySource::Discovery(_)) })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }
}

impl Fetcher {
    /// Prepares the client; reads the file of authorities, if one is named.
    pub(super) fn new(settings: &JwksSettings, limits: KeySetLimits) -> Result<Self, JwksError> {
        let mut client = Client::builder()
            .user_agent(concat!("syncgate/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
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
        let client = client.build().map_err(|error| JwksError::Client(causes(&error)))?;
        Ok(Self { client, limits, timeout: settings.timeout })
    }

    /// Fetches the keys of a source, discovery included, within the configured time.
    pub(super) async fn fetch(&self, source: &Source) -> Result<KeySet, FetchError> {
        let mut url = source.url.clone();
        match tokio::time::timeout(self.timeout, self.keys_of(source, &mut url)).await {
            Ok(result) => result,
            Err(_) => Err(FetchError::TimedOut { url, after: self.timeout }),
        }
    }

    /// `url` is left at what is being fetched, so that a time-out can name it.
    async fn keys_of(&self, source: &Source, url: &mut Url) -> Result<KeySet, FetchError> {
        if source.is_discovery {
            let document = self.get(url).await?;
            *url = jwks_uri(url, &document)?;
        }
        let document = self.get(url).await?;
        KeySet::parse(&document, &self.limits)
            .map_err(|error: KeySetError| FetchError::Keys { url: url.clone(), problem: printable(&error.to_string()) })
    }

    async fn get(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
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
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(network)? {
            if chunk.len() > self.limits.bytes.saturating_sub(body.len()) {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// The `jwks_uri` of a discovery document (OpenID Connect Discovery 1.0 section 3), query string included.
fn jwks_uri(url: &Url, document: &[u8]) -> Result<Url, FetchError> {
    #[derive(Deserialize)]
    struct Discovery {
        jwks_uri: String,
    }
    let discovery: Discovery = serde_json::from_slice(document)
        .map_err(|error| FetchError::Discovery { url: url.clone(), problem: printable(&error.to_string()) })?;
    safe_url(&discovery.jwks_uri).map_err(|problem| FetchError::JwksUri {
        url: url.clone(),
        problem: format!("{} {problem}", printable(&discovery.jwks_uri)),
    })
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
