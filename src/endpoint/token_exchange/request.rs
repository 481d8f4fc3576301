//! The parameters of an exchange (RFC 8693 section 2.1).

use crate::{
    endpoint::{Refusal, form::Form},
    token::Rejection,
};

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const PREFIX: &str = "urn:ietf:params:oauth:token-type:";

/// A request that makes sense; whether its token does is not known yet.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) subject_token: &'a str,
    pub(super) audience: Option<&'a str>,
    pub(super) resource: Option<&'a str>,
    pub(super) scope: Option<&'a str>,
    /// What the minted token is called.
    pub(super) issued: TokenType,
}

/// A token type that we take and give (RFC 8693 section 3). Both are JWTs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenType {
    AccessToken,
    Jwt,
}

impl TokenType {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
        }
    }
}

impl<'a> Request<'a> {
    /// Reads the parameters. Those that are unknown are ignored (RFC 6749 section 3.2).
    ///
    /// Errors: [`Rejection::GrantTypeUnsupported`], [`Rejection::SubjectTokenUnsupported`] for tokens of kinds that are never taken,
    /// [`Rejection::EndpointRequestMalformed`].
    pub(super) fn read(form: &'a Form<'_>) -> Result<Self, Refusal> {
        match form.get("grant_type") {
            Some(GRANT_TYPE) => {}
            Some(_) => return Err(Rejection::GrantTypeUnsupported.into()),
            None => return Err(Refusal::malformed("grant_type is missing")),
        }
        // Nobody acts for anybody else here.
        if form.get("actor_token").is_some() || form.get("actor_token_type").is_some() {
            return Err(Refusal::malformed("actor_token is not supported"));
        }
        let subject_token = form.get("subject_token").ok_or(Refusal::malformed("subject_token is missing"))?;
        // Whether an id token is taken is a matter of the issuer's settings.
        match form.get("subject_token_type").map(|name| name.strip_prefix(PREFIX)) {
            Some(Some("access_token" | "jwt" | "id_token")) => {}
            Some(_) => return Err(Rejection::SubjectTokenUnsupported.into()),
            None => return Err(Refusal::malformed("subject_token_type is missing")),
        }
        let issued = match form.get("requested_token_type").map(|name| name.strip_prefix(PREFIX)) {
            None | Some(Some("jwt")) => TokenType::Jwt,
            Some(Some("access_token")) => TokenType::AccessToken,
            Some(_) => return Err(Refusal::malformed("requested_token_type is not supported")),
        };
        let [audience, resource, scope] = ["audience", "resource", "scope"].map(|name| form.get(name));
        Ok(Self { subject_token, audience, resource, scope, issued })
    }

    /// The scopes that are asked for.
    pub(super) fn scopes(&self) -> impl Iterator<Item = &'a str> {
        self.scope.unwrap_or_default().split(' ').filter(|scope| !scope.is_empty())
    }
}
