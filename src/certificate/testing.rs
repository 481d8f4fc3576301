//! For tests: an authority with its certificates in files, a server that answers handshakes, and clients.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, SignatureAlgorithm,
};
use rustls::{
    ClientConfig, HandshakeKind, RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{LazyConfigAcceptor, TlsConnector, rustls::server::Acceptor};

use super::*;

/// Longer than any of it takes.
pub(super) const LONG: Duration = Duration::from_secs(30);

/// A folder with an authority.
pub(super) struct Bench {
    folder: TempDir,
    pub(super) authority: CertifiedIssuer<'static, KeyPair>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), authority: authority("authority") }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Files for a server of these names.
    pub(super) fn pair(&self, file: &str, names: &[&str]) -> PairFiles {
        self.pair_with(file, names, &rcgen::PKCS_ECDSA_P256_SHA256, |_| {})
    }

    pub(super) fn pair_with(
        &self,
        file: &str,
        names: &[&str],
        algorithm: &'static SignatureAlgorithm,
        change: impl FnOnce(&mut CertificateParams),
    ) -> PairFiles {
        let (certificate, key) = issue(&self.authority, names, algorithm, change);
        self.write(file, &certificate, &key)
    }

    pub(super) fn write(&self, file: &str, chain: &str, key: &str) -> PairFiles {
        let files = PairFiles { chain: self.path(&format!("{file}.pem")), key: self.path(&format!("{file}.key")) };
        fs::write(&files.chain, chain).unwrap();
        write_private(&files.key, key);
        files
    }

    /// A client with a certificate of its own.
    pub(super) fn client_with(
        &self,
        version: &'static rustls::SupportedProtocolVersion,
        pair: &(String, String),
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let certificate = CertificateDer::from_pem_slice(pair.0.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(pair.1.as_bytes()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_protocol_versions(&[version]).unwrap();
        Arc::new(builder.with_root_certificates(roots).with_client_auth_cert(vec![certificate], key).unwrap())
    }

    /// The authority's certificate in a file.
    pub(super) fn ca_file(&self) -> PathBuf {
        let path = self.path("ca.pem");
        fs::write(&path, self.authority.pem()).unwrap();
        path
    }

    /// A list of revoked certificates in a file, by their serial numbers.
    pub(super) fn list(&self, revoked: &[u64], until: SystemTime) -> PathBuf {
        let path = self.path("list.pem");
        fs::write(&path, list_of(&self.authority, revoked, until)).unwrap();
        path
    }

    /// A client that trusts the authority and speaks these versions of TLS.
    pub(super) fn client(&self, versions: &[&'static rustls::SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

pub(super) fn write_private(path: &Path, content: &str) {
    let _ = fs::remove_file(path);
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

pub(super) fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, both PEM.
pub(super) fn issue(
    authority: &CertifiedIssuer<'static, KeyPair>,
    names: &[&str],
    algorithm: &'static SignatureAlgorithm,
    change: impl FnOnce(&mut CertificateParams),
) -> (String, String) {
    let mut parameters = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, names.first().copied().unwrap_or("nobody"));
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    change(&mut parameters);
    let key = KeyPair::generate_for(algorithm).unwrap();
    (parameters.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

pub(super) fn settings(certificates: &[&PairFiles]) -> TlsSettings {
    TlsSettings { certificates: certificates.iter().map(|files| (*files).clone()).collect(), ..TlsSettings::default() }
}

/// A server that answers handshakes, says hello and leaves.
pub(super) async fn serve(tls: Arc<ServerTls>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(Arc::clone(&tls), stream));
        }
    });
    address
}

async fn answer(tls: Arc<ServerTls>, stream: TcpStream) {
    let acceptor = LazyConfigAcceptor::new(Acceptor::default(), stream);
    tokio::pin!(acceptor);
    let Ok(start) = acceptor.as_mut().await else { return };
    let Some(config) = tls.config_for(&start.client_hello()) else {
        let mut stream = start.io;
        let _ = stream.write_all(&UNRECOGNIZED_NAME).await;
        return;
    };
    let Ok(mut stream) = start.into_stream(config).await else { return };
    let client = stream.get_ref().1.peer_certificates().and_then(ClientCertificate::of);
    let hello = client.map_or_else(|| "nobody".to_owned(), |client| client.subject);
    let _ = stream.write_all(hello.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// What a client has seen.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) kind: HandshakeKind,
    pub(super) version: rustls::ProtocolVersion,
    pub(super) protocol: Option<Vec<u8>>,
    /// The common name of its own certificate, as the server knows it.
    pub(super) said: String,
}

/// Shakes hands with the server of this name, reads to the end and says what it saw.
pub(super) async fn ask(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> Result<Seen, String> {
    let connector = TlsConnector::from(Arc::clone(config));
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let whole = async {
        let mut stream = connector.connect(name, stream).await?;
        let mut said = String::new();
        stream.read_to_string(&mut said).await?;
        let session = stream.get_ref().1;
        Ok(Seen {
            certificate: session.peer_certificates().unwrap()[0].clone(),
            kind: session.handshake_kind().unwrap(),
            version: session.protocol_version().unwrap(),
            protocol: session.alpn_protocol().map(<[u8]>::to_vec),
            said,
        })
    };
    let outcome: std::io::Result<Seen> = tokio::time::timeout(LONG, whole).await.unwrap();
    outcome.map_err(|error| error.to_string())
}

/// The first certificate of a file.
pub(super) fn leaf(files: &PairFiles) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(&files.chain).unwrap()
}

/// A client's certificate and key, PEM.
pub(super) fn client_pair(authority: &CertifiedIssuer<'static, KeyPair>, name: &str, serial: u64) -> (String, String) {
    issue(authority, &[name], &rcgen::PKCS_ECDSA_P256_SHA256, |parameters| {
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        parameters.serial_number = Some(SerialNumber::from(serial));
    })
}

/// A list of revoked certificates, PEM.
pub(super) fn list_of(authority: &CertifiedIssuer<'static, KeyPair>, revoked: &[u64], until: SystemTime) -> String {
    let start = rcgen::date_time_ymd(2020, 1, 1);
    let entry = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: start,
        reason_code: None,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: start,
        next_update: until.into(),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: revoked.iter().map(entry).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(authority).unwrap().pem().unwrap()
}
