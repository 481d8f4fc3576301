//! Client certificates, from the handshake to the backend: tokens that are bound to one, routes that require one, callers that show one.

use std::{
    fs,
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use syncgate::{
    certificate::{ClientMode, ClientRules},
    config::Config,
    proxy::ForwardCertificate,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

use crate::{
    http2::client::{connect, trusting, world},
    kit::Kit,
};

/// An authority of clients, in a file.
struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A client's certificate and its key.
struct Device {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Authority {
    fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, "devices");
        let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { folder, issuer }
    }

    fn rules(&self) -> ClientRules {
        ClientRules { mode: ClientMode::Optional, ca_file: Some(self.folder.path().join("ca.pem")), crl_files: Vec::new() }
    }

    fn device(&self, change: impl FnOnce(&mut CertificateParams)) -> Device {
        let mut parameters = CertificateParams::new(["device.contoso.com".to_owned()]).unwrap();
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut parameters);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap().der().clone();
        Device { certificate, key: key.serialize_der() }
    }
}

impl Device {
    /// `cnf` of a token that is bound to it.
    fn confirmation(&self) -> Value {
        json!({ "x5t#S256": URL_SAFE_NO_PAD.encode(Sha256::digest(&self.certificate)) })
    }
}

/// A world that asks for certificates on its TLS listener.
async fn asking(authority: &Authority, adjust: impl FnOnce(&mut Config) + Send + 'static) -> Kit {
    let rules = authority.rules();
    world(move |config| {
        let listener = config.proxy.listen.listeners.iter_mut().find_map(|listener| listener.tls.as_mut());
        listener.expect("a listener with TLS").client_certificates.rules = rules;
        adjust(config);
    })
    .await
}

async fn connection(kit: &Kit, device: Option<&Device>) -> TlsStream<TcpStream> {
    let config = match device {
        None => trusting(kit, &[b"http/1.1"]),
        Some(device) => {
            let mut roots = RootCertStore::empty();
            let authority = &kit.certificate.as_ref().unwrap().authority_pem;
            roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
            let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
            let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
            let key = PrivateKeyDer::try_from(device.key.clone()).unwrap();
            builder.with_client_auth_cert(vec![device.certificate.clone()], key).unwrap()
        }
    };
    connect(kit.tls_address().unwrap(), config).await
}

/// The status of an answer on a connection that stays open.
async fn ask(kit: &Kit, stream: &mut TlsStream<TcpStream>, path: &str, lines: &str) -> u16 {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
    let asking = async {
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = Vec::new();
        loop {
            let mut piece = [0; 4096];
            let length = stream.read(&mut piece).await.unwrap_or_default();
            answer.extend_from_slice(&piece[..length]);
            let text = String::from_utf8_lossy(&answer).into_owned();
            let whole = text.split_once("\r\n\r\n").and_then(|(header, body)| {
                let lines =
                    header.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
                let is_last = header.lines().any(|line| line.eq_ignore_ascii_case("transfer-encoding: chunked"));
                let is_whole = if is_last { body.ends_with("0\r\n\r\n") } else { body.len() >= lines.unwrap_or(0) };
                is_whole.then(|| header.split(' ').nth(1).unwrap().parse().unwrap())
            });
            match whole {
                Some(status) => return status,
                None => assert!(length > 0, "the answer is cut: {text}"),
            }
        }
    };
    kit.within(asking).await
}

#[tokio::test]
async fn the_same_token_is_taken_on_one_connection_and_refused_on_another() {
    let authority = Authority::new();
    let kit = asking(&authority, |_| {}).await;
    let (own, other) = (authority.device(|_| {}), authority.device(|_| {}));
    let bound = format!("Authorization: Bearer {}\r\n", kit.issuer.token("alice").claim("cnf", own.confirmation()).sign());
    let free = format!("Authorization: Bearer {}\r\n", kit.issuer.token("alice").sign());
    let mut connections = Vec::new();
    for (device, expected) in [(Some(&own), 200), (Some(&other), 401), (None, 401)] {
        connections.push((connection(&kit, device).await, expected));
    }
    for _ in 0..3 {
        for (stream, expected) in &mut connections {
            assert_eq!(ask(&kit, stream, "/echo", &bound).await, *expected);
            assert_eq!(ask(&kit, stream, "/echo", &free).await, 200);
        }
    }
    // Over the plain listener there is no certificate.
    assert_eq!(kit.get("/echo", bound.trim_start_matches("Authorization: Bearer ").trim_end()).await.status(), 401);
    kit.eventually(|| kit.metric("syncgate_rejections_total", &[("reason", "certificate_mismatch")]) == 7.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_route_demands_a_certificate_and_tells_the_backend_of_it() {
    let authority = Authority::new();
    let kit = asking(&authority, |config| {
        let mut device = config.proxy.routes[0].clone();
        (device.name, device.path) = ("device".into(), "/echo".into());
        (device.requires_certificate, device.forward_certificate) = (true, ForwardCertificate::Chain);
        let mut told = device.clone();
        (told.name, told.path, told.requires_certificate) = ("told".into(), "/whoami".into(), false);
        config.proxy.routes.extend([device, told]);
    })
    .await;
    let own = authority.device(|_| {});
    let (mut with, mut without) = (connection(&kit, Some(&own)).await, connection(&kit, None).await);
    let token = kit.issuer.token("alice").sign();
    let lines =
        format!("Authorization: Bearer {token}\r\nClient-Cert: :AAAA:\r\nClient_Cert: :AAAA:\r\nClient-Cert-Chain: :AAAA:\r\n");
    assert_eq!(ask(&kit, &mut without, "/echo", &lines).await, 403);
    assert_eq!(kit.backend.received_count(), 0);
    assert_eq!(ask(&kit, &mut with, "/echo", &lines).await, 200);
    let received = kit.backend.received().pop().unwrap();
    let encoded = base64::engine::general_purpose::STANDARD.encode(&own.certificate);
    assert_eq!(received.header("client-cert"), Some(format!(":{encoded}:").as_str()));
    assert!(received.header("client-cert-chain").is_none() && !received.contains("AAAA:"), "{received:?}");
    // A client without one says nothing of any.
    assert_eq!(ask(&kit, &mut without, "/whoami", &lines).await, 200);
    let received = kit.backend.received().pop().unwrap();
    assert!(received.header("client-cert").is_none() && !received.contains("AAAA:"), "{received:?}");
    kit.stop().await;
}

#[tokio::test]
async fn what_rests_on_a_certificate_ends_with_it() {
    let authority = Authority::new();
    let kit = asking(&authority, |_| {}).await;
    let end = SystemTime::now() + Duration::from_secs(4);
    let short = authority.device(|parameters| parameters.not_after = end.into());
    let token = kit.issuer.token("alice").claim("cnf", short.confirmation()).sign();
    let mut socket = connection(&kit, Some(&short)).await;
    let request =
        format!("GET /live HTTP/1.1\r\nHost: localhost\r\n{}\r\nAuthorization: Bearer {token}\r\n\r\n", crate::kit::UPGRADE);
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut begin = [0; 12];
    kit.within(socket.read_exact(&mut begin)).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 101");
    let mut kept = connection(&kit, Some(&short)).await;
    assert_eq!(ask(&kit, &mut kept, "/echo", &format!("Authorization: Bearer {token}\r\n")).await, 200);
    // Of the handshake it is known still; of the time, too.
    let mut rest = Vec::new();
    let _ = kit.within(socket.read_to_end(&mut rest)).await;
    assert!(SystemTime::now() + Duration::from_secs(1) > end);
    let until_refused = async {
        loop {
            if SystemTime::now() > end {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    kit.within(until_refused).await;
    assert_eq!(ask(&kit, &mut kept, "/echo", &format!("Authorization: Bearer {token}\r\n")).await, 401);
    kit.stop().await;
}
