//! What a token endpoint makes of a request, piece by piece, for operators who ask why an exchange was refused.

use super::{
    clients::{Client, Clients},
    profile, refusal,
    request::Request,
};
use crate::{
    endpoint::{Refusal, TokenExchangeSettings, form::Form},
    private_file::SecretError,
    token::Rejection,
};

/// What is known of a request without its header and without its token.
#[derive(Debug)]
pub struct Examination {
    /// Whether its parameters make sense.
    pub request: Result<(), Refusal>,
    /// Who asks.
    pub client: ClientFound,
    /// The scopes that it asks for.
    pub scopes: Vec<String>,
}

/// Who asks for an exchange, as far as the body tells.
#[derive(Debug)]
pub enum ClientFound {
    /// Anybody may ask.
    Anybody,
    /// A public client of this id: the token must have been made for it.
    Public(String),
    /// A client that has proven who it is.
    Confidential(String),
    /// It is not in the body; it may be in the header.
    NotInBody,
    /// Its secret cannot be compared here.
    Unreadable(SecretError),
    /// It is refused.
    Refused(Refusal),
}

/// Looks at the body of an exchange.
pub fn examine_exchange(settings: &TokenExchangeSettings, body: &[u8]) -> Examination {
    let form = match Form::parse(body) {
        Ok(form) => form,
        Err(refusal) => return Examination { request: Err(refusal), client: ClientFound::NotInBody, scopes: Vec::new() },
    };
    let request = Request::read(&form);
    let scopes = request.as_ref().map(|request| request.scopes().map(str::to_owned).collect()).unwrap_or_default();
    let checked = request.and_then(|request| profile(&settings.targets, &request)).map(drop);
    Examination { request: checked, client: client(settings, &form), scopes }
}

/// The status and the error that a client meets for a reason (RFC 6749 section 5.2).
pub fn exchange_error(rejection: Rejection) -> (u16, &'static str) {
    let (status, error) = refusal::error(rejection);
    (status.as_u16(), error)
}

fn client(settings: &TokenExchangeSettings, form: &Form<'_>) -> ClientFound {
    let (id, secret) = (form.get("client_id"), form.get("client_secret"));
    if !settings.clients.is_empty() && id.is_none() {
        return ClientFound::NotInBody;
    }
    let known = settings.clients.iter().find(|known| Some(known.id.as_str()) == id);
    if known.is_some_and(|known| known.secret_file.is_some()) && secret.is_none() {
        return ClientFound::NotInBody;
    }
    let clients = match Clients::new(&settings.clients) {
        Ok(clients) => clients,
        Err(error) => return ClientFound::Unreadable(error),
    };
    match clients.find(id, secret) {
        Ok(Client::Anybody) => ClientFound::Anybody,
        Ok(Client::Public(id)) => ClientFound::Public(id.to_owned()),
        Ok(Client::Confidential) => ClientFound::Confidential(id.unwrap_or_default().to_owned()),
        Err(refusal) => ClientFound::Refused(refusal),
    }
}
