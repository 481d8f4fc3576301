//! The documents in B2C's format: the same members in the same order.

use std::io;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;

use super::{Keys, State};
use crate::demo::DemoKey;

/// The discovery document (OpenID Connect Discovery 1.0 section 3).
#[derive(Serialize)]
pub(super) struct Discovery {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    end_session_endpoint: String,
    jwks_uri: String,
    response_modes_supported: [&'static str; 3],
    response_types_supported: [&'static str; 8],
    scopes_supported: [&'static str; 1],
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: [&'static str; 1],
    token_endpoint_auth_methods_supported: [&'static str; 2],
    claims_supported: [&'static str; 12],
}

impl Discovery {
    pub(super) fn of(state: &State) -> Self {
        Self {
            issuer: state.issuer(),
            authorization_endpoint: state.policy_url("/oauth2/v2.0/authorize"),
            token_endpoint: state.policy_url("/oauth2/v2.0/token"),
            end_session_endpoint: state.policy_url("/oauth2/v2.0/logout"),
            jwks_uri: state.policy_url("/discovery/v2.0/keys"),
            response_modes_supported: ["query", "fragment", "form_post"],
            response_types_supported: [
                "code",
                "code id_token",
                "code token",
                "code id_token token",
                "id_token",
                "id_token token",
                "token",
                "token id_token",
            ],
            scopes_supported: ["openid"],
            subject_types_supported: ["pairwise"],
            id_token_signing_alg_values_supported: ["RS256"],
            token_endpoint_auth_methods_supported: ["client_secret_post", "client_secret_basic"],
            claims_supported: [
                "given_name",
                "emails",
                "oid",
                "sub",
                "tfp",
                "iss",
                "iat",
                "exp",
                "aud",
                "acr",
                "nonce",
                "auth_time",
            ],
        }
    }
}

/// The key set (RFC 7517 section 5).
#[derive(Serialize)]
pub(super) struct KeySet {
    keys: Vec<Jwk>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Jwk {
    /// B2C: these six members and no other.
    Components { kid: String, nbf: i64, r#use: &'static str, kty: &'static str, e: String, n: String },
    /// Entra's members, less `n` and `e`.
    Certificate { kty: &'static str, r#use: &'static str, kid: String, x5t: String, x5c: [String; 1] },
}

impl KeySet {
    pub(super) fn of(keys: &Keys) -> Self {
        let component = |key: &DemoKey| Jwk::Components {
            kid: key.kid().to_owned(),
            nbf: key.made().as_seconds(),
            r#use: "sig",
            kty: "RSA",
            e: key.exponent().to_owned(),
            n: key.modulus().to_owned(),
        };
        Self { keys: keys.published.iter().map(component).collect() }
    }

    pub(super) fn of_certificates(keys: &Keys) -> io::Result<Self> {
        let certificate = |key: &DemoKey| {
            let (kid, x5t) = (key.kid().to_owned(), key.kid().to_owned());
            Ok(Jwk::Certificate { kty: "RSA", r#use: "sig", kid, x5t, x5c: [STANDARD.encode(key.certificate()?)] })
        };
        Ok(Self { keys: keys.published.iter().map(certificate).collect::<io::Result<_>>()? })
    }
}
