//! RFC 8693: a client's token in, a backend's token out.
//!
//! The subject token is held to what a route holds a bearer token to, by the same checks and through the same cache: an exchange costs one
//! verification and one signature at most.

mod clients;
mod refusal;
mod request;

use http::{HeaderValue, Method, StatusCode, header};
use serde_json::json;

pub(super) use self::refusal::refuse;
use self::{
    clients::{Client, Clients},
    request::{Request, TokenType},
};
use crate::{
    endpoint::{Call, Reply, TargetSettings, Terms, TokenExchangeSettings, form::Form, has_media_type},
    exchange::{Admission, Exchange, ProfileId},
    private_file::SecretError,
    token::{Lifetime, Rejection, VerifiedToken},
};

/// The media type of a request (RFC 8693 section 2.1).
const FORM: &str = "application/x-www-form-urlencoded";

/// The token endpoint.
#[derive(Debug)]
pub(super) struct TokenExchange {
    targets: Vec<TargetSettings>,
    clients: Clients,
}

/// A token that was exchanged.
struct Granted {
    admission: Admission,
    issued: TokenType,
    scope: Option<String>,
}

impl TokenExchange {
    pub(super) fn new(settings: &TokenExchangeSettings) -> Result<Self, SecretError> {
        Ok(Self { targets: settings.targets.clone(), clients: Clients::new(&settings.clients)? })
    }

    pub(super) async fn answer(&self, call: Call<'_>, terms: Terms<'_>, exchange: &Exchange) -> Reply {
        let granted = match self.exchange(call, terms, exchange).await {
            Ok(granted) => granted,
            Err(Rejection::CallerUnauthenticated) => return refusal::unauthenticated(call.headers),
            Err(rejection) => return refuse(rejection),
        };
        let Granted { admission, issued, scope } = granted;
        let token = admission.authorization().to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
        let mut body = json!({
            "access_token": token,
            "issued_token_type": issued.name(),
            "token_type": "Bearer",
            "expires_in": admission.expires().since(call.now).as_secs(),
        });
        if let (Some(scope), Some(members)) = (scope, body.as_object_mut()) {
            members.insert("scope".to_owned(), scope.into());
        }
        Reply::json(StatusCode::OK, &body)
    }

    /// Whether a request makes sense, whatever its token and its client's secret are worth.
    pub(super) fn examine(settings: &TokenExchangeSettings, body: &[u8]) -> Result<(), Rejection> {
        let form = Form::parse(body)?;
        let request = Request::read(&form)?;
        let is_known = |id: &str| settings.clients.iter().any(|client| client.id == id);
        if !settings.clients.is_empty() && form.get("client_id").is_some_and(|id| !is_known(id)) {
            return Err(Rejection::CallerUnauthenticated);
        }
        profile(&settings.targets, &request).map(drop)
    }

    async fn exchange(&self, call: Call<'_>, terms: Terms<'_>, exchange: &Exchange) -> Result<Granted, Rejection> {
        if *call.method != Method::POST {
            return Err(Rejection::MethodNotAllowed);
        }
        if !has_media_type(call.headers, FORM) {
            return Err(Rejection::EndpointRequestMalformed);
        }
        let form = Form::parse(call.body)?;
        let client = self.clients.authenticate(call.headers, &form)?;
        let request = Request::read(&form)?;
        let profile = profile(&self.targets, &request)?.unwrap_or(terms.profile);
        let identity = exchange.identify(request.subject_token.as_bytes(), call.now).await?;
        let user = identity.verified();
        check_client(&client, user)?;
        terms.permission.check(user, None)?;
        if !request.scopes().all(|scope| user.scopes().any(|known| known == scope)) {
            return Err(Rejection::ScopeNotGranted);
        }
        let admission = exchange.admit(&identity, profile, Lifetime::Ttl, call.now).await?;
        // The key may have been withdrawn while the token was signed.
        if !exchange.trusts(&identity, call.now) {
            return Err(Rejection::UnknownKey);
        }
        Ok(Granted { admission, issued: request.issued, scope: request.scope.map(str::to_owned) })
    }
}

/// What is asked for by `audience` and `resource`, which must mean the same if both are there.
fn profile(targets: &[TargetSettings], request: &Request<'_>) -> Result<Option<ProfileId>, Rejection> {
    let named = |name: Option<&str>| {
        let target = name.map(|name| targets.iter().find(|target| target.name == name).ok_or(Rejection::TargetUnknown));
        target.transpose().map(|target| target.map(|target| target.profile))
    };
    match (named(request.audience)?, named(request.resource)?) {
        (Some(audience), Some(resource)) if audience != resource => Err(Rejection::TargetUnknown),
        (audience, resource) => Ok(audience.or(resource).map(ProfileId)),
    }
}

/// A client without a secret may exchange the tokens that it was given itself, and nobody else's.
fn check_client(client: &Client<'_>, user: &VerifiedToken) -> Result<(), Rejection> {
    /// Where providers say which client a token was made for.
    const PARTIES: [&str; 4] = ["azp", "appid", "client_id", "cid"];
    let Client::Public(id) = client else { return Ok(()) };
    let mut parties = PARTIES.into_iter().filter_map(|claim| user.claim(claim));
    if parties.all(|party| party.as_str() == Some(id)) { Ok(()) } else { Err(Rejection::WrongParty) }
}

/// Which methods it takes.
const ALLOW: (http::HeaderName, HeaderValue) = (header::ALLOW, HeaderValue::from_static("POST"));
