//! The members of a discovery document that are used (OpenID Connect Discovery 1.0 section 3).

use std::sync::Arc;

use reqwest::Url;
use serde::Deserialize;

use super::{
    fetch_error::FetchError,
    printable::printable,
    safe_url::{MAX_URL_BYTES, safe_url},
};

#[derive(Deserialize)]
pub(super) struct Discovery {
    jwks_uri: String,
    #[serde(default)]
    issuer: serde_json::Value,
}

impl Discovery {
    pub(super) fn parse(url: &Url, document: &[u8]) -> Result<Self, FetchError> {
        serde_json::from_slice(document)
            .map_err(|error| FetchError::Discovery { url: url.clone(), problem: printable(&error.to_string()) })
    }

    /// Where the keys are, query string included.
    pub(super) fn jwks_uri(&self, url: &Url) -> Result<Url, FetchError> {
        safe_url(&self.jwks_uri).map_err(|problem| FetchError::JwksUri {
            url: url.clone(),
            problem: format!("{} {problem}", printable(&self.jwks_uri)),
        })
    }

    /// The issuer that it names, or a template of issuers. What is not text, or is too long, is left out.
    pub(super) fn issuer(&self) -> Option<Arc<str>> {
        let issuer = self.issuer.as_str()?;
        (!issuer.is_empty() && issuer.len() <= MAX_URL_BYTES).then(|| issuer.into())
    }
}

/// Whether it is one issuer; a template (`{tenantid}`) names none.
pub(super) fn is_one_issuer(named: &str) -> bool {
    !named.contains(['{', '}'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_names_no_issuer() {
        assert!(is_one_issuer("https://login.microsoftonline.com/common/v2.0"));
        for template in ["https://login.microsoftonline.com/{tenantid}/v2.0", "https://x/{", "https://x/}"] {
            assert!(!is_one_issuer(template), "{template}");
        }
    }
}
