//! The backend's own check of a token: one pinned key, RS256, `exp`, `userId`. Shares no code with the gateway.

use std::{fmt, io};

use axum::http::{HeaderMap, header};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Map, Value};

/// The claims of a token that the backend accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct UserClaims(Map<String, Value>);

impl UserClaims {
    /// `userId`.
    pub fn user_id(&self) -> &str {
        self.0.get("userId").and_then(Value::as_str).unwrap_or_default()
    }

    /// Any claim.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// All claims.
    pub(super) fn all(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The names of all claims.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// The one public key that the backend trusts.
pub(super) struct PinnedKey {
    key: DecodingKey,
    rules: Validation,
}

impl PinnedKey {
    pub(super) fn from_pem(pem: &str) -> io::Result<Self> {
        let key = DecodingKey::from_rsa_pem(pem.as_bytes())
            .map_err(|error| io::Error::other(format!("the key to pin is not an RSA public key in PEM: {error}")))?;
        let mut rules = Validation::new(Algorithm::RS256);
        rules.leeway = 0;
        rules.validate_aud = false;
        rules.set_required_spec_claims(&["exp"]);
        Ok(Self { key, rules })
    }

    /// What is wrong with the request's token, in words, or what it says.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<UserClaims, String> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err("not exactly one Authorization header".into());
        };
        let token = value.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).ok_or("not a bearer token")?;
        let claims = decode::<Map<String, Value>>(token, &self.key, &self.rules).map_err(|error| error.to_string())?.claims;
        match claims.get("userId") {
            Some(Value::String(user)) if !user.is_empty() => Ok(UserClaims(claims)),
            _ => Err("no userId".into()),
        }
    }
}

impl fmt::Debug for PinnedKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PinnedKey").finish_non_exhaustive()
    }
}
