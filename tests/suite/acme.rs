//! Certificates that an authority issues to a running gateway: pebble, the test authority of Let's Encrypt, asks its listeners.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use syncgate::{
    certificate::{AcmeChallenge, AcmeSettings, TlsSettings},
    demo::{FREE_PORT, world::WorldOptions},
    proxy::ListenerSettings,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

use crate::kit::Kit;

const DOMAIN: &str = "sync.contoso.com";

/// Ports that are free, as far as anybody knows.
fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    let held = std::array::from_fn::<_, COUNT, _>(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|socket| socket.local_addr().unwrap().port())
}

fn is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there =
        ["pebble", "pebble-challtestsrv"].iter().all(|name| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()));
    assert!(is_there || std::env::var_os("SYNCGATE_NO_SKIP").is_none(), "pebble is not installed");
    if !is_there {
        eprintln!("SKIPPED: pebble is not installed");
    }
    is_there
}

/// The authority, and a DNS server for which every name is this machine.
struct Pebble {
    folder: TempDir,
    children: Vec<Child>,
    directory: u16,
    management: u16,
}

impl Pebble {
    fn start(http: u16, tls: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [directory, management, dns, other] = free_ports();
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, "the authority of the authority");
        let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
        let mut parameters = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("own.pem"), parameters.signed_by(&key, &authority).unwrap().pem()).unwrap();
        fs::write(path("own.key"), key.serialize_pem()).unwrap();
        fs::write(path("ca.pem"), authority.pem()).unwrap();
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{directory}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": path("own.pem"),
            "privateKey": path("own.key"),
            "httpPort": http,
            "tlsPort": tls,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
        }});
        fs::write(path("pebble.json"), config.to_string()).unwrap();
        let dns = format!("127.0.0.1:{dns}");
        let silent = |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let resolver = silent(
            Command::new("pebble-challtestsrv")
                .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", ""])
                .args(["-dns01", &dns, "-management", &format!("127.0.0.1:{other}")]),
        );
        let pebble = silent(
            Command::new("pebble")
                .args(["-config".as_ref(), path("pebble.json").as_os_str(), "-dnsserver".as_ref(), dns.as_ref()])
                .envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "5")]),
        );
        Self { folder, children: vec![resolver, pebble], directory, management }
    }

    fn settings(&self, challenge: AcmeChallenge) -> AcmeSettings {
        AcmeSettings {
            domains: vec![DOMAIN.to_owned()],
            email: None,
            directory: format!("https://localhost:{}/dir", self.directory),
            folder: self.folder.path().join("acme"),
            challenge,
            ca_file: Some(self.folder.path().join("ca.pem")),
        }
    }

    async fn is_up(&self) {
        while TcpStream::connect(("127.0.0.1", self.directory)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whoever trusts this trusts what it has issued.
    async fn root(&self) -> CertificateDer<'static> {
        let own = CertificateDer::from_pem_file(self.folder.path().join("ca.pem")).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], self.management));
        let answer = get(address, "localhost", own, "GET /roots/0 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
        CertificateDer::from_pem_slice(answer.unwrap().as_bytes()).unwrap()
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

/// The whole answer of a server whose certificate this authority has issued.
async fn get(address: SocketAddr, name: &'static str, root: CertificateDer<'static>, request: &str) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
    let config = builder.unwrap().with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(name).unwrap(), stream).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // Some leave without saying so.
    let _ = stream.read_to_end(&mut answer).await;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn a_gateway_gets_its_certificate_by_either_challenge() {
    if !is_installed() {
        return;
    }
    for challenge in [AcmeChallenge::TlsAlpn, AcmeChallenge::Http] {
        let [http, tls] = free_ports();
        let pebble = Pebble::start(http, tls);
        tokio::time::timeout(Duration::from_secs(20), pebble.is_up()).await.unwrap();
        let acme = pebble.settings(challenge);
        let options = WorldOptions::default().tls(FREE_PORT).config(move |config| {
            let settings = TlsSettings { acme: Some(acme), ..TlsSettings::default() };
            let loopback = |port| ListenerSettings::at(SocketAddr::from(([127, 0, 0, 1], port)));
            config.proxy.listen.listeners = vec![loopback(http), ListenerSettings { tls: Some(settings), ..loopback(tls) }];
        });
        let kit = Kit::start_unready(options).await;
        kit.await_ready().await;
        kit.eventually(|| kit.metric("syncgate_certificate_orders_total", &[("result", "issued")]) == 1.0).await;
        let root = pebble.root().await;
        let token = kit.issuer.token("alice").sign();
        let request =
            format!("GET /whoami HTTP/1.1\r\nHost: {DOMAIN}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
        let answer = kit.within(get(SocketAddr::from(([127, 0, 0, 1], tls)), DOMAIN, root, &request)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(&kit.issuer.user_id("alice")), "{answer}");
        // Nothing of it went to a backend, and nothing of it is left open.
        let answer = kit.raw(b"GET /.well-known/acme-challenge/x HTTP/1.1\r\nHost: gateway\r\n\r\n").await;
        assert_eq!(answer.status, 401);
        assert_eq!(kit.backend.received_count(), 1);
        kit.stop().await;
    }
}
