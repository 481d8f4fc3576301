//! The claims of a token, unverified: what the issuer is chosen by and what the checks read.

use crate::token::{BearerToken, Rejection};

/// A bearer token with its payload opened. Nothing in it has been verified.
#[derive(Debug)]
pub struct UnverifiedToken<'t> {
    _bearer: &'t BearerToken<'t>,
}

impl<'t> UnverifiedToken<'t> {
    /// Opens the payload: a JSON object without duplicate members.
    pub fn open(_bearer: &'t BearerToken<'_>) -> Result<Self, Rejection> {
        todo!()
    }

    /// The `iss` claim: good for choosing the issuer, for nothing else.
    pub fn issuer(&self) -> Option<&str> {
        todo!()
    }
}
