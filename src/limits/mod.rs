//! How often, and how many at a time: limits by the client's address and by the user.
//!
//! All tables have a fixed size, and no lock. A key is remembered as a few bits of a hash whose own key is random at each start, so nobody
//! can aim at a place. A flood of made-up keys takes no more memory, and pushes out only those who have used next to nothing of what they
//! may. Where a table has no room, nobody is refused for that.

mod counts;
mod key;
mod rates;
mod settings;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

pub use self::{
    counts::{Counts, Held},
    key::{Key, Keys},
    rates::{Rate, Rates},
    settings::{AddressLimits, LimitSettings, UserLimits},
};

/// What is limited. The closed list behind the label `limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// New connections of an address.
    New,
    /// Connections of an address at a time.
    Connections,
    /// Unfinished TLS handshakes of an address.
    Handshakes,
    /// Refused tokens of an address.
    Refused,
    /// Requests of a user.
    Requests,
    /// WebSockets and feeds of a user at a time.
    Sockets,
    /// Tokens minted for a user.
    Mints,
}

impl Limit {
    /// Every one.
    pub const ALL: [Self; 7] =
        [Self::New, Self::Connections, Self::Handshakes, Self::Refused, Self::Requests, Self::Sockets, Self::Mints];

    /// The value of the label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::New => "address_new",
            Self::Connections => "address_connections",
            Self::Handshakes => "address_handshakes",
            Self::Refused => "address_refused",
            Self::Requests => "user_requests",
            Self::Sockets => "user_sockets",
            Self::Mints => "user_mints",
        }
    }

    /// The setting that changes it.
    pub const fn setting(self) -> &'static str {
        match self {
            Self::New => "limits.address.new",
            Self::Connections => "limits.address.connections",
            Self::Handshakes => "limits.address.handshakes",
            Self::Refused => "limits.address.refused",
            Self::Requests => "limits.user.requests",
            Self::Sockets => "limits.user.sockets",
            Self::Mints => "limits.user.mints",
        }
    }
}

/// A limit that is reached, and after how long it makes sense to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Which one.
    pub limit: Limit,
    /// Whole seconds, at least one.
    pub retry_after: u32,
}

/// When those who wait for a place are to look again: places have no times. Seconds.
const PLACE_RETRY: u32 = 5;

/// The limits in use, and what counts toward them.
#[derive(Debug)]
pub struct Limits {
    keys: Arc<Keys>,
    settings: LimitSettings,
    connections: Arc<Counts>,
    handshakes: Arc<Counts>,
    sockets: Arc<Counts>,
    new: Option<Arc<Rates>>,
    refused: Option<Arc<Rates>>,
    requests: Option<Arc<Rates>>,
    mints: Option<Arc<Rates>>,
}

impl Limits {
    /// How many keys a rate is kept for. Those beyond push out those that have used the least.
    pub const MAX_KEYS: usize = 65_536;
    /// More are never unfinished at a time.
    const MAX_HANDSHAKES: usize = 4_096;

    /// Limits with nothing counted yet. So many connections may there be at most.
    pub fn new(settings: LimitSettings, max_connections: usize) -> Self {
        let rates = |rate: Option<Rate>| rate.map(|rate| Arc::new(Rates::new(rate, Self::MAX_KEYS)));
        Self {
            keys: Arc::default(),
            connections: Arc::new(Counts::new(max_connections)),
            handshakes: Arc::new(Counts::new(Self::MAX_HANDSHAKES)),
            sockets: Arc::new(Counts::new(max_connections)),
            new: rates(settings.address.new),
            refused: rates(settings.address.refused),
            requests: rates(settings.user.requests),
            mints: rates(settings.user.mints),
            settings,
        }
    }

    /// Other limits, toward which all counts that was counted before; but a rate that has changed begins anew.
    pub fn reconfigured(&self, settings: LimitSettings) -> Self {
        let rates = |old: &Option<Arc<Rates>>, rate: Option<Rate>| match (old, rate) {
            (Some(old), Some(rate)) if old.rate() == rate => Some(Arc::clone(old)),
            (_, rate) => rate.map(|rate| Arc::new(Rates::new(rate, Self::MAX_KEYS))),
        };
        Self {
            keys: Arc::clone(&self.keys),
            connections: Arc::clone(&self.connections),
            handshakes: Arc::clone(&self.handshakes),
            sockets: Arc::clone(&self.sockets),
            new: rates(&self.new, settings.address.new),
            refused: rates(&self.refused, settings.address.refused),
            requests: rates(&self.requests, settings.user.requests),
            mints: rates(&self.mints, settings.user.mints),
            settings,
        }
    }

    /// The settings.
    pub fn settings(&self) -> &LimitSettings {
        &self.settings
    }

    /// Counts a connection that has come from this address. It counts as open for as long as what is returned lives.
    pub fn connect(&self, address: IpAddr, now: Instant) -> Result<Held, Exceeded> {
        let key = self.keys.of_address(address);
        take(self.new.as_deref(), key, now, Limit::New)?;
        hold(&self.connections, key, self.settings.address.connections, Limit::Connections)
    }

    /// Counts a TLS handshake with this address, unfinished for as long as what is returned lives.
    pub fn shake_hands(&self, address: IpAddr) -> Result<Held, Exceeded> {
        hold(&self.handshakes, self.keys.of_address(address), self.settings.address.handshakes, Limit::Handshakes)
    }

    /// Whether so many tokens of this address were refused that no further one is verified.
    pub fn may_verify(&self, address: IpAddr, now: Instant) -> Result<(), Exceeded> {
        match &self.refused {
            Some(rates) => exceeded(rates.peek(self.keys.of_address(address), now), Limit::Refused),
            None => Ok(()),
        }
    }

    /// Counts a refused token of this address.
    pub fn refused(&self, address: IpAddr, now: Instant) {
        if let Some(rates) = &self.refused {
            // Whoever has none left is told so when the next one comes.
            let _ = rates.take(self.keys.of_address(address), now);
        }
    }

    /// Counts a request of a user.
    pub fn request(&self, issuer: &str, user: &str, now: impl FnOnce() -> Instant) -> Result<(), Exceeded> {
        match self.requests.as_deref() {
            Some(rates) => take(Some(rates), self.keys.of_user(issuer, user), now(), Limit::Requests),
            None => Ok(()),
        }
    }

    /// Counts a token that is to be minted for a user.
    pub fn mint(&self, issuer: &str, user: &str, now: Instant) -> Result<(), Exceeded> {
        take(self.mints.as_deref(), self.keys.of_user(issuer, user), now, Limit::Mints)
    }

    /// Counts a WebSocket or a feed of a user. It counts for as long as what is returned lives.
    pub fn open_socket(&self, issuer: &str, user: &str) -> Result<Held, Exceeded> {
        hold(&self.sockets, self.keys.of_user(issuer, user), self.settings.user.sockets, Limit::Sockets)
    }
}

fn take(rates: Option<&Rates>, key: Key, now: Instant, limit: Limit) -> Result<(), Exceeded> {
    rates.map_or(Ok(()), |rates| exceeded(rates.take(key, now), limit))
}

fn exceeded(outcome: Result<(), Duration>, limit: Limit) -> Result<(), Exceeded> {
    outcome.map_err(|wait| {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Exceeded { limit, retry_after: u32::try_from(seconds).unwrap_or(u32::MAX).max(1) }
    })
}

fn hold(counts: &Arc<Counts>, key: Key, most: Option<u32>, limit: Limit) -> Result<Held, Exceeded> {
    Counts::hold(counts, key, most.unwrap_or(u32::MAX)).ok_or(Exceeded { limit, retry_after: PLACE_RETRY })
}

#[cfg(test)]
mod tests;
