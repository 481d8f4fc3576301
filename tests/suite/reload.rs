//! A new config under traffic.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use syncgate::{
    config::{Config, LogLevel},
    demo::{DemoBackend, DemoKey, issuer::Endpoint, world},
    signing::{SecretSource, SigningKeySource},
    token::{MintingProfile, Permission, PermissionSettings},
};

use crate::kit::Kit;

fn reload(kit: &Kit, change: impl FnOnce(&mut Config)) {
    let mut config = kit.gateway.config();
    change(&mut config);
    kit.gateway.reload(Ok(config)).unwrap();
}

/// Verifications and signatures so far.
fn work(kit: &Kit) -> (f64, f64) {
    let count = |stage| kit.metric("syncgate_exchange_duration_seconds_count", &[("stage", stage)]);
    (count("verify"), count("mint"))
}

#[tokio::test]
async fn routes_and_backends_change_and_connections_stay() {
    let kit = Kit::start().await;
    let second = DemoBackend::start(&kit.pinned_key_pem).await.unwrap();
    let token = kit.issuer.token("alice").sign();
    let request = format!("GET /echo HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n");
    let mut client = kit.connect().await;
    client.write(request.as_bytes()).await;
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 200);
    let mut feed = kit.connect().await;
    feed.write(
        format!("GET /changes?feed=continuous HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes(),
    )
    .await;
    kit.within(feed.read_until("200 OK")).await;
    let before = kit.backend.received_count();

    let address = second.address();
    reload(&kit, |config| config.proxy.upstreams = vec![world::upstream("second", address)]);
    client.write(request.as_bytes()).await;
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 200, "the same connection");
    assert_eq!((kit.backend.received_count(), second.received_count()), (before, 1));
    assert_eq!(kit.metric("syncgate_connections_total", &[]), 2.0);
    // The feed goes on at the backend where it began.
    reload(&kit, |config| {
        config.proxy.routes[0].permission =
            Permission::new(PermissionSettings { all_scopes: vec!["docs.admin".into()], ..PermissionSettings::default() });
        config.proxy.headers.strip.push("x-custom".into());
    });
    client.write(request.as_bytes()).await;
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 403);
    reload(&kit, |config| config.proxy.routes[0].permission = Permission::default());
    client.write(request.replace("\r\n\r\n", "\r\nX-Custom: x\r\n\r\n").as_bytes()).await;
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 200);
    assert_eq!(second.received().pop().unwrap().header("x-custom"), None);
    assert_eq!(kit.metric("syncgate_connections", &[]), 2.0, "the feed is open");
    second.stop().await;
    kit.stop().await;
}

#[tokio::test]
async fn what_concerns_no_user_costs_no_verification_and_no_signature() {
    let kit = Kit::start().await;
    let token = kit.issuer.token("alice").sign();
    assert_eq!(kit.get("/echo", &token).await.status(), 200);
    let before = work(&kit);
    reload(&kit, |config| {
        config.log.level = LogLevel::Debug;
        config.proxy.realm = "another".into();
        config.proxy.listen.keepalive_timeout = Duration::from_secs(10);
        config.issuers[0].jwks.keep = Duration::from_secs(3600);
        config.issuers[0].jwks.deny_kids = vec!["nobody".into()];
    });
    assert_eq!(kit.get("/echo", &token).await.status(), 200);
    assert_eq!(work(&kit), before);
    kit.stop().await;
}

#[tokio::test]
async fn identities_die_with_the_settings_that_made_them() {
    let kit = Kit::start().await;
    let token = kit.issuer.token("alice").sign();
    let key = kit.issuer.signing_key();
    assert_eq!(kit.get("/echo", &token).await.status(), 200);
    let audiences = kit.gateway.config().issuers[0].rules.audiences.clone();
    reload(&kit, |config| config.issuers[0].rules.audiences = vec!["another".into()]);
    assert_eq!(kit.get("/echo", &token).await.status(), 401);
    reload(&kit, |config| config.issuers[0].rules.audiences = audiences);
    assert_eq!(kit.get("/echo", &token).await.status(), 200);
    reload(&kit, |config| config.issuers[0].jwks.deny_kids = vec![key.kid().into()]);
    assert_eq!(kit.get("/echo", &token).await.status(), 401, "a denied key ends what it verified");
    reload(&kit, |config| config.issuers[0].jwks.deny_kids.clear());
    assert_eq!(kit.get("/echo", &token).await.status(), 200, "its keys were kept meanwhile");
    reload(&kit, |config| config.issuers[0].rules.name = "renamed".into());
    kit.await_ready().await;
    assert_eq!(kit.metric("syncgate_jwks_keys", &[("issuer", "contoso")]), 0.0, "the series of the old name has ended");
    reload(&kit, |config| config.profiles[0] = MintingProfile::new("default", "sub"));
    kit.eventually(|| kit.metric("syncgate_jwks_keys", &[("issuer", "renamed")]) == 1.0).await;
    kit.get("/echo", &token).await;
    let received = kit.backend.received().pop().unwrap();
    let payload = URL_SAFE_NO_PAD.decode(received.header("authorization").unwrap().split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    assert!(claims["sub"].is_string() && claims.get("userId").is_none(), "{claims}");
    kit.stop().await;
}

#[tokio::test]
async fn the_signing_key_is_read_again() {
    let kit = Kit::start().await;
    let token = kit.issuer.token("alice").sign();
    assert_eq!(kit.get("/docs", &token).await.status(), 200);
    let before = kit.gateway.public_key_pem();
    let other = DemoKey::shared(7).unwrap();
    let SigningKeySource::PrivateKey { file, .. } = kit.gateway.config().signing.key else { panic!("a private key") };
    fs::write(file, other.private_key_pem().unwrap().as_bytes()).unwrap();
    assert_eq!(kit.get("/docs", &token).await.status(), 200, "not before it is told to");
    reload(&kit, |_| {});
    assert_ne!(kit.gateway.public_key_pem(), before);
    assert_eq!(kit.get("/docs", &token).await.status(), 401, "the backend pins the old one");
    kit.eventually(|| kit.metric("syncgate_upstream_unauthorized_total", &[]) == 1.0).await;
    assert_eq!(work(&kit).0, 1.0, "the user is known as before");
    kit.stop().await;
}

#[tokio::test]
async fn a_secret_that_stays_the_same_is_no_other_key_and_drops_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    let write = |text: &str| {
        fs::write(&secret, text).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("0123456789abcdef0123456789abcdef");
    let source = SigningKeySource::Secret(SecretSource::File(secret.clone()));
    let kit = Kit::start_with(move |config| {
        config.signing.key = source;
        config.signing.algorithm = jsonwebtoken::Algorithm::HS256;
    })
    .await;
    let token = kit.issuer.token("alice").sign();
    kit.get("/echo", &token).await;
    assert_eq!(work(&kit), (1.0, 1.0));
    for _ in 0..3 {
        reload(&kit, |_| {});
        kit.get("/echo", &token).await;
    }
    assert_eq!(work(&kit), (1.0, 1.0), "the minted token serves on");
    write("another-secret-of-32-bytes-or-so");
    reload(&kit, |_| {});
    kit.get("/echo", &token).await;
    assert_eq!(work(&kit), (1.0, 2.0), "it is signed with the new secret");
    kit.stop().await;
}

#[tokio::test]
async fn what_cannot_be_used_changes_nothing_and_is_said() {
    let kit = Kit::start().await;
    let token = kit.issuer.token("alice").sign();
    assert_eq!(kit.metric("syncgate_config_last_reload_success", &[]), 1.0);
    let since = kit.metric("syncgate_config_last_reload_success_timestamp_seconds", &[]);
    assert!(since > 1.6e9);
    let mut config = kit.gateway.config();
    config.proxy.routes.clear();
    config.signing.key = SigningKeySource::PrivateKey { file: "/nonexistent/signing.pem".into(), passphrase: None };
    kit.gateway.reload(Ok(config)).unwrap_err();
    let mut config = kit.gateway.config();
    config.proxy.routes.clear();
    config.issuers[0].jwks.ca_file = Some("/nonexistent/ca.pem".into());
    kit.gateway.reload(Ok(config)).unwrap_err();
    let mistaken = Config::load(std::path::Path::new("/nonexistent/gateway.yaml"));
    kit.gateway.reload(mistaken).unwrap_err();
    assert_eq!(kit.metric("syncgate_config_last_reload_success", &[]), 0.0);
    assert_eq!(kit.metric("syncgate_config_last_reload_success_timestamp_seconds", &[]), since);
    assert_eq!(kit.get("/echo", &token).await.status(), 200);
    reload(&kit, |_| {});
    assert_eq!(kit.metric("syncgate_config_last_reload_success", &[]), 1.0);
    kit.stop().await;
}

#[tokio::test]
async fn a_new_issuer_does_not_make_a_serving_gateway_unready() {
    let kit = Kit::start().await;
    let second = syncgate::demo::DemoIssuer::start_with(syncgate::demo::issuer::IssuerOptions {
        tenant: "fabrikam".into(),
        tenant_id: "1c0c1f5e-0000-4000-8000-000000000000".into(),
        ..Default::default()
    })
    .await
    .unwrap();
    second.behave(Endpoint::Discovery, syncgate::demo::issuer::Behaviour::Silent);
    let trusted = world::trust(&second);
    reload(&kit, |config| config.issuers.push(trusted));
    assert_eq!(kit.admin("/readyz").await.status(), 200);
    assert_eq!(kit.get("/echo", &second.token("bob").sign()).await.status(), 503);
    second.behave(Endpoint::Discovery, syncgate::demo::issuer::Behaviour::Normal);
    reload(&kit, |config| config.issuers[1].jwks.timeout = Duration::from_secs(1));
    kit.eventually(|| kit.metric("syncgate_jwks_keys", &[("issuer", "fabrikam")]) == 1.0).await;
    assert_eq!(kit.get("/echo", &second.token("bob").sign()).await.status(), 200);
    reload(&kit, |config| drop(config.issuers.pop()));
    assert_eq!(kit.get("/echo", &second.token("bob").sign()).await.status(), 401);
    kit.stop().await;
}

#[tokio::test]
async fn reloads_leave_no_series_behind() {
    let kit = Kit::start().await;
    let token = kit.issuer.token("alice").sign();
    let series = async || kit.admin("/metrics").await.text().await.unwrap().lines().filter(|line| !line.starts_with('#')).count();
    let named = |config: &mut Config, prefix: &str| {
        let route = config.proxy.routes[0].clone();
        config.proxy.routes = (0..50)
            .map(|number| {
                let mut route = route.clone();
                (route.name, route.path) = (format!("{prefix}-{number}"), format!("/echo/{number}"));
                route
            })
            .collect();
        config.proxy.routes.push(route);
        config.proxy.upstreams[0].name = format!("upstream-{prefix}");
        config.issuers[0].rules.name = format!("issuer-{prefix}");
    };
    let mut first = 0;
    for turn in 0..20 {
        reload(&kit, |config| {
            let default = config.proxy.routes.pop().unwrap();
            config.proxy.routes = vec![default];
            named(config, &turn.to_string());
        });
        kit.await_ready().await;
        for number in [0, 7, 49] {
            assert_eq!(kit.get(&format!("/echo/{number}"), &token).await.status(), 200);
        }
        let count = series().await;
        first = if turn == 0 { count } else { first };
        assert!(count <= first + 20, "{first} series have become {count}");
    }
    let text = kit.admin("/metrics").await.text().await.unwrap();
    for gone in ["=\"0-7\"", "=\"18-49\"", "=\"upstream-18\"", "=\"issuer-18\""] {
        assert!(!text.contains(gone), "{gone}");
    }
    assert!(text.contains("=\"19-7\""));
    kit.stop().await;
}
