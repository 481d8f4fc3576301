//! What a token endpoint makes of the request that a subject token came in.

use crate::{
    cli::Failure,
    endpoint::{
        CLIENT_CLAIMS, ClientFound, Dialect, EndpointSettings, Examination, Refusal, TokenExchangeSettings, examine_exchange,
        exchange_error, is_made_for,
    },
    proxy::RouteSettings,
    token::{BearerToken, Outcome, Rejection, Step, TokenLimits, UnverifiedToken, quoted},
};

/// The checks of an exchange beside those of its token.
pub(super) struct Exchange {
    /// Those that are made before the token is looked at.
    pub(super) before: Vec<Step>,
    /// Those that come after its permission was checked.
    pub(super) after: Vec<Step>,
    /// Why the result is unknown, if it is.
    pub(super) unknown: Option<String>,
}

/// The status and the error that a client of a route meets for a reason.
pub(super) fn error(route: Option<&RouteSettings>) -> fn(Rejection) -> (u16, Option<&'static str>) {
    match token_endpoint(route) {
        Some(_) => |rejection| {
            let (status, error) = exchange_error(rejection);
            (status, Some(error))
        },
        None => |rejection| (rejection.status(), rejection.error()),
    }
}

/// Whether a token can be explained on this route at all.
pub(super) fn check_route(route: &RouteSettings) -> Result<(), Failure> {
    let name = &route.name;
    match &route.endpoint {
        Some(EndpointSettings::KeySet | EndpointSettings::Metadata(_)) => {
            Err(Failure::Trouble(format!("route {name} takes no token: anybody may read it")))
        }
        Some(EndpointSettings::SignIn(settings)) if settings.dialect != Dialect::Entra => {
            Err(Failure::Trouble(format!("route {name} takes no token of a user: its callers authenticate as `callers` says")))
        }
        _ => Ok(()),
    }
}

impl Exchange {
    /// Looks at a form with a subject token.
    pub(super) fn examine(route: Option<&RouteSettings>, form: &[u8], token: &[u8], limits: &TokenLimits) -> Result<Self, Failure> {
        let Some(settings) = token_endpoint(route) else {
            return Err(Failure::Trouble(
                "this is a token exchange: name the route of the token endpoint with --route NAME".to_owned(),
            ));
        };
        let Examination { request, client, scopes } = examine_exchange(settings, form);
        let mut unknown = None;
        let before = vec![request_step(settings, form, request), client_step(settings, &client, &mut unknown)];
        let bearer = BearerToken::parse(token, limits).ok();
        let token = bearer.as_ref().and_then(|bearer| UnverifiedToken::open(bearer).ok());
        let mut after = Vec::new();
        if let ClientFound::Public(id) = &client {
            after.push(binding_step(id, token.as_ref()));
        }
        if !scopes.is_empty() {
            after.push(scope_step(&scopes, token.as_ref()));
        }
        Ok(Self { before, after, unknown })
    }
}

fn token_endpoint(route: Option<&RouteSettings>) -> Option<&TokenExchangeSettings> {
    match route.and_then(|route| route.endpoint.as_ref()) {
        Some(EndpointSettings::TokenExchange(settings)) => Some(settings),
        _ => None,
    }
}

fn request_step(settings: &TokenExchangeSettings, form: &[u8], request: Result<(), Refusal>) -> Step {
    let targets: Vec<_> = settings.targets.iter().map(|target| quoted(&target.name)).collect();
    let targets = if targets.is_empty() { "none".to_owned() } else { targets.join(", ") };
    let said = |names: &[&str]| {
        let pairs = url::form_urlencoded::parse(form).filter(|(name, _)| names.contains(&name.as_ref()));
        pairs.map(|(name, value)| format!("{name} {}", quoted(&value))).collect::<Vec<_>>().join(", ")
    };
    let found = match request {
        Ok(()) => said(&["subject_token_type", "audience", "resource"]),
        Err(Refusal { rejection: Rejection::GrantTypeUnsupported, .. }) => said(&["grant_type"]),
        Err(Refusal { rejection: Rejection::SubjectTokenUnsupported, .. }) => said(&["subject_token_type"]),
        Err(Refusal { rejection: Rejection::TargetUnknown, .. }) => said(&["audience", "resource"]),
        Err(refusal) => refusal.description().to_owned(),
    };
    Step {
        name: "exchange",
        expected: format!("a token exchange of an access_token, jwt or id_token; audience and resource: {targets}"),
        found,
        outcome: request.map_or_else(|refusal| Outcome::Failed(refusal.rejection), |()| Outcome::Passed),
    }
}

fn client_step(settings: &TokenExchangeSettings, client: &ClientFound, unknown: &mut Option<String>) -> Step {
    let clients: Vec<_> = settings.clients.iter().map(|client| quoted(&client.id)).collect();
    let (found, outcome) = match client {
        ClientFound::Anybody => ("no client is known here".to_owned(), Outcome::Passed),
        ClientFound::Public(id) => (format!("public client {}", quoted(id)), Outcome::Passed),
        ClientFound::Confidential(id) => (format!("client {} with its secret", quoted(id)), Outcome::Passed),
        ClientFound::NotInBody => {
            unknown.replace(
                "the client's credentials are not in the form; those of an Authorization header are not seen here".to_owned(),
            );
            ("no client credentials in the form".to_owned(), Outcome::Unknown)
        }
        ClientFound::Unreadable(error) => {
            unknown.replace(error.to_string());
            ("a secret that cannot be compared: its file cannot be read".to_owned(), Outcome::Unknown)
        }
        ClientFound::Refused(refusal) => (refusal.description().to_owned(), Outcome::Failed(refusal.rejection)),
    };
    let expected = if clients.is_empty() { "none".to_owned() } else { format!("one of {}", clients.join(", ")) };
    Step { name: "client", expected, found, outcome }
}

/// The token of a public client must have been made for it.
fn binding_step(id: &str, token: Option<&UnverifiedToken<'_>>) -> Step {
    let claim = |name: &str| token.and_then(|token| token.claim(name));
    let shown = |name: &&str| claim(name).map(|value| format!("{name} {}", quoted(value.as_str().unwrap_or(&value.to_string()))));
    let found: Vec<_> = CLIENT_CLAIMS.iter().filter_map(shown).collect();
    Step {
        name: "token_client",
        expected: format!("made for {}", quoted(id)),
        found: if found.is_empty() { "no claim that names a client".to_owned() } else { found.join(", ") },
        outcome: if is_made_for(id, claim) { Outcome::Passed } else { Outcome::Failed(Rejection::WrongParty) },
    }
}

fn scope_step(requested: &[String], token: Option<&UnverifiedToken<'_>>) -> Step {
    let claim = |name: &str| token.and_then(|token| token.claim(name)).and_then(|value| value.as_str().map(str::to_owned));
    let scopes = claim("scp").or_else(|| claim("scope")).unwrap_or_default();
    let missing: Vec<_> = requested.iter().filter(|scope| !scopes.split(' ').any(|known| known == *scope)).collect();
    Step {
        name: "requested_scope",
        expected: format!("scopes of the token: {}", quoted(&scopes)),
        found: quoted(&requested.join(" ")),
        outcome: if missing.is_empty() { Outcome::Passed } else { Outcome::Failed(Rejection::ScopeNotGranted) },
    }
}
