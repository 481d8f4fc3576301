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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_https_or_of_this_machine_short_and_without_a_login() {
        let problem = |text: &str| safe_url(text).err().unwrap_or_default();
        let long = |bytes: usize| format!("https://a.test/{}", "x".repeat(bytes - 15));
        for text in ["https://a.test/keys?x=y", "http://127.0.0.1:8080/", "http://localhost/", &long(MAX_URL_BYTES)] {
            assert_eq!(problem(text), "", "{text}");
        }
        assert_eq!(problem(&long(MAX_URL_BYTES + 1)), "is longer than 2048 bytes");
        for text in ["https://user@a.test/", "https://:word@a.test/", "https://user:word@a.test/"] {
            assert_eq!(problem(text), "contains a user or password", "{text}");
        }
        for text in ["http://a.test/", "ftp://localhost/", "file:///etc/keys"] {
            assert_eq!(problem(text), "is not https; plain http is accepted only on loopback", "{text}");
        }
        assert!(problem("keys").starts_with("is not a valid URL"));
    }
}
