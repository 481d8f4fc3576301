//! [`VerifiedToken`], the proof that a token was verified, and the order of the checks that make one.

use crate::token::{KeyId, Timestamp};

/// A client's token whose signature and claims hold. Only [`TrustedIssuer::verify`](crate::token::TrustedIssuer::verify) makes one.
#[derive(Debug)]
pub struct VerifiedToken {
    _private: (),
}

impl VerifiedToken {
    /// Who it is: what goes into the user token.
    pub fn user_id(&self) -> &str {
        todo!()
    }

    /// When everything that rests on this token ends: its `exp` plus the issuer's leeway.
    pub fn end(&self) -> Timestamp {
        todo!()
    }

    /// The key that verified it.
    pub fn key_id(&self) -> &KeyId {
        todo!()
    }
}
