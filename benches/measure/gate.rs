//! A token's way through verification, without a cache.

use std::{error::Error, hint::black_box, time::SystemTime};

use syncgate::token::{
    BearerToken, KeySet, KeySetLimits, Rejection, Timestamp, TokenLimits, TrustedIssuer, UnverifiedToken, VerifiedToken,
};

use super::tokens::Issuer;

/// All that verifies a token.
pub struct Gate {
    issuer: TrustedIssuer,
    keys: KeySet,
    limits: TokenLimits,
    pub now: Timestamp,
}

impl Gate {
    pub fn new(issuer: &Issuer) -> Result<Self, Box<dyn Error>> {
        let keys = KeySet::parse(issuer.key_set(&[]).as_bytes(), &KeySetLimits::default())?;
        let limits = TokenLimits::default();
        Ok(Self { issuer: TrustedIssuer::new(issuer.settings()), keys, limits, now: SystemTime::now().into() })
    }

    /// What the exchange does with a token that it does not know yet.
    pub fn verify(&self, token: &str) -> Result<VerifiedToken, Rejection> {
        let bearer = BearerToken::parse(token.as_bytes(), &self.limits)?;
        let token = UnverifiedToken::open(&bearer)?;
        TrustedIssuer::choose([&self.issuer], &token)?;
        self.issuer.verify(&token, &self.keys, self.now)
    }

    pub fn accept(&self, token: &str) {
        assert!(black_box(self.verify(token)).is_ok());
    }

    pub fn refuse(&self, token: &str, expected: Rejection) {
        assert_eq!(black_box(self.verify(token)).err(), Some(expected));
    }
}
