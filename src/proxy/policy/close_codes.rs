//! The close codes of WebSockets, by route.

/// Status codes of the Close frames that the gateway says on a route (RFC 6455 section 7.4), by reason. None: what the clients of the
/// socket's subprotocol come back from. 1000 to 1003, 1007 to 1014, or 3000 to 4999.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CloseCodes {
    /// The token has ended, or the key behind it is no longer trusted. Default 1008; 4403 for `graphql-transport-ws`.
    pub token_end: Option<u16>,
    /// The socket has reached `listen.max_stream_age`. Default 1001.
    pub max_age: Option<u16>,
    /// The upstream is gone. Default 1011; 1014 for `graphql-transport-ws`.
    pub upstream_lost: Option<u16>,
}
