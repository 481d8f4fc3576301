//! Renewal information (RFC 9773), which pebble does not have: a stand-in that says nothing else.

use std::{
    fs,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::{ServerConfig, crypto::aws_lc_rs::default_provider, pki_types::pem::PemObject as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        testing::{Bench, LONG, settings},
        *,
    },
    Pace,
    order::suggestion,
};
use crate::metrics::Metrics;

const DOMAIN: &str = "sync.contoso.com";

/// An authority that has an opinion on renewals and issues nothing.
struct StandIn {
    directory: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl StandIn {
    async fn start(bench: &Bench, window: (&'static str, &'static str)) -> Self {
        let own = bench.pair("authority", &["localhost"]);
        let chain = vec![super::super::testing::leaf(&own)];
        let key = rustls::pki_types::PrivateKeyDer::from_pem_file(&own.key).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
        let config = builder.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
        let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let base = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (places, noted) = (base.clone(), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = vec![0; 16_384];
                let length = stream.read(&mut request).await.unwrap_or_default();
                let path = String::from_utf8_lossy(&request[..length]).split(' ').nth(1).unwrap_or_default().to_owned();
                let (status, body) = match path.as_str() {
                    "/dir" => ("200 OK", directory(&places)),
                    path if path.starts_with("/ari/") => {
                        ("200 OK", format!(r#"{{"suggestedWindow":{{"start":"{}","end":"{}"}}}}"#, window.0, window.1))
                    }
                    "/nonce" => ("200 OK", String::new()),
                    _ => ("500 Internal Server Error", "{}".to_owned()),
                };
                noted.lock().unwrap().push(path);
                let answer = format!(
                    "HTTP/1.1 {status}\r\nReplay-Nonce: abc\r\nRetry-After: 21600\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { directory: format!("{base}/dir"), asked }
    }

    fn was_asked(&self, start: &str) -> bool {
        self.asked.lock().unwrap().iter().any(|path| path.starts_with(start))
    }
}

fn directory(base: &str) -> String {
    let place = |name: &str| format!("{base}/{name}");
    serde_json::json!({
        "newNonce": place("nonce"),
        "newAccount": place("account"),
        "newOrder": place("order"),
        "renewalInfo": place("ari"),
    })
    .to_string()
}

/// With a certificate that has just begun, and an account.
fn prepare(bench: &Bench, directory: &str) -> AcmeSettings {
    let _ = default_provider().install_default();
    let acme = AcmeSettings {
        domains: vec![DOMAIN.to_owned()],
        directory: directory.to_owned(),
        folder: bench.path("acme"),
        ca_file: Some(bench.ca_file()),
        ..AcmeSettings::default()
    };
    fs::create_dir(&acme.folder).unwrap();
    let pair = bench.pair_with("young", &[DOMAIN], &rcgen::PKCS_ECDSA_P256_SHA256, |it| {
        it.use_authority_key_identifier_extension = true;
        it.not_before = (SystemTime::now() - Duration::from_secs(3_600)).into();
        it.not_after = (SystemTime::now() + Duration::from_secs(90 * 86_400)).into();
    });
    let content = fs::read_to_string(&pair.chain).unwrap() + &fs::read_to_string(&pair.key).unwrap();
    crate::private_file::write(&acme.pair().chain, content.as_bytes(), false).unwrap();
    let key = URL_SAFE_NO_PAD.encode(rcgen::KeyPair::generate().unwrap().serialize_der());
    let account = serde_json::json!({ "id": "https://localhost/account/1", "key_pkcs8": key, "directory": directory });
    crate::private_file::write(&acme.account_file(), account.to_string().as_bytes(), false).unwrap();
    acme
}

#[tokio::test]
async fn an_authority_is_asked_when_it_wants_a_certificate_renewed() {
    let bench = Bench::new();
    let authority = StandIn::start(&bench, ("2030-01-01T00:00:00Z", "2030-01-03T00:00:00Z")).await;
    let acme = prepare(&bench, &authority.directory);
    let leaf = super::super::testing::leaf(&acme.pair());
    let ((start, end), again) = suggestion(&acme, &leaf).await.unwrap().unwrap();
    assert_eq!(start, UNIX_EPOCH + Duration::from_secs(1_893_456_000));
    assert_eq!(end, start + Duration::from_secs(2 * 86_400));
    assert!(again > Duration::from_secs(21_000) && again <= Duration::from_secs(21_600), "{again:?}");
    assert!(authority.was_asked("/ari/"));
}

#[tokio::test]
async fn a_renewal_comes_early_if_the_authority_says_so_and_not_before() {
    for (window, is_early) in
        [(("2020-01-01T00:00:00Z", "2020-01-03T00:00:00Z"), true), (("2999-01-01T00:00:00Z", "2999-01-03T00:00:00Z"), false)]
    {
        let bench = Bench::new();
        let authority = StandIn::start(&bench, window).await;
        let acme = prepare(&bench, &authority.directory);
        let tls = Arc::new(ServerTls::load(&TlsSettings { acme: Some(acme), ..settings(&[]) }, SystemTime::now()).unwrap());
        let (metrics, stop) = (Arc::new(Metrics::new().unwrap()), CancellationToken::new());
        let pace = Pace { look: Duration::from_millis(20), hurry: 1 };
        let keeping = tokio::spawn(Arc::clone(&tls).keep_issued(Arc::clone(&metrics), pace, stop.clone()));
        let looked = async {
            while !authority.was_asked(if is_early { "/order" } else { "/ari/" }) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(LONG, looked).await.unwrap();
        if !is_early {
            tokio::time::sleep(pace.look * 10).await;
            assert!(!authority.was_asked("/order") && !authority.was_asked("/nonce"));
        }
        assert!(tls.serves(DOMAIN));
        stop.cancel();
        tokio::time::timeout(LONG, keeping).await.unwrap().unwrap();
    }
}
