//! The RESTful technical profile of a B2C custom policy: claims in, claims out, both flat.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{Said, status};
use crate::{endpoint::Reply, token::Rejection};

/// What B2C takes an error for that has something to tell the user.
const CONFLICT: StatusCode = StatusCode::CONFLICT;

/// `SendClaimsIn: Body`: a member for each input claim, by its `PartnerClaimType`.
pub(super) fn read(claims: Map<String, Value>, user_id_claim: &str) -> Result<Said, Rejection> {
    Said::flat(claims, user_id_claim)
}

/// A member for each output claim; without the token the policy goes on, and the claim has no value.
pub(super) fn granted(token: Option<(&String, &str)>) -> Value {
    Value::Object(token.into_iter().map(|(claim, token)| (claim.clone(), token.into())).collect())
}

/// A call that is refused.
pub(super) fn refused(rejection: Rejection, user_message: &str) -> Reply {
    error(status(rejection), rejection, user_message)
}

/// A sign-in that fails: B2C shows the message, or raises it in the policy. What is our own trouble it tries again.
pub(super) fn failed(rejection: Rejection, user_message: &str) -> Reply {
    let status = if rejection.status() >= 500 { status(rejection) } else { CONFLICT };
    error(status, rejection, user_message)
}

/// `developerMessage` shows in policies with `DebugMode` alone.
fn error(status: StatusCode, rejection: Rejection, user_message: &str) -> Reply {
    let body = json!({
        "version": "1.0.0",
        "status": status.as_u16(),
        "code": rejection.label(),
        "userMessage": user_message,
        "developerMessage": rejection.description(),
    });
    Reply::json(status, &body)
}
