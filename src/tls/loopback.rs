//! To whom plain HTTP may go, since nobody is in between: the machine itself.

use std::net::IpAddr;

/// Whether this host of a URL is the machine itself. Names other than `localhost` are not looked up.
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_and_its_addresses_are_the_machine_itself() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]", "::1"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["", "localhost.", "localhost.example", "127.0.0.1.example", "128.0.0.1", "0.0.0.0", "[::2]", "[::ffff:127.0.0.1]"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
