//! [`TrustedProxies`]: the addresses that are believed.

use std::net::IpAddr;

use ipnet::IpNet;

/// Ranges of addresses. Those of IPv4 also cover the same addresses mapped into IPv6.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// These ranges and no others: not even loopback is trusted unasked.
    pub fn new(ranges: Vec<IpNet>) -> Self {
        Self(ranges)
    }

    /// The ranges.
    pub fn ranges(&self) -> &[IpNet] {
        &self.0
    }

    /// Whether no address is trusted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address is in one of the ranges.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|range| range.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_covers_its_addresses_and_no_others() {
        let ranges = ["10.1.0.0/16", "203.0.113.7/32", "2001:db8::/32"];
        let trusted = TrustedProxies::new(ranges.iter().map(|range| range.parse().unwrap()).collect());
        for (address, expected) in [
            ("10.1.255.255", true),
            ("::ffff:10.1.0.1", true),
            ("10.2.0.0", false),
            ("203.0.113.7", true),
            ("203.0.113.8", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
            ("127.0.0.1", false),
            ("::1", false),
        ] {
            assert_eq!(trusted.contains(address.parse().unwrap()), expected, "{address}");
        }
        assert!(!TrustedProxies::default().contains("127.0.0.1".parse().unwrap()));
    }
}
