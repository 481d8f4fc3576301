//! Where a token sits in a request: a header, a query parameter, a WebSocket subprotocol, a cookie, a member of a JSON body.
//!
//! Finding a token and replacing it are pure functions, one file for each kind of place. The rest of the request stays the same
//! byte for byte.

mod body;
mod cookie;
mod header;
mod json_member;
mod name;
mod new_token;
mod protocol;
mod query;
mod rewrite;
mod trace;
mod zero;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, header::AUTHORIZATION};

pub use self::body::{BodyCondition, BodyPlace};
pub(in crate::proxy) use self::{
    body::{BodyContent, MAX_BODY_BYTES, PassedBody, check_headers as check_body_headers},
    new_token::NewToken,
    query::{url_without, value as query_value},
    rewrite::Rewrite,
    trace::Trace,
};
use crate::token::Rejection;

/// Where a token sits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenPlace {
    /// A header of its own.
    Header {
        /// Its name.
        name: HeaderName,
        /// The text before the token, with a space. Case does not matter in what clients send. None: the token alone.
        scheme: Option<String>,
    },
    /// A query parameter of this name.
    Query(String),
    /// `Sec-WebSocket-Protocol`.
    Protocol(ProtocolForm),
    /// A cookie of this name. Browsers send it by themselves, so unsafe methods and upgrades need an allowed `Origin`.
    Cookie(String),
    /// A member of a JSON object in the body.
    Body(BodyPlace),
}

/// How a token sits in `Sec-WebSocket-Protocol`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProtocolForm {
    /// As the element after this one: `bearer, <token>`.
    List(String),
    /// As Kubernetes has it: `base64url.bearer.authorization.k8s.io.<token in base64url>`.
    Kubernetes,
    /// As Zero has it: the whole value is percent-encoded base64 of a JSON object with `authToken`.
    Zero,
}

impl TokenPlace {
    /// `Authorization: Bearer <token>` (RFC 6750 section 2.1).
    pub fn bearer() -> Self {
        Self::Header { name: AUTHORIZATION, scheme: Some("Bearer".to_owned()) }
    }

    /// The token in this place. None: there is nothing that looks like one.
    fn find<'a>(&self, parts: Parts<'a>) -> Result<Option<Cow<'a, [u8]>>, Rejection> {
        match self {
            Self::Header { name, scheme } => Ok(header::find(parts.headers, name, scheme.as_deref())?.map(Cow::Borrowed)),
            Self::Query(name) => Ok(query::find(parts.target, name)?.map(|found| found.token)),
            Self::Protocol(form) => protocol::find(parts.headers, form),
            Self::Cookie(name) => Ok(cookie::find(parts.headers, name)?.map(|found| Cow::Owned(found.token))),
            Self::Body(_) => Ok(None),
        }
    }
}

/// What a token may sit in, beside the body.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct Parts<'a> {
    /// Path and query as sent.
    pub(in crate::proxy) target: &'a [u8],
    /// The headers as sent.
    pub(in crate::proxy) headers: &'a HeaderMap,
}

/// A token that was found, and where.
#[derive(Debug)]
pub(in crate::proxy) struct Found<'a, 'p> {
    /// The token, decoded from what its place encodes it with.
    pub(in crate::proxy) token: Cow<'a, [u8]>,
    /// Where it was.
    pub(in crate::proxy) place: &'p TokenPlace,
}

/// The one token of a request, looked for in all of these places. A token in the body is looked for elsewhere.
///
/// # Errors
/// [`Rejection::AmbiguousToken`] where two places hold one, or one place two; [`Rejection::MissingToken`] where none does;
/// [`Rejection::AuthorizationMalformed`] for a place that cannot be read. What is in a header is not looked at here: most often it is
/// the token that the connection brought last, and anything else the exchange looks at.
pub(in crate::proxy) fn find<'a, 'p>(places: &'p [TokenPlace], parts: Parts<'a>) -> Result<Found<'a, 'p>, Rejection> {
    let mut found = None;
    for place in places {
        if let Some(token) = place.find(parts)?
            && found.replace(Found { token, place }).is_some()
        {
            return Err(Rejection::AmbiguousToken);
        }
    }
    found.ok_or(Rejection::MissingToken)
}
