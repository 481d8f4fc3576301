//! What a token is for: an access token of a user, an id token, or a token of an application.

use crate::token::{Rejection, UnverifiedToken};

/// What a token is for.
///
/// Microsoft writes `typ: JWT` on all three, so the claims decide. The first rule that fits:
///
/// 1. `idtyp` is `app`, `gty` is `client-credentials`, or `sub` is the client itself (`azp`, `appid`, `client_id`): app-only.
/// 2. `at_hash` or `c_hash`: id token (OpenID Connect Core section 3.3.2.11; no access token has them).
/// 3. B2C (`iss` ends in `/v2.0/`) without a policy (`tfp`, `acr`): no user journey made it, app-only.
/// 4. Header `typ` is `at+jwt` (RFC 9068), or there are scopes: access token. B2C repeats the `nonce` of the login in access
///    tokens, so a `nonce` beside scopes says nothing.
/// 5. `nonce`: id token.
/// 6. Roles, or `sub` equal to `oid` beside a client (`azp`, `appid`) outside of B2C: app-only.
/// 7. Else id token: it grants nothing.
///
/// One case cannot be told apart: B2C's client credentials flow runs under a policy too, and where a token of it carries `tfp`
/// and `scp` it looks like a user's. Where a B2C tenant has daemons, list the authorised parties or demand a scope of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// An access token of a user.
    Access,
    /// An id token: tells a client who logged in, grants nothing.
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

impl Default for TokenKinds {
    fn default() -> Self {
        Self { access: true, id: false, app_only: false }
    }
}

impl TokenKinds {
    /// Whether this kind is taken, and the reason to give if it is not.
    pub(in crate::token) fn take(self, kind: TokenKind) -> Result<(), Rejection> {
        match kind {
            TokenKind::Access if !self.access => Err(Rejection::UserTokenNotAllowed),
            TokenKind::Id if !self.id => Err(Rejection::IdToken),
            TokenKind::AppOnly if !self.app_only => Err(Rejection::AppOnlyToken),
            TokenKind::Access | TokenKind::Id | TokenKind::AppOnly => Ok(()),
        }
    }
}

impl TokenKind {
    /// Tells the kind by the rules above.
    ///
    /// Errors: [`Rejection::ClaimsMalformed`] if a claim that decides has the wrong type.
    pub(in crate::token) fn of(token: &UnverifiedToken<'_>, role_claim: &str) -> Result<Self, Rejection> {
        let scopes = token.scopes()?;
        let roles = token.texts(role_claim)?;
        let nonce = token.text("nonce")?;
        let subject = token.text("sub")?;
        let client = token.authorized_party()?;
        let b2c = token.issuer().is_some_and(|issuer| issuer.ends_with("/v2.0/"));

        let is_subject = |id| subject.is_some() && subject == id;
        if token.text("idtyp")? == Some("app")
            || token.text("gty")? == Some("client-credentials")
            || is_subject(client)
            || is_subject(token.text("client_id")?)
        {
            return Ok(Self::AppOnly);
        }
        if token.has("at_hash") || token.has("c_hash") {
            return Ok(Self::Id);
        }
        if b2c && token.policy()?.is_none() {
            return Ok(Self::AppOnly);
        }
        if is_access_token_type(token.bearer().media_type()) || !scopes.is_empty() {
            return Ok(Self::Access);
        }
        if nonce.is_some() {
            return Ok(Self::Id);
        }
        let service_principal = !b2c && client.is_some() && is_subject(token.text("oid")?);
        Ok(if !roles.is_empty() || service_principal { Self::AppOnly } else { Self::Id })
    }
}

/// RFC 9068 section 2.1; RFC 7515 section 4.1.9: without regard to case, `application/` may be left out.
fn is_access_token_type(media_type: Option<&str>) -> bool {
    media_type.is_some_and(|typ| typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt"))
}
