//! The API connector of a B2C user flow, in the step "before including application claims in token".

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{Said, status};
use crate::endpoint::{Refusal, Reply};

/// The steps in which there is a user with an object id; the second is the older name of the first.
const STEPS: [&str; 2] = ["PreTokenIssuance", "PreTokenApplicationClaims"];

/// A member for each claim and attribute. A connector that is set for another step is a mistake that its administrator should see.
pub(super) fn read(claims: Map<String, Value>, user_id_claim: &str) -> Result<Said, Refusal> {
    match claims.get("step").map(Value::as_str) {
        None => {}
        Some(Some(step)) if STEPS.contains(&step) => {}
        Some(_) => return Err(Refusal::malformed("the step is not PreTokenIssuance")),
    }
    Said::flat(claims, user_id_claim)
}

/// `Continue`, with the claim or without.
pub(super) fn granted(token: Option<(&String, &str)>) -> Value {
    let mut body = Map::from_iter([("version".to_owned(), "1.0.0".into()), ("action".to_owned(), "Continue".into())]);
    body.extend(token.map(|(claim, token)| (claim.clone(), token.into())));
    Value::Object(body)
}

/// A call that is refused. A mistake in it is a `ValidationError`, which wants 400 in both places.
pub(super) fn refused(refusal: Refusal, user_message: &str) -> Reply {
    let status = status(refusal.rejection);
    let mut body = json!({
        "version": "1.0.0",
        "status": status.as_u16(),
        "code": refusal.rejection.label(),
        "userMessage": user_message,
        "developerMessage": refusal.description(),
    });
    if let (StatusCode::BAD_REQUEST, Some(members)) = (status, body.as_object_mut()) {
        members.insert("action".to_owned(), "ValidationError".into());
    }
    Reply::json(status, &body)
}

/// A sign-in that fails, with a page that says so.
pub(super) fn failed(user_message: &str) -> Reply {
    Reply::json(StatusCode::OK, &json!({ "version": "1.0.0", "action": "ShowBlockPage", "userMessage": user_message }))
}
