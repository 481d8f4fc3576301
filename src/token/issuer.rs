//! [`TrustedIssuer`]: whose tokens are taken, and under which rules.

use std::time::Duration;

use jsonwebtoken::Algorithm;

use crate::token::{KeySet, Rejection, Timestamp, UnverifiedToken, VerifiedToken};

/// The rules for the tokens of one issuer, as configured. Plain data; the config room checks it before it comes here.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuerSettings {
    /// The name in the config: used in logs and as a metric label. Never taken from a token.
    pub name: String,
    /// Which `iss` is taken.
    pub issuer: IssuerRule,
    /// The token's `aud` must hold one of these, exactly. Never empty.
    pub audiences: Vec<String>,
    /// Algorithms that are taken. Default RS256. Never HMAC.
    pub algorithms: Vec<Algorithm>,
    /// Policies (`tfp`, else `acr`), compared without regard to ASCII case. Empty: any.
    pub policies: Vec<String>,
    /// Authorised parties (`azp`, else `appid`). Empty: any.
    pub authorized_parties: Vec<String>,
    /// Which kinds of token are taken.
    pub kinds: TokenKinds,
    /// Where the user id comes from.
    pub user_id: UserIdRule,
    /// The claim that holds the display name, if a profile uses it. .NET: `NameClaimType`.
    pub name_claim: String,
    /// The claim that holds the roles. .NET: `RoleClaimType`. Default `roles`.
    pub role_claim: String,
    /// Tolerated clock difference. Default 60 s, at most 300 s.
    pub leeway: Duration,
    /// Longest accepted `exp` - `iat`. Default: no limit (Entra issues tokens of up to 28 h).
    pub max_lifetime: Option<Duration>,
    /// Claims that routes and profiles name; no other claim is kept.
    pub kept_claims: Vec<String>,
    /// The `cloud_instance_name` of the discovery document, where it has one: a key that names another is not used.
    pub cloud_instance: Option<String>,
}

/// Which `iss` claims belong to one configured issuer.
#[derive(Clone, Debug, PartialEq)]
pub enum IssuerRule {
    /// One of these, byte for byte.
    Exact(Vec<String>),
    /// A template with `{tenantid}` in it: the token's `tid`, put in its place, must give the `iss`.
    Template {
        /// For example `https://login.microsoftonline.com/{tenantid}/v2.0`.
        pattern: String,
        /// Whose tokens are taken.
        tenants: TenantRule,
    },
}

/// Tenants that a templated issuer takes.
#[derive(Clone, Debug, PartialEq)]
pub enum TenantRule {
    /// These tenant ids (GUIDs, lower case).
    Only(Vec<String>),
    /// Any tenant at all: anybody can open one. The config demands `any_tenant: true` for it.
    Any,
}

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// An access token of a user.
    Access,
    /// An id token: has `nonce`, `at_hash` or `c_hash`, or neither scopes nor roles.
    Id,
    /// A token of an application without a user.
    AppOnly,
}

/// The kinds of token that an issuer's rule takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenKinds {
    /// Access tokens of users. Default yes.
    pub access: bool,
    /// Id tokens. Default no.
    pub id: bool,
    /// App-only tokens. Default no: a client id must not be read as a user id (RFC 9700 section 4.15).
    pub app_only: bool,
}

/// Where the user id comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum UserIdRule {
    /// The first of these claims that the token has; those that it has must agree. One claim is the usual case.
    Claims(Vec<String>),
    /// Text with claims in braces, for example `{tid}_{oid}`. Every claim named must be there.
    Template(String),
}

/// One issuer, ready to verify its tokens.
#[derive(Debug)]
pub struct TrustedIssuer {
    _settings: IssuerSettings,
}

impl TrustedIssuer {
    /// Prepares the rules for use.
    pub fn new(settings: IssuerSettings) -> Self {
        Self { _settings: settings }
    }

    /// The issuer's name in the config.
    pub fn name(&self) -> &str {
        todo!()
    }

    /// Whether the token says that it comes from this issuer, so that this issuer's keys are the ones to try.
    pub fn claims(&self, _token: &UnverifiedToken<'_>) -> bool {
        todo!()
    }

    /// Verifies a token: the header, the claims, the key, the signature. The only maker of [`VerifiedToken`].
    ///
    /// Everything that costs little is checked before the signature.
    pub fn verify(&self, _token: &UnverifiedToken<'_>, _keys: &KeySet, _now: Timestamp) -> Result<VerifiedToken, Rejection> {
        todo!()
    }
}
