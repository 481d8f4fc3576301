//! The proxy for fetches, with its credentials.

use std::path::Path;

use reqwest::Proxy;
use zeroize::Zeroizing;

use super::{
    JwksError, JwksSettings,
    printable::{causes, printable},
};
use crate::private_file;

/// Maximum size of the credentials file. Bytes.
const MAX_CREDENTIALS_BYTES: usize = 4096;
/// What to do when the proxy says 407.
pub(super) const LOGIN_HINT: &str = "; the proxy requires credentials: set proxy_credentials_file, or correct its content";

/// The proxy of these settings, if there is one. Reads the file with its login.
pub(super) fn of(settings: &JwksSettings) -> Result<Option<Proxy>, JwksError> {
    let Some(url) = &settings.proxy else { return Ok(None) };
    let unusable = |problem: String| JwksError::Proxy { proxy: printable(url), problem };
    let proxy = Proxy::all(url).map_err(|error| unusable(causes(&error)))?;
    let Some(path) = &settings.proxy_credentials_file else { return Ok(Some(proxy)) };
    let login = login(path).map_err(unusable)?;
    let (user, password) = login.split_once(':').ok_or_else(|| unusable(not_a_login(path)))?;
    Ok(Some(proxy.basic_auth(user, password)))
}

/// One line: the user, a colon, the password (RFC 7617 section 2).
fn login(path: &Path) -> Result<Zeroizing<String>, String> {
    let content = private_file::read(path, MAX_CREDENTIALS_BYTES).map_err(|error| error.to_string())?;
    let line = content.strip_suffix(b"\n").unwrap_or(&content);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok(text) if !text.contains(['\n', '\r', '\0']) => Ok(Zeroizing::new(text.to_owned())),
        _ => Err(not_a_login(path)),
    }
}

fn not_a_login(path: &Path) -> String {
    format!("{} does not contain one line of the form user:password", path.display())
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
