use proptest::prelude::*;

use super::*;
use crate::proxy::address::TrustedProxies;

const PROXY: &str = "10.0.0.1";

fn trust(client_field: ClientField) -> TrustSettings {
    let proxies = ["10.0.0.0/8", "2001:db8:1::/48"].iter().map(|range| range.parse().unwrap()).collect();
    TrustSettings { proxies: TrustedProxies::new(proxies), client_field }
}

fn peer(address: &str) -> Peer {
    Peer::new(format!("{address}:4711").parse().unwrap(), Scheme::Http)
}

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
}

fn told(fields: &[(&'static str, &str)]) -> Client {
    *Client::told(&peer(PROXY), &headers(fields), &trust(ClientField::XForwardedFor)).unwrap()
}

#[test]
fn the_first_address_from_the_right_that_is_no_proxy_is_the_client() {
    for (list, client) in [
        ("203.0.113.7", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, 10.1.1.1", "203.0.113.7"),
        ("203.0.113.7, 10.1.1.1:80, [2001:db8:1::5]:443", "203.0.113.7"),
        ("10.3.3.3, 10.2.2.2", "10.3.3.3"),
        ("unknown, 10.2.2.2", "10.2.2.2"),
        ("203.0.113.7, unknown, 10.2.2.2", "10.2.2.2"),
        ("203.0.113.7, _hidden", PROXY),
        ("", PROXY),
        (" , ,", PROXY),
        ("203.0.113.7,,", "203.0.113.7"),
        ("203.0.113.7 10.2.2.2", PROXY),
        ("fe80::1%eth0", PROXY),
        ("::ffff:10.2.2.2", "10.2.2.2"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
    ] {
        assert_eq!(told(&[("x-forwarded-for", list)]).address(), client.parse::<IpAddr>().unwrap(), "{list}");
    }
    let spread =
        [("x-forwarded-for", "198.51.100.1, 203.0.113.7"), ("x-forwarded-for", "10.1.1.1"), ("x-forwarded-for", "10.2.2.2")];
    assert_eq!(told(&spread).address(), IpAddr::from([203, 0, 113, 7]));
    assert_eq!(told(&spread).text(), "203.0.113.7");
    assert_eq!(told(&[]).text(), "10.0.0.1:4711");
}

#[test]
fn a_list_is_read_no_further_than_a_chain_of_proxies_is_long() {
    let long = format!("203.0.113.7{}", ", 10.1.1.1".repeat(10_000));
    let client = told(&[("x-forwarded-for", &long)]);
    assert_eq!((client.address(), client.behind.len()), (IpAddr::from([10, 1, 1, 1]), 32));
}

#[test]
fn who_is_not_trusted_says_nothing() {
    let fields = headers(&[("x-forwarded-for", "203.0.113.7"), ("x-forwarded-proto", "https")]);
    for stranger in ["192.0.2.1", "127.0.0.1", "192.168.1.1", "172.16.0.1"] {
        assert_eq!(Client::told(&peer(stranger), &fields, &trust(ClientField::XForwardedFor)), None, "{stranger}");
    }
    assert_eq!(Client::told(&peer(PROXY), &fields, &TrustSettings::default()), None);
    assert_eq!(Client::told(&peer(PROXY).unbelieved(), &fields, &trust(ClientField::XForwardedFor)), None);
}

#[test]
fn what_a_proxy_says_of_scheme_and_host_is_what_stands_beside_the_client() {
    let read = |fields: &[(&'static str, &str)]| {
        let client = told(fields);
        (client.scheme, client.host, client.port)
    };
    let text = |text: &str| Some(text.to_owned());
    let https = [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "HTTPS"),
        ("x-forwarded-host", "a.test:8443"),
        ("x-forwarded-port", "8443"),
    ];
    assert_eq!(read(&https), (Scheme::Https, text("a.test:8443"), text("8443")));
    // Two proxies, each of which appends to every list; the leftmost entries are the client's own invention.
    let appended = [
        ("x-forwarded-for", "1.1.1.1, 203.0.113.7, 10.2.2.2"),
        ("x-forwarded-proto", "gopher, https, http"),
        ("x-forwarded-host", "evil.test, a.test, inner.test"),
    ];
    assert_eq!(read(&appended), (Scheme::Https, text("a.test"), None));
    // The inner one writes its own value.
    assert_eq!(read(&[("x-forwarded-for", "203.0.113.7, 10.2.2.2"), ("x-forwarded-proto", "https")]).0, Scheme::Https);
    assert_eq!(read(&[("x-forwarded-for", "203.0.113.7"), ("x-forwarded-proto", "https, http")]).0, Scheme::Http);
    assert_eq!(read(&[("x-forwarded-proto", "wss")]).0, Scheme::Https);
    for proto in ["", "ftp", "on", "https;"] {
        assert_eq!(read(&[("x-forwarded-proto", proto)]).0, Scheme::Http, "{proto}");
    }
    for host in ["a.test/x", "a b", "a@b", "\"a\"", "é"] {
        let mut fields = headers(&[("x-forwarded-for", "203.0.113.7")]);
        fields.insert(X_FORWARDED_HOST, HeaderValue::from_bytes(host.as_bytes()).unwrap());
        assert_eq!(Client::told(&peer(PROXY), &fields, &trust(ClientField::XForwardedFor)).unwrap().host, None, "{host}");
    }
    assert_eq!(read(&[("x-forwarded-port", "443x")]).2, None);
}

#[test]
fn another_field_is_read_where_the_config_names_it() {
    let fields = headers(&[
        ("forwarded", "for=198.51.100.1, for=\"[2001:db8::7]:1234\";proto=https;host=\"a.test\", for=10.9.9.9;proto=http"),
        ("cf-connecting-ip", "198.51.100.2"),
        ("x-forwarded-for", "198.51.100.3"),
        ("x-forwarded-proto", "https"),
    ]);
    let read = |field| *Client::told(&peer(PROXY), &fields, &trust(field)).unwrap();
    let by_element = read(ClientField::Forwarded);
    assert_eq!(by_element.address(), "2001:db8::7".parse::<IpAddr>().unwrap());
    assert_eq!((by_element.scheme, by_element.host.as_deref()), (Scheme::Https, Some("a.test")));
    assert_eq!(by_element.behind, [IpAddr::from([10, 9, 9, 9]), IpAddr::from([10, 0, 0, 1])]);
    let named = read(ClientField::Named(HeaderName::from_static("cf-connecting-ip")));
    assert_eq!((named.address(), named.scheme), (IpAddr::from([198, 51, 100, 2]), Scheme::Https));
}

/// A naive reading of a list: all of it, from the left, by the definitions.
fn naive(lines: &[String]) -> IpAddr {
    let joined = lines.join(",");
    let entries: Vec<&str> =
        joined.split(',').map(|entry| entry.trim_matches([' ', '\t'])).filter(|entry| !entry.is_empty()).collect();
    let parsed: Vec<Option<IpAddr>> = entries.iter().map(|entry| naive_address(entry)).collect();
    let is_proxy = |address: &IpAddr| match address {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.segments()[..3] == [0x2001, 0xdb8, 1],
    };
    // The rightmost entries that are proxies.
    let near = parsed.iter().rev().take_while(|entry| entry.as_ref().is_some_and(is_proxy)).count();
    let last_proxy = if near == 0 { PROXY.parse().unwrap() } else { parsed[parsed.len() - near].unwrap() };
    parsed[..parsed.len() - near].last().copied().flatten().unwrap_or(last_proxy)
}

fn naive_address(entry: &str) -> Option<IpAddr> {
    if let Ok(with_port) = entry.parse::<std::net::SocketAddr>() {
        return Some(with_port.ip().to_canonical()).filter(|_| !entry.contains('%'));
    }
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let inner = entry.strip_prefix('[')?.strip_suffix(']')?;
    inner.parse::<std::net::Ipv6Addr>().ok().map(|address| IpAddr::V6(address).to_canonical())
}

/// Entries as they are met with, and those that are not.
fn entry() -> impl Strategy<Value = String> {
    let address = prop_oneof![
        any::<[u8; 4]>().prop_map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
        any::<[u8; 3]>().prop_map(|[a, b, c]| format!("10.{a}.{b}.{c}")),
        any::<[u8; 2]>().prop_map(|[a, b]| format!("::ffff:10.1.{a}.{b}")),
        any::<u16>().prop_map(|last| format!("2001:db8:1::{last:x}")),
        any::<u16>().prop_map(|last| format!("2001:db8:2::{last:x}")),
    ];
    prop_oneof![
        8 => address.clone(),
        2 => (address.clone(), any::<u16>()).prop_map(|(address, port)| match address.contains("::") {
            true => format!("[{address}]:{port}"),
            false => format!("{address}:{port}"),
        }),
        1 => address.clone().prop_map(|address| format!("[{address}]")),
        1 => address.prop_map(|address| format!("{address}%eth0")),
        1 => prop::sample::select(vec!["", "unknown", "_hidden", "-", "localhost", "1.2.3", "[::1", "10.0.0.1:", "10.0.0.1:99999"]).prop_map(str::to_owned),
        1 => "[ -+.-~]{0,12}".prop_map(|text| text),
    ]
}

proptest! {
    #[test]
    fn a_list_is_read_as_a_naive_reader_reads_it(
        lines in prop::collection::vec(prop::collection::vec((entry(), "[ \t]{0,2}"), 0..6), 0..4),
    ) {
        let lines: Vec<String> = lines
            .iter()
            .map(|line| line.iter().map(|(entry, blank)| format!("{blank}{entry}{blank}")).collect::<Vec<_>>().join(","))
            .collect();
        let fields: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", line.as_str())).collect();
        prop_assert_eq!(told(&fields).address(), naive(&lines), "{:?}", lines);
    }

    /// Whatever a client has put in front, the entry that a proxy has appended counts.
    #[test]
    fn nothing_before_what_the_nearest_proxy_has_written_changes_who_the_client_is(forged in "[ -~\t]{0,60}", own_line in any::<bool>()) {
        for (field, appended) in [(ClientField::XForwardedFor, "203.0.113.7"), (ClientField::Forwarded, "for=203.0.113.7")] {
            let name = if field == ClientField::Forwarded { "forwarded" } else { "x-forwarded-for" };
            let joined = format!("{forged}, {appended}");
            let fields = if own_line { vec![(name, forged.as_str()), (name, appended)] } else { vec![(name, joined.as_str())] };
            let client = Client::told(&peer(PROXY), &headers(&fields), &trust(field)).unwrap();
            prop_assert_eq!(client.address(), IpAddr::from([203, 0, 113, 7]));
        }
    }
}
