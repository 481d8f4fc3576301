//! One fetch: from discovery document to `jwks_uri` to key set, limited in time and size.
//!
//! Redirects are not followed: a redirect to another host would let that host name the trusted keys, and no provider needs one.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, header};
use reqwest::{Client, StatusCode, Url, redirect, tls::Version};

use super::{
    JwksError, JwksSettings, KeySource,
    answer::{self, Unpacked},
    cache_control,
    discovery::Discovery,
    fetch_error::FetchError,
    key_file,
    printable::{causes, printable},
    proxy,
    safe_url::safe_url,
};
use crate::{
    tls::{self, Authorities},
    token::{KeySet, KeySetError, KeySetLimits, Party},
};

/// Idle connections serve the second request of one fetch, not the next fetch an hour later.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// What documents are served as (RFC 7517 section 8.5.2, RFC 8259 section 11), and whatever a server says of them.
const ACCEPT: &str = "application/jwk-set+json, application/json, */*;q=0.1";

/// Fetches the key sets of one issuer.
#[derive(Debug)]
pub(super) struct Fetcher {
    client: Client,
    limits: KeySetLimits,
    timeout: Duration,
    /// Where the trusted authorities are, if not in the system's store.
    ca_file: Option<PathBuf>,
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
    /// The issuer that the discovery document names, or its template of issuers.
    pub(super) issuer: Option<Arc<str>>,
    /// How far our clock is ahead of the provider's, in seconds; negative: behind.
    pub(super) clock_skew: Option<f64>,
}

/// An answer with a document.
struct Document {
    headers: HeaderMap,
    body: Vec<u8>,
    clock_skew: Option<f64>,
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

    /// Its URL or file, as readable text.
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
            .pool_idle_timeout(POOL_IDLE_TIMEOUT);
        if let Some(path) = &settings.ca_file {
            let unusable = |problem: String| JwksError::CaFile { path: path.clone(), problem };
            let config = Authorities::read(path).and_then(|authorities| authorities.client_config());
            client = client.tls_backend_preconfigured(config.map_err(|problem| unusable(problem.to_string()))?);
        }
        if let Some(proxy) = proxy::of(settings)? {
            client = client.proxy(proxy);
        }
        let client = client.build().map_err(|error| JwksError::Client(causes(&error)))?;
        Ok(Self { client, limits, timeout: settings.timeout, ca_file: settings.ca_file.clone() })
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
        let keys = keys.map_err(|problem| FetchError::File { path, problem })?;
        Ok(Fetched { keys, max_age: None, issuer: None, clock_skew: None })
    }

    /// `url` is left at what is being fetched, so that a time-out can name it.
    async fn keys_of(&self, is_discovery: bool, url: &mut Url) -> Result<Fetched, FetchError> {
        let mut issuer = None;
        if is_discovery {
            let Document { headers, body, .. } = self.get(url).await?;
            if let Some(problem) = answer::other_than_object(&headers, &body) {
                return Err(FetchError::Discovery { url: url.clone(), problem });
            }
            let discovery = Discovery::parse(url, &body)?;
            *url = discovery.jwks_uri(url)?;
            issuer = discovery.issuer();
        }
        let Document { headers, body, clock_skew } = self.get(url).await?;
        let failed = |problem| FetchError::Keys { url: url.clone(), problem };
        if let Some(other) = answer::other_than_object(&headers, &body) {
            return Err(failed(format!("not a key set: {other}")));
        }
        let party = issuer.as_deref().map(Party::of);
        let keys = KeySet::parse_of(&body, &self.limits, party.as_ref())
            .map_err(|error: KeySetError| failed(printable(&error.to_string())))?;
        let cache_control = headers.get_all(header::CACHE_CONTROL).iter();
        let max_age = cache_control::max_age(cache_control.filter_map(|value| value.to_str().ok()));
        Ok(Fetched { keys, max_age, issuer, clock_skew })
    }

    async fn get(&self, url: &Url) -> Result<Document, FetchError> {
        let network = |error: reqwest::Error| {
            let error = error.without_url();
            let cause = tls::explain(&error, self.ca_file.as_deref()).map_or_else(|| causes(&error), |words| printable(&words));
            // What hyper-util says of a 407 to CONNECT.
            let hint = if cause.contains("proxy authorization required") { proxy::LOGIN_HINT } else { "" };
            FetchError::Network { url: url.clone(), cause: cause + hint }
        };
        let too_large = || FetchError::TooLarge { url: url.clone(), limit: self.limits.bytes };
        let request = self.client.get(url.clone()).header(header::ACCEPT, ACCEPT);
        let sent = SystemTime::now();
        let mut response = request.send().await.map_err(network)?;
        let clock_skew = answer::clock_skew(response.headers(), sent, SystemTime::now());
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status { url: url.clone(), status: response.status() });
        }
        let limit = u64::try_from(self.limits.bytes).unwrap_or(u64::MAX);
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let headers = std::mem::take(response.headers_mut());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(network)? {
            if chunk.len() > self.limits.bytes.saturating_sub(body.len()) {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        let body = answer::unpack(&headers, body, self.limits.bytes).map_err(|problem| match problem {
            Unpacked::TooLarge => too_large(),
            Unpacked::Unreadable(problem) => FetchError::Coding { url: url.clone(), problem },
        })?;
        Ok(Document { headers, body, clock_skew })
    }
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "fetch_corpus_tests.rs"]
mod corpus_tests;
