use serde_json::{Value, json};

use super::{config, printout::round_trip, problems, with};
use crate::certificate::{ClientMode, DefaultCertificate, MinVersion};

/// The bad values of TLS on a listener.
pub(super) fn rows() -> Vec<(&'static str, Value, String)> {
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
        of(json!({}), "certificates: is required: the certificates, each with its key"),
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
