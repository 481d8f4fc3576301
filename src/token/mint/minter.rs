//! [`Minter`]: from a [`Subject`] to our own [`UserToken`].

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::crypto::JwtSigner;
use serde_json::{Map, Value, json};

use crate::token::{Lifetime, MintingProfile, Rejection, Subject, Timestamp, TokenKeyId, algorithm::may_sign, mint::claims};

/// A key that signs user tokens. The signing room has the implementations: a key is parsed once, not at each call.
pub trait TokenSigner: JwtSigner + Send + Sync + fmt::Debug {
    /// The RFC 7638 thumbprint (SHA-256) of the public key, base64url. A shared secret has none.
    fn thumbprint(&self) -> Option<&str>;
}

/// A token that we signed for one user. Only [`Minter::mint`] makes one. It is as good as a password: `Debug` does not show it.
pub struct UserToken {
    compact: String,
    expires: Timestamp,
    is_short: bool,
}

impl UserToken {
    /// The compact JWS.
    pub fn as_str(&self) -> &str {
        &self.compact
    }

    /// Whether it lacks something, or has a default for it, because the user has more groups than fit into the client's token.
    pub fn is_short_of_groups(&self) -> bool {
        self.is_short
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
}

impl Minter {
    /// Prepares a profile for use.
    pub fn new(profile: MintingProfile) -> Self {
        Self { profile }
    }

    /// The profile.
    pub fn profile(&self) -> &MintingProfile {
        &self.profile
    }

    /// How long a token lives that is asked for with this lifetime: the profile may demand the client's end for all.
    pub fn lifetime(&self, asked: Lifetime) -> Lifetime {
        if self.profile.lifetime == Lifetime::End { Lifetime::End } else { asked }
    }

    /// Mints and signs. `iat` is `now`, set back as the profile says; `exp` follows from the [`Lifetime`] and is never later than the
    /// subject's [`end`](Subject::end). Both are rounded down to a second. `random` becomes the `jti`, if the profile has one.
    ///
    /// Costs a signature: not for an event loop when the key is RSA.
    ///
    /// Errors: [`Rejection::Expired`] if the minted token would have ended already, [`Rejection::UserIdUnsuitable`],
    /// [`Rejection::PowerfulClaim`], [`Rejection::SigningFailed`].
    pub fn mint(
        &self,
        subject: &dyn Subject,
        signer: &dyn TokenSigner,
        lifetime: Lifetime,
        now: Timestamp,
        random: [u8; 16],
    ) -> Result<UserToken, Rejection> {
        let issued = now.minus(self.profile.backdate).as_seconds();
        let expires = self.expires(subject, self.lifetime(lifetime), now, issued);
        if expires <= now {
            return Err(Rejection::Expired);
        }
        if !self.profile.user_ids.takes(subject.user_id()) {
            return Err(Rejection::UserIdUnsuitable);
        }
        let (mut claims, is_short) = claims::fill(&self.profile, subject)?;
        claims.insert("iat".to_owned(), issued.into());
        claims.insert("exp".to_owned(), expires.as_seconds().into());
        if self.profile.not_before {
            claims.insert("nbf".to_owned(), issued.into());
        }
        if self.profile.token_id {
            claims.insert("jti".to_owned(), URL_SAFE_NO_PAD.encode(random).into());
        }

        let mut compact = self.header(signer)?;
        compact.push('.');
        URL_SAFE_NO_PAD.encode_string(Value::Object(claims).to_string(), &mut compact);
        let signature = signer.try_sign(compact.as_bytes()).map_err(|_| Rejection::SigningFailed)?;
        compact.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut compact);
        Ok(UserToken { compact, expires, is_short })
    }

    /// A whole second.
    fn expires(&self, subject: &dyn Subject, lifetime: Lifetime, now: Timestamp, issued: i64) -> Timestamp {
        let asked = match lifetime {
            Lifetime::Ttl => subject.end().min(now.plus(self.profile.ttl)),
            Lifetime::End => subject.end(),
        };
        let most = self.profile.max_lifetime.map_or(Timestamp::MAX, |most| Timestamp::from_seconds(issued).plus(most));
        Timestamp::from_seconds(asked.min(most).as_seconds())
    }

    fn header(&self, signer: &dyn TokenSigner) -> Result<String, Rejection> {
        let algorithm = signer.algorithm();
        if !may_sign(algorithm) {
            return Err(Rejection::SigningFailed);
        }
        let mut header = Map::new();
        header.insert("alg".to_owned(), json!(algorithm));
        if let Some(token_type) = &self.profile.token_type {
            header.insert("typ".to_owned(), token_type.as_str().into());
        }
        let key_id = match &self.profile.key_id {
            TokenKeyId::None => None,
            TokenKeyId::Thumbprint => signer.thumbprint(),
            TokenKeyId::Text(text) => Some(text.as_str()),
        };
        if let Some(key_id) = key_id {
            header.insert("kid".to_owned(), key_id.into());
        }
        Ok(URL_SAFE_NO_PAD.encode(Value::Object(header).to_string()))
    }
}
