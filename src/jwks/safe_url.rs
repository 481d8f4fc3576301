//! Which URLs keys may be fetched from.

use reqwest::Url;

use crate::tls::is_loopback;

/// Longer URLs are refused, also since they are logged.
pub(super) const MAX_URL_BYTES: usize = 2048;

/// A URL that keys may be fetched from: https, or http from this machine, without user and password.
pub(super) fn safe_url(text: &str) -> Result<Url, String> {
    if text.len() > MAX_URL_BYTES {
        return Err(format!("is longer than {MAX_URL_BYTES} bytes"));
    }
    let url = Url::parse(text).map_err(|error| format!("is not a valid URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("contains a user or password".to_owned());
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if url.host_str().is_some_and(is_loopback) => Ok(url),
        _ => Err("is not https; plain http is accepted only on loopback".to_owned()),
    }
}
