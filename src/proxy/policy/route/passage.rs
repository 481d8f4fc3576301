//! The rights to be forwarded that do not come from the exchange. Only a route that permits them creates them.

use super::{Access, OnInvalid, Route};
use crate::{
    proxy::policy::{
        cors::{Cors, Preflight},
        token_place::PassedBody,
    },
    token::Rejection,
};

/// A request may go upstream without a user token.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct Passage {
    keeps_credentials: bool,
    is_preflight: bool,
}

/// A WebSocket may go upstream with a token that can never be valid.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct Placeholder {
    rejection: Rejection,
}

impl Route {
    /// The right of every request on a public route.
    pub(in crate::proxy) fn passage(&self) -> Option<Passage> {
        match self.access {
            Access::Protected => None,
            Access::Public { pass_authorization } => Some(Passage { keeps_credentials: pass_authorization, is_preflight: false }),
        }
    }

    /// The right of a request whose body the route passes as it is.
    pub(in crate::proxy) fn passage_of_body(&self, _passed: &PassedBody) -> Passage {
        Passage { keeps_credentials: true, is_preflight: false }
    }

    /// The right of a preflight, which asks for nothing but leave: only where the route leaves it to the upstream.
    pub(in crate::proxy) fn passage_of_preflight(&self, _preflight: &Preflight) -> Option<Passage> {
        let passes = self.cors.as_ref().is_some_and(Cors::passes_preflights);
        passes.then_some(Passage { keeps_credentials: false, is_preflight: true })
    }

    /// The right of a WebSocket whose token was refused with this: only if the route permits it, and only for an invalid token.
    pub(in crate::proxy) fn placeholder(&self, rejection: Rejection) -> Option<Placeholder> {
        let is_invalid = rejection.status() == 401 && rejection != Rejection::MissingToken;
        (self.on_invalid == OnInvalid::LetBackendRefuse && is_invalid).then_some(Placeholder { rejection })
    }
}

impl Passage {
    /// Whether what clients put where tokens sit stays there. (`Authorization` is a matter of the route's strip list.)
    pub(in crate::proxy) fn keeps_credentials(&self) -> bool {
        self.keeps_credentials
    }

    /// Whether it is for a preflight, whose answer has no body for anybody.
    pub(in crate::proxy) fn is_preflight(&self) -> bool {
        self.is_preflight
    }
}

impl Placeholder {
    /// Why the client's own token is not accepted.
    pub(in crate::proxy) fn rejection(&self) -> Rejection {
        self.rejection
    }
}
