//! Against pebble, the test authority of Let's Encrypt.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        testing::{Bench, LONG, ask, serve, settings},
        *,
    },
    Pace,
};
use crate::metrics::Metrics;

const DOMAIN: &str = "sync.contoso.com";
const QUICK: Pace = Pace { look: Duration::from_millis(50), hurry: 1_000 };

/// A pebble with a DNS server for which every name is this machine. Dropped, both end.
struct Pebble {
    children: Vec<Child>,
}

/// Where a pebble is to be, and where it comes back to.
struct Ports {
    directory: u16,
    http: u16,
    tls: u16,
}

impl Pebble {
    /// None, aloud, where it is not installed.
    fn is_installed() -> bool {
        let is_there = ["pebble", "pebble-challtestsrv"].iter().all(|name| {
            std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()))
        });
        assert!(is_there || std::env::var_os("SYNCGATE_NO_SKIP").is_none(), "pebble is not installed");
        if !is_there {
            eprintln!("SKIPPED: pebble is not installed");
        }
        is_there
    }

    fn start(bench: &Bench, ports: &Ports) -> Self {
        let own = bench.pair("pebble", &["localhost", "127.0.0.1"]);
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{}", ports.directory),
            "managementListenAddress": format!("127.0.0.1:{}", free_port()),
            "certificate": own.chain,
            "privateKey": own.key,
            "httpPort": ports.http,
            "tlsPort": ports.tls,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
        }});
        let path = bench.path("pebble.json");
        fs::write(&path, config.to_string()).unwrap();
        let dns = format!("127.0.0.1:{}", free_port());
        let silent = |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let resolver = silent(
            Command::new("pebble-challtestsrv")
                .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", ""])
                .args(["-dns01", &dns, "-management", &format!("127.0.0.1:{}", free_port())]),
        );
        let pebble = silent(
            Command::new("pebble")
                .args(["-config".as_ref(), path.as_os_str(), "-dnsserver".as_ref(), dns.as_ref()])
                // A fifth of all nonces is refused, so that retries are seen to work.
                .envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "20")]),
        );
        Self { children: vec![resolver, pebble] }
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A listener whose certificate is issued while it serves.
struct Machine {
    bench: Bench,
    tls: Arc<ServerTls>,
    metrics: Arc<Metrics>,
    address: SocketAddr,
    ports: Ports,
    stop: CancellationToken,
}

impl Machine {
    async fn start(challenge: AcmeChallenge, prepare: impl FnOnce(&Bench, &AcmeSettings)) -> Self {
        // An error means that a provider is installed already.
        let _ = default_provider().install_default();
        let bench = Bench::new();
        let directory = free_port();
        let acme = AcmeSettings {
            domains: vec![DOMAIN.to_owned()],
            email: Some("admin@contoso.com".to_owned()),
            directory: format!("https://localhost:{directory}/dir"),
            folder: bench.path("acme"),
            challenge,
            ca_file: Some(bench.ca_file()),
        };
        prepare(&bench, &acme);
        let tls = Arc::new(ServerTls::load(&TlsSettings { acme: Some(acme), ..settings(&[]) }, SystemTime::now()).unwrap());
        let address = serve(Arc::clone(&tls)).await;
        let http = answer_http(Arc::clone(&tls)).await;
        let ports = Ports { directory, http, tls: address.port() };
        let (metrics, stop) = (Arc::new(Metrics::new().unwrap()), CancellationToken::new());
        tokio::spawn(Arc::clone(&tls).keep_issued(Arc::clone(&metrics), QUICK, stop.clone()));
        Self { bench, tls, metrics, address, ports, stop }
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let wait = async {
            while !is_so(self) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LONG * 2, wait).await.unwrap_or_else(|_| panic!("{what}"));
    }

    fn orders(&self, result: &str) -> u64 {
        self.metrics.certificates.orders.with_label_values(&[result]).get()
    }

    fn mode(&self, name: &str) -> u32 {
        let path: PathBuf = self.bench.path("acme").join(name);
        fs::metadata(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What the gateway does on a plain listener.
async fn answer_http(tls: Arc<ServerTls>) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&request[..length]).into_owned();
            let path = text.split(' ').nth(1).unwrap_or_default();
            let answer = match tls.http_challenge(path.as_bytes()) {
                Some(body) => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()),
                None => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
            };
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    port
}

/// A client that takes any certificate.
fn anyone() -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone)).with_no_client_auth())
}

#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_issued_by_either_challenge_and_kept_in_private_files() {
    if !Pebble::is_installed() {
        return;
    }
    for challenge in [AcmeChallenge::TlsAlpn, AcmeChallenge::Http] {
        let machine = Machine::start(challenge, |_, _| {}).await;
        // Until then nobody is shown anything.
        assert!(ask(machine.address, &anyone(), DOMAIN).await.unwrap_err().contains("UnrecognisedName"));
        let _pebble = Pebble::start(&machine.bench, &machine.ports);
        machine.until("a certificate", |machine| machine.tls.serves(DOMAIN)).await;
        let shown = ask(machine.address, &anyone(), DOMAIN).await.unwrap().certificate;
        let file = AcmeSettings { domains: vec![DOMAIN.to_owned()], folder: machine.bench.path("acme"), ..AcmeSettings::default() };
        assert_eq!(shown, super::super::testing::leaf(&file.pair()));
        assert_eq!(machine.mode(&format!("{DOMAIN}.pem")), 0o600);
        assert_eq!(machine.mode(&format!("account-localhost-{}.json", machine.ports.directory)), 0o600);
        assert_eq!(machine.mode(""), 0o700);
        // Nothing of the question is left.
        assert!(machine.tls.http_challenge(b"/.well-known/acme-challenge/x").is_none());
        let mut asking = (*anyone()).clone();
        asking.alpn_protocols = vec![b"acme-tls/1".to_vec()];
        assert!(ask(machine.address, &Arc::new(asking), DOMAIN).await.is_err());
        // It stays as it is: nothing is due.
        let issued = machine.orders("issued");
        tokio::time::sleep(QUICK.look * 10).await;
        assert_eq!((machine.orders("issued"), issued), (1, 1));

        // Another name is added: the old certificate serves until the new one is there.
        let mut settings = machine.tls.current().settings.clone();
        settings.acme.as_mut().unwrap().domains.push("api.contoso.com".to_owned());
        machine.tls.replace(&settings, SystemTime::now()).unwrap();
        while !machine.tls.serves("api.contoso.com") {
            assert!(ask(machine.address, &anyone(), DOMAIN).await.is_ok());
        }
        assert!(machine.tls.serves(DOMAIN));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_is_down_takes_nothing_down() {
    if !Pebble::is_installed() {
        return;
    }
    let machine = Machine::start(AcmeChallenge::TlsAlpn, |bench, acme| {
        // Nearly at its end: due since long.
        let pair = bench.pair_with("old", &[DOMAIN], &rcgen::PKCS_ECDSA_P256_SHA256, |it| {
            it.not_after = (SystemTime::now() + Duration::from_secs(86_400)).into();
        });
        let content = fs::read_to_string(&pair.chain).unwrap() + &fs::read_to_string(&pair.key).unwrap();
        fs::create_dir(&acme.folder).unwrap();
        crate::private_file::write(&acme.pair().chain, content.as_bytes(), false).unwrap();
    })
    .await;
    let before = ask(machine.address, &anyone(), DOMAIN).await.unwrap().certificate;
    machine.until("failures", |machine| machine.orders("failed") >= 2).await;
    assert_eq!(ask(machine.address, &anyone(), DOMAIN).await.unwrap().certificate, before);

    // It is there again, but does not reach us: the question is refused.
    let lost = Ports { directory: machine.ports.directory, http: free_port(), tls: free_port() };
    let pebble = Pebble::start(&machine.bench, &lost);
    let failed = machine.orders("failed");
    machine.until("a refusal", |machine| machine.orders("failed") > failed + 1).await;
    assert_eq!(ask(machine.address, &anyone(), DOMAIN).await.unwrap().certificate, before);
    drop(pebble);

    // Another authority at the same place, which does not know the account.
    let _pebble = Pebble::start(&machine.bench, &machine.ports);
    machine.until("a certificate", |machine| machine.orders("issued") == 1).await;
    assert_ne!(ask(machine.address, &anyone(), DOMAIN).await.unwrap().certificate, before);
}

#[test]
fn keys_and_files_have_their_names() {
    let acme = AcmeSettings { domains: vec![DOMAIN.to_owned()], folder: "/acme".into(), ..AcmeSettings::default() };
    assert_eq!(acme.pair().chain, PathBuf::from("/acme/sync.contoso.com.pem"));
    assert_eq!(acme.account_file(), PathBuf::from("/acme/account-acme-v02-api-letsencrypt-org.json"));
}
