//! Upstreams that speak TLS: whose certificates are trusted, and what the log says of the others.

use std::{net::SocketAddr, path::PathBuf, process::Command, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use syncgate::proxy::Target;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::kit::{Kit, gateway_before, serve_tls};

/// A TLS server, and the file of whom to trust so that it is trusted.
struct TlsUpstream {
    address: SocketAddr,
    ca_file: PathBuf,
    _folder: TempDir,
}

impl TlsUpstream {
    /// One for this name, whose certificate an authority has issued.
    async fn issued(name: &str) -> Self {
        Self::issued_by_chain(name, 0).await
    }

    /// As many authorities stand between the one that is trusted and the certificate. The server shows them.
    async fn issued_by_chain(name: &str, between: usize) -> Self {
        let authority = || {
            let mut parameters = CertificateParams::new(Vec::new()).unwrap();
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            parameters
        };
        let (parameters, key) = (authority(), KeyPair::generate().unwrap());
        let root = parameters.self_signed(&key).unwrap();
        let mut issuer = Issuer::new(parameters, key);
        let mut shown = Vec::new();
        for _ in 0..between {
            let (parameters, key) = (authority(), KeyPair::generate().unwrap());
            shown.insert(0, parameters.signed_by(&key, &issuer).unwrap().der().clone());
            issuer = Issuer::new(parameters, key);
        }
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        shown.insert(0, own.der().clone());
        Self::start(shown, &key.serialize_pem(), &root.pem()).await
    }

    /// One whose certificate is its own authority's, as `openssl req -x509` makes it.
    async fn self_signed(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut parameters);
        let key = KeyPair::generate().unwrap();
        let own = parameters.self_signed(&key).unwrap();
        Self::start(vec![own.der().clone()], &key.serialize_pem(), &own.pem()).await
    }

    async fn start(shown: Vec<CertificateDer<'static>>, key: &str, trusted: &str) -> Self {
        syncgate::server::install_crypto();
        let folder = tempfile::tempdir().unwrap();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, trusted).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        // Not by `with_single_cert`, which would not take every certificate that is to be refused.
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
        let resolver = Fixed(Arc::new(rustls::sign::CertifiedKey::new(shown, key)));
        let config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(Arc::new(resolver));
        let address = serve_tls(config, |mut stream| async move {
            let mut request = [0; 4096];
            while let Ok(1..) = stream.read(&mut request).await {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret").await;
                let _ = stream.flush().await;
            }
        })
        .await;
        Self { address, ca_file, _folder: folder }
    }

    async fn gateway(&self, host: &'static str, ca_file: Option<PathBuf>) -> Kit {
        let port = self.address.port();
        gateway_before(self.address, move |config| {
            let upstream = &mut config.proxy.upstreams[0];
            upstream.tls = true;
            upstream.targets = vec![Target::new(host, port)];
            upstream.ca_file = ca_file;
        })
        .await
    }

    /// The status that a client gets whose request goes to this server.
    async fn ask(&self, host: &'static str, ca_file: Option<PathBuf>) -> u16 {
        let kit = self.gateway(host, ca_file).await;
        let token = kit.issuer.token("alice").sign();
        let status = kit.get("/", &token).await.status().as_u16();
        match status {
            // On the connection that was kept.
            200 => assert_eq!(kit.get("/", &token).await.text().await.unwrap(), "secret"),
            _ => assert_eq!(kit.metric("syncgate_upstream_errors_total", &[("kind", "connect")]), 1.0),
        }
        kit.stop().await;
        status
    }
}

#[derive(Debug)]
struct Fixed(Arc<rustls::sign::CertifiedKey>);

impl rustls::server::ResolvesServerCert for Fixed {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

#[tokio::test]
async fn the_certificate_of_a_tls_upstream_is_verified() {
    let upstream = TlsUpstream::issued("localhost").await;
    let stranger = TlsUpstream::issued("localhost").await;
    let other_name = TlsUpstream::issued("other.contoso.com").await;
    let chain = TlsUpstream::issued_by_chain("localhost", 2).await;
    for (upstream, ca_file, status) in [
        (&upstream, Some(&upstream.ca_file), 200),
        (&upstream, Some(&stranger.ca_file), 502),
        (&upstream, None, 502),
        (&other_name, Some(&other_name.ca_file), 502),
        (&chain, Some(&chain.ca_file), 200),
        (&chain, Some(&upstream.ca_file), 502),
    ] {
        assert_eq!(upstream.ask("localhost", ca_file.cloned()).await, status, "{ca_file:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_named_itself_is_trusted_for_its_name_and_its_time() {
    let own = TlsUpstream::self_signed("localhost", |_| {}).await;
    let twin = TlsUpstream::self_signed("localhost", |_| {}).await;
    let other_name = TlsUpstream::self_signed("other.contoso.com", |_| {}).await;
    let address = TlsUpstream::self_signed("127.0.0.1", |_| {}).await;
    let ended = TlsUpstream::self_signed("localhost", |parameters| parameters.not_after = date_time_ymd(2020, 1, 1)).await;
    let not_begun = TlsUpstream::self_signed("localhost", |parameters| parameters.not_before = date_time_ymd(3000, 1, 1)).await;
    for (upstream, host, ca_file, status) in [
        (&own, "localhost", Some(&own.ca_file), 200),
        (&own, "localhost", Some(&twin.ca_file), 502),
        (&own, "localhost", None, 502),
        (&own, "127.0.0.1", Some(&own.ca_file), 502),
        (&address, "127.0.0.1", Some(&address.ca_file), 200),
        (&other_name, "localhost", Some(&other_name.ca_file), 502),
        (&ended, "localhost", Some(&ended.ca_file), 502),
        (&not_begun, "localhost", Some(&not_begun.ca_file), 502),
    ] {
        assert_eq!(upstream.ask(host, ca_file.cloned()).await, status, "{host} {ca_file:?}");
    }
}

#[tokio::test]
async fn what_the_documentation_makes_with_openssl_is_trusted() {
    let (_, documentation) = include_str!("../../docs/signing-key.md").split_once("\n## Trusted certificates\n").unwrap();
    let command = documentation.lines().find(|line| line.starts_with("openssl req -x509")).unwrap();
    assert!(!command.contains("basicConstraints"), "{command}");
    let command = &command.replace("couch.internal", "localhost");
    let folder = tempfile::tempdir().unwrap();
    let Ok(output) = Command::new("sh").args(["-c", command]).current_dir(folder.path()).output() else { return };
    if output.status.code() == Some(127) {
        assert!(std::env::var_os("SYNCGATE_NO_SKIP").is_none(), "the openssl command line is not installed");
        eprintln!("SKIPPED: the openssl command line is not installed");
        return;
    }
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let (certificate, key) = (read("couch.pem"), read("couch.key"));
    let shown = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let upstream = TlsUpstream::start(vec![shown], &key, &certificate).await;
    assert_eq!(upstream.ask("localhost", Some(upstream.ca_file.clone())).await, 200);
    assert_eq!(upstream.ask("127.0.0.1", Some(upstream.ca_file.clone())).await, 502, "another name");
}

/// A first https upstream needs no restart: the authorities are read with the config that needs them.
#[tokio::test]
async fn a_reload_may_bring_the_first_upstream_with_tls() {
    let upstream = TlsUpstream::self_signed("localhost", |_| {}).await;
    let kit = Kit::start().await;
    kit.assert_serves().await;
    let mut config = kit.gateway.config();
    let settings = &mut config.proxy.upstreams[0];
    (settings.tls, settings.targets) = (true, vec![Target::new("localhost", upstream.address.port())]);
    settings.ca_file = Some(upstream.ca_file.clone());
    kit.gateway.reload(Ok(config)).unwrap();
    assert_eq!(kit.get("/", &kit.issuer.token("alice").sign()).await.text().await.unwrap(), "secret");
    let mut config = kit.gateway.config();
    config.proxy.upstreams[0].ca_file = None;
    kit.gateway.reload(Ok(config)).unwrap();
    assert_eq!(kit.get("/", &kit.issuer.token("alice").sign()).await.status(), 502, "the system's authorities have not issued it");
    kit.stop().await;
}
