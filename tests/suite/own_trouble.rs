//! What is the gateway's or the operator's own mistake is never a quiet 401, and a revocation that was answered is never lost.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use syncgate::{
    demo::{
        DemoBackend, DemoIssuer, DemoKey,
        issuer::{Behaviour, Endpoint},
    },
    jwks::KeySource,
    token::IssuerRule,
};

use crate::{
    key_admin::purge,
    kit::Kit,
    lifecycle::{Process, run},
};

/// Keys of a provider that are made in no time.
struct Keys(Vec<Ed25519KeyPair>);

impl Keys {
    fn generate(count: usize) -> Self {
        Self((0..count).map(|_| Ed25519KeyPair::generate().unwrap()).collect())
    }

    fn kid(number: usize) -> String {
        format!("key-{number}")
    }

    fn document(&self) -> String {
        let jwk = |(number, key): (usize, &Ed25519KeyPair)| {
            json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": Self::kid(number),
                "x": URL_SAFE_NO_PAD.encode(key.public_key().as_ref()) })
        };
        json!({ "keys": self.0.iter().enumerate().map(jwk).collect::<Vec<_>>() }).to_string()
    }

    /// A good token of the kit's issuer, signed by the key of this number instead of the issuer's own.
    fn token(&self, kit: &Kit, number: usize) -> String {
        let good = kit.issuer.token(&format!("user-{number}")).sign();
        let header = URL_SAFE_NO_PAD.encode(json!({ "alg": "EdDSA", "typ": "JWT", "kid": Self::kid(number) }).to_string());
        let signed = format!("{header}.{}", good.split('.').nth(1).unwrap());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.0[number].sign(signed.as_bytes()).as_ref()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_purge_is_lost_in_a_reload() {
    const PURGES: usize = 200;
    let keys = Keys::generate(PURGES + 1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    std::fs::write(&file, keys.document()).unwrap();
    let kit = Kit::start_with(move |config| {
        config.issuers[0].rules.algorithms = vec![Algorithm::RS256, Algorithm::EdDSA];
        config.issuers[0].jwks.sources.push(KeySource::File(file));
        config.issuers[0].jwks.refresh = Duration::from_secs(3_600);
    })
    .await;
    let kit = Arc::new(kit);
    let tokens: Vec<_> = (0..=PURGES).map(|number| keys.token(&kit, number)).collect();
    for (number, token) in tokens.iter().enumerate().take(PURGES) {
        assert_eq!(kit.get("/echo", token).await.status(), 200, "{number}");
        let reloaded = Arc::clone(&kit);
        let reload = tokio::task::spawn_blocking(move || {
            let mut config = reloaded.gateway.config();
            // Another store for this issuer.
            config.issuers[0].jwks.keep = Duration::from_secs(3_600 + number as u64);
            reloaded.gateway.reload(Ok(config)).unwrap();
        });
        tokio::time::sleep(Duration::from_micros(25 * number as u64)).await;
        purge(&kit, &Keys::kid(number)).await;
        assert_eq!(kit.get("/echo", token).await.status(), 401, "purge {number} is answered, and without effect");
        reload.await.unwrap();
    }
    let after = join_all(tokens.iter().map(|token| kit.get("/echo", token))).await;
    let accepted: Vec<_> = (0..=PURGES).filter(|number| after[*number].status() != 401).collect();
    assert_eq!(accepted, [PURGES], "the one that nobody purged");
    let Some(kit) = Arc::into_inner(kit) else { panic!("somebody has the kit") };
    kit.stop().await;
}

#[tokio::test]
async fn a_purge_outlives_an_issuer_that_leaves_the_config_and_comes_back_and_the_change_of_its_name() {
    let kit = crate::key_admin::calm().await;
    let (old, new) = (kit.issuer.signing_key(), kit.issuer.rotate().await.unwrap());
    purge(&kit, old.kid()).await;
    let with_it = kit.gateway.config();
    let mut without = kit.gateway.config();
    without.issuers[0].rules.name = "another".into();
    // Nothing but the keys themselves says that it is the same issuer.
    without.issuers[0].jwks.sources = vec![KeySource::Jwks(kit.issuer.keys_url())];
    let token = kit.issuer.token("alice").header("kid", old.kid()).signed_by(&old).sign();
    for config in [without, with_it] {
        kit.gateway.reload(Ok(config)).unwrap();
        kit.await_ready().await;
        kit.assert_serves_key(&new).await;
        assert_eq!(kit.get("/echo", &token).await.status(), 401);
    }
    kit.stop().await;
}

/// A gateway as a process, whose log can be read, before a backend.
async fn process(issuer: &DemoIssuer, iss: &str, backend: &DemoBackend) -> (Process, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let key = DemoKey::shared(5).unwrap();
    syncgate::private_file::write(&folder.path().join("signing.pem"), key.private_key_pem().unwrap().as_bytes(), true).unwrap();
    let config = folder.path().join("gateway.yaml");
    let text = format!(
        "listen: {{ address: \"127.0.0.1:0\" }}\nadmin: {{ address: \"127.0.0.1:0\" }}\nissuers:\n  - {{ name: contoso, discovery: {}, \
         issuer: {iss}, audiences: [{}], user_id: oid }}\nsigning: {{ key_file: signing.pem }}\nupstream: {{ url: \"http://{}\" }}\n",
        issuer.discovery_url(),
        issuer.options().audience,
        backend.address(),
    );
    std::fs::write(&config, text).unwrap();
    let path = config.clone();
    (tokio::task::spawn_blocking(move || run(folder, &path)).await.unwrap(), config)
}

/// The line of the log with this beginning of a message.
async fn line(mut process: Process, beginning: &'static str) -> (Process, Value) {
    tokio::task::spawn_blocking(move || {
        let line = process.await_line_that_begins(beginning);
        (process, line)
    })
    .await
    .unwrap()
}

async fn get(address: &str, token: &str) -> u16 {
    let client = syncgate::demo::http_client().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let status = client.get(format!("http://{address}/docs")).bearer_auth(token).send().await.unwrap().status().as_u16();
        if status != 503 || Instant::now() > deadline {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_backend_that_pins_another_key_is_told_once_and_with_what_to_compare() {
    let issuer = DemoIssuer::start().await.unwrap();
    let (ours, pinned) = (DemoKey::shared(5).unwrap(), DemoKey::shared(7).unwrap());
    let backend = DemoBackend::start(&pinned.public_key_pem().unwrap()).await.unwrap();
    let (gateway, config) = process(&issuer, &issuer.issuer(), &backend).await;
    let (gateway, serving) = line(gateway, "serving").await;
    let address = serving["address"].as_str().unwrap().to_owned();
    for user in 0..10 {
        assert_eq!(get(&address, &issuer.token(&format!("user {user}")).sign()).await, 401);
    }
    let (gateway, told) = line(gateway, "the backend answers 401 to tokens that the gateway signed").await;
    let field = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
    assert_eq!((field("level"), field("route"), field("upstream")), ("WARN".into(), "default".into(), "default".into()));
    assert_eq!(field("thumbprint"), ours.kid(), "the name of a demo key is its thumbprint");
    // The command that is printed prints the key of this thumbprint.
    let message = field("message");
    let (_, command) = message.split_once("syncgate ").unwrap();
    let arguments: Vec<_> = command.split(' ').map(|word| word.replace("FILE", config.to_str().unwrap())).collect();
    let printed = std::process::Command::new(env!("CARGO_BIN_EXE_syncgate")).args(arguments).output().unwrap();
    assert_eq!(String::from_utf8(printed.stdout).unwrap(), ours.public_key_pem().unwrap());
    let rest = tokio::task::spawn_blocking(move || gateway.terminate()).await.unwrap();
    assert_eq!(rest.matches("the backend answers 401").count(), 0, "{rest}");
    backend.stop().await;
}

#[tokio::test]
async fn a_401_that_no_token_of_ours_has_brought_about_is_no_sign_of_a_wrong_pin() {
    let public = crate::recorder::routes(json!([{ "name": "open", "access": "public" }]));
    let kit = Kit::start_with(move |config| config.proxy.routes = public).await;
    assert_eq!(kit.get("/docs", "x").await.status(), 401, "the backend's");
    kit.assert_metric("syncgate_requests_total", &[("code", "401"), ("source", "upstream")], 1.0).await;
    assert_eq!(kit.metric("syncgate_upstream_unauthorized_total", &[]), 0.0);
    kit.stop().await;
}

#[tokio::test]
async fn another_issuer_in_the_discovery_document_is_told_and_is_no_401() {
    let kit = Kit::start_with(|config| {
        let IssuerRule::Exact(issuers) = &mut config.issuers[0].rules.issuer else { panic!("an exact issuer") };
        // The most common of all mistakes.
        issuers.iter_mut().for_each(|issuer| *issuer = issuer.trim_end_matches('/').to_owned());
    })
    .await;
    assert_eq!(kit.metric("syncgate_jwks_issuer_mismatch", &[("issuer", "contoso")]), 1.0);
    let keys: Value = kit.admin("/keys").await.json().await.unwrap();
    assert_eq!(keys["issuers"][0]["misnamed_issuers"], json!([kit.issuer.issuer()]));
    let token = kit.issuer.token("alice").sign();
    let answer = kit.get("/echo", &token).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after") && !answer.headers().contains_key("www-authenticate"));
    kit.assert_metric("syncgate_rejections_total", &[("reason", "issuer_mismatch")], 1.0).await;
    let foreign = kit.issuer.token("alice").issuer("https://fabrikam.example/").sign();
    assert_eq!(kit.get("/echo", &foreign).await.status(), 401, "nobody's mistake but the client's");

    // It is corrected.
    let mut config = kit.gateway.config();
    config.issuers[0].rules.issuer = IssuerRule::Exact(vec![kit.issuer.issuer()]);
    kit.gateway.reload(Ok(config)).unwrap();
    assert_eq!(kit.get("/echo", &token).await.status(), 200);
    let metrics = kit.admin("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("syncgate_jwks_issuer_mismatch{issuer=\"contoso\"} 0"), "{metrics}");
    kit.stop().await;
}

#[tokio::test]
async fn a_provider_that_renames_itself_is_told_and_its_new_users_are_not_logged_out() {
    let kit = Kit::start_with(|config| config.issuers[0].jwks.refresh = Duration::from_millis(50)).await;
    let document = json!({ "issuer": "https://new.example/", "jwks_uri": kit.issuer.keys_url() });
    kit.issuer.behave(Endpoint::Discovery, Behaviour::Document(document.to_string()));
    kit.eventually(|| kit.metric("syncgate_jwks_issuer_mismatch", &[]) == 1.0).await;
    let (old, new) = (kit.issuer.token("alice").sign(), kit.issuer.token("alice").issuer("https://new.example/").sign());
    assert_eq!((kit.get("/echo", &old).await.status().as_u16(), kit.get("/echo", &new).await.status().as_u16()), (200, 503));
    kit.issuer.behave(Endpoint::Discovery, Behaviour::Normal);
    kit.eventually(|| kit.metric("syncgate_jwks_issuer_mismatch", &[]) == 0.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn the_log_names_both_issuers() {
    let issuer = DemoIssuer::start().await.unwrap();
    let backend = DemoBackend::start(&DemoKey::shared(5).unwrap().public_key_pem().unwrap()).await.unwrap();
    let right = issuer.issuer();
    let configured = right.trim_end_matches('/');
    let (gateway, _) = process(&issuer, configured, &backend).await;
    let (gateway, told) = line(gateway, "the discovery document names another issuer than the config").await;
    assert_eq!(
        (&told["level"], &told["named"], &told["configured"]),
        (&json!("ERROR"), &json!(issuer.issuer()), &json!(configured))
    );
    tokio::task::spawn_blocking(move || gateway.terminate()).await.unwrap();
    backend.stop().await;
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_written_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("later").join("keys.json");
    let snapshot = file.clone();
    let kit = Kit::start_with(move |config| {
        config.issuers[0].jwks.snapshot_file = Some(snapshot);
        config.issuers[0].jwks.refresh = Duration::from_millis(50);
    })
    .await;
    let shown = async || kit.admin("/keys").await.json::<Value>().await.unwrap()["issuers"][0]["snapshot_error"].clone();
    kit.eventually(|| kit.metric("syncgate_jwks_refresh_total", &[]) >= 2.0).await;
    assert!(kit.gateway.metrics().render().unwrap().contains("syncgate_jwks_snapshot_last_success{issuer=\"contoso\"} 0"));
    assert!(shown().await.as_str().unwrap().contains("keys.json"));
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    kit.eventually(|| kit.metric("syncgate_jwks_snapshot_last_success", &[]) == 1.0).await;
    assert!(file.exists() && shown().await.is_null());
    kit.stop().await;
}

#[tokio::test]
async fn lines_of_a_log_whose_reader_is_gone_are_counted() {
    let issuer = DemoIssuer::start().await.unwrap();
    let backend = DemoBackend::start(&DemoKey::shared(5).unwrap().public_key_pem().unwrap()).await.unwrap();
    let (gateway, _) = process(&issuer, &issuer.issuer(), &backend).await;
    let (mut gateway, serving) = line(gateway, "serving").await;
    let address = |name: &str| serving[name].as_str().unwrap().to_owned();
    gateway.stop_reading();
    assert_eq!(get(&address("address"), &issuer.token("alice").sign()).await, 200);
    // A line of the other log.
    gateway.signal("-HUP");
    let client = syncgate::demo::http_client().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let text = client.get(format!("http://{}/metrics", address("admin_address"))).send().await.unwrap().text().await.unwrap();
        let metrics = syncgate::demo::MetricsText::new(text);
        let lost = ["syncgate_access_log_dropped_total", "syncgate_log_dropped_total"].map(|name| metrics.sum(name, &[]));
        if lost.iter().all(|lost| *lost >= 1.0) {
            break;
        }
        assert!(Instant::now() < deadline, "{lost:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    backend.stop().await;
}
