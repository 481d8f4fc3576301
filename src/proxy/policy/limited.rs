//! The limits, as they concern one request.

use std::{net::IpAddr, sync::OnceLock, time::Instant};

use crate::{
    exchange::Identity,
    limits::{Exceeded, Held, Limits},
    token::{Lifetime, Rejection},
};

/// The limits of a request from this address. Which one it has reached is left in `exceeded`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limited<'a> {
    pub(super) limits: &'a Limits,
    pub(super) client: IpAddr,
    pub(super) exceeded: &'a OnceLock<Exceeded>,
}

impl Limited<'_> {
    /// Whether a token that is not known is verified.
    pub(super) fn may_verify(self) -> Result<(), Rejection> {
        self.refuse_if(self.limits.may_verify(self.client, Instant::now()))
    }

    /// Notes why a token was not accepted.
    pub(super) fn note(self, rejection: Rejection) -> Rejection {
        if rejection.status() == 401 {
            self.limits.refused(self.client, Instant::now());
        }
        rejection
    }

    /// Counts a request of a user, and what is open for as long as it lasts, if it is a WebSocket or a feed.
    pub(super) fn begin(self, identity: &Identity, lifetime: Lifetime) -> Result<Option<Held>, Rejection> {
        let (issuer, user) = (identity.verified().issuer_name(), identity.verified().user_id());
        self.refuse_if(self.limits.request(issuer, user, Instant::now))?;
        match lifetime {
            Lifetime::End => self.refuse_if(self.limits.open_socket(issuer, user)).map(Some),
            Lifetime::Ttl => Ok(None),
        }
    }

    /// Whether another token is minted for a user.
    pub(super) fn may_mint(self, identity: &Identity) -> Result<(), Rejection> {
        let verified = identity.verified();
        self.refuse_if(self.limits.mint(verified.issuer_name(), verified.user_id(), Instant::now()))
    }

    fn refuse_if<T>(self, outcome: Result<T, Exceeded>) -> Result<T, Rejection> {
        outcome.map_err(|exceeded| {
            // A request reaches one.
            let _ = self.exceeded.set(exceeded);
            Rejection::RateLimited
        })
    }
}
