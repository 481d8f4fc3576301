//! Clients with certificates, over sockets: who is served, and what resumption must not carry over.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    ClientConfig, HandshakeKind, SupportedProtocolVersion,
    version::{TLS12, TLS13},
};

use super::{
    testing::{Bench, LONG, ask, authority, client_pair, issue, list_of, serve, settings},
    watch::Watch,
    *,
};
use crate::metrics::Metrics;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
const NAME: &str = "contoso.com";

fn tomorrow() -> SystemTime {
    SystemTime::now() + Duration::from_secs(86_400)
}

fn rules(mode: ClientMode, ca_file: PathBuf, crl_files: &[PathBuf]) -> ClientRules {
    ClientRules { mode, ca_file: Some(ca_file), crl_files: crl_files.to_vec() }
}

fn with_rules(files: &PairFiles, rules: ClientRules) -> TlsSettings {
    let client_certificates = ClientCertificateSettings { rules, names: Vec::new() };
    TlsSettings { client_certificates, ..settings(&[files]) }
}

fn load(settings: &TlsSettings) -> Arc<ServerTls> {
    Arc::new(ServerTls::load(settings, SystemTime::now()).unwrap())
}

/// Whom the server takes the client for: "nobody" without a certificate.
async fn said(address: std::net::SocketAddr, client: &Arc<ClientConfig>, name: &str) -> Result<String, String> {
    ask(address, client, name).await.map(|seen| seen.said)
}

#[tokio::test]
async fn modes_decide_who_is_served() {
    let bench = Bench::new();
    let files = bench.pair("one", &[NAME]);
    let stranger = authority("stranger");
    let good = client_pair(&bench.authority, "device", 1);
    let foreign = client_pair(&stranger, "foreign", 2);
    let for_servers = issue(&bench.authority, &["server"], &rcgen::PKCS_ECDSA_P256_SHA256, |_| {});
    let ended = issue(&bench.authority, &["ended"], &rcgen::PKCS_ECDSA_P256_SHA256, |parameters| {
        parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        parameters.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    let address = async |mode| serve(load(&with_rules(&files, rules(mode, bench.ca_file(), &[])))).await;
    let (none, optional, required) =
        (address(ClientMode::None).await, address(ClientMode::Optional).await, address(ClientMode::Required).await);
    for version in VERSIONS {
        let without = Arc::new(bench.client(&[version]));
        assert_eq!(said(none, &without, NAME).await.unwrap(), "nobody");
        assert_eq!(said(optional, &without, NAME).await.unwrap(), "nobody");
        let error = said(required, &without, NAME).await.unwrap_err();
        // 1.2 has no alert of its own for it.
        assert!(error.contains("CertificateRequired") || error.contains("HandshakeFailure"), "{error}");

        let client = bench.client_with(version, &good);
        assert_eq!(said(none, &client, NAME).await.unwrap(), "nobody");
        assert_eq!(said(optional, &client, NAME).await.unwrap(), "CN=device");
        assert_eq!(said(required, &client, NAME).await.unwrap(), "CN=device");

        for (pair, alert) in [(&foreign, "UnknownCA"), (&for_servers, "UnsupportedCertificate"), (&ended, "CertificateExpired")] {
            let client = bench.client_with(version, pair);
            for address in [optional, required] {
                let error = said(address, &client, NAME).await.unwrap_err();
                // Which alert it is, is the library's to say; that there is one counts.
                assert!(error.contains("received fatal alert"), "{alert}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn rules_go_by_name_and_a_request_may_not_cross_from_one_to_another() {
    let bench = Bench::new();
    let files = bench.pair("one", &["*.contoso.com", "a.devices.contoso.com", "127.0.0.1"]);
    let demanding = rules(ClientMode::Required, bench.ca_file(), &[]);
    let asking = rules(ClientMode::Optional, bench.ca_file(), &[]);
    let names = vec![("devices.contoso.com".to_owned(), demanding), ("*.Devices.contoso.com".to_owned(), asking)];
    let client_certificates = ClientCertificateSettings { rules: ClientRules::default(), names };
    let tls = load(&TlsSettings { client_certificates, ..settings(&[&files]) });
    let address = serve(Arc::clone(&tls)).await;
    for version in VERSIONS {
        let (without, with) =
            (Arc::new(bench.client(&[version])), bench.client_with(version, &client_pair(&bench.authority, "device", 1)));
        for name in ["www.contoso.com", "127.0.0.1"] {
            assert_eq!(said(address, &without, name).await.unwrap(), "nobody");
            assert_eq!(said(address, &with, name).await.unwrap(), "nobody");
        }
        said(address, &without, "devices.contoso.com").await.unwrap_err();
        assert_eq!(said(address, &with, "devices.contoso.com").await.unwrap(), "CN=device");
        assert_eq!(said(address, &without, "a.devices.contoso.com").await.unwrap(), "nobody");
        assert_eq!(said(address, &with, "a.devices.contoso.com").await.unwrap(), "CN=device");
    }
    for (name, host, alike) in [
        (Some("www.contoso.com"), "api.contoso.com", true),
        (None, "www.contoso.com", true),
        (Some("devices.contoso.com"), "DEVICES.contoso.com.", true),
        (Some("www.contoso.com"), "devices.contoso.com", false),
        (None, "devices.contoso.com", false),
        (Some("devices.contoso.com"), "www.contoso.com", false),
        (Some("a.devices.contoso.com"), "b.devices.contoso.com", true),
        (Some("a.devices.contoso.com"), "devices.contoso.com", false),
    ] {
        assert_eq!(tls.is_alike(name, host), alike, "{name:?} {host}");
    }
}

/// The table of resumption: each row is a way in that other servers had.
#[tokio::test]
async fn nothing_is_resumed_past_a_demand_for_a_certificate() {
    for version in VERSIONS {
        let bench = Bench::new();
        let files = bench.pair("one", &[NAME, "www.contoso.com"]);
        let list = bench.list(&[], tomorrow());
        let demanding = with_rules(&files, rules(ClientMode::Required, bench.ca_file(), std::slice::from_ref(&list)));
        let (open, tls) = (settings(&[&files]), load(&demanding));
        let address = serve(Arc::clone(&tls)).await;
        let client = bench.client_with(version, &client_pair(&bench.authority, "device", 7));

        // A certificate that is revoked afterwards.
        for _ in 0..2 {
            let seen = ask(address, &client, NAME).await.unwrap();
            assert_eq!((seen.said.as_str(), seen.kind), ("CN=device", HandshakeKind::Full));
        }
        bench.list(&[7], tomorrow());
        tls.replace(&demanding, SystemTime::now()).unwrap();
        let error = said(address, &client, NAME).await.unwrap_err();
        assert!(error.contains("CertificateRevoked"), "{error}");

        // Without a certificate while none is asked for; then one is demanded, here or by another listener.
        let without = Arc::new(bench.client(&[version]));
        tls.replace(&open, SystemTime::now()).unwrap();
        assert_eq!(ask(address, &without, NAME).await.unwrap().kind, HandshakeKind::Full);
        assert_eq!(ask(address, &without, NAME).await.unwrap().kind, HandshakeKind::Resumed);
        tls.replace(&demanding, SystemTime::now()).unwrap();
        said(address, &without, NAME).await.unwrap_err();
        said(serve(load(&demanding)).await, &without, NAME).await.unwrap_err();
        // Also where it becomes optional: nobody is taken for somebody.
        let optional = with_rules(&files, rules(ClientMode::Optional, bench.ca_file(), &[]));
        tls.replace(&open, SystemTime::now()).unwrap();
        said(address, &client, NAME).await.unwrap();
        tls.replace(&optional, SystemTime::now()).unwrap();
        let seen = ask(address, &client, NAME).await.unwrap();
        assert_eq!((seen.said.as_str(), seen.kind), ("CN=device", HandshakeKind::Full));
        // Under another name.
        let seen = ask(address, &client, "www.contoso.com").await.unwrap();
        assert_eq!((seen.said.as_str(), seen.kind), ("CN=device", HandshakeKind::Full));
        // Back again: what was begun with a certificate is not resumed where none is asked for.
        tls.replace(&open, SystemTime::now()).unwrap();
        let seen = ask(address, &client, "www.contoso.com").await.unwrap();
        assert_eq!((seen.said.as_str(), seen.kind), ("nobody", HandshakeKind::Full));
    }
}

#[tokio::test]
async fn lists_and_authorities_are_read_again_when_they_change() {
    let bench = Bench::new();
    let files = bench.pair("one", &[NAME]);
    let (list, ca_file) = (bench.list(&[], tomorrow()), bench.ca_file());
    let tls = load(&with_rules(&files, rules(ClientMode::Required, ca_file.clone(), std::slice::from_ref(&list))));
    let address = serve(Arc::clone(&tls)).await;
    let metrics = Arc::new(Metrics::new().unwrap());
    let mut watch = Watch::new(Arc::clone(&metrics));
    let mut look = || watch.look(&tls, SystemTime::now());
    let client = bench.client_with(&TLS13, &client_pair(&bench.authority, "device", 7));
    said(address, &client, NAME).await.unwrap();
    bench.list(&[7], tomorrow());
    look();
    assert!(said(address, &client, NAME).await.unwrap_err().contains("CertificateRevoked"));
    // DER is accepted too; what is damaged or has ended changes nothing.
    let der = pem_to_der(&list_of(&bench.authority, &[], tomorrow()));
    std::fs::write(&list, der).unwrap();
    look();
    said(address, &client, NAME).await.unwrap();
    let ended = SystemTime::now() - Duration::from_secs(60);
    for content in [list_of(&bench.authority, &[7], ended), "nothing".to_owned(), "0nothing".to_owned()] {
        std::fs::write(&list, content).unwrap();
        look();
        look();
        said(address, &client, NAME).await.unwrap();
        let text = metrics.render().unwrap();
        let file = format!("{{file=\"{}\"}}", ca_file.display());
        assert!(text.contains(&format!("syncgate_certificate_last_reload_success{file} 0")), "{text}");
    }
    let (text, files) = (metrics.render().unwrap(), (ca_file.display(), list.display()));
    let series = format!("syncgate_certificate_not_after_timestamp_seconds{{certificate=\"authority-1\",file=\"{}\"}}", files.0);
    assert!(text.contains(&series), "{text}");
    let series = format!("syncgate_revocation_list_next_update_timestamp_seconds{{file=\"{}\"}} ", files.1);
    assert!(text.contains(&series), "{text}");
    bench.list(&[], tomorrow());
    std::fs::write(&ca_file, authority("another").pem()).unwrap();
    look();
    said(address, &client, NAME).await.unwrap_err();
}

fn pem_to_der(pem: &str) -> Vec<u8> {
    use rustls::pki_types::{CertificateRevocationListDer, pem::PemObject as _};
    CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

#[tokio::test]
async fn a_list_that_ends_while_serving_ends_the_trust_in_all_it_speaks_of() {
    let bench = Bench::new();
    let files = bench.pair("one", &[NAME]);
    let end = SystemTime::now() + Duration::from_secs(3);
    let list = bench.list(&[], end);
    let optional = rules(ClientMode::Optional, bench.ca_file(), &[list]);
    let address = serve(load(&with_rules(&files, optional))).await;
    let without = Arc::new(bench.client(&[&TLS13]));
    let clients: Vec<_> =
        VERSIONS.iter().map(|version| bench.client_with(version, &client_pair(&bench.authority, "device", 7))).collect();
    for client in &clients {
        assert!(said(address, client, NAME).await.is_ok() || SystemTime::now() > end);
    }
    for client in &clients {
        tokio::time::timeout(LONG, async { while said(address, client, NAME).await.is_ok() {} }).await.unwrap();
        // Lists know whole seconds.
        assert!(SystemTime::now() + Duration::from_secs(1) > end);
    }
    assert_eq!(said(address, &without, NAME).await.unwrap(), "nobody");
}

#[test]
fn what_cannot_verify_clients_is_refused_at_start() {
    let bench = Bench::new();
    let files = bench.pair("one", &[NAME]);
    let load = |rules| ServerTls::load(&with_rules(&files, rules), SystemTime::now());
    let problem = |rules| load(rules).unwrap_err().to_string();
    let no_file = ClientRules { mode: ClientMode::Required, ..ClientRules::default() };
    assert!(problem(no_file).contains("without ca_file"));
    let required = |list: &PathBuf| rules(ClientMode::Required, bench.ca_file(), std::slice::from_ref(list));
    let ended = bench.list(&[], SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let text = problem(required(&ended));
    assert_eq!(
        text,
        format!(
            "{}: its list of revoked certificates expired at 2023-11-14T22:13:20Z: fetch the next one from the authority",
            ended.display()
        )
    );
    assert!(problem(required(&files.chain)).contains("holds no list of revoked certificates"));
    assert!(problem(required(&bench.path("missing"))).contains("cannot be read: No such file"));
    assert!(problem(rules(ClientMode::Required, files.key.clone(), &[])).contains("This is a private key"));

    // A list of somebody else covers nobody.
    let other = bench.path("other.pem");
    std::fs::write(&other, list_of(&authority("another"), &[], tomorrow())).unwrap();
    let warnings = load(required(&other)).unwrap().warnings();
    assert_eq!(
        warnings,
        [format!(
            "{}: no list in crl_files is of the authority CN=authority, so its clients are refused",
            bench.ca_file().display()
        )]
    );
    // None that are not needed are read.
    let unused = rules(ClientMode::None, bench.path("missing"), &[bench.path("missing")]);
    load(unused).unwrap();
}
