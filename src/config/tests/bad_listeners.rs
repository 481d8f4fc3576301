use serde_json::{Value, json};

use super::{config, printout::round_trip, problems, warnings, with};
use crate::certificate::{AcmeChallenge, AcmeSettings, ClientMode, DefaultCertificate, MinVersion};

const DOMAIN: &str = "accepted: a full host name, without a star, such as sync.contoso.com";

/// The bad values of callers that show a certificate.
pub(super) fn of_callers() -> Vec<(&'static str, Value, String)> {
    let caller = |certificate: Value, text: &str| {
        let endpoint = json!({ "type": "b2c_policy", "callers": [{ "certificate": certificate }] });
        let routes = json!([{ "name": "a", "path": "/a", "endpoint": endpoint }]);
        ("/routes", routes, format!("routes[0].endpoint.callers[0].certificate{text}"))
    };
    vec![
        caller(json!({}), ": does not say which certificate it is; accepted: sha256, names, or both"),
        caller(
            json!({ "sha256": "0:1" }),
            ".sha256: \"0:1\" is not a SHA-256; accepted: the SHA-256 of the certificate, 64 hexadecimal digits",
        ),
    ]
}

/// The bad values of listeners.
pub(super) fn rows() -> Vec<(&'static str, Value, String)> {
    [of_clients(), of_redirects(), of_tls(), of_acme()].concat()
}

/// Of who clients are.
fn of_clients() -> Vec<(&'static str, Value, String)> {
    let row = |place, value, text: &str| (place, value, text.to_owned());
    vec![
        row(
            "/listen/trusted_proxies",
            json!("10.0.0.1/8"),
            "listen.trusted_proxies: \"10.0.0.1/8\" has bits behind its prefix; write the first address of the range; accepted: an address, or a range such as 10.0.0.0/8 or 2001:db8::/32",
        ),
        row(
            "/listen/trusted_proxies",
            json!(["10.0.0.0/8", "proxy.test"]),
            "listen.trusted_proxies[1]: \"proxy.test\" is not a range of addresses; accepted: an address, or a range such as 10.0.0.0/8 or 2001:db8::/32",
        ),
        row(
            "/listen/trusted_proxies",
            json!("::ffff:10.0.0.0/104"),
            "listen.trusted_proxies: \"::ffff:10.0.0.0/104\" is of IPv4 in the form of IPv6; write it as IPv4; accepted: an address, or a range such as 10.0.0.0/8 or 2001:db8::/32",
        ),
        row(
            "/listen/client_address",
            json!("cookie"),
            "listen.client_address: \"cookie\" says something else; accepted: x-forwarded-for, forwarded, or the name of another field",
        ),
        row("/listen/proxy_protocol", json!("v2"), "listen.proxy_protocol: \"v2\" is not known; accepted: true, false"),
        row(
            "/listen/proxy_protocol",
            json!(true),
            "listen.trusted_proxies: is required: the load balancers whose PROXY protocol is believed; every other connection is closed",
        ),
        row(
            "/limits/address/connections",
            json!(0),
            "limits.address.connections: \"0\" is not valid; accepted: none, or 1 to 1000000",
        ),
        row(
            "/limits/address/new",
            json!("50"),
            "limits.address.new: \"50\" is not a rate; accepted: none, or a rate such as 50/s or 10/m, with a burst: 50/s burst 200",
        ),
        row(
            "/limits/address/new",
            json!("50/d"),
            "limits.address.new: \"50/d\" is not for s, m or h; accepted: none, or a rate such as 50/s or 10/m, with a burst: 50/s burst 200",
        ),
        row(
            "/limits/user/requests",
            json!("0/s"),
            "limits.user.requests: \"0/s\" is not 1 to 1000000 in a time; accepted: none, or a rate such as 50/s or 10/m, with a burst: 50/s burst 200",
        ),
        row(
            "/limits/user/mints",
            json!("1/s burst many"),
            "limits.user.mints: \"1/s burst many\" has a burst that is not 1 to 1000000; accepted: none, or a rate such as 50/s or 10/m, with a burst: 50/s burst 200",
        ),
        row("/headers/forwarded_for", json!("all"), "headers.forwarded_for: \"all\" is not known; accepted: client, chain"),
        row("/headers/forwarded", json!("on"), "headers.forwarded: \"on\" is not known; accepted: true, false"),
    ]
}

/// Of the way to https.
fn of_redirects() -> Vec<(&'static str, Value, String)> {
    let pair = json!({ "chain_file": "a.pem", "key_file": "a.key" });
    vec![
        (
            "/listen/redirect_to_https",
            json!(0),
            "listen.redirect_to_https: 0 is too small; accepted: none, or the port of https as clients see it: 1 to 65535 (default none)"
                .to_owned(),
        ),
        (
            "/listen",
            json!({ "redirect_to_https": 443, "tls": { "certificates": [pair] } }),
            "listen.redirect_to_https: is for a listener without tls: there is nothing to redirect to".to_owned(),
        ),
    ]
}

/// Of certificates that an authority issues.
fn of_acme() -> Vec<(&'static str, Value, String)> {
    let acme = |key: &str, value: Value| {
        let mut acme = json!({ "domains": ["a.contoso.com"] });
        acme[key] = value;
        json!({ "acme": acme })
    };
    let of = |value, text: &str| ("/listen/tls", value, format!("listen.tls.{text}"));
    vec![
        of(json!({ "acme": {} }), &format!("acme.domains: is required: {}", DOMAIN.trim_start_matches("accepted: "))),
        of(
            acme("domains", json!("*.contoso.com")),
            &format!("acme.domains: \"*.contoso.com\" has a star, for which an authority asks the DNS; {DOMAIN}"),
        ),
        of(acme("domains", json!("localhost")), &format!("acme.domains: \"localhost\" is not a host name; {DOMAIN}")),
        of(acme("domains", json!(["a.b", "a.b"])), "acme.domains[1]: appears twice in the list; keep one"),
        of(acme("email", json!("admin")), "acme.email: \"admin\" is not an e-mail address; accepted: an e-mail address"),
        of(
            acme("directory", json!("http://localhost/dir")),
            "acme.directory: is not the URL of a directory; accepted: the https URL of an ACME directory",
        ),
        of(acme("challenge", json!("dns-01")), "acme.challenge: \"dns-01\" is not known; accepted: tls-alpn-01, http-01"),
    ]
}

/// Of TLS on a listener.
fn of_tls() -> Vec<(&'static str, Value, String)> {
    let pair = json!({ "chain_file": "a.pem", "key_file": "a.key" });
    let tls = |key: &str, value: Value| {
        let mut tls = json!({ "certificates": [pair] });
        tls[key] = value;
        tls
    };
    let clients = |value: Value| tls("client_certificates", value);
    let host = "accepted: a host name, or one with * as its first label";
    let of = |value, text: &str| ("/listen/tls", value, format!("listen.tls.{text}"));
    vec![
        ("/listen/tls", json!("on"), "listen.tls: is not a mapping; accepted: keys with values, indented".to_owned()),
        of(json!({}), "certificates: is required: the certificates, each with its key; or acme, which has one issued"),
        of(json!({ "certificates": [] }), "certificates: the list is empty; give an element, or remove the key"),
        of(json!({ "certificates": [pair, pair] }), "certificates[1]: appears twice in the list; keep one"),
        of(json!({ "certificates": [{ "chain_file": "a" }] }), "certificates[0].key_file: is required: the path of a file, PEM"),
        of(json!({ "certificates": [{ "key_file": "a" }] }), "certificates[0].chain_file: is required: the path of a file, PEM"),
        of(
            json!({ "certificates": [{ "chain_file": "~/a", "key_file": "a" }] }),
            "certificates[0].chain_file: has a ~ or a $, which is not expanded; write the whole path, or one relative to this file's folder",
        ),
        of(
            tls("default", json!("192.0.2.1")),
            "default: \"192.0.2.1\" is not a host name; accepted: first, none, or a host name of a certificate (default first)",
        ),
        of(tls("min_version", json!(1.1)), "min_version: \"1.1\" is not known; did you mean 1.2?; accepted: 1.2, 1.3"),
        of(tls("handshake_timeout", json!("61s")), "handshake_timeout: 61s is too long; accepted: 1s to 1m (default 10s)"),
        of(tls("http2", json!("yes")), "http2: \"yes\" is not known; accepted: true, false"),
        of(clients(json!({ "mode": "on" })), "client_certificates.mode: \"on\" is not known; accepted: none, optional, required"),
        of(
            clients(json!({ "mode": "required" })),
            "client_certificates.ca_file: is required: the authorities that issue the clients' certificates, PEM",
        ),
        of(
            clients(json!({ "crl_files": [] })),
            "client_certificates.crl_files: the list is empty; give an element, or remove the key",
        ),
        of(
            clients(json!({ "names": [{ "mode": "none" }] })),
            "client_certificates.names[0].name: is required: a host name, or one with * as its first label",
        ),
        of(
            clients(json!({ "names": [{ "name": "*" }] })),
            &format!("client_certificates.names[0].name: \"*\" is not a host name; {host}"),
        ),
        of(
            clients(json!({ "names": [{ "name": "a.b" }, { "name": "A.b" }] })),
            "client_certificates.names[1]: a.b has rules already; keep one of both",
        ),
        of(
            clients(json!({ "names": [{ "name": "a.b", "mode": "optional" }] })),
            "client_certificates.names[0].ca_file: is required: the authorities that issue the clients' certificates, PEM",
        ),
    ]
}

#[test]
fn tls_may_be_anywhere_and_prints_what_it_means() {
    let rules = json!({ "mode": "optional", "ca_file": "ca.pem", "crl_files": ["one.crl", "/two.crl"] });
    let mut named = rules.clone();
    named["name"] = json!("*.Devices.contoso.com");
    let mut clients = rules;
    clients["names"] = json!([named]);
    let tls = json!({
        "certificates": [{ "chain_file": "a.pem", "key_file": "/b.key" }],
        "default": "WWW.contoso.com",
        "min_version": 1.3,
        "handshake_timeout": "1m",
        "http2": false,
        "client_certificates": clients,
    });
    let least = json!({ "certificates": { "chain_file": "a.pem", "key_file": "a.pem" }, "default": "none" });
    let also = json!([{ "address": "127.0.0.1:1", "tls": tls }, { "address": "127.0.0.1:2" }]);
    let text = with(&[("/listen", json!({ "tls": least, "also": also }))]);
    round_trip(&text);
    let listeners = config(&text).proxy.listen.listeners;
    assert!(listeners[2].tls.is_none());
    let (first, tls) = (listeners[0].tls.as_ref().unwrap(), listeners[1].tls.as_ref().unwrap());
    assert_eq!((first.default.clone(), first.min_version, first.http2), (DefaultCertificate::Refused, MinVersion::Tls12, true));
    assert_eq!(first.client_certificates.rules.mode, ClientMode::None);
    assert_eq!(tls.default, DefaultCertificate::Of("www.contoso.com".to_owned()));
    assert_eq!((tls.min_version, tls.handshake_timeout.as_secs(), tls.http2), (MinVersion::Tls13, 60, false));
    let paths = (tls.certificates[0].chain.to_str().unwrap(), tls.certificates[0].key.to_str().unwrap());
    assert_eq!(paths, ("/etc/syncgate/a.pem", "/b.key"));
    let (name, rules) = &tls.client_certificates.names[0];
    assert_eq!((name.as_str(), rules), ("*.devices.contoso.com", &tls.client_certificates.rules));
    assert_eq!(rules.crl_files, ["/etc/syncgate/one.crl", "/two.crl"].map(std::path::PathBuf::from));
}

#[test]
fn names_with_rules_are_bounded() {
    let names: Vec<_> = (0..65).map(|number| json!({ "name": format!("a{number}.contoso.com") })).collect();
    let tls = json!({ "certificates": { "chain_file": "a", "key_file": "a" }, "client_certificates": { "names": names } });
    assert_eq!(
        problems(&with(&[("/listen", json!({ "tls": tls }))])),
        ["listen.tls.client_certificates: has 65 names; accepted: up to 64"]
    );
}

#[test]
fn a_certificate_that_is_issued_prints_what_it_means_and_is_for_one_listener() {
    let acme = json!({
        "domains": ["Sync.contoso.com", "api.contoso.com"],
        "email": "admin@contoso.com",
        "directory": "https://acme.contoso.com/directory",
        "folder": "/var/lib/syncgate/acme",
        "challenge": "http-01",
        "ca_file": "acme-ca.pem",
    });
    let text = with(&[("/listen", json!({ "tls": { "acme": acme } }))]);
    round_trip(&text);
    let least = with(&[("/listen", json!({ "tls": { "acme": { "domains": "sync.contoso.com" } } }))]);
    round_trip(&least);
    let acme = |text: &str| config(text).proxy.listen.listeners[0].tls.clone().unwrap().acme.unwrap();
    assert_eq!(acme(&text).domains, ["sync.contoso.com", "api.contoso.com"]);
    assert_eq!(acme(&text).challenge, AcmeChallenge::Http);
    assert_eq!(acme(&least).folder, std::path::Path::new("/etc/syncgate/acme"));
    assert_eq!(acme(&least).directory, AcmeSettings::DIRECTORY);
    let one = json!({ "acme": { "domains": "sync.contoso.com" } });
    let two = json!([{ "address": "127.0.0.1:1", "tls": one }]);
    assert_eq!(
        problems(&with(&[("/listen", json!({ "tls": one, "also": two }))])),
        ["listen.also[0]: a certificate is issued for one listener; in the others name its file: chain_file and key_file"]
    );
}

#[test]
fn what_needs_client_certificates_is_warned_about_where_none_is_asked_for() {
    let warning = "routes: no listener asks for client certificates (client_certificates in its tls), so route a never sees one";
    let endpoint = json!({ "type": "b2c_policy", "callers": [{ "certificate": { "names": ["b2c.contoso.com"] } }] });
    let rules = json!({ "mode": "optional", "ca_file": "ca.pem" });
    let tls = json!({ "certificates": { "chain_file": "a", "key_file": "a" }, "client_certificates": rules });
    for route in [
        json!({ "name": "a", "client_certificate": "required" }),
        json!({ "name": "a", "forward_certificate": "chain" }),
        json!({ "name": "a", "path": "/a", "endpoint": endpoint }),
    ] {
        let routes = json!([route, { "name": "b", "path": "/b" }]);
        assert!(warnings(&with(&[("/routes", routes.clone())])).contains(&warning.to_owned()), "{route}");
        let text = with(&[("/routes", routes), ("/listen", json!({ "tls": tls }))]);
        assert!(!warnings(&text).contains(&warning.to_owned()), "{route}");
        round_trip(&text);
    }
}
