//! [`FetchError`]: why a fetch failed, and what may be done about it.

use std::{path::PathBuf, time::Duration};

use reqwest::{StatusCode, Url};

use super::proxy;

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
        304 => "; it was asked for without a condition, so something between is mistaken: look at caches and proxies",
        300..=399 => "; redirects are not followed, configure the URL that it leads to",
        401 | 403 => "; keys are published for everybody: is the URL right, and does a proxy or firewall on the way want a login?",
        404 => "; is the tenant or policy in the URL right?",
        407 => proxy::LOGIN_HINT,
        _ => "",
    }
}
