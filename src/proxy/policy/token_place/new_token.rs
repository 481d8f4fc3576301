//! [`NewToken`]: the token that replaces the client's, and header values that are as secret.

use http::HeaderValue;

use crate::token::Rejection;

/// A token to be put instead of the client's: `Bearer <token>`, as a header value.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct NewToken<'a>(&'a HeaderValue);

impl<'a> NewToken<'a> {
    const SCHEME: &'static str = "Bearer ";

    /// A header value that starts with `Bearer ` and is visible ASCII.
    pub(in crate::proxy) fn from_authorization(value: &'a HeaderValue) -> Self {
        Self(value)
    }

    pub(super) fn authorization(&self) -> &'a HeaderValue {
        self.0
    }

    /// The token alone.
    pub(in crate::proxy) fn as_str(&self) -> &'a str {
        self.0.to_str().ok().and_then(|value| value.strip_prefix(Self::SCHEME)).unwrap_or_default()
    }
}

/// A header value that is not shown.
pub(super) fn secret(value: &[u8]) -> Result<HeaderValue, Rejection> {
    let mut value = HeaderValue::from_bytes(value).map_err(|_| Rejection::AuthorizationMalformed)?;
    value.set_sensitive(true);
    Ok(value)
}
