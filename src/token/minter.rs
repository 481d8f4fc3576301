//! [`Minter`]: a [`VerifiedToken`] to a [`UserToken`] of our own.

use jsonwebtoken::crypto::JwtSigner;

use crate::token::{Rejection, Timestamp, VerifiedToken};

/// A private key that signs user tokens. The signing room has the implementations: a key is parsed once, not at each call.
pub trait TokenSigner: JwtSigner + Send + Sync + std::fmt::Debug {}

/// What a minted token says. One profile for each kind of backend.
#[derive(Clone, Debug, PartialEq)]
pub struct MintingProfile {
    /// The name in the config.
    pub name: String,
    /// The claim that holds the user id. Default `userId`.
    pub user_id_claim: String,
}

/// A token that we signed for one user. Only [`Minter::mint`] makes one.
pub struct UserToken {
    _private: (),
}

impl UserToken {
    /// The compact JWS.
    pub fn as_str(&self) -> &str {
        todo!()
    }

    /// Its `exp`.
    pub fn expires(&self) -> Timestamp {
        todo!()
    }
}

/// Mints the tokens of one profile.
#[derive(Debug)]
pub struct Minter {
    _profile: MintingProfile,
}

impl Minter {
    /// Prepares a profile for use.
    pub fn new(profile: MintingProfile) -> Self {
        Self { _profile: profile }
    }

    /// Mints and signs. `exp` is the token's [`end`](VerifiedToken::end), rounded down to a second.
    ///
    /// Costs a signature: not for an event loop when the key is RSA.
    pub fn mint(&self, _token: &VerifiedToken, _signer: &dyn TokenSigner, _now: Timestamp) -> Result<UserToken, Rejection> {
        todo!()
    }
}
