//! Where an upstream is: a Unix socket, a path of its own, a server that asks for a certificate.

use std::{os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use syncgate::proxy::{CertificateFiles, HostHeader, Target};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixListener,
};

use super::addresses::OK;
use crate::{
    kit::{Kit, UPGRADE, gateway_before, send, serve_tls},
    recorder::{Recorder, switch},
};

#[tokio::test]
async fn a_unix_socket_serves_as_an_address_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backend.sock");
    let socket = Target::Socket(path.clone());
    let kit = Kit::start_with(move |config| {
        config.proxy.upstreams[0].targets = vec![socket];
        config.proxy.upstreams[0].host_header = HostHeader::Upstream;
    })
    .await;
    let token = kit.issuer.token("alice").sign();
    assert_eq!(kit.get("/", &token).await.status(), 502, "it is not there yet");
    let listener = UnixListener::bind(&path).unwrap();
    let (seen, mut heads) = tokio::sync::mpsc::unbounded_channel();
    let upstream = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let seen = seen.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut request).await {
                    let head = String::from_utf8_lossy(&request[..count]).into_owned();
                    let answer = if head.contains("pgrade") { switch(&head, "") + "hi" } else { OK.to_owned() };
                    seen.send(head).unwrap();
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    for _ in 0..3 {
        assert_eq!(kit.get("/docs", &token).await.status(), 200);
        let head = heads.recv().await.unwrap();
        assert!(head.starts_with("GET /docs HTTP/1.1\r\n") && head.contains("\r\nHost: localhost\r\n"), "{head}");
    }
    let mut socket = kit.socket(&token).await;
    kit.within(socket.read_until("hi")).await;
    upstream.abort();
    kit.stop().await;
}

#[tokio::test]
async fn a_path_of_the_upstream_stands_before_that_of_each_request_and_is_not_left() {
    let recorder = Recorder::start(|request| {
        if request.head.contains("pgrade") {
            switch(&request.head, "")
        } else {
            "HTTP/1.1 204 X\r\nLocation: /app/v1/x\r\n\r\n".to_owned()
        }
    })
    .await;
    let kit = gateway_before(recorder.address, |config| config.proxy.upstreams[0].prefix = "/app/v1".to_owned()).await;
    let authorization = format!("Authorization: Bearer {}", kit.issuer.token("alice").sign());
    for (sent, seen) in
        [("/", "/app/v1/"), ("/docs/a%20b?c=/d", "/app/v1/docs/a%20b?c=/d"), ("//x", "/app/v1//x"), ("/a.b/.c", "/app/v1/a.b/.c")]
    {
        let answer = send(&kit, "GET", sent, &[&authorization]).await;
        // What it answers is passed on as it is.
        assert_eq!((answer.status, answer.header("location")), (204, Some("/app/v1/x")), "{sent}");
        assert_eq!(recorder.last().target(), seen);
    }
    assert_eq!(send(&kit, "GET", "/live", &[&authorization, UPGRADE]).await.status, 101);
    assert_eq!(recorder.last().target(), "/app/v1/live");
    let count = recorder.count();
    for out in [
        "/..",
        "/../x",
        "/a/../../x",
        "/%2e%2e/x",
        "/.%2E/x",
        "/%252e%252e/x",
        "/..%2fx",
        "/..;/x",
        "/..\\x",
        "/a/..",
        "/%c0%ae%c0%ae/x",
    ] {
        let answer = send(&kit, "GET", out, &[&authorization]).await;
        assert_eq!(answer.status, 400, "{out}: {}", answer.text());
    }
    assert_eq!(recorder.count(), count);
    kit.stop().await;
}

/// An authority, and what it issues.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(parameters, key), pem }
    }

    /// A certificate for this name and use, and its key.
    fn issue(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        (parameters.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn write_client(&self, files: &CertificateFiles) {
        let (certificate, key) = self.issue("gateway", ExtendedKeyUsagePurpose::ClientAuth);
        std::fs::write(&files.certificate, certificate).unwrap();
        write_private(&files.key, &key);
    }
}

fn write_private(path: &Path, content: &str) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_that_of_the_file_as_of_the_last_reload() {
    syncgate::server::install_crypto();
    let (servers, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let mut roots = RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(clients.pem.as_bytes()).unwrap()).unwrap();
    let (certificate, key) = servers.issue("couch.contoso.com", ExtendedKeyUsagePurpose::ServerAuth);
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let chain = vec![rustls::pki_types::CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let server = ServerConfig::builder().with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap();
    let address = serve_tls(server, |mut stream| async move {
        let mut request = [0; 4096];
        while let Ok(1..) = stream.read(&mut request).await {
            let _ = stream.write_all(OK.as_bytes()).await;
            let _ = stream.flush().await;
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, &servers.pem).unwrap();
    let files = CertificateFiles { certificate: folder.path().join("own.pem"), key: folder.path().join("own.key") };
    strangers.write_client(&files);
    let own = files.clone();
    let kit = gateway_before(address, move |config| {
        let upstream = &mut config.proxy.upstreams[0];
        (upstream.tls, upstream.ca_file, upstream.certificate) = (true, Some(ca_file), Some(own));
        // By its address, under the name that its certificate has.
        upstream.server_name = Some("couch.contoso.com".to_owned());
    })
    .await;
    let token = kit.issuer.token("alice").sign();
    let config = kit.gateway.config();
    assert_eq!(kit.get("/", &token).await.status(), 502, "issued by a stranger");
    clients.write_client(&files);
    kit.gateway.reload(Ok(config.clone())).unwrap();
    assert_eq!(kit.get("/", &token).await.status(), 200);
    // A pair that does not fit changes nothing.
    write_private(&files.key, &KeyPair::generate().unwrap().serialize_pem());
    let error = kit.gateway.reload(Ok(config.clone())).unwrap_err().to_string();
    assert!(error.ends_with("the key is not that of the first certificate in the file"), "{error}");
    assert_eq!(kit.get("/", &token).await.status(), 200);
    let mut without = config;
    without.proxy.upstreams[0].certificate = None;
    kit.gateway.reload(Ok(without)).unwrap();
    assert_eq!(kit.get("/", &token).await.status(), 502, "none is shown");
    kit.stop().await;
}

/// The name, the key and the dates are the same; the signature, which nobody checks of an authority, is not.
#[tokio::test]
async fn a_certificate_that_is_named_itself_is_trusted_byte_for_byte() {
    syncgate::server::install_crypto();
    let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let own = parameters.self_signed(&key).unwrap();
    let signing = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let server = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![own.der().clone()], signing).unwrap();
    let address = serve_tls(server, |mut stream| async move {
        let mut request = [0; 4096];
        while let Ok(1..) = stream.read(&mut request).await {
            let _ = stream.write_all(OK.as_bytes()).await;
            let _ = stream.flush().await;
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let mut other = own.der().to_vec();
    *other.last_mut().unwrap() ^= 1;
    for (der, status) in [(own.der().to_vec(), 200), (other, 502)] {
        let ca_file = folder.path().join(format!("{status}.pem"));
        let text = pem(&der);
        std::fs::write(&ca_file, text).unwrap();
        let kit = gateway_before(address, move |config| {
            let upstream = &mut config.proxy.upstreams[0];
            upstream.targets = vec![Target::new("localhost", address.port())];
            (upstream.tls, upstream.ca_file) = (true, Some(ca_file));
        })
        .await;
        assert_eq!(kit.get("/", &kit.issuer.token("alice").sign()).await.status(), status);
        kit.stop().await;
    }
}

fn pem(der: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}
