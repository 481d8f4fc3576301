//! Handshakes over sockets: which certificate a client gets.

use std::{sync::Arc, time::SystemTime};

use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use rustls::{
    ClientConfig, HandshakeKind, ProtocolVersion,
    crypto::aws_lc_rs::default_provider,
    version::{TLS12, TLS13},
};

use super::{
    super::{
        testing::{Bench, ask, leaf, serve, settings},
        *,
    },
    *,
};

fn load(settings: &TlsSettings) -> Arc<ServerTls> {
    Arc::new(ServerTls::load(settings, SystemTime::now()).unwrap())
}

/// A client that has no idea of certificates with keys of one kind.
fn without(bench: &Bench, kind: &str) -> Arc<ClientConfig> {
    let mut provider = default_provider();
    let is_kept = |scheme: &rustls::SignatureScheme| !format!("{scheme:?}").starts_with(kind);
    let mapping: Vec<_> =
        provider.signature_verification_algorithms.mapping.iter().filter(|(scheme, _)| is_kept(scheme)).copied().collect();
    provider.signature_verification_algorithms.mapping = mapping.leak();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(bench.authority.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(&[&TLS13, &TLS12]).unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

#[tokio::test]
async fn a_certificate_is_found_by_its_exact_name_first_then_by_a_star_then_by_default() {
    let bench = Bench::new();
    let first = bench.pair("first", &["contoso.com", "127.0.0.1"]);
    let star = bench.pair("star", &["*.contoso.com"]);
    let exact = bench.pair("exact", &["www.contoso.com"]);
    let address = serve(load(&settings(&[&first, &star, &exact]))).await;
    for version in [&TLS12, &TLS13] {
        let client = Arc::new(bench.client(&[version]));
        for (name, files) in [
            ("contoso.com", &first),
            ("CONTOSO.com", &first),
            ("www.contoso.com", &exact),
            ("api.contoso.com", &star),
            // An address is never sent as a name: the default.
            ("127.0.0.1", &first),
        ] {
            assert_eq!(ask(address, &client, name).await.unwrap().certificate, leaf(files), "{name}");
        }
        // The default is no answer to these, so the client leaves.
        for name in ["a.b.contoso.com", "fabrikam.com"] {
            let error = ask(address, &client, name).await.unwrap_err();
            assert!(error.contains("not valid for"), "{error}");
        }
    }
}

#[tokio::test]
async fn without_a_default_an_unknown_name_and_none_are_refused_by_the_alert_for_that() {
    let bench = Bench::new();
    let files = bench.pair("one", &["contoso.com", "127.0.0.1"]);
    let settings = TlsSettings { default: DefaultCertificate::Refused, ..settings(&[&files]) };
    let address = serve(load(&settings)).await;
    for version in [&TLS12, &TLS13] {
        let client = Arc::new(bench.client(&[version]));
        for name in ["fabrikam.com", "127.0.0.1"] {
            let error = ask(address, &client, name).await.unwrap_err();
            assert!(error.contains("UnrecognisedName"), "{error}");
        }
        assert!(ask(address, &client, "contoso.com").await.is_ok());
    }
}

#[tokio::test]
async fn the_default_may_be_named() {
    let bench = Bench::new();
    let (first, second) = (bench.pair("first", &["contoso.com"]), bench.pair("second", &["*.fabrikam.com", "127.0.0.1"]));
    let named = |name: &str| TlsSettings { default: DefaultCertificate::Of(name.to_owned()), ..settings(&[&first, &second]) };
    let address = serve(load(&named("www.fabrikam.com"))).await;
    let client = Arc::new(bench.client(&[&TLS13]));
    assert_eq!(ask(address, &client, "127.0.0.1").await.unwrap().certificate, leaf(&second));
    let error = ServerTls::load(&named("fabrikam.com"), SystemTime::now()).unwrap_err();
    assert!(matches!(&error, CertificateError::NoDefault { name } if name == "fabrikam.com"), "{error}");
}

#[tokio::test]
async fn of_several_of_one_name_the_client_gets_the_quick_one_that_it_knows() {
    let bench = Bench::new();
    let names = &["contoso.com", "127.0.0.1"];
    let rsa = bench.pair_with("rsa", names, &PKCS_RSA_SHA256, |_| {});
    let ec = bench.pair_with("ec", &["contoso.com"], &PKCS_ECDSA_P256_SHA256, |_| {});
    let star = bench.pair_with("star", &["*.contoso.com"], &PKCS_ECDSA_P256_SHA256, |_| {});
    let exact = bench.pair_with("exact", &["www.contoso.com"], &PKCS_RSA_SHA256, |_| {});
    let address = serve(load(&settings(&[&rsa, &ec, &star, &exact]))).await;
    let any = Arc::new(bench.client(&[&TLS13, &TLS12]));
    let no_rsa = without(&bench, "RSA");
    assert_eq!(ask(address, &any, "contoso.com").await.unwrap().certificate, leaf(&ec));
    assert_eq!(ask(address, &any, "www.contoso.com").await.unwrap().certificate, leaf(&exact));
    assert_eq!(ask(address, &no_rsa, "www.contoso.com").await.unwrap().certificate, leaf(&star));
    assert_eq!(ask(address, &without(&bench, "ECDSA"), "contoso.com").await.unwrap().certificate, leaf(&rsa));
}

#[tokio::test]
async fn sessions_are_resumed_by_tickets_in_both_versions_and_only_under_their_name() {
    let bench = Bench::new();
    let files = bench.pair("one", &["contoso.com", "www.contoso.com"]);
    let tls = load(&settings(&[&files]));
    let address = serve(Arc::clone(&tls)).await;
    for version in [&TLS12, &TLS13] {
        let client = Arc::new(bench.client(&[version]));
        let kind = async |name: &str| ask(address, &client, name).await.unwrap().kind;
        assert_eq!(kind("contoso.com").await, HandshakeKind::Full);
        assert_eq!(kind("contoso.com").await, HandshakeKind::Resumed);
        assert_eq!(kind("www.contoso.com").await, HandshakeKind::Full);
        // A renewed certificate ends no sessions.
        bench.pair("one", &["contoso.com", "www.contoso.com"]);
        tls.replace(&settings(&[&files]), SystemTime::now()).unwrap();
        assert_eq!(kind("contoso.com").await, HandshakeKind::Resumed);
    }
}

#[tokio::test]
async fn versions_and_protocols_are_those_of_the_settings() {
    let bench = Bench::new();
    let files = bench.pair("one", &["contoso.com"]);
    let of = |min_version, http2| TlsSettings { min_version, http2, ..settings(&[&files]) };
    let client = |versions: &[&'static rustls::SupportedProtocolVersion]| {
        let mut client = bench.client(versions);
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(client)
    };
    let address = serve(load(&of(MinVersion::Tls12, true))).await;
    let seen = ask(address, &client(&[&TLS12]), "contoso.com").await.unwrap();
    assert_eq!((seen.version, seen.protocol.as_deref()), (ProtocolVersion::TLSv1_2, Some(&b"h2"[..])));
    let seen = ask(address, &client(&[&TLS13, &TLS12]), "contoso.com").await.unwrap();
    assert_eq!(seen.version, ProtocolVersion::TLSv1_3);
    let address = serve(load(&of(MinVersion::Tls13, false))).await;
    let error = ask(address, &client(&[&TLS12]), "contoso.com").await.unwrap_err();
    assert!(error.contains("ProtocolVersion"), "{error}");
    let seen = ask(address, &client(&[&TLS13, &TLS12]), "contoso.com").await.unwrap();
    assert_eq!((seen.version, seen.protocol.as_deref()), (ProtocolVersion::TLSv1_3, Some(&b"http/1.1"[..])));
}

#[test]
fn a_host_is_served_if_a_certificate_is_for_it() {
    let bench = Bench::new();
    let files = bench.pair("one", &["contoso.com", "*.contoso.com", "192.0.2.1", "2001:db8::1"]);
    let tls = ServerTls::load(&settings(&[&files]), SystemTime::now()).unwrap();
    for host in ["contoso.com", "Contoso.Com.", "www.contoso.com", "192.0.2.1", "2001:db8::1"] {
        assert!(tls.serves(host), "{host}");
    }
    for host in ["", ".", "a.b.contoso.com", ".contoso.com", "contoso.com..", "fabrikam.com", "192.0.2.2", "0.192.0.2.1", "*"] {
        assert!(!tls.serves(host), "{host}");
    }
}

#[test]
fn keys_cannot_be_printed() {
    let bench = Bench::new();
    let files = bench.pair("one", &["contoso.com"]);
    let key = std::fs::read_to_string(&files.key).unwrap();
    let tls = ServerTls::load(&settings(&[&files]), SystemTime::now()).unwrap();
    let printed = format!("{tls:?} {:?}", tls.prepare(&settings(&[&files]), SystemTime::now()).unwrap());
    assert!(printed.contains("contoso.com") && key.lines().all(|line| line.is_empty() || !printed.contains(line)), "{printed}");
}
