//! Which URLs keys may be fetched from.

use reqwest::Url;

use crate::tls::is_loopback;

/// Longer URLs are refused, also since they are logged.
pub(super) const LONGEST_URL: usize = 2048;

/// A URL that keys may be fetched from: https, or http from this machine, without user and password.
pub(super) fn safe_url(text: &str) -> Result<Url, String> {
    if text.len() > LONGEST_URL {
        return Err(format!("is longer than {LONGEST_URL} bytes"));
    }
    let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user or password in it".to_owned());
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if url.host_str().is_some_and(is_loopback) => Ok(url),
        _ => Err("is not https; plain http is taken from loopback only".to_owned()),
    }
}
