//! Refusals as RFC 6749 section 5.2 and RFC 8693 section 2.2.2 have them.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;

use super::ALLOW;
use crate::{
    endpoint::{Refusal, Reply},
    token::Rejection,
};

/// Refuses an exchange.
pub(in crate::endpoint) fn refuse(refusal: Refusal) -> Reply {
    let (status, error) = error(refusal.rejection);
    let body = json!({ "error": error, "error_description": refusal.description() });
    let reply = Reply::json(status, &body).because(refusal.rejection);
    if refusal.rejection == Rejection::MethodNotAllowed { reply.with(ALLOW.0, ALLOW.1) } else { reply }
}

/// Status and error of a reason.
pub(super) fn error(rejection: Rejection) -> (StatusCode, &'static str) {
    match rejection {
        Rejection::CallerUnauthenticated => (StatusCode::UNAUTHORIZED, "invalid_client"),
        Rejection::GrantTypeUnsupported => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
        Rejection::TargetUnknown => (StatusCode::BAD_REQUEST, "invalid_target"),
        Rejection::MissingScope | Rejection::ScopeNotGranted => (StatusCode::BAD_REQUEST, "invalid_scope"),
        Rejection::WrongParty => (StatusCode::BAD_REQUEST, "unauthorized_client"),
        Rejection::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "invalid_request"),
        Rejection::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request"),
        Rejection::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "invalid_request"),
        _ if rejection.is_temporary() => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
        _ if rejection.status() >= 500 => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        // Whatever is wrong with the subject token.
        _ => (StatusCode::BAD_REQUEST, "invalid_request"),
    }
}

/// Refuses a client. One that has tried `Authorization` is told how (RFC 6749 section 5.2); to others a challenge would hide the body.
pub(super) fn unauthenticated(headers: &HeaderMap) -> Reply {
    let reply = refuse(Rejection::CallerUnauthenticated.into());
    if !headers.contains_key(header::AUTHORIZATION) {
        return reply;
    }
    reply.with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"token\", charset=\"UTF-8\""))
}
