//! What is said of a server with which hands cannot be shaken. Who is trusted is shown in `tests/suite/upstream_tls.rs`.

use std::{fs, net::SocketAddr, path::Path, process::Command, time::Duration};

use pingora::connectors::TransportConnector;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::{
    proxy::{
        server_conf,
        upstream::{
            backend::{Backend, Protocol},
            place::Address,
        },
    },
    tls::testing::shows,
};

/// Longer than any of it takes.
const LONG: Duration = Duration::from_secs(30);

/// A self-signed certificate as `openssl req -x509` makes it, and its key, both PEM.
fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut parameters);
    let key = KeyPair::generate().unwrap();
    (parameters.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

async fn serve((certificate, key): &(String, String)) -> SocketAddr {
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let shown = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let acceptor = TlsAcceptor::from(Arc::new(shows(shown, &key)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.write_all(b"hello").await;
                let _ = stream.shutdown().await;
            }
        }
    });
    address
}

/// A server that says this, whatever it is asked, and leaves.
async fn blurt(words: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(words).await;
        }
    });
    address
}

fn upstream(host: &str, address: SocketAddr, ca_file: &Path) -> Result<Backend, UpstreamError> {
    let settings = UpstreamSettings {
        tls: true,
        ca_file: Some(ca_file.to_owned()),
        connect_timeout: LONG,
        ..UpstreamSettings::new("couch", host, address.port())
    };
    let upstream = Backend::new(settings, None, &SystemAuthorities::default())?;
    upstream.publish(vec![(Address::Tcp(address), 0)]);
    Ok(upstream)
}

/// What the server says, or what is said of it.
async fn ask(host: &str, address: SocketAddr, ca_file: &Path) -> Result<String, String> {
    let upstream = upstream(host, address, ca_file).unwrap();
    let connector = TransportConnector::new(Some(pingora::connectors::ConnectorOptions::from_server_conf(&server_conf())));
    let place = upstream.place(None).await.unwrap();
    let mut stream = upstream.open(&connector, place.place(), Protocol::Http1).await.map_err(|error| {
        assert_eq!(error.etype(), &ErrorType::TLSHandshakeFailure);
        error.to_string()
    })?;
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    Ok(said)
}

fn write(folder: &TempDir, content: &str) -> PathBuf {
    let path = folder.path().join("ca.pem");
    fs::write(&path, content).unwrap();
    path
}

#[tokio::test]
async fn a_certificate_that_is_refused_is_told_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let stranger = self_signed(|_| {});
    let ended = self_signed(|parameters| parameters.not_after = date_time_ymd(2020, 1, 2));
    let leaf = self_signed(|parameters| parameters.is_ca = IsCa::ExplicitNoCa);
    let good = self_signed(|_| {});
    assert_eq!(ask("localhost", serve(&good).await, &write(&folder, &good.0)).await.unwrap(), "hello");
    for (shown, host, trusted, words) in [
        (&good, "localhost", &stranger, "(CA:TRUE), as `openssl req -x509` does: put this certificate into ca_file"),
        (&leaf, "localhost", &stranger, "add that authority's certificate, or the server's own"),
        (&good, "contoso.com", &good, "is for localhost, not for contoso.com: use one of its names in the URL"),
        (&good, "127.0.0.1", &good, "create a certificate with `-addext subjectAltName=IP:127.0.0.1`"),
        (&ended, "localhost", &ended, "expired at 2020-01-02T00:00:00Z: renew it"),
    ] {
        let address = serve(shown).await;
        let error = ask(host, address, &write(&folder, &trusted.0)).await.unwrap_err();
        assert!(error.contains(words), "{words}: {error}");
        assert!(error.contains(&format!("{host} at {address}: the server's certificate ")), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = write(&folder, &self_signed(|_| {}).0);
    let plain = ask("localhost", blurt(b"HTTP/1.1 400 Bad Request\r\n\r\n").await, &ca_file).await.unwrap_err();
    assert!(plain.contains("the server does not speak TLS on this port: is it `http://`, or a different port?"), "{plain}");
    let leaving = ask("localhost", blurt(b"").await, &ca_file).await.unwrap_err();
    assert!(leaving.contains("the server aborted the TLS handshake: "), "{leaving}");
}

#[tokio::test]
async fn a_certificate_of_version_1_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let openssl = |arguments: &str| {
        Command::new("openssl").args(arguments.split(' ')).current_dir(&folder).output().is_ok_and(|output| output.status.success())
    };
    if !openssl("version") {
        assert!(std::env::var_os("SYNCGATE_NO_SKIP").is_none(), "the openssl command line is not installed");
        eprintln!("SKIPPED: the openssl command line is not installed");
        return;
    }
    assert!(openssl("req -newkey rsa:2048 -nodes -keyout old.key -out old.csr -subj /CN=localhost"));
    assert!(openssl("x509 -req -in old.csr -signkey old.key -out old.pem"));
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let address = serve(&(read("old.pem"), read("old.key"))).await;
    let error = ask("localhost", address, &folder.path().join("old.pem")).await.unwrap_err();
    assert!(error.contains("is X.509 version 1, which has no host names: create one of version 3 with"), "{error}");
}

#[test]
fn what_can_never_work_is_an_error_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let missing = folder.path().join("missing.pem");
    let error = upstream("localhost", address, &missing).unwrap_err().to_string();
    let beginning = format!("upstream couch: ca_file {}: cannot be read: ", missing.display());
    assert!(error.starts_with(&beginning), "{error}");
    let none = write(&folder, "nothing");
    let error = upstream("localhost", address, &none).unwrap_err().to_string();
    assert_eq!(error, format!("upstream couch: ca_file {}: holds no certificate; accepted: PEM", none.display()));
    let good = write(&folder, &self_signed(|_| {}).0);
    for host in ["", "a..b"] {
        let error = upstream(host, address, &good).unwrap_err().to_string();
        assert_eq!(error, format!("upstream couch: the host {host:?} is not a valid name"));
    }
}
