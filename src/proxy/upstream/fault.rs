//! What can go wrong between the gateway and an upstream, and the client's error message.

/// What went wrong between the gateway and an upstream. The closed list behind the label `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum UpstreamFault {
    /// The name was never resolved.
    NoAddress,
    /// No connection, or no TLS on it.
    Connect,
    /// Connecting took too long.
    ConnectTimeout,
    /// The connection broke.
    Broken,
    /// What was answered is not HTTP.
    Malformed,
    /// The upstream was silent for too long.
    Timeout,
}

impl UpstreamFault {
    pub(in crate::proxy) const fn label(self) -> &'static str {
        match self {
            Self::NoAddress => "no_address",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Broken => "broken",
            Self::Malformed => "malformed",
            Self::Timeout => "timeout",
        }
    }

    /// The message for the client, without anything from the upstream.
    pub(in crate::proxy) const fn words(self) -> &'static str {
        match self {
            Self::NoAddress | Self::Connect => "the service behind the gateway could not be reached",
            Self::ConnectTimeout => "the service behind the gateway could not be reached in time",
            Self::Broken => "the service behind the gateway closed the connection without a response",
            Self::Malformed => "the service behind the gateway sent an invalid response",
            Self::Timeout => "the service behind the gateway did not respond in time",
        }
    }

    pub(in crate::proxy) const fn status(self) -> u16 {
        match self {
            Self::NoAddress | Self::Connect | Self::Broken | Self::Malformed => 502,
            Self::ConnectTimeout | Self::Timeout => 504,
        }
    }
}
