//! The claims of a token, unverified: what the issuer is chosen by and what the checks read.

use std::{borrow::Cow, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::token::{
    BearerToken, Rejection, Timestamp,
    guid::is_tenant_id,
    json::{self, JsonError, Object, Value},
};

/// The member of `cnf` for a certificate (RFC 8705 section 3.1).
pub(in crate::token) const CERTIFICATE_HASH: &str = "x5t#S256";

/// A bearer token with its payload opened. Nothing in it has been verified. `Debug` shows none of it: claims are personal data.
pub struct UnverifiedToken<'t> {
    bearer: &'t BearerToken<'t>,
    claims: Object<'t>,
}

impl<'t> UnverifiedToken<'t> {
    /// Opens the payload: a JSON object without duplicate members.
    ///
    /// Errors: [`Rejection::DuplicateMember`], [`Rejection::ClaimsMalformed`].
    pub fn open(bearer: &'t BearerToken<'_>) -> Result<Self, Rejection> {
        let claims = json::parse_object(bearer.payload()).map_err(|error| match error {
            JsonError::Duplicate => Rejection::DuplicateMember,
            JsonError::Malformed => Rejection::ClaimsMalformed,
        })?;
        Ok(Self { bearer, claims })
    }

    /// The token as it was parsed.
    pub fn bearer(&self) -> &'t BearerToken<'t> {
        self.bearer
    }

    /// The `iss` claim: good for choosing the issuer, for nothing else.
    pub fn issuer(&self) -> Option<&str> {
        self.get("iss").and_then(Value::as_str)
    }

    /// The `iat` claim: tells whether key sets that were fetched before could hold the token's key. None if it is not a date.
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.date("iat").ok().flatten()
    }

    /// Any claim as JSON. None also if a number in it cannot be held exactly: an integer beyond 64 bits.
    pub fn claim(&self, name: &str) -> Option<serde_json::Value> {
        self.get(name).filter(|value| value.is_exact()).map(Value::to_owned_value)
    }

    /// Whether it is not a token but a signed request around one (`at`, draft-ietf-oauth-signed-http-request): its signature is the
    /// client's own.
    pub(in crate::token) fn is_signed_request(&self) -> bool {
        !self.has("iss") && self.get("at").and_then(Value::as_str).is_some_and(|token| token.split('.').count() == 3)
    }

    /// The SHA-256 of the certificate that it is bound to (RFC 8705 section 3.1).
    ///
    /// Errors: [`Rejection::ClaimsMalformed`] for what is no such hash.
    pub(in crate::token) fn certificate(&self) -> Result<Option<[u8; 32]>, Rejection> {
        let Some(Value::Object(members)) = self.get("cnf") else { return Ok(None) };
        let Some(hash) = members.get(CERTIFICATE_HASH) else { return Ok(None) };
        let bytes = hash.as_str().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Some).ok_or(Rejection::ClaimsMalformed)
    }

    /// Whether it is bound to a key of its client (RFC 7800) that cannot be checked: anything but a certificate.
    pub(in crate::token) fn has_unchecked_key(&self) -> bool {
        match self.get("cnf") {
            None => false,
            Some(Value::Object(members)) => !members.is_only(CERTIFICATE_HASH),
            Some(_) => true,
        }
    }

    /// Whether the provider left a claim out since it would be too large, and says where it is: `_claim_names` (OpenID Connect Core
    /// section 5.6.2), or `hasgroups` (Microsoft, in the implicit flow).
    pub(in crate::token) fn stands_elsewhere(&self, name: &str) -> bool {
        let named = matches!(self.get("_claim_names"), Some(Value::Object(names)) if names.get(name).is_some());
        let has_groups = match self.get("hasgroups") {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
            _ => false,
        };
        !self.has(name) && (named || (name == "groups" && has_groups))
    }

    /// Whether the token is meant for Microsoft Graph. Such a token has a `nonce` in its header and a signature that does not
    /// cover the header as sent: nobody but Graph can verify it, and a gateway that did would be a confused deputy.
    pub(in crate::token) fn is_for_graph(&self) -> bool {
        let audiences = self.texts("aud").unwrap_or_default();
        self.bearer.has_header_nonce() || audiences.iter().any(|audience| GRAPH_AUDIENCES.contains(audience))
    }

    pub(in crate::token) fn get(&self, name: &str) -> Option<&Value<'t>> {
        self.claims.get(name)
    }

    pub(in crate::token) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A claim that is a string if it is there at all.
    pub(in crate::token) fn text(&self, name: &str) -> Result<Option<&str>, Rejection> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or(Rejection::ClaimsMalformed),
        }
    }

    /// A claim that is a string or an array of strings if it is there at all.
    pub(in crate::token) fn texts(&self, name: &str) -> Result<Vec<&str>, Rejection> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(value) => match value.elements() {
                Some(elements) => elements.map(|element| element.as_str().ok_or(Rejection::ClaimsMalformed)).collect(),
                None => value.as_str().map(|text| vec![text]).ok_or(Rejection::ClaimsMalformed),
            },
        }
    }

    /// A claim that is a NumericDate (RFC 7519 section 2) if it is there at all.
    pub(in crate::token) fn date(&self, name: &str) -> Result<Option<Timestamp>, Rejection> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => Timestamp::from_numeric_date(number).map(Some).ok_or(Rejection::ClaimsMalformed),
            Some(_) => Err(Rejection::ClaimsMalformed),
        }
    }

    /// The scopes: `scp` (Microsoft, Okta) and `scope` (RFC 9068), each a text with spaces or an array.
    pub(in crate::token) fn scopes(&self) -> Result<Vec<&str>, Rejection> {
        let (scp, scope) = (self.texts("scp")?, self.texts("scope")?);
        Ok(scp.into_iter().chain(scope).flat_map(|text| text.split(' ')).filter(|scope| !scope.is_empty()).collect())
    }

    /// The B2C policy that made the token: `tfp`, or `acr` with the older setting.
    pub(in crate::token) fn policy(&self) -> Result<Option<&str>, Rejection> {
        if self.has("tfp") { self.text("tfp") } else { self.text("acr") }
    }

    /// The client application: the first of [`PARTIES`] that the token has, all that are named in it.
    pub(in crate::token) fn authorized_parties(&self) -> Result<Vec<Cow<'_, str>>, Rejection> {
        PARTIES.iter().find(|name| self.has(name)).map_or_else(|| Ok(Vec::new()), |name| self.names(name))
    }

    /// A claim that names something, or several things, if it is there at all: strings, or whole numbers, which are read as they are
    /// written in decimal.
    pub(in crate::token) fn names(&self, name: &str) -> Result<Vec<Cow<'_, str>>, Rejection> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(value) => match value.elements() {
                Some(elements) => elements.map(as_name).collect(),
                None => as_name(value).map(|name| vec![name]),
            },
        }
    }

    /// The same for a claim that names one thing.
    pub(in crate::token) fn name(&self, name: &str) -> Result<Option<Cow<'_, str>>, Rejection> {
        self.get(name).map(as_name).transpose()
    }

    /// The claim whose wrong type makes the token [`Rejection::ClaimsMalformed`].
    pub(crate) fn malformed_claim<'n>(&self, role_claim: &'n str) -> Option<&'n str> {
        const DATES: [&str; 3] = ["exp", "nbf", "iat"];
        const LISTS: [&str; 3] = ["aud", "scp", "scope"];
        const NAMES: [&str; 7] = ["idtyp", "gty", "grant_type", "azp", "appid", "client_id", "cid"];
        const TEXTS: [&str; 3] = ["sub", "tfp", "acr"];
        let date = DATES.into_iter().find(|name| self.date(name).is_err());
        date.or_else(|| LISTS.into_iter().chain([role_claim]).find(|name| self.texts(name).is_err()))
            .or_else(|| NAMES.into_iter().find(|name| self.names(name).is_err()))
            .or_else(|| self.name("nonce").is_err().then_some("nonce"))
            .or_else(|| TEXTS.into_iter().find(|name| self.text(name).is_err()))
    }

    /// The `tid` claim, if it is a tenant id: a GUID in lower case, as Microsoft writes it. One spelling for each tenant.
    pub(in crate::token) fn tenant(&self) -> Option<&str> {
        self.get("tid").and_then(Value::as_str).filter(|tid| is_tenant_id(tid))
    }
}

fn as_name<'v>(value: &'v Value<'_>) -> Result<Cow<'v, str>, Rejection> {
    match value {
        Value::Number(number) if !number.is_f64() => Ok(number.to_string().into()),
        value => value.as_str().map(Cow::Borrowed).ok_or(Rejection::ClaimsMalformed),
    }
}

impl fmt::Debug for UnverifiedToken<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("UnverifiedToken").finish_non_exhaustive()
    }
}

/// The claims that name the client application: `azp` (OpenID Connect, Microsoft), `appid` (Entra's version 1), `client_id` (RFC 9068),
/// `cid` (Okta).
pub(in crate::token) const PARTIES: [&str; 4] = ["azp", "appid", "client_id", "cid"];

/// The application id and the addresses of Microsoft Graph.
const GRAPH_AUDIENCES: [&str; 3] =
    ["00000003-0000-0000-c000-000000000000", "https://graph.microsoft.com", "https://graph.microsoft.com/"];
