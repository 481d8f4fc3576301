//! [`FetchError`]: why a fetch failed, and what to do about it.

use std::{path::PathBuf, time::Duration};

use reqwest::{StatusCode, Url};

use super::proxy;

/// Why a fetch failed. No text of the provider's is in it unescaped.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{url}: {cause}")]
    Network { url: Url, cause: String },
    #[error("{url}: no response within {} s", after.as_secs_f64())]
    TimedOut { url: Url, after: Duration },
    #[error("{url}: responded with {status}{}", hint(*.status))]
    Status { url: Url, status: StatusCode },
    #[error("{url}: more than {limit} bytes")]
    TooLarge { url: Url, limit: usize },
    #[error("{url}: {problem}")]
    Coding { url: Url, problem: String },
    #[error("{url}: not a discovery document: {problem}")]
    Discovery { url: Url, problem: String },
    #[error("{url}: the jwks_uri {problem}")]
    JwksUri { url: Url, problem: String },
    #[error("{url}: {problem}")]
    Keys { url: Url, problem: String },
    #[error("{} {problem}", path.display())]
    File { path: PathBuf, problem: String },
}

fn hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        304 => "; the request was not conditional, so a cache or proxy on the way is faulty",
        300..=399 => "; redirects are not followed, so configure the final URL",
        401 | 403 => "; keys are public: is the URL right, or does a proxy or firewall on the way require authentication?",
        404 => "; is the tenant or policy in the URL right?",
        407 => proxy::LOGIN_HINT,
        _ => "",
    }
}
