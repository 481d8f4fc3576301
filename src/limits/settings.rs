//! The settings of the limits.

use super::rates::Rate;

/// Every limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitSettings {
    /// By the client's address: of IPv4 each, of IPv6 each /64.
    pub address: AddressLimits,
    /// By the user, whatever his tokens.
    pub user: UserLimits,
}

/// What one address may. None: as much as it likes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressLimits {
    /// Connections at a time. Default 2,000: a company is one address.
    pub connections: Option<u32>,
    /// New connections. Default 50 a second, 2,000 at once.
    pub new: Option<Rate>,
    /// Unfinished TLS handshakes. Default 512: the devices of one company may come back at once.
    pub handshakes: Option<u32>,
    /// Refused tokens, beyond which none is verified. Default 100 a second, 1,000 at once.
    pub refused: Option<Rate>,
}

/// What one user may. None: as much as he likes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserLimits {
    /// Requests. Default: none.
    pub requests: Option<Rate>,
    /// WebSockets and feeds at a time. Default 100: devices, with tabs.
    pub sockets: Option<u32>,
    /// Tokens minted. Default 1 a second, 20 at once.
    pub mints: Option<Rate>,
}

impl LimitSettings {
    /// Nothing is limited.
    pub const fn none() -> Self {
        Self {
            address: AddressLimits { connections: None, new: None, handshakes: None, refused: None },
            user: UserLimits { requests: None, sockets: None, mints: None },
        }
    }
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            address: AddressLimits {
                connections: Some(2_000),
                new: Some(Rate::per_second(50, 2_000)),
                handshakes: Some(512),
                refused: Some(Rate::per_second(100, 1_000)),
            },
            user: UserLimits { requests: None, sockets: Some(100), mints: Some(Rate::per_second(1, 20)) },
        }
    }
}
