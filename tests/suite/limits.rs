//! Limits by address and by user: each is reached, said, counted, and reached by nobody else.

use std::time::Duration;

use futures_util::future::join_all;
use syncgate::{
    config::Config,
    limits::{LimitSettings, Rate},
    proxy::{ClientField, TrustSettings, TrustedProxies},
};

use crate::{
    http2::client::{connect, trusting, world as secure_world},
    kit::{Answer, Kit, Raw, UPGRADE},
};

/// A world whose clients are told apart by what a proxy says of them.
async fn world(adjust: impl FnOnce(&mut LimitSettings) + Send + 'static) -> Kit {
    Kit::start_with(|config| {
        let proxies = TrustedProxies::new(vec!["127.0.0.1/32".parse().unwrap()]);
        config.proxy.listen.trust = TrustSettings { proxies, client_field: ClientField::XForwardedFor };
        adjust(&mut config.proxy.limits);
    })
    .await
}

async fn ask(kit: &Kit, client: &str, token: &str) -> Answer {
    let request = format!("GET /echo HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {token}\r\nX-Forwarded-For: {client}\r\n\r\n");
    kit.raw(request.as_bytes()).await
}

fn assert_limited(answer: &Answer, retry_after: &str) {
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some(retry_after)), "{}", answer.text());
    assert!(answer.text().contains("rate_limited"), "{}", answer.text());
}

#[tokio::test]
async fn whoever_sends_bad_tokens_has_no_more_verified_and_nobody_else_is_kept_out() {
    let kit = world(|limits| limits.address.refused = Some(Rate { count: 1, per: Duration::from_secs(3_600), burst: 3 })).await;
    let alice = kit.issuer.token("alice").sign();
    assert_eq!(ask(&kit, "203.0.113.7", &alice).await.status, 200);
    for number in 0..3 {
        let forged = format!("{}{number}AA", kit.issuer.token("mallory").sign());
        assert_eq!(ask(&kit, "203.0.113.7", &forged).await.status, 401);
    }
    let bob = kit.issuer.token("bob").sign();
    let answer = ask(&kit, "203.0.113.7", &bob).await;
    let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((3_500..=3_600).contains(&wait), "{wait}");
    assert_limited(&answer, &wait.to_string());
    // A token that is known costs nothing, and others are others. A /64 is one address.
    assert_eq!(ask(&kit, "203.0.113.7", &alice).await.status, 200);
    assert_eq!(ask(&kit, "203.0.113.8", &bob).await.status, 200);
    for host in 1..=4 {
        let forged = format!("{}{host}BB", kit.issuer.token("mallory").sign());
        let answer = ask(&kit, &format!("2001:db8:0:1::{host}"), &forged).await;
        assert_eq!(answer.status, if host <= 3 { 401 } else { 429 }, "{host}");
    }
    kit.assert_metric("syncgate_limited_total", &[("limit", "address_refused")], 2.0).await;
    kit.assert_metric("syncgate_rejections_total", &[("reason", "rate_limited")], 2.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_user_is_limited_whatever_his_tokens_and_addresses_and_no_other_is() {
    let kit = world(|limits| {
        limits.user.requests = Some(Rate { count: 1, per: Duration::from_secs(60), burst: 4 });
        limits.user.mints = Some(Rate { count: 1, per: Duration::from_secs(60), burst: 3 });
    })
    .await;
    let token = |user: &str, number: u32| kit.issuer.token(user).claim("jti", number).sign();
    for number in 0..3 {
        assert_eq!(ask(&kit, &format!("203.0.113.{number}"), &token("alice", number)).await.status, 200);
    }
    assert_limited(&ask(&kit, "203.0.113.9", &token("alice", 9)).await, "60");
    kit.assert_metric("syncgate_limited_total", &[("limit", "user_mints")], 1.0).await;
    assert_limited(&ask(&kit, "203.0.113.1", &token("alice", 1)).await, "60");
    kit.assert_metric("syncgate_limited_total", &[("limit", "user_requests")], 1.0).await;
    assert_eq!(ask(&kit, "203.0.113.1", &token("bob", 1)).await.status, 200);
    // Other limits from a reload on.
    let mut config: Config = kit.gateway.config();
    config.proxy.limits.user.requests = None;
    kit.gateway.reload(Ok(config)).unwrap();
    assert_eq!(ask(&kit, "203.0.113.1", &token("alice", 1)).await.status, 200);
    kit.stop().await;
}

#[tokio::test]
async fn a_user_has_so_many_sockets_at_a_time() {
    let kit = world(|limits| limits.user.sockets = Some(2)).await;
    let open = async |user: &str| {
        let mut client = kit.connect().await;
        let token = kit.issuer.token(user).sign();
        client
            .write(format!("GET /live HTTP/1.1\r\nHost: g\r\n{UPGRADE}\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes())
            .await;
        client
    };
    let status = async |client: &mut Raw| kit.within(client.answer()).await.unwrap();
    let (mut one, mut two, mut three) = (open("alice").await, open("alice").await, open("bob").await);
    for client in [&mut one, &mut two, &mut three] {
        assert_eq!(status(client).await.status, 101);
    }
    let mut further = open("alice").await;
    assert_limited(&status(&mut further).await, "5");
    // An ordinary request is none.
    assert_eq!(ask(&kit, "203.0.113.7", &kit.issuer.token("alice").sign()).await.status, 200);
    drop(one);
    kit.assert_metric("syncgate_websocket_connections", &[], 2.0).await;
    let mut again = open("alice").await;
    assert_eq!(status(&mut again).await.status, 101);
    drop((two, three, further, again));
    kit.stop().await;
}

#[tokio::test]
async fn an_address_has_so_many_connections() {
    let kit = Kit::start_with(|config| {
        config.proxy.limits.address.connections = Some(3);
        config.proxy.limits.address.new = Some(Rate { count: 1, per: Duration::from_secs(3_600), burst: 6 });
    })
    .await;
    let token = kit.issuer.token("alice").sign();
    let request = format!("GET /echo HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {token}\r\n\r\n");
    let serves = async |client: &mut Raw| {
        // One that is closed already may not take it.
        client.try_write(request.as_bytes()).await && kit.within(client.answer()).await.is_some()
    };
    let mut open = Vec::new();
    for number in 0..4 {
        let mut client = kit.connect().await;
        assert_eq!(serves(&mut client).await, number < 3, "{number}");
        open.push(client);
    }
    kit.assert_metric("syncgate_limited_total", &[("limit", "address_connections")], 1.0).await;
    open.truncate(1);
    kit.assert_metric("syncgate_connections", &[], 1.0).await;
    for number in 0..3 {
        let mut client = kit.connect().await;
        assert_eq!(serves(&mut client).await, number < 2, "{number}");
        open.push(client);
    }
    kit.assert_metric("syncgate_limited_total", &[("limit", "address_new")], 1.0).await;
    assert!(serves(&mut open[0]).await, "one that is open stays");
    drop(open);
    kit.stop().await;
}

/// Hundreds of devices come back at once, each with a connection of its own, a token that has ended, a new one, and requests.
#[tokio::test]
async fn the_defaults_do_not_limit_500_devices_behind_one_address() {
    const DEVICES: usize = 500;
    crate::process::allow_descriptors(4_096);
    let kit = secure_world(|config| config.proxy.limits = LimitSettings::default()).await;
    let client_config = trusting(&kit, &[b"http/1.1"]);
    for is_tls in [false, true] {
        let devices = (0..DEVICES).map(|number| {
            let user = format!("device-{number}");
            let (ended, token) = (kit.issuer.token(&user).expires_in(-3_600).sign(), kit.issuer.token(&user).sign());
            let (kit, client_config) = (&kit, client_config.clone());
            async move {
                let mut client = match is_tls {
                    true => Raw::over(connect(kit.tls_address().unwrap(), client_config).await),
                    false => kit.connect().await,
                };
                let mut statuses = Vec::new();
                for token in [&ended, &token, &token] {
                    client
                        .write(format!("GET /echo HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes())
                        .await;
                    statuses.push(client.answer().await.map(|answer| answer.status));
                }
                (client, statuses)
            }
        });
        let served = tokio::time::timeout(Duration::from_secs(60), join_all(devices)).await.unwrap();
        assert!(served.iter().all(|(_, statuses)| *statuses == [Some(401), Some(200), Some(200)]));
        assert_eq!(kit.metric("syncgate_limited_total", &[]), 0.0);
    }
    kit.stop().await;
}

/// An app that starts asks for many things at once, with one new token: that is one to be minted.
#[tokio::test]
async fn requests_that_wait_for_the_same_token_count_as_one_mint() {
    let kit = world(|limits| limits.user.mints = Some(Rate::per_second(1, 1))).await;
    let token = kit.issuer.token("alice").sign();
    let asking = (0..100).map(|_| ask(&kit, "10.0.0.1", &token));
    let answers = kit.within(join_all(asking)).await;
    assert!(
        answers.iter().all(|answer| answer.status == 200),
        "{:?}",
        answers.iter().map(|answer| answer.status).collect::<Vec<_>>()
    );
    assert_limited(&ask(&kit, "10.0.0.1", &kit.issuer.token("alice").claim("jti", "another").sign()).await, "1");
    kit.stop().await;
}
