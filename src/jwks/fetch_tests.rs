use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use tokio_rustls::{TlsAcceptor, rustls};

use super::*;
use crate::jwks::{
    test_keys::{document, jwk, key_pair},
    test_provider::{Answer, TestProvider, install_crypto},
};

fn settings() -> JwksSettings {
    JwksSettings::new(Vec::new())
}

fn fetcher(settings: &JwksSettings) -> Fetcher {
    install_crypto();
    Fetcher::new(settings, KeySetLimits { bytes: 20_000, keys: 10 }).unwrap()
}

async fn fetch(source: &KeySource) -> Result<KeySet, FetchError> {
    fetcher(&settings()).fetch(&Source::new(source).unwrap()).await.map(|fetched| fetched.keys)
}

fn kids(set: &KeySet) -> Vec<&str> {
    set.keys().iter().filter_map(|key| key.kid()).collect()
}

#[tokio::test]
async fn discovery_leads_to_the_keys_with_both_query_strings_kept() {
    let provider = TestProvider::start().await;
    let keys = provider.url("http", "/keys?p=b2c_1_signin&appid=x%2fy");
    provider.set(
        "/.well-known/openid-configuration?p=B2C_1_signin",
        Answer::Body(json!({ "jwks_uri": keys, "issuer": 7 }).to_string()),
    );
    provider.set("/keys?p=b2c_1_signin&appid=x%2fy", Answer::Body(document(&[("a", 0), ("b", 1)])));
    let source = KeySource::Discovery(provider.url("http", "/.well-known/openid-configuration?p=B2C_1_signin"));
    assert_eq!(kids(&fetch(&source).await.unwrap()), ["a", "b"]);
    assert_eq!(provider.requests(), ["/.well-known/openid-configuration?p=B2C_1_signin", "/keys?p=b2c_1_signin&appid=x%2fy"]);
}

#[tokio::test]
async fn a_key_that_is_only_in_its_certificate_is_taken() {
    let pkcs8 = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(key_pair(0)).unwrap();
    let pair = rcgen::KeyPair::try_from(pkcs8.as_ref()).unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&pair).unwrap();
    let keys = json!({ "keys": [{ "kty": "RSA", "use": "sig", "kid": "c", "x5c": [STANDARD.encode(certificate.der())] }] });
    let provider = TestProvider::start().await;
    provider.set("/keys", Answer::Body(keys.to_string()));
    let fetched = fetch(&KeySource::Jwks(provider.url("http", "/keys"))).await.unwrap();
    let plain = KeySet::parse(json!({ "keys": [jwk("c", 0)] }).to_string().as_bytes(), &KeySetLimits::default()).unwrap();
    assert_eq!(fetched.keys()[0].id(), plain.keys()[0].id());
}

#[tokio::test]
async fn answers_that_are_no_keys_are_errors_that_name_the_url_and_the_cause() {
    let provider = TestProvider::start().await;
    let url = provider.url("http", "/keys");
    let cases = [
        (Answer::Status(500, String::new()), "responded with 500 Internal Server Error"),
        (Answer::Status(404, String::new()), "responded with 404 Not Found; is the tenant or policy in the URL right?"),
        (Answer::Status(204, String::new()), "responded with 204 No Content"),
        (Answer::Status(302, "Location: http://127.0.0.1:1/\r\n".into()), "responded with 302 Found; redirects are not followed"),
        (Answer::Status(304, String::new()), "responded with 304 Not Modified; the request was not conditional"),
        (Answer::Status(403, String::new()), "responded with 403 Forbidden; keys are public"),
        (Answer::Body("<html>".into()), "not a key set: a response without a Content-Type that begins with <html>"),
        (
            Answer::Headed("\n<!doctype html>\u{1b}".into(), "Content-Type: text/html\r\n".into()),
            "not a key set: text/html that begins with <!doctype html>\\u{1b}",
        ),
        (Answer::Body("[{\"kty\":\"RSA\"}]".into()), "not a key set: a response without a Content-Type that begins with [{\"kty\""),
        (Answer::Body(String::new()), "not a key set: a response without a Content-Type, with an empty body"),
        (Answer::Bytes(vec![0; 9], "Content-Encoding: zstd\r\n".into()), "the response has Content-Encoding: zstd;"),
        (Answer::Body(json!({ "keys": [] }).to_string()), "no usable key among 0"),
        (Answer::Body(json!({ "keys": [{ "kty": "oct", "k": "AA" }] }).to_string()), "no usable key among 1"),
        (Answer::Body(" ".repeat(20_001)), "more than 20000 bytes"),
        (Answer::Endless, "more than 20000 bytes"),
    ];
    for (answer, expected) in cases {
        provider.set("/keys", answer);
        let error = fetch(&KeySource::Jwks(url.clone())).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("{url}: {expected}")), "{error}");
    }
    assert!(provider.requests().iter().all(|path| path == "/keys"));
}

#[tokio::test]
async fn a_document_may_have_as_many_bytes_as_the_limit() {
    let provider = TestProvider::start().await;
    let source = KeySource::Jwks(provider.url("http", "/keys"));
    for (length, is_read) in [(20_000, true), (20_001, false)] {
        let keys = document(&[("a", 0)]);
        provider.set("/keys", Answer::Body(format!("{keys}{}", " ".repeat(length - keys.len()))));
        let fetched = fetch(&source).await;
        assert_eq!(fetched.is_ok(), is_read, "{fetched:?}");
        assert_eq!(matches!(fetched, Err(FetchError::TooLarge { .. })), !is_read);
    }
}

#[tokio::test]
async fn a_discovery_document_cannot_lead_astray() {
    let provider = TestProvider::start().await;
    let url = provider.url("http", "/d");
    let cases = [
        ("[]".to_owned(), "not a discovery document: "),
        (json!({ "issuer": "x" }).to_string(), "not a discovery document: missing field `jwks_uri`"),
        (json!({ "jwks_uri": "http://contoso.com/keys" }).to_string(), "the jwks_uri http://contoso.com/keys is not https"),
        (json!({ "jwks_uri": "file:///etc/passwd" }).to_string(), "the jwks_uri file:///etc/passwd is not https"),
        (
            json!({ "jwks_uri": "https://a:b@contoso.com/" }).to_string(),
            "the jwks_uri https://a:b@contoso.com/ contains a user or password",
        ),
        (json!({ "jwks_uri": "/keys\n\u{1b}[2J" }).to_string(), "the jwks_uri /keys\\n\\u{1b}[2J is not a valid URL"),
    ];
    for (document, expected) in cases {
        provider.set("/d", Answer::Body(document));
        let error = fetch(&KeySource::Discovery(url.clone())).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("{url}: {expected}")), "{error}");
    }
}

#[tokio::test]
async fn a_silent_provider_costs_the_configured_time_for_discovery_and_keys_together() {
    let provider = TestProvider::start().await;
    provider.set("/d", Answer::Body(json!({ "jwks_uri": provider.url("http", "/keys") }).to_string()));
    provider.set("/keys", Answer::Silence);
    let fetcher = fetcher(&JwksSettings { timeout: Duration::from_millis(200), ..settings() });
    let error = fetcher.fetch(&Source::new(&KeySource::Discovery(provider.url("http", "/d"))).unwrap()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{}: no response within 0.2 s", provider.url("http", "/keys")));
}

#[tokio::test]
async fn a_server_that_has_one_type_only_is_asked_for_it() {
    let provider = TestProvider::start().await;
    for kind in ["application/jwk-set+json", "application/json", "*/*"] {
        provider.set("/keys", Answer::Picky(document(&[("a", 0)]), kind));
        provider.set("/d", Answer::Picky(json!({ "jwks_uri": provider.url("http", "/keys") }).to_string(), kind));
        let source = KeySource::Discovery(provider.url("http", "/d"));
        assert_eq!(kids(&fetch(&source).await.unwrap()), ["a"], "{kind}");
    }
}

#[tokio::test]
async fn byte_order_marks_and_gzip_are_read() {
    let provider = TestProvider::start().await;
    let keys = format!("\u{feff}{}", document(&[("a", 0)]));
    provider.set("/d", Answer::Body(format!("\u{feff}{}", json!({ "jwks_uri": provider.url("http", "/keys") }))));
    provider.set("/keys", Answer::Body(keys.clone()));
    let source = KeySource::Discovery(provider.url("http", "/d"));
    assert_eq!(kids(&fetch(&source).await.unwrap()), ["a"]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut gzip, keys.as_bytes()).unwrap();
    provider.set("/keys", Answer::Bytes(gzip.finish().unwrap(), "Content-Encoding: gzip\r\n".into()));
    assert_eq!(kids(&fetch(&source).await.unwrap()), ["a"]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("keys"), keys).unwrap();
    assert_eq!(kids(&fetch(&KeySource::File(folder.path().join("keys"))).await.unwrap()), ["a"]);
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://127.0.0.1:{}/keys", listener.local_addr().unwrap().port());
    drop(listener);
    let error = fetch(&KeySource::Jwks(url.clone())).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("{url}: ")) && error.contains("refused"), "{error}");
}

#[tokio::test]
async fn https_is_verified_against_the_configured_authorities_and_no_others() {
    install_crypto();
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let tls =
        rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certified.cert.der().clone()], key).unwrap();
    let provider = TestProvider::start_with(Some(TlsAcceptor::from(Arc::new(tls)))).await;
    provider.set("/keys", Answer::Body(document(&[("a", 0)])));
    let source = Source::new(&KeySource::Jwks(provider.url("https", "/keys"))).unwrap();

    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (right, wrong) = (directory.path().join("right.pem"), directory.path().join("wrong.pem"));
    std::fs::write(&right, certified.cert.pem()).unwrap();
    std::fs::write(&wrong, other.cert.pem()).unwrap();

    let trusting = fetcher(&JwksSettings { ca_file: Some(right), ..settings() });
    assert_eq!(kids(&trusting.fetch(&source).await.unwrap().keys), ["a"]);
    let distrusting = fetcher(&JwksSettings { ca_file: Some(wrong.clone()), ..settings() });
    let error = distrusting.fetch(&source).await.unwrap_err().to_string();
    let expected = format!(
        "the server's certificate was issued by an authority that is not in ca_file ({}): add that authority's certificate, or the \
         server's own",
        wrong.display()
    );
    assert!(error.ends_with(&expected), "{error}");
    let error = fetch(&KeySource::Jwks(provider.url("https", "/keys"))).await.unwrap_err().to_string();
    assert!(error.contains("the server's certificate was issued by an authority that this system does not trust: "), "{error}");
    let error = fetch(&KeySource::Jwks(provider.url("https", "/keys").replace("localhost", "127.0.0.1"))).await.unwrap_err();
    assert!(error.to_string().contains("the server's certificate "), "{error}");
}

#[test]
fn a_file_of_authorities_that_holds_none_is_refused_at_start() {
    install_crypto();
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    let problem = |path: &std::path::Path| {
        let settings = JwksSettings { ca_file: Some(path.to_owned()), ..settings() };
        Fetcher::new(&settings, KeySetLimits::default()).unwrap_err().to_string()
    };
    assert!(problem(&empty).ends_with("empty.pem: holds no certificate; accepted: PEM"));
    assert!(problem(&directory.path().join("none.pem")).contains("No such file"));
}

#[test]
fn plain_http_is_for_loopback_only() {
    let accepted = ["https://contoso.com/keys", "http://localhost:8080/", "http://127.8.0.1/", "http://[::1]:81/"];
    let refused = [
        "http://contoso.com/",
        "http://localhost.contoso.com/",
        "http://10.0.0.1/",
        "ftp://localhost/",
        "keys",
        "http://127.0.0.1@contoso.com/",
    ];
    for url in accepted {
        assert_eq!(Source::new(&KeySource::Jwks(url.into())).unwrap().place(), url);
    }
    assert!(Source::new(&KeySource::Jwks(format!("https://contoso.com/{}", "x".repeat(2048)))).is_err());
    for url in refused {
        assert!(matches!(Source::new(&KeySource::Jwks(url.into())), Err(JwksError::Url { .. })), "{url}");
    }
}

#[test]
fn what_strangers_wrote_is_escaped_and_cut() {
    assert_eq!(printable("a \"b\"\r\n\u{202e}"), "a \"b\"\\r\\n\\u{202e}");
    assert_eq!(printable(&"x".repeat(301)), format!("{}...", "x".repeat(300)));
}

#[tokio::test]
async fn the_proxy_of_the_settings_is_asked_in_place_of_the_provider() {
    // A proxy is sent the whole URL (RFC 9112 section 3.2.2), and the provider need not exist.
    let proxy = TestProvider::start().await;
    proxy.set("http://127.0.0.1:9/keys?p=x", Answer::Body(document(&[("a", 0)])));
    let through = fetcher(&JwksSettings { proxy: Some(proxy.url("http", "")), ..settings() });
    let fetched = through.fetch(&Source::new(&KeySource::Jwks("http://127.0.0.1:9/keys?p=x".into())).unwrap()).await.unwrap();
    assert_eq!(kids(&fetched.keys), ["a"]);
    assert_eq!(proxy.requests(), ["http://127.0.0.1:9/keys?p=x"]);
    let unusable = JwksSettings { proxy: Some("no proxy".into()), ..settings() };
    assert!(matches!(Fetcher::new(&unusable, KeySetLimits::default()), Err(JwksError::Proxy { .. })));
}

#[tokio::test]
async fn max_age_and_issuer_come_with_the_keys() {
    let provider = TestProvider::start().await;
    let discovery = |issuer: serde_json::Value| json!({ "jwks_uri": provider.url("http", "/keys"), "issuer": issuer }).to_string();
    provider.set("/keys", Answer::Headed(document(&[("a", 0)]), "Cache-Control: public, max-age=600\r\n".into()));
    for (issuer, known) in [
        (json!("https://contoso.com/"), Some("https://contoso.com/")),
        (json!("https://login.microsoftonline.com/{tenantid}/v2.0"), Some("https://login.microsoftonline.com/{tenantid}/v2.0")),
        (json!(7), None),
        (json!(""), None),
    ] {
        provider.set("/d", Answer::Body(discovery(issuer)));
        let source = Source::new(&KeySource::Discovery(provider.url("http", "/d"))).unwrap();
        let fetched = fetcher(&settings()).fetch(&source).await.unwrap();
        assert_eq!((fetched.issuer.as_deref(), fetched.max_age), (known, Some(Duration::from_secs(600))));
    }
}

#[test]
fn a_file_of_keys_is_checked_as_it_would_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let problem = || crate::jwks::check_key_file(&path).unwrap_err();
    assert!(problem().contains("cannot be read"), "{}", problem());
    std::fs::write(&path, "{").unwrap();
    assert!(problem().starts_with(&path.display().to_string()), "{}", problem());
    std::fs::write(&path, document(&[("a", 0)])).unwrap();
    assert_eq!(crate::jwks::check_key_file(&path), Ok(()));
}

#[tokio::test]
async fn a_file_of_keys_is_read_in_full_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let read = async || fetch(&KeySource::File(path.clone())).await.map(|set| set.keys().len()).map_err(|error| error.to_string());
    assert!(read().await.unwrap_err().contains("cannot be read"));
    std::fs::write(&path, document(&[("a", 0), ("b", 1)])).unwrap();
    assert_eq!(read().await, Ok(2));
    std::fs::write(&path, "{\"keys\":[]}").unwrap();
    assert_eq!(read().await, Ok(0), "emptied on purpose");
    for (content, expected) in
        [("{\"keys\":[", "invalid at line"), ("{\"keys\":[{}]}", "no usable key"), (&"x".repeat(30_000), "more than")]
    {
        std::fs::write(&path, content).unwrap();
        assert!(read().await.unwrap_err().contains(expected), "{expected}");
    }
    std::fs::write(&path, document(&[("a", 0)])).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    assert!(read().await.unwrap_err().contains("chmod o-w"));
    assert!(fetch(&KeySource::File(folder.path().to_owned())).await.unwrap_err().to_string().contains("not a regular file"));
}
