//! [`Peer`]: the other end of a connection.

use std::net::{IpAddr, SocketAddr};

/// How a client's requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that an URL of this scheme has if it names none.
    pub(super) const fn port(self) -> &'static [u8] {
        match self {
            Self::Http => b"80",
            Self::Https => b"443",
        }
    }
}

/// Who is at the other end of a connection: its peer, or whom the PROXY protocol has named instead.
#[derive(Debug)]
pub(in crate::proxy) struct Peer {
    address: SocketAddr,
    scheme: Scheme,
    may_tell: bool,
    text: String,
    lines: String,
}

impl Peer {
    pub(in crate::proxy) fn new(address: SocketAddr, scheme: Scheme) -> Self {
        // A listener for IPv6 tells addresses of IPv4 as mapped ones.
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let (ip, word) = (address.ip(), scheme.word());
        let ssl = if scheme == Scheme::Https { "X-Forwarded-Ssl: on\r\n" } else { "" };
        let lines = format!("X-Forwarded-For: {ip}\r\nX-Forwarded-Proto: {word}\r\n{ssl}");
        Self { address, scheme, may_tell: true, text: address.to_string(), lines }
    }

    /// The same, coming so.
    pub(in crate::proxy) fn by(self, scheme: Scheme) -> Self {
        Self { may_tell: self.may_tell, ..Self::new(self.address, scheme) }
    }

    /// The same, but nothing that comes on its connection is said by a trusted proxy.
    pub(in crate::proxy) fn unbelieved(self) -> Self {
        Self { may_tell: false, ..self }
    }

    pub(in crate::proxy) fn address(&self) -> IpAddr {
        self.address.ip()
    }

    /// Whether it is on this machine or in a private network.
    pub(in crate::proxy) fn is_near(&self) -> bool {
        match self.address.ip() {
            IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
            IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
        }
    }

    /// Address and port.
    pub(in crate::proxy) fn text(&self) -> &str {
        &self.text
    }

    pub(in crate::proxy) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether it may be believed if its address is trusted.
    pub(super) fn may_tell(&self) -> bool {
        self.may_tell
    }

    /// What upstreams are told of it, as whole header lines: the same for all its requests.
    pub(super) fn lines(&self) -> &[u8] {
        self.lines.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ipv4_is_told_as_one() {
        let peer = |address: &str| Peer::new(address.parse().unwrap(), Scheme::Http);
        for (address, text) in
            [("[::ffff:127.0.0.1]:5", "127.0.0.1:5"), ("[2001:db8::1]:5", "[2001:db8::1]:5"), ("10.0.0.1:5", "10.0.0.1:5")]
        {
            assert_eq!(peer(address).text(), text);
        }
        assert_eq!(peer("[::ffff:127.0.0.1]:5").address(), IpAddr::from([127, 0, 0, 1]));
    }
}
