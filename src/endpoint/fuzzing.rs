//! What must hold of any bytes that come to an endpoint.

use std::time::Duration;

use serde_json::Value;

use super::{Dialect, OnFailure, SignInSettings, TargetSettings, TokenExchangeSettings, UserIds, examine_exchange, sign_in};

/// Reads bytes as the body of an exchange. What is accepted names its token once, and means the same to another reader of forms.
///
/// # Errors
/// What does not hold.
pub fn hold_exchange(body: &[u8]) -> Result<(), String> {
    let settings = TokenExchangeSettings {
        targets: vec![TargetSettings { name: "db".to_owned(), profile: 0 }],
        ..TokenExchangeSettings::default()
    };
    if examine_exchange(&settings, body).request.is_err() {
        return Ok(());
    }
    let all = |wanted: &str| {
        url::form_urlencoded::parse(body)
            .filter(|(name, _)| name == wanted)
            .map(|(_, value)| value.into_owned())
            .collect::<Vec<_>>()
    };
    let grant = all("grant_type");
    if grant != ["urn:ietf:params:oauth:grant-type:token-exchange"] {
        return Err(format!("grant_type is {grant:?}"));
    }
    let tokens = all("subject_token");
    if tokens.len() != 1 || tokens.iter().any(String::is_empty) {
        return Err(format!("subject_token is there {} times", tokens.len()));
    }
    match all("audience").iter().chain(&all("resource")).all(|name| name.is_empty() || name == "db") {
        true => Ok(()),
        false => Err("another target was accepted".to_owned()),
    }
}

/// Reads bytes as the call of a sign-in in each dialect. Where a user is found, it is the one whom any reader of JSON finds, and the caller's
/// tenant and application are those of the settings.
///
/// # Errors
/// What does not hold.
pub fn hold_envelope(body: &[u8]) -> Result<(), String> {
    let settings = SignInSettings {
        dialect: Dialect::B2cPolicy,
        callers: Vec::new(),
        token_claim: "token".to_owned(),
        user_id: "objectId".to_owned(),
        user_ids: UserIds::Guid,
        lifetime: Duration::from_secs(60),
        deadline: Duration::from_secs(1),
        on_failure: OnFailure::Omit,
        user_message: String::new(),
        tenants: vec!["775527ff-9a37-4307-8b3d-cc311f58d925".to_owned()],
        applications: vec!["1b3f9c9c-0000-4000-8000-5d1f2a3b4c5d".to_owned()],
    };
    for dialect in [Dialect::B2cPolicy, Dialect::B2cUserFlow, Dialect::Entra] {
        let Ok(user_id) = sign_in::user_id_of(body, &SignInSettings { dialect, ..settings.clone() }) else { continue };
        let read: Value = serde_json::from_slice(body).map_err(|error| format!("accepted, and no JSON: {error}"))?;
        let place = if dialect == Dialect::Entra { "/data/authenticationContext/user/id" } else { "/objectId" };
        // What B2C writes where it has no id names nobody.
        let said = read.pointer(place).and_then(Value::as_str).filter(|id| !id.starts_with("Not supported currently."));
        if said != user_id.as_deref() {
            return Err(format!("{dialect:?}: the user is {user_id:?}"));
        }
        let is = |place: &str, wanted: &[String]| {
            let said = read.pointer(place).and_then(Value::as_str).unwrap_or_default();
            wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(said))
        };
        let is_ours = is("/data/tenantId", &settings.tenants)
            && is("/data/authenticationContext/clientServicePrincipal/appId", &settings.applications);
        if dialect == Dialect::Entra && !is_ours {
            return Err("a call of another tenant or application was accepted".to_owned());
        }
    }
    Ok(())
}
