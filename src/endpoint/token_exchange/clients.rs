//! Who asks for an exchange: the client authentication of RFC 6749 section 2.3.

use http::HeaderMap;

use crate::{
    endpoint::{
        ClientSettings, Refusal,
        callers::{basic, is_one},
        form::{Form, decode},
    },
    private_file::{Secret, SecretError},
    token::Rejection,
};

/// The clients that may ask. Without any, everybody may who has a user's token.
#[derive(Debug)]
pub(super) struct Clients(Vec<Known>);

#[derive(Debug)]
struct Known {
    id: String,
    /// None of them: a public client.
    secrets: Vec<Secret>,
}

/// Who asks.
#[derive(Debug, PartialEq)]
pub(super) enum Client<'a> {
    /// Anybody: the endpoint knows no clients.
    Anybody,
    /// A client that proves nothing but has users of its own.
    Public(&'a str),
    /// A client that has proven who it is.
    Confidential,
}

/// Whichever half is wrong.
const UNAUTHENTICATED: Refusal = Refusal::of(Rejection::CallerUnauthenticated, Rejection::CallerUnauthenticated.description());

impl Clients {
    pub(super) fn new(settings: &[ClientSettings]) -> Result<Self, SecretError> {
        let known = |client: &ClientSettings| {
            let secrets = client.secret_file.as_deref().map(Secret::read_all).transpose()?.unwrap_or_default();
            Ok(Known { id: client.id.clone(), secrets })
        };
        settings.iter().map(known).collect::<Result<_, _>>().map(Self)
    }

    /// Finds out who asks: by `Authorization: Basic`, in the form's own encoding or without it; by `client_id` and `client_secret` in the
    /// form; by `client_id` alone for a public client.
    ///
    /// Errors: [`Rejection::CallerUnauthenticated`], whichever half is wrong; [`Rejection::EndpointRequestMalformed`] for two ways at once.
    pub(super) fn authenticate(&self, headers: &HeaderMap, form: &Form<'_>) -> Result<Client<'_>, Refusal> {
        let (id, secret) = (form.get("client_id"), form.get("client_secret"));
        let has_header = headers.contains_key(http::header::AUTHORIZATION);
        if form.get("client_assertion").is_some() {
            return Err(UNAUTHENTICATED);
        }
        // Where no client is known, a bearer token that an app adds to all its requests is nobody's credential.
        if !has_header || (self.0.is_empty() && basic(headers).is_none()) {
            return self.find(id, secret);
        }
        if secret.is_some() {
            return Err(Refusal::malformed("the client authenticates in two ways"));
        }
        let credentials = basic(headers).ok_or(UNAUTHENTICATED)?;
        let (name, password) = credentials.split_once(':').ok_or(UNAUTHENTICATED)?;
        // RFC 6749 has them encoded as in a form; some libraries do so, and others do not.
        let decoded = decode(name).zip(decode(password));
        let decoded = decoded.as_ref().map(|(name, password)| (name.as_ref(), password.as_ref()));
        let ways = decoded.into_iter().chain([(name, password)]);
        let found = ways.map(|(name, password)| (name, self.find(Some(name), Some(password))));
        let mut found = found.filter_map(|(name, client)| client.ok().map(|client| (name, client)));
        match found.next() {
            Some((name, _)) if id.is_some_and(|id| id != name) => {
                Err(Refusal::malformed("client_id is not that of the credentials"))
            }
            Some((_, client)) => Ok(client),
            None => Err(UNAUTHENTICATED),
        }
    }

    pub(super) fn find(&self, id: Option<&str>, secret: Option<&str>) -> Result<Client<'_>, Refusal> {
        if self.0.is_empty() {
            // A secret that nobody could check is a mistake that should be seen.
            return if secret.is_none() { Ok(Client::Anybody) } else { Err(UNAUTHENTICATED) };
        }
        // Each is compared, so that the time does not tell which half is wrong.
        let is = |known: &&Known| {
            let proves = match secret {
                Some(secret) => is_one(&known.secrets, secret.as_bytes()),
                None => known.secrets.is_empty(),
            };
            proves & (id == Some(known.id.as_str()))
        };
        let found = self.0.iter().filter(is).fold(None, |first, known| first.or(Some(known)));
        match found {
            Some(known) if known.secrets.is_empty() => Ok(Client::Public(&known.id)),
            Some(_) => Ok(Client::Confidential),
            None => Err(UNAUTHENTICATED),
        }
    }
}
