//! [`Subject`]: who a token is minted for, and what may be said of them.

use std::fmt;

use serde_json::Value;

use crate::token::{Rejection, Timestamp, VerifiedToken, json, user_id};

/// Who a token is minted for: the user of a client's token, or a user whom an authenticated caller vouches for. Nothing else is one.
pub trait Subject: sealed::Sealed {
    /// 1 to 256 bytes without control characters.
    fn user_id(&self) -> &str;

    /// When everything that rests on what is known of the user ends.
    fn end(&self) -> Timestamp;

    /// The display name.
    fn name(&self) -> Option<&str>;

    /// The user's roles.
    fn roles(&self) -> Vec<&str>;

    /// The scopes that the client's token has.
    fn scopes(&self) -> Vec<&str>;

    /// A claim, if it is known.
    fn claim(&self, name: &str) -> Option<&Value>;

    /// Whether a claim was left out since it would be too large.
    fn stands_elsewhere(&self, name: &str) -> bool;

    /// The same for the roles.
    fn roles_stand_elsewhere(&self) -> bool;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::VerifiedToken {}
    impl Sealed for super::AssertedUser {}
}

impl Subject for VerifiedToken {
    fn user_id(&self) -> &str {
        self.user_id()
    }

    fn end(&self) -> Timestamp {
        self.end()
    }

    fn name(&self) -> Option<&str> {
        self.name()
    }

    fn roles(&self) -> Vec<&str> {
        self.roles().collect()
    }

    fn scopes(&self) -> Vec<&str> {
        self.scopes().collect()
    }

    fn claim(&self, name: &str) -> Option<&Value> {
        self.claim(name)
    }

    fn stands_elsewhere(&self, name: &str) -> bool {
        self.stands_elsewhere(name)
    }

    fn roles_stand_elsewhere(&self) -> bool {
        self.roles_stand_elsewhere()
    }
}

/// A user whom a caller vouches for, with what the caller says of them: an identity provider in the middle of a sign-in. Whoever makes one
/// has authenticated the caller; what the caller says counts as what a client's token says, and grants no power.
///
/// `Debug` shows no claims: they are personal data.
pub struct AssertedUser {
    id: String,
    name: Option<String>,
    claims: Vec<(String, Value)>,
    end: Timestamp,
}

impl AssertedUser {
    /// A user with this id, until `end`. A claim that is null, or that has a number beyond 64 bits in it, counts as missing.
    ///
    /// Errors: [`Rejection::UserIdInvalid`].
    pub(crate) fn new(id: &str, name: Option<&str>, claims: Vec<(String, Value)>, end: Timestamp) -> Result<Self, Rejection> {
        if !user_id::is_valid(id) {
            return Err(Rejection::UserIdInvalid);
        }
        let claims = claims.into_iter().filter(|(_, value)| !value.is_null() && json::is_exact(value)).collect();
        Ok(Self { id: id.to_owned(), name: name.map(str::to_owned), claims, end })
    }
}

impl Subject for AssertedUser {
    fn user_id(&self) -> &str {
        &self.id
    }

    fn end(&self) -> Timestamp {
        self.end
    }

    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// None: who may do what is said by the backend's own tables, or by a client's token.
    fn roles(&self) -> Vec<&str> {
        Vec::new()
    }

    fn scopes(&self) -> Vec<&str> {
        Vec::new()
    }

    fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn stands_elsewhere(&self, _name: &str) -> bool {
        false
    }

    fn roles_stand_elsewhere(&self) -> bool {
        false
    }
}

impl fmt::Debug for AssertedUser {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("AssertedUser").field("end", &self.end).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_user_is_what_the_caller_says_and_holds_no_rights() {
        let end = Timestamp::from_seconds(1_700_000_000);
        let claims = [
            ("ver", json!("1.0")),
            ("level", json!(7)),
            ("nothing", json!(null)),
            ("huge", json!([1e300])),
            ("roles", json!(["Writer"])),
            ("scp", json!("docs.read")),
        ];
        let claims = claims.map(|(name, value)| (name.to_owned(), value)).into();
        let user = AssertedUser::new("chris", Some("Chris Green"), claims, end).unwrap();
        assert_eq!((user.user_id(), user.end(), user.name()), ("chris", end, Some("Chris Green")));
        assert_eq!(user.claim("ver"), Some(&json!("1.0")));
        assert_eq!(user.claim("level"), Some(&json!(7)));
        for missing in ["nothing", "huge", "unknown"] {
            assert_eq!(user.claim(missing), None, "{missing}");
        }
        assert!(user.roles().is_empty() && user.scopes().is_empty());
        assert!(!user.stands_elsewhere("groups") && !user.roles_stand_elsewhere());
        let printed = format!("{user:?}");
        assert!(printed.starts_with("AssertedUser { end: ") && !printed.contains("hris"), "{printed}");
        assert_eq!(AssertedUser::new("", None, Vec::new(), end).err(), Some(Rejection::UserIdInvalid));
    }
}
