//! [`Minter`]: a [`VerifiedToken`] to a [`UserToken`] of our own.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, crypto::JwtSigner};
use serde_json::{Map, Value, json};

use crate::token::{Rejection, Timestamp, VerifiedToken};

/// A private key that signs user tokens. The signing room has the implementations: a key is parsed once, not at each call.
pub trait TokenSigner: JwtSigner + Send + Sync + fmt::Debug {}

/// What a minted token says. One profile for each kind of backend.
#[derive(Clone, Debug, PartialEq)]
pub struct MintingProfile {
    /// The name in the config.
    pub name: String,
    /// The claim that holds the user id. Default `userId`. Not `iat` and not `exp`.
    pub user_id_claim: String,
}

/// A token that we signed for one user. Only [`Minter::mint`] makes one. It is as good as a password: `Debug` does not show it.
pub struct UserToken {
    compact: String,
    expires: Timestamp,
}

impl UserToken {
    /// The compact JWS.
    pub fn as_str(&self) -> &str {
        &self.compact
    }

    /// Its `exp`.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }
}

impl fmt::Debug for UserToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("UserToken").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// Mints the tokens of one profile.
#[derive(Debug)]
pub struct Minter {
    profile: MintingProfile,
    headers: Vec<(Algorithm, String)>,
}

impl Minter {
    /// Prepares a profile for use.
    pub fn new(profile: MintingProfile) -> Self {
        Self { profile, headers: ALGORITHMS.iter().map(|algorithm| (*algorithm, header(*algorithm))).collect() }
    }

    /// Mints and signs: `iat` is `now`, `exp` the token's [`end`](VerifiedToken::end), both rounded down to a second.
    ///
    /// Costs a signature: not for an event loop when the key is RSA.
    ///
    /// Errors: [`Rejection::Expired`] if the minted token would have ended already, [`Rejection::SigningFailed`].
    pub fn mint(&self, token: &VerifiedToken, signer: &dyn TokenSigner, now: Timestamp) -> Result<UserToken, Rejection> {
        let expires = Timestamp::from_seconds(token.end().as_seconds());
        if expires <= now {
            return Err(Rejection::Expired);
        }
        let algorithm = signer.algorithm();
        let (_, header) = self.headers.iter().find(|(known, _)| *known == algorithm).ok_or(Rejection::SigningFailed)?;

        let mut compact = header.clone();
        compact.push('.');
        URL_SAFE_NO_PAD.encode_string(self.payload(token, now, expires), &mut compact);
        let signature = signer.try_sign(compact.as_bytes()).map_err(|_| Rejection::SigningFailed)?;
        compact.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut compact);
        Ok(UserToken { compact, expires })
    }

    fn payload(&self, token: &VerifiedToken, now: Timestamp, expires: Timestamp) -> String {
        let mut claims = Map::new();
        claims.insert(self.profile.user_id_claim.clone(), token.user_id().into());
        claims.insert("iat".to_owned(), now.as_seconds().into());
        claims.insert("exp".to_owned(), expires.as_seconds().into());
        Value::Object(claims).to_string()
    }
}

/// The encoded header, the same for every token.
fn header(algorithm: Algorithm) -> String {
    URL_SAFE_NO_PAD.encode(json!({ "alg": algorithm, "typ": "JWT" }).to_string())
}

/// What a signer may use. A backend pins a public key, so HMAC is not among them.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
