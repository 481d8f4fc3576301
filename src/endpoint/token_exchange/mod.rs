//! RFC 8693: a client's token in, a backend's token out.
//!
//! The subject token is held to what a route holds a bearer token to, by the same checks and through the same cache: an exchange costs one
//! verification and one signature at most.

mod clients;
mod examine;
mod refusal;
mod request;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::Value;

pub use self::examine::{ClientFound, Examination, examine_exchange, exchange_error};
pub(super) use self::refusal::refuse;
use self::{
    clients::{Client, Clients},
    request::Request,
};
use crate::{
    endpoint::{Call, Refusal, Reply, TargetSettings, Terms, TokenExchangeSettings, form::Form, has_media_type},
    exchange::{Admission, Exchange, ProfileId},
    private_file::SecretError,
    token::{Lifetime, Rejection, Timestamp, VerifiedToken},
};

/// The media type of a request (RFC 8693 section 2.1).
const FORM: &str = "application/x-www-form-urlencoded";

/// The token endpoint.
#[derive(Debug)]
pub(super) struct TokenExchange {
    targets: Vec<TargetSettings>,
    clients: Clients,
}

impl TokenExchange {
    pub(super) fn new(settings: &TokenExchangeSettings) -> Result<Self, SecretError> {
        Ok(Self { targets: settings.targets.clone(), clients: Clients::new(&settings.clients)? })
    }

    pub(super) async fn answer(&self, call: Call<'_>, terms: Terms<'_>, exchange: &Exchange) -> Reply {
        match self.exchange(call, terms, exchange).await {
            Ok(body) => Reply::text(StatusCode::OK, body),
            Err(Refusal { rejection: Rejection::CallerUnauthenticated, .. }) => refusal::unauthenticated(call.headers),
            Err(refusal) => refuse(refusal),
        }
    }

    /// The body of the answer.
    async fn exchange(&self, call: Call<'_>, terms: Terms<'_>, exchange: &Exchange) -> Result<Bytes, Refusal> {
        if *call.method != Method::POST {
            return Err(Rejection::MethodNotAllowed.into());
        }
        if !has_media_type(call.headers, FORM) {
            return Err(Refusal::malformed("the body must be application/x-www-form-urlencoded in UTF-8, not compressed"));
        }
        let form = Form::parse(call.body)?;
        let client = self.clients.authenticate(call.headers, &form)?;
        let request = Request::read(&form)?;
        let profile = profile(&self.targets, &request)?.unwrap_or(terms.profile);
        let identity = exchange.identify_next(call.last_token, request.subject_token.as_bytes(), call.now).await?;
        let user = identity.verified();
        user.check_certificate(call.certificate.map(|shown| &shown.thumbprint))?;
        check_client(&client, user)?;
        terms.permission.check(user, None)?;
        if !request.scopes().all(|scope| user.scopes().any(|known| known == scope)) {
            return Err(Rejection::ScopeNotGranted.into());
        }
        let admission = exchange.admit_renewed(&identity, profile, Lifetime::Ttl, call.now).await?;
        // The key may have been withdrawn while the token was signed.
        if !exchange.trusts(&identity, call.now) {
            return Err(Rejection::UnknownKey.into());
        }
        granted(&admission, &request, call.now)
    }
}

/// What a client is told of its token (RFC 8693 section 2.2.1).
///
/// Errors: none, unless we have minted what is no token.
fn granted(admission: &Admission, request: &Request<'_>, now: Timestamp) -> Result<Bytes, Refusal> {
    let authorization = std::str::from_utf8(admission.authorization().as_bytes()).ok();
    let token = authorization.and_then(|value| value.strip_prefix("Bearer ")).ok_or(Rejection::SigningFailed)?;
    let issued = request.issued.name();
    let left = admission.expires().since(now).as_secs();
    // Most of it is the token, in which there is nothing to escape (RFC 7515 section 7.1): it is not looked at byte by byte.
    let scope = request.scope.map(|scope| format!(",\"scope\":{}", Value::from(scope))).unwrap_or_default();
    let body = format!(
        "{{\"access_token\":\"{token}\",\"issued_token_type\":\"{issued}\",\"token_type\":\"Bearer\",\"expires_in\":{left}{scope}}}"
    );
    Ok(Bytes::from(body))
}

/// What is asked for by `audience` and `resource`, which must mean the same if both are there.
fn profile(targets: &[TargetSettings], request: &Request<'_>) -> Result<Option<ProfileId>, Refusal> {
    let named = |name: Option<&str>| {
        let target =
            name.map(|name| targets.iter().find(|target| target.name == name).ok_or(Refusal::from(Rejection::TargetUnknown)));
        target.transpose().map(|target| target.map(|target| target.profile))
    };
    match (named(request.audience)?, named(request.resource)?) {
        (Some(audience), Some(resource)) if audience != resource => {
            Err(Refusal::of(Rejection::TargetUnknown, "audience and resource differ"))
        }
        (audience, resource) => Ok(audience.or(resource).map(ProfileId)),
    }
}

const FOR_ANOTHER_CLIENT: Refusal = Refusal::of(Rejection::WrongParty, "the token was made for another client");

/// A client without a secret may exchange the tokens that it was given itself, and nobody else's.
fn check_client(client: &Client<'_>, user: &VerifiedToken) -> Result<(), Refusal> {
    let Client::Public(id) = client else { return Ok(()) };
    if is_made_for(id, |claim| user.claim(claim).cloned()) { Ok(()) } else { Err(FOR_ANOTHER_CLIENT) }
}

/// Whether a token was made for this client: each claim that names a client names it. An id token may have none, and names it as its only
/// audience (OpenID Connect Core section 2); no access token does, whose audience is an API.
pub fn is_made_for(id: &str, claim: impl Fn(&str) -> Option<Value>) -> bool {
    let parties: Vec<_> = PARTIES.into_iter().filter_map(&claim).collect();
    if !parties.is_empty() {
        return parties.iter().all(|party| party.as_str() == Some(id));
    }
    match claim(AUDIENCE) {
        Some(Value::String(audience)) => audience == id,
        Some(Value::Array(audiences)) => matches!(audiences.as_slice(), [Value::String(audience)] if audience == id),
        _ => false,
    }
}

/// Where providers say which client a token was made for.
const PARTIES: [&str; 4] = ["azp", "appid", "client_id", "cid"];
const AUDIENCE: &str = "aud";
/// The claims by which is told whom a token was made for.
pub const CLIENT_CLAIMS: [&str; 5] = [PARTIES[0], PARTIES[1], PARTIES[2], PARTIES[3], AUDIENCE];
/// Which methods it takes.
const ALLOW: (http::HeaderName, HeaderValue) = (header::ALLOW, HeaderValue::from_static("POST"));
