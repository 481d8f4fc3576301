//! The format of a refusal, as the backend's clients expect it.

use serde_json::{Value, json};

use crate::token::Rejection;

/// The format of the answers that the gateway writes itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorShape {
    /// `error` and `error_description`, as in RFC 6749 section 5.2.
    #[default]
    Rfc6750,
    /// Of the Realm Object Server: `type`, `title`, `status`, `code`.
    Realm,
    /// Of CouchDB: `error` and `reason`.
    CouchDb,
}

/// What an answer says.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct Fault {
    status: u16,
    error: &'static str,
    description: &'static str,
    /// What another token fixes, in a word: the token was good once, or may have been.
    passing: Option<&'static str>,
}

impl Fault {
    pub(in crate::proxy) const fn new(status: u16, error: &'static str, description: &'static str) -> Self {
        Self { status, error, description, passing: None }
    }

    pub(in crate::proxy) fn status(&self) -> u16 {
        self.status
    }

    /// What it says, in a sentence.
    pub(in crate::proxy) fn description(&self) -> &'static str {
        self.description
    }
}

impl From<Rejection> for Fault {
    fn from(rejection: Rejection) -> Self {
        Self {
            status: rejection.status(),
            error: rejection.error().unwrap_or(rejection.label()),
            description: rejection.description(),
            passing: match rejection {
                Rejection::Expired => Some("token_expired"),
                Rejection::UnknownKey => Some("unknown_key"),
                _ => None,
            },
        }
    }
}

impl ErrorShape {
    /// The media type of [`body`](Self::body).
    pub(in crate::proxy) const fn media_type(self) -> &'static str {
        match self {
            Self::Rfc6750 | Self::CouchDb => "application/json",
            // Realm's clients compare it as text.
            Self::Realm => "application/json; charset=utf-8",
        }
    }

    /// The JSON that says what is wrong.
    pub(in crate::proxy) fn body(self, fault: Fault) -> Value {
        match self {
            Self::Rfc6750 => json!({ "error": fault.error, "error_description": fault.description }),
            Self::Realm => realm(fault),
            Self::CouchDb => json!({ "error": couchdb_error(fault), "reason": fault.description }),
        }
    }
}

/// PouchDB gives up a live replication for good when it reads `unauthorized`; a token that has expired, or whose key was withdrawn, is no
/// reason to.
fn couchdb_error(fault: Fault) -> &'static str {
    match fault.status {
        401 => fault.passing.unwrap_or("unauthorized"),
        403 => "forbidden",
        404 => "not_found",
        _ => fault.error,
    }
}

/// Realm's codes: 601 for parameters, 611 for credentials, 614 for a lack of permission. Clients take others as unknown.
fn realm(fault: Fault) -> Value {
    let (problem, title, code) = match fault.status {
        400 | 413 | 415 => ("invalid-parameters", "Your request parameters did not validate.", 601),
        401 => ("invalid-credentials", "The provided credentials are invalid.", 611),
        403 => ("access-denied", "The path is invalid or current user has no access.", 614),
        status => ("unknown", "The request could not be served.", status),
    };
    json!({
        "type": format!("https://realm.io/docs/object-server/problems/{problem}"),
        "title": title,
        "status": fault.status,
        "detail": fault.description,
        "code": code,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_token_mends_is_not_called_unauthorized() {
        for (rejection, error) in [
            (Rejection::Expired, "token_expired"),
            (Rejection::UnknownKey, "unknown_key"),
            (Rejection::BadSignature, "unauthorized"),
            (Rejection::MissingToken, "unauthorized"),
            (Rejection::NotYetValid, "unauthorized"),
            (Rejection::MissingScope, "forbidden"),
            (Rejection::OriginNotAllowed, "forbidden"),
            (Rejection::AmbiguousToken, "invalid_request"),
            (Rejection::KeysUnavailable, "keys_unavailable"),
            (Rejection::NoRoute, "not_found"),
        ] {
            let expected = json!({ "error": error, "reason": rejection.description() });
            assert_eq!(ErrorShape::CouchDb.body(rejection.into()), expected);
        }
    }

    #[test]
    fn each_format_has_its_media_type() {
        assert_eq!(ErrorShape::Rfc6750.media_type(), "application/json");
        assert_eq!(ErrorShape::CouchDb.media_type(), "application/json");
        assert_eq!(ErrorShape::Realm.media_type(), "application/json; charset=utf-8");
        assert_eq!(Fault::from(Rejection::NoRoute).status(), 404);
        assert_eq!(Fault::new(502, "bad_gateway", "no answer").status(), 502);
    }

    #[test]
    fn realm_is_told_its_codes() {
        for (rejection, code) in [
            (Rejection::Expired, 611),
            (Rejection::LoginNotAllowed, 614),
            (Rejection::BodyMalformed, 601),
            (Rejection::KeysUnavailable, 503),
        ] {
            let body = ErrorShape::Realm.body(rejection.into());
            assert_eq!((&body["code"], &body["status"]), (&json!(code), &json!(rejection.status())));
            assert!(body["title"].is_string() && body["type"].is_string());
        }
    }
}
