//! Why the gateway ends a connection.

use crate::token::Rejection;

/// Why the gateway ended a connection. The closed list behind the label `cause`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Cut {
    /// The header took too long.
    HeaderTimeout,
    /// The token that a request rests on ended.
    TokenEnd,
    /// The stream reached its configured age.
    MaxAge,
    /// The gateway stops.
    Shutdown,
    /// Neither side of a socket has sent anything for long.
    Idle,
    /// The key that verified the token is no longer trusted.
    KeyUntrusted,
    /// The client of a socket took nothing for too long.
    SlowClient,
    /// The upstream of a socket took nothing for too long.
    SlowUpstream,
    /// The client took nothing of an answer for too long.
    WriteTimeout,
    /// It was idle, and its place was needed.
    Displaced,
    /// An operator drains the address of the upstream that a socket leads to.
    Drained,
}

impl Cut {
    pub(in crate::proxy) const ALL: [Self; 11] = [
        Self::HeaderTimeout,
        Self::TokenEnd,
        Self::MaxAge,
        Self::Shutdown,
        Self::Idle,
        Self::KeyUntrusted,
        Self::SlowClient,
        Self::SlowUpstream,
        Self::WriteTimeout,
        Self::Displaced,
        Self::Drained,
    ];

    /// The one that `cut as u8` stands for.
    pub(super) fn from_stored(stored: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|cut| *cut as u8 == stored)
    }

    pub(in crate::proxy) const fn label(self) -> &'static str {
        match self {
            Self::HeaderTimeout => "header_timeout",
            Self::TokenEnd => "token_end",
            Self::MaxAge => "max_age",
            Self::Shutdown => "shutdown",
            Self::Idle => "idle",
            Self::KeyUntrusted => "key_untrusted",
            Self::SlowClient => "slow_client",
            Self::SlowUpstream => "slow_upstream",
            Self::WriteTimeout => "write_timeout",
            Self::Displaced => "displaced",
            Self::Drained => "drained",
        }
    }

    /// What a request is told that ends with this before an answer has begun.
    pub(in crate::proxy) const fn rejection(self) -> Rejection {
        match self {
            Self::KeyUntrusted => Rejection::UnknownKey,
            _ => Rejection::Expired,
        }
    }
}
