//! What the gateway answers itself: tokens for those who cannot send each request through it, and the documents that others verify by.
//!
//! ```text
//! token exchange   RFC 8693: a client's token in, a backend's token out
//! sign-in          an identity provider asks in the middle of a sign-in, and puts the backend's token into the user's: B2C custom
//!                  policies, B2C user flows, Entra
//! documents        our public key, and metadata (RFC 8414, RFC 9728)
//! ```
//!
//! One [`Call`] in, one [`Reply`] out, in the protocol's own shape, whatever happens. No socket, no clock. The proxy's routes lead here;
//! nothing that comes here goes upstream. Tokens come from the [`exchange`](crate::exchange) alone: for the verified token of a client, or
//! for a user whom an authenticated `Caller` vouches for.

mod callers;
mod documents;
mod form;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod refusal;
mod reply;
mod settings;
mod sign_in;
mod token_exchange;

use std::sync::Mutex;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tokio::time::Instant;

use self::{callers::Callers, documents::Document, sign_in::SignIn, token_exchange::TokenExchange};
pub use self::{
    callers::TENANT,
    refusal::Refusal,
    reply::Reply,
    settings::{
        CallerSettings, ClientSettings, Dialect, EndpointSettings, OnFailure, SignInSettings, TargetSettings,
        TokenExchangeSettings, UserIds,
    },
    token_exchange::{CLIENT_CLAIMS, ClientFound, Examination, examine_exchange, exchange_error, is_made_for},
};
use crate::{
    certificate::ClientCertificate,
    exchange::{Exchange, LastToken, ProfileId},
    private_file::SecretError,
    token::{Permission, Rejection, Timestamp},
};

/// Most bytes of an exchange: the largest token that anybody sends, and some parameters.
const MAX_EXCHANGE_BYTES: usize = 64 * 1024;
/// Most bytes of what a caller says of one user.
const MAX_SIGN_IN_BYTES: usize = 16 * 1024;

/// A request to an endpoint, read whole.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The method.
    pub method: &'a Method,
    /// The header.
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub body: &'a [u8],
    /// The client's token of the requests before this one on its connection.
    pub last_token: &'a Mutex<LastToken>,
    /// What the client has shown in the handshake of its connection.
    pub certificate: Option<&'a ClientCertificate>,
    /// The time of the checks.
    pub now: Timestamp,
    /// When its header came: what must be answered in time counts from there.
    pub came: Instant,
}

/// A request whose body has not been read.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The method.
    pub method: &'a Method,
    /// The header.
    pub headers: &'a HeaderMap,
    /// What the client has shown in the handshake of its connection.
    pub certificate: Option<&'a ClientCertificate>,
    /// The time of the checks.
    pub now: Timestamp,
    /// When it came.
    pub came: Instant,
}

/// What the route of an endpoint says of it.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// What a client's token must permit.
    pub permission: &'a Permission,
    /// What is minted, unless the client asks for another.
    pub profile: ProfileId,
}

/// An endpoint, ready to answer.
#[derive(Debug)]
pub struct Endpoint {
    settings: EndpointSettings,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    TokenExchange(TokenExchange),
    SignIn(SignIn),
    Document(Document),
}

impl Endpoint {
    /// Reads the secrets that the settings name.
    pub fn new(settings: &EndpointSettings) -> Result<Self, SecretError> {
        let kind = match settings {
            EndpointSettings::TokenExchange(settings) => Kind::TokenExchange(TokenExchange::new(settings)?),
            EndpointSettings::SignIn(settings) => Kind::SignIn(SignIn::new(settings, Callers::new(&settings.callers)?)),
            EndpointSettings::KeySet => Kind::Document(Document::KeySet),
            EndpointSettings::Metadata(text) => Kind::Document(Document::fixed(text)),
        };
        Ok(Self { settings: settings.clone(), kind })
    }

    /// What it was made of.
    pub fn settings(&self) -> &EndpointSettings {
        &self.settings
    }

    /// Most bytes of the body of a request with this method; none where the body is not read. What is longer is to be
    /// [refused](Self::refuse).
    pub fn body_limit(&self, method: &Method) -> Option<usize> {
        match self.kind {
            _ if *method != Method::POST => None,
            Kind::TokenExchange(_) => Some(MAX_EXCHANGE_BYTES),
            Kind::SignIn(_) => Some(MAX_SIGN_IN_BYTES),
            Kind::Document(_) => None,
        }
    }

    /// Refuses what the header of a request already tells is of no use, before its body is read: nobody without credentials has the gateway
    /// wait for a body of a sign-in, or keep one.
    ///
    /// Errors: the refusal.
    pub async fn check_header(&self, head: Head<'_>, exchange: &Exchange) -> Result<(), Reply> {
        let Some(limit) = self.body_limit(head.method) else { return Ok(()) };
        if let Kind::SignIn(endpoint) = &self.kind {
            endpoint.check_header(head, exchange).await?;
        }
        let length = head.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > limit) {
            return Err(self.refuse(Rejection::BodyTooLarge));
        }
        Ok(())
    }

    /// Answers.
    pub async fn answer(&self, call: Call<'_>, terms: Terms<'_>, exchange: &Exchange) -> Reply {
        match &self.kind {
            Kind::TokenExchange(endpoint) => endpoint.answer(call, terms, exchange).await,
            Kind::SignIn(endpoint) => endpoint.answer(call, terms.profile, exchange).await,
            Kind::Document(document) => document.answer(call, exchange),
        }
    }

    /// Refuses a request whose body did not come whole, or not in time.
    pub fn refuse(&self, rejection: Rejection) -> Reply {
        match &self.kind {
            Kind::TokenExchange(_) => token_exchange::refuse(rejection.into()),
            Kind::SignIn(endpoint) => endpoint.refuse(rejection.into()),
            Kind::Document(_) => documents::refuse(rejection),
        }
    }
}

/// The one value of a header that may be there.
///
/// Errors: [`Rejection::EndpointRequestMalformed`] if there are several.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Rejection> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Rejection::EndpointRequestMalformed),
    }
}

/// Whether the body is of this media type, in UTF-8 if it says so, and not compressed.
fn has_media_type(headers: &HeaderMap, wanted: &str) -> bool {
    let (Ok(Some(value)), false) = (only(headers, &header::CONTENT_TYPE), headers.contains_key(header::CONTENT_ENCODING)) else {
        return false;
    };
    let Ok(text) = value.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let is_wanted = parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case(wanted));
    is_wanted
        && parts.filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
            !name.trim().eq_ignore_ascii_case("charset") || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
}
