//! Upstreams that are down, silent, or speak TLS.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
};
use syncgate::proxy::HostHeader;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::kit::{Kit, gateway_before};

#[tokio::test]
async fn an_upstream_that_is_down_is_a_502() {
    let kit = Kit::start().await;
    kit.backend.stop().await;
    let answer = kit.get("/echo", &kit.issuer.token("alice").sign()).await;
    assert_eq!(answer.status(), 502);
    assert!(answer.text().await.unwrap().contains("upstream_unavailable"));
    assert!(kit.metric("syncgate_upstream_errors_total", &[("kind", "connect")]) >= 1.0);
    kit.backend.resume().await.unwrap();
    kit.assert_serves().await;
    kit.stop().await;
}

#[tokio::test]
async fn an_upstream_that_is_silent_is_a_504() {
    let kit = Kit::start_with(|config| config.proxy.upstreams[0].read_timeout = Duration::from_millis(200)).await;
    let answer = kit.get("/silent?ms=10000", &kit.issuer.token("alice").sign()).await;
    assert_eq!(answer.status(), 504);
    assert_eq!(kit.metric("syncgate_upstream_errors_total", &[("kind", "timeout")]), 1.0);
    kit.stop().await;
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_502() {
    let kit = Kit::start_with(|config| {
        config.proxy.upstreams[0].host = "no-such-host.invalid".into();
        config.proxy.upstreams[0].connect_timeout = Duration::from_millis(200);
    })
    .await;
    assert_eq!(kit.get("/echo", &kit.issuer.token("alice").sign()).await.status(), 502);
    assert_eq!(kit.metric("syncgate_upstream_errors_total", &[("kind", "no_address")]), 1.0);
    kit.stop().await;
}

#[tokio::test]
async fn an_upstream_that_cuts_an_answer_short_is_not_taken_for_complete() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kit = gateway_before(listener.local_addr().unwrap(), |_| {}).await;
    let cutting = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await.unwrap();
    });
    let token = kit.issuer.token("alice").sign();
    let mut client = kit.connect().await;
    client.write(format!("GET / HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes()).await;
    let answer = kit.within(client.read_to_end()).await;
    assert!(String::from_utf8_lossy(&answer).ends_with("half"));
    cutting.await.unwrap();
    kit.stop().await;
}

#[tokio::test]
async fn the_upstream_sees_the_host_that_is_configured() {
    let by_client = Kit::start().await;
    let token = by_client.issuer.token("alice").sign();
    let request = format!("GET /echo HTTP/1.1\r\nHost: public.contoso.com\r\nAuthorization: Bearer {token}\r\n\r\n");
    by_client.raw(request.as_bytes()).await;
    assert_eq!(by_client.backend.received().pop().unwrap().header("host"), Some("public.contoso.com"));
    by_client.stop().await;

    let by_upstream = Kit::start_with(|config| config.proxy.upstreams[0].host_header = HostHeader::Upstream).await;
    by_upstream.get("/echo", &by_upstream.issuer.token("alice").sign()).await;
    let host = by_upstream.backend.address().to_string();
    assert_eq!(by_upstream.backend.received().pop().unwrap().header("host"), Some(host.as_str()));
    by_upstream.stop().await;
}

#[tokio::test]
async fn a_401_of_the_upstream_is_counted_apart() {
    let kit = Kit::start().await;
    let other = syncgate::demo::DemoKey::shared(7).unwrap();
    kit.backend.pin(&other.public_key_pem().unwrap()).unwrap();
    assert_eq!(kit.get("/docs", &kit.issuer.token("alice").sign()).await.status(), 401);
    assert_eq!(kit.metric("syncgate_upstream_unauthorized_total", &[("route", "default")]), 1.0);
    kit.stop().await;
}

/// A TLS server for one name, and the file of the authority that signed for it.
struct TlsUpstream {
    address: SocketAddr,
    ca_file: PathBuf,
    _folder: TempDir,
}

impl TlsUpstream {
    async fn start(name: &str) -> Self {
        syncgate::server::install_crypto();
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_certificate = ca.self_signed(&ca_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();

        let folder = tempfile::tempdir().unwrap();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, ca_certificate.pem()).unwrap();

        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut request = [0; 4096];
                    if stream.read(&mut request).await.is_ok() {
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret").await;
                    }
                });
            }
        });
        Self { address, ca_file, _folder: folder }
    }

    async fn gateway(&self, host: &'static str, ca_file: Option<PathBuf>) -> Kit {
        gateway_before(self.address, move |config| {
            let upstream = &mut config.proxy.upstreams[0];
            upstream.tls = true;
            upstream.host = host.into();
            upstream.ca_file = ca_file;
        })
        .await
    }
}

#[tokio::test]
async fn the_certificate_of_a_tls_upstream_is_verified() {
    let upstream = TlsUpstream::start("localhost").await;
    let stranger = TlsUpstream::start("localhost").await;
    let other_name = TlsUpstream::start("other.contoso.com").await;
    for (upstream, ca_file, status, fault) in [
        (&upstream, Some(upstream.ca_file.clone()), 200, ""),
        (&upstream, Some(stranger.ca_file.clone()), 502, "connect"),
        (&upstream, None, 502, "connect"),
        (&other_name, Some(other_name.ca_file.clone()), 502, "connect"),
    ] {
        let kit = upstream.gateway("localhost", ca_file.clone()).await;
        assert_eq!(kit.get("/", &kit.issuer.token("alice").sign()).await.status(), status);
        if !fault.is_empty() {
            assert!(kit.metric("syncgate_upstream_errors_total", &[("kind", fault)]) > 0.0);
        }
        kit.stop().await;
    }
}
