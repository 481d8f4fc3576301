//! What a token endpoint says of the request that a subject token came in.

use crate::{
    cli::Failure,
    endpoint::{EndpointSettings, examine_exchange},
    proxy::RouteSettings,
    token::{Outcome, Step},
};

/// The check that comes before those of the token. Secrets are not compared.
pub(super) fn step(route: Option<&RouteSettings>, form: &[u8]) -> Result<Step, Failure> {
    let endpoint = route.and_then(|route| route.endpoint.as_ref());
    let Some(EndpointSettings::TokenExchange(settings)) = endpoint else {
        return Err(Failure::Trouble(
            "this is a token exchange: name the route of the token endpoint with --route NAME".to_owned(),
        ));
    };
    let examined = examine_exchange(settings, form);
    let targets: Vec<_> = settings.targets.iter().map(|target| target.name.as_str()).collect();
    let clients: Vec<_> = settings.clients.iter().map(|client| client.id.as_str()).collect();
    let listed = |names: &[&str], none: &str| if names.is_empty() { none.to_owned() } else { names.join(", ") };
    Ok(Step {
        name: "exchange",
        outcome: examined.map_or_else(Outcome::Failed, |()| Outcome::Passed),
        expected: format!(
            "grant_type token-exchange; subject_token_type access_token, jwt or id_token; audience and resource: {}; client_id: {}",
            listed(&targets, "none"),
            listed(&clients, "any")
        ),
        found: examined.map_or_else(|rejection| rejection.description().to_owned(), |()| "a request that makes sense".to_owned()),
    })
}
