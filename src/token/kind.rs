//! What a token is for: an access token of a user, an id token, a token of an application, or something else.

use std::borrow::Cow;

use crate::token::{Rejection, UnverifiedToken, claims::PARTIES, json::Value};

/// What a token is for, determined by its content. Microsoft writes `typ: JWT` on all of its tokens, so the claims decide. The
/// first matching rule decides:
///
/// 1. A sign of another kind: the claim `events` (RFC 8417: security events, logout tokens), a registered `typ` of another kind in the
///    header (any `+jwt` but `at+jwt`), `token_use` (Cognito) or the claim `typ` (Keycloak) with another kind.
/// 2. `idtyp` is `app`, `gty` (Auth0, Kinde, FusionAuth) or `grant_type` is or contains `client-credentials` or
///    `client_credentials`, or `sub` is the client itself (`azp`, `appid`, `client_id`, `cid`): app-only.
/// 3. `at_hash` or `c_hash`, `token_use: id`, Keycloak's `typ: ID`: id token (OpenID Connect Core section 3.3.2.11; no access token
///    has the hashes).
/// 4. B2C (`iss` ends in `/v2.0/`) without a policy (`tfp`, `acr`): without a user journey, or from a custom policy that does not
///    name itself. Treated as app-only.
/// 5. Header `typ` is `at+jwt` (RFC 9068), there are scopes, `token_use: access`, Keycloak's `typ: Bearer`: access token. B2C repeats
///    the `nonce` of the login in access tokens, so a `nonce` beside these does not count.
/// 6. `nonce`: id token.
/// 7. `client_id` (RFC 9068 section 2.2) that is not in `aud`, as it is in an id token: access token. So is one with `client_id` and
///    `jti`, with another `aud` beside the client, and without any sign of a login (`auth_time`, `amr`, `acr`): Zitadel's.
/// 8. Roles, or `sub` equal to `oid` beside a client outside of B2C: app-only.
/// 9. Otherwise id token: it has no sign of an access token.
///
/// One case cannot be distinguished: B2C's client credentials flow runs under a policy too, and where a token of it carries `tfp`
/// and `scp` it looks like a user's. Where a B2C tenant has daemons, list the authorised parties or demand a scope of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// An access token of a user.
    Access,
    /// An id token: tells a client who logged in, grants nothing.
    Id,
    /// A token of an application without a user.
    AppOnly,
    /// Something else: a logout token, a security event, a refresh token, a proof. Never accepted.
    Other,
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

impl Default for TokenKinds {
    fn default() -> Self {
        Self { access: true, id: false, app_only: false }
    }
}

impl TokenKinds {
    /// Whether this kind is accepted, and the rejection if not.
    pub(in crate::token) fn take(self, kind: TokenKind) -> Result<(), Rejection> {
        match kind {
            TokenKind::Access if !self.access => Err(Rejection::UserTokenNotAllowed),
            TokenKind::Id if !self.id => Err(Rejection::IdToken),
            TokenKind::AppOnly if !self.app_only => Err(Rejection::AppOnlyToken),
            TokenKind::Other => Err(Rejection::OtherKind),
            TokenKind::Access | TokenKind::Id | TokenKind::AppOnly => Ok(()),
        }
    }
}

impl TokenKind {
    /// Tells the kind by the rules above.
    ///
    /// Errors: [`Rejection::ClaimsMalformed`] if a claim that decides has the wrong type.
    pub(in crate::token) fn of(token: &UnverifiedToken<'_>, role_claim: &str) -> Result<Self, Rejection> {
        Self::told(token, role_claim).map(|(kind, _)| kind)
    }

    /// The same, with the sign that determined it.
    pub(in crate::token) fn told(token: &UnverifiedToken<'_>, role_claim: &str) -> Result<(Self, &'static str), Rejection> {
        let scopes = token.scopes()?;
        let roles = token.texts(role_claim)?;
        let nonce = token.name("nonce")?;
        let subject = token.text("sub")?;
        let mut is_its_client = false;
        for name in &PARTIES {
            is_its_client |= token.names(name)?.iter().any(|client| subject.is_some_and(|subject| subject == client));
        }
        let app = says_application(token)?;
        if let Some(sign) = says_other(token) {
            return Ok((Self::Other, sign));
        }
        if app {
            return Ok((Self::AppOnly, "idtyp, gty or grant_type"));
        }
        if is_its_client {
            return Ok((Self::AppOnly, "sub is the client"));
        }
        if token.has("at_hash") || token.has("c_hash") {
            return Ok((Self::Id, "at_hash or c_hash"));
        }
        if is(token, "token_use", &["id"]) || is(token, "typ", &["ID"]) {
            return Ok((Self::Id, "token_use or typ"));
        }
        let b2c = token.issuer().is_some_and(|issuer| issuer.ends_with("/v2.0/"));
        if b2c && token.policy()?.is_none() {
            return Ok((Self::AppOnly, "B2C, and neither tfp nor acr names a policy"));
        }
        if registered_type(token).is_some_and(|typ| typ == "at+jwt") {
            return Ok((Self::Access, "typ at+jwt"));
        }
        if !scopes.is_empty() {
            return Ok((Self::Access, "scopes"));
        }
        if is(token, "token_use", &["access"]) || is(token, "typ", &KEYCLOAK_ACCESS) {
            return Ok((Self::Access, "token_use or typ"));
        }
        if nonce.is_some() {
            return Ok((Self::Id, "a nonce, and neither scopes nor typ at+jwt"));
        }
        let audiences = token.texts("aud")?;
        let clients = token.names("client_id")?;
        if !clients.is_empty() && !clients.iter().any(|client| audiences.contains(&client.as_ref())) {
            return Ok((Self::Access, "client_id"));
        }
        if !clients.is_empty() && token.has("jti") && audiences.len() > 1 && !OF_LOGINS.iter().any(|name| token.has(name)) {
            return Ok((Self::Access, "client_id and jti, more than one aud, and no sign of a login"));
        }
        if !roles.is_empty() {
            return Ok((Self::AppOnly, "roles without scopes"));
        }
        let has_client = !token.authorized_parties()?.is_empty();
        if !b2c && has_client && subject.is_some() && subject == token.text("oid")? {
            return Ok((Self::AppOnly, "sub is oid, and there are no scopes"));
        }
        Ok((Self::Id, "no sign of an access token: no scp or scope, no typ at+jwt, no client_id"))
    }
}

/// Whether the token declares that an application obtained it for itself. One such grant in a list is enough.
fn says_application(token: &UnverifiedToken<'_>) -> Result<bool, Rejection> {
    let is_own = |grant: &Cow<'_, str>| grant.replace('_', "-").eq_ignore_ascii_case("client-credentials");
    let has_grant = token.names("gty")?.iter().chain(&token.names("grant_type")?).any(is_own);
    Ok(has_grant || token.names("idtyp")?.iter().any(|kind| kind == "app"))
}

/// The sign of a token that is none of the kinds that can be accepted.
fn says_other(token: &UnverifiedToken<'_>) -> Option<&'static str> {
    if token.has("events") {
        return Some("the claim events: a logout token or a security event");
    }
    if registered_type(token).is_some_and(|typ| typ != "at+jwt") {
        return Some("typ in the header declares another kind");
    }
    if token.has("token_use") && !is(token, "token_use", &["access", "id"]) {
        return Some("token_use is neither access nor id");
    }
    is(token, "typ", &KEYCLOAK_OTHERS).then_some("the claim typ declares another kind")
}

/// The `typ` of the header in lower case, if it is a registered media type of JWTs. RFC 7515 section 4.1.9: without regard to case,
/// `application/` may be left out. Other values are a provider's own and say nothing.
fn registered_type(token: &UnverifiedToken<'_>) -> Option<String> {
    let typ = token.bearer().media_type()?.split(';').next()?.trim().to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").map(str::to_owned).unwrap_or(typ);
    (typ.ends_with("+jwt") || typ.ends_with("+sd-jwt")).then_some(typ)
}

/// Whether a claim is one of these texts, without regard to case.
fn is(token: &UnverifiedToken<'_>, name: &str, texts: &[&str]) -> bool {
    token.get(name).and_then(Value::as_str).is_some_and(|value| texts.iter().any(|text| value.eq_ignore_ascii_case(text)))
}

/// What providers say of a login in id tokens; Zitadel, whose access tokens name their client in `aud`, leaves it out of those.
const OF_LOGINS: [&str; 5] = ["auth_time", "amr", "acr", "nonce", "s_hash"];

/// Keycloak's claim `typ` in access tokens.
const KEYCLOAK_ACCESS: [&str; 2] = ["Bearer", "DPoP"];

/// And in tokens for Keycloak itself, or for nobody who is sent a bearer token.
const KEYCLOAK_OTHERS: [&str; 10] = [
    "Refresh",
    "Offline",
    "Logout",
    "Serialized-ID",
    "RegistrationAccessToken",
    "InitialAccessToken",
    "execute-actions",
    "reset-credentials",
    "verify-email",
    "idp-verify-account-via-email",
];
