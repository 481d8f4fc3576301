//! What a route demands of a [`VerifiedToken`]: scopes, roles, claims. Checked on every request, before anything is minted.

use crate::token::{Rejection, VerifiedToken};

/// What a route demands. The default demands nothing beyond a verified token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permission {
    /// Every one of these scopes.
    pub all_scopes: Vec<String>,
    /// At least one of these scopes, if there are any.
    pub any_scopes: Vec<String>,
    /// Every one of these roles.
    pub all_roles: Vec<String>,
    /// At least one of these roles, if there are any.
    pub any_roles: Vec<String>,
    /// Every one of these claims with one of its values.
    pub all_claims: Vec<ClaimRule>,
    /// At least one of these claims, if there are any.
    pub any_claims: Vec<ClaimRule>,
    /// What is demanded of the `nonce` claim.
    pub nonce: NonceRule,
}

/// A claim that must have one of some values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRule {
    /// The claim's name.
    pub claim: String,
    /// Values of which one must match a string, number or boolean claim, or an element of an array. Empty: the claim must be there.
    pub values: Vec<String>,
}

/// What a route demands of the `nonce` claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NonceRule {
    /// Nothing.
    #[default]
    Ignored,
    /// There must be none.
    Forbidden,
    /// It must equal the value of this request header.
    EqualsHeader(String),
}

impl Permission {
    /// Checks a token. `nonce` is the value of the header that [`NonceRule::EqualsHeader`] names, if the request has it exactly once.
    pub fn check(&self, _token: &VerifiedToken, _nonce: Option<&[u8]>) -> Result<(), Rejection> {
        todo!()
    }

    /// The scopes to name in the challenge (RFC 6750 section 3), separated by spaces.
    pub fn challenge_scope(&self) -> Option<&str> {
        todo!()
    }
}
