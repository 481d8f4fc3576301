//! Client input that is not a request: its kinds, and how it is logged and counted.

use std::time::Duration;

use pingora::{Error, ErrorType};

use crate::{proxy::http::RateLimit, token::Rejection};

/// Why what came in is not a request. The closed list behind the label `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Unreadable {
    /// A header of the PROXY protocol, version 1 or 2.
    ProxyProtocol,
    /// A TLS handshake.
    Tls,
    /// The preface of HTTP/2.
    Http2,
    /// A first line that is not method, target and version.
    RequestLine,
    /// A version that is neither HTTP/1.0 nor HTTP/1.1.
    Version,
    /// A target with white space, a control character or a fragment in it.
    Target,
    /// A line behind the first one that is not a field (RFC 9112 section 5).
    Field,
    /// More fields than are read.
    TooManyFields,
    /// A header that is too large, and of whose beginning nothing can be made.
    TooLarge,
    /// Fields that say two things of host or length.
    Ambiguous,
    /// CONNECT, which means something else than other methods, and is framed otherwise.
    Connect,
}

impl Unreadable {
    const ALL: [Self; 11] = [
        Self::ProxyProtocol,
        Self::Tls,
        Self::Http2,
        Self::RequestLine,
        Self::Version,
        Self::Target,
        Self::Field,
        Self::TooManyFields,
        Self::TooLarge,
        Self::Ambiguous,
        Self::Connect,
    ];

    /// Of an error that Pingora's session has met while it read a header. None: the connection has ended.
    pub(in crate::proxy) fn of(error: &Error) -> Option<Self> {
        let cause = error.cause.as_deref().and_then(|cause| cause.downcast_ref::<httparse::Error>());
        match (error.etype(), cause) {
            (ErrorType::InvalidHTTPHeader, Some(httparse::Error::TooManyHeaders)) => Some(Self::TooManyFields),
            (ErrorType::InvalidHTTPHeader, Some(_)) => Some(Self::Field),
            (ErrorType::InvalidHTTPHeader, None) => Some(Self::Ambiguous),
            _ => None,
        }
    }

    pub(in crate::proxy) const fn label(self) -> &'static str {
        match self {
            Self::ProxyProtocol => "proxy_protocol",
            Self::Tls => "tls",
            Self::Http2 => "http2",
            Self::RequestLine => "request_line",
            Self::Version => "version",
            Self::Target => "target",
            Self::Field => "field",
            Self::TooManyFields => "too_many_fields",
            Self::TooLarge => "too_large",
            Self::Ambiguous => "ambiguous",
            Self::Connect => "connect",
        }
    }

    /// How it is answered.
    pub(in crate::proxy) const fn rejection(self) -> Rejection {
        match self {
            Self::ProxyProtocol | Self::Tls | Self::Http2 | Self::RequestLine | Self::Field | Self::Ambiguous => {
                Rejection::RequestMalformed
            }
            Self::Version => Rejection::VersionNotSupported,
            Self::Target => Rejection::TargetMalformed,
            Self::TooManyFields | Self::TooLarge => Rejection::HeadersTooLarge,
            Self::Connect => Rejection::MethodNotAllowed,
        }
    }

    /// What an operator is told.
    const fn words(self) -> &'static str {
        match self {
            Self::ProxyProtocol => {
                "it looks like the PROXY protocol: set listen.proxy_protocol, or disable it in the load balancer in front"
            }
            Self::Tls => {
                "it looks like TLS, but this listener is for plain HTTP: use http://, or give the listener a certificate (listen.tls)"
            }
            Self::Http2 => {
                "it looks like HTTP/2 without TLS, which is not supported: use HTTP/1.1 in the proxy in front, or TLS (listen.tls)"
            }
            Self::RequestLine => "its first line is not method, target and version",
            Self::Version => "its version is neither HTTP/1.0 nor HTTP/1.1",
            Self::Target => "its target contains white space, a control character or a fragment (#)",
            Self::Field => "a line of its header is not a valid field",
            Self::TooManyFields => "its header has more than 256 fields",
            Self::TooLarge => "its header is larger than listen.header_bytes",
            Self::Ambiguous => "its Host, Content-Length or Transfer-Encoding is ambiguous or not valid",
            Self::Connect => "it is a CONNECT, but this is not a forward proxy",
        }
    }
}

/// Tells the operator of what could not be read, each kind once in a while.
#[derive(Debug)]
pub(in crate::proxy) struct Complaints([RateLimit; Unreadable::ALL.len()]);

impl Default for Complaints {
    fn default() -> Self {
        const LOG_INTERVAL: Duration = Duration::from_secs(10);
        Self(std::array::from_fn(|_| RateLimit::every(LOG_INTERVAL)))
    }
}

impl Complaints {
    /// `client`: address and port.
    pub(in crate::proxy) fn tell(&self, kind: Unreadable, client: &str) {
        if self.0.get(kind as usize).is_some_and(RateLimit::is_due) {
            tracing::warn!(client, kind = kind.label(), "a client sent something other than a request: {}", kind.words());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_kind_has_its_own_label_and_complaint() {
        let labels: HashSet<_> = Unreadable::ALL.iter().map(|kind| kind.label()).collect();
        assert_eq!(labels.len(), Unreadable::ALL.len());
        assert!(Unreadable::ALL.iter().enumerate().all(|(index, kind)| *kind as usize == index));
    }

    #[test]
    fn what_pingora_cannot_parse_is_told_apart() {
        let because = |cause| Error::because(ErrorType::InvalidHTTPHeader, "", cause);
        assert_eq!(Unreadable::of(&because(httparse::Error::TooManyHeaders)), Some(Unreadable::TooManyFields));
        assert_eq!(Unreadable::of(&because(httparse::Error::HeaderName)), Some(Unreadable::Field));
        assert_eq!(Unreadable::of(&Error::explain(ErrorType::InvalidHTTPHeader, "two")), Some(Unreadable::Ambiguous));
        assert_eq!(Unreadable::of(&Error::explain(ErrorType::ConnectionClosed, "gone")), None);
    }
}
