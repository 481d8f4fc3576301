//! Why a WebSocket ended, and the close codes for its peers.

use std::time::Duration;

use crate::proxy::{client::Cut, policy::CloseCodes};

/// How long the other side may take to close after one has ended, or both after a Close.
pub(in crate::proxy) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a WebSocket ended. The closed list behind the label `cause` of `syncgate_websockets_ended_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum SocketEnd {
    /// The gateway ended it.
    Cut(Cut),
    /// This side was the first to say Close.
    Closed(Side),
    /// This side ended its connection without a Close.
    Ended(Side),
    /// The connection to this side broke.
    Reset(Side),
}

/// A peer of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Side {
    Client,
    Upstream,
}

impl SocketEnd {
    pub(in crate::proxy) const fn label(self) -> &'static str {
        match self {
            Self::Cut(cut) => cut.label(),
            Self::Closed(Side::Client) => "client_closed",
            Self::Closed(Side::Upstream) => "upstream_closed",
            Self::Ended(Side::Client) => "client_ended",
            Self::Ended(Side::Upstream) => "upstream_ended",
            Self::Reset(Side::Client) => "client_reset",
            Self::Reset(Side::Upstream) => "upstream_reset",
        }
    }
}

/// What a Close says: a status code, and a reason in a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Farewell {
    pub(in crate::proxy) code: u16,
    pub(in crate::proxy) reason: &'static str,
}

/// The codes of one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Farewells {
    token_end: u16,
    max_age: u16,
    upstream_lost: u16,
}

impl Farewells {
    /// Those of a route, for a socket with this subprotocol.
    pub(in crate::proxy) fn new(codes: CloseCodes, protocol: Option<&[u8]>) -> Self {
        // graphql-ws gives up at every code below 3000 but 1000, 1001, 1005, 1006 and 1012 to 1014.
        let (token_end, upstream_lost) = if protocol == Some(b"graphql-transport-ws") { (4403, 1014) } else { (1008, 1011) };
        Self {
            token_end: codes.token_end.unwrap_or(token_end),
            max_age: codes.max_age.unwrap_or(1001),
            upstream_lost: codes.upstream_lost.unwrap_or(upstream_lost),
        }
    }

    /// The close codes for both sides when the gateway ends a WebSocket.
    pub(super) const fn of(self, cut: Cut) -> Farewell {
        let (code, reason) = match cut {
            Cut::TokenEnd => (self.token_end, "token expired"),
            Cut::KeyUntrusted => (self.token_end, "key no longer trusted"),
            Cut::MaxAge => (self.max_age, "connected for too long"),
            Cut::SlowUpstream => return self.upstream_lost(),
            Cut::SlowClient => (1001, "the client does not read"),
            Cut::Idle => (1001, "idle"),
            Cut::Drained => (1001, "the address is drained"),
            Cut::Shutdown | Cut::HeaderTimeout | Cut::WriteTimeout | Cut::Displaced => (1001, "going away"),
        };
        Farewell { code, reason }
    }

    /// The close code for a client whose upstream is gone.
    pub(super) const fn upstream_lost(self) -> Farewell {
        Farewell { code: self.upstream_lost, reason: "the service behind the gateway is gone" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_graphql_clients_take_for_good_is_not_said_to_them() {
        let come_back = |code: u16| code >= 3000 || matches!(code, 1000 | 1001 | 1005 | 1006 | 1012..=1014);
        let farewells = Farewells::new(CloseCodes::default(), Some(b"graphql-transport-ws"));
        for cut in Cut::ALL {
            assert!(come_back(farewells.of(cut).code), "{cut:?}");
        }
        assert!(come_back(farewells.upstream_lost().code));
    }

    #[test]
    fn a_route_has_the_last_word() {
        let codes = CloseCodes { token_end: Some(4001), max_age: Some(1012), upstream_lost: Some(4002) };
        for protocol in [None, Some(&b"v1"[..]), Some(b"graphql-transport-ws")] {
            let farewells = Farewells::new(codes, protocol);
            assert_eq!([Cut::TokenEnd, Cut::KeyUntrusted, Cut::MaxAge].map(|cut| farewells.of(cut).code), [4001, 4001, 1012]);
            assert_eq!(farewells.upstream_lost().code, 4002);
        }
        assert_eq!(Farewells::new(CloseCodes::default(), None).of(Cut::TokenEnd).code, 1008);
    }
}
