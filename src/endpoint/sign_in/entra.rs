//! The custom authentication extension of Entra ID and External ID for the event `OnTokenIssuanceStart`.

use serde_json::{Map, Value, json};

use super::{Said, status, text, user_id};
use crate::{
    endpoint::{Refusal, Reply, SignInSettings},
    token::Rejection,
};

const EVENT: &str = "microsoft.graph.authenticationEvent.tokenIssuanceStart";
const CALL_DATA: &str = "microsoft.graph.onTokenIssuanceStartCalloutData";
const RESPONSE_DATA: &str = "microsoft.graph.onTokenIssuanceStartResponseData";
const OTHER_EVENT: Refusal = Refusal::malformed("the event is not TokenIssuanceStart");
const ACTION: &str = "microsoft.graph.tokenIssuanceStart.provideClaimsForToken";

/// The envelope: which event, of which tenant, for which application, and the user as the directory has them.
///
/// Errors: [`Rejection::BodyMalformed`], [`Rejection::EndpointRequestMalformed`] for another event, [`Rejection::WrongTenant`],
/// [`Rejection::WrongParty`].
pub(super) fn read(mut envelope: Map<String, Value>, settings: &SignInSettings, of_caller: Option<&str>) -> Result<Said, Refusal> {
    if envelope.get("type").and_then(Value::as_str) != Some(EVENT) {
        return Err(OTHER_EVENT);
    }
    let mut data = take(&mut envelope, "data")?;
    if data.get("@odata.type").and_then(Value::as_str) != Some(CALL_DATA) {
        return Err(OTHER_EVENT);
    }
    let tenant = data.get("tenantId").and_then(Value::as_str).ok_or(Rejection::BodyMalformed)?;
    if !settings.tenants.iter().any(|known| known.eq_ignore_ascii_case(tenant)) {
        return Err(Refusal::of(Rejection::WrongTenant, "the tenant is not among tenants"));
    }
    if of_caller.is_some_and(|caller| !caller.eq_ignore_ascii_case(tenant)) {
        return Err(Refusal::of(Rejection::WrongTenant, "the tenant is not that of the caller's token"));
    }
    let mut context = take(&mut data, "authenticationContext")?;
    if !settings.applications.is_empty() {
        let application = context.get("clientServicePrincipal").and_then(|client| client.get("appId")).and_then(Value::as_str);
        let is_known = |id: &str| settings.applications.iter().any(|known| known.eq_ignore_ascii_case(id));
        if !application.is_some_and(is_known) {
            return Err(Refusal::of(Rejection::WrongParty, "the client application is not among applications"));
        }
    }
    let user = take(&mut context, "user")?;
    Ok(Said { user_id: user_id(&user, "id")?, name: text(&user, "displayName"), correlation_id: None, claims: user })
}

/// Entra's name for the sign-in, wherever the call goes wrong.
pub(super) fn correlation_id(envelope: &Map<String, Value>) -> Option<String> {
    let context = envelope.get("data")?.get("authenticationContext")?.as_object()?;
    super::correlation_id(context, "correlationId")
}

/// The action that gives claims; without a token, none.
pub(super) fn granted(token: Option<(&String, &str)>) -> Value {
    let claims: Map<_, _> = token.into_iter().map(|(claim, token)| (claim.clone(), token.into())).collect();
    json!({ "data": { "@odata.type": RESPONSE_DATA, "actions": [{ "@odata.type": ACTION, "claims": claims }] } })
}

/// A call that is refused, in the form of Microsoft's own interfaces: the caller looks at the status alone.
pub(super) fn refused(refusal: Refusal) -> Reply {
    let body = json!({ "error": { "code": refusal.rejection.label(), "message": refusal.description() } });
    Reply::json(status(refusal.rejection), &body)
}

/// A member that is an object.
fn take(object: &mut Map<String, Value>, name: &str) -> Result<Map<String, Value>, Refusal> {
    match object.remove(name) {
        Some(Value::Object(member)) => Ok(member),
        _ => Err(Refusal::of(Rejection::BodyMalformed, "data, authenticationContext or user is missing")),
    }
}
