//! The RESTful technical profile of a B2C custom policy (`SendClaimsIn: Body`): claims in, by their `PartnerClaimType`, and claims out, both
//! flat.

use http::StatusCode;
use serde_json::{Value, json};

use super::status;
use crate::endpoint::{Refusal, Reply};

/// What B2C takes an error for that has something to tell the user.
const CONFLICT: StatusCode = StatusCode::CONFLICT;

/// A member for each output claim; without the token the policy goes on, and the claim has no value.
pub(super) fn granted(token: Option<(&String, &str)>) -> Value {
    Value::Object(token.into_iter().map(|(claim, token)| (claim.clone(), token.into())).collect())
}

/// A call that is refused.
pub(super) fn refused(refusal: Refusal, user_message: &str) -> Reply {
    error(status(refusal.rejection), refusal, user_message)
}

/// A sign-in that fails: B2C shows the message, or raises it in the policy. What is our own trouble it tries again.
pub(super) fn failed(refusal: Refusal, user_message: &str) -> Reply {
    let status = if refusal.rejection.status() >= 500 { status(refusal.rejection) } else { CONFLICT };
    error(status, refusal, user_message)
}

/// `developerMessage` shows in policies with `DebugMode` alone.
fn error(status: StatusCode, refusal: Refusal, user_message: &str) -> Reply {
    let body = json!({
        "version": "1.0.0",
        "status": status.as_u16(),
        "code": refusal.rejection.label(),
        "userMessage": user_message,
        "developerMessage": refusal.description(),
    });
    Reply::json(status, &body)
}
