//! Every place is taken and somebody comes: who has been idle the longest gives way, and nobody else.

use std::time::Duration;

use crate::kit::{Kit, Raw};

const DISPLACED: [(&str, &str); 1] = [("cause", "displaced")];

async fn ask(kit: &Kit, client: &mut Raw, path: &str, token: &str) -> u16 {
    client.write(format!("GET {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes()).await;
    kit.within(client.answer()).await.unwrap().status
}

#[tokio::test]
async fn the_connection_that_has_been_idle_the_longest_gives_way() {
    let kit = Kit::start_with(|config| config.proxy.listen.max_connections = 5).await;
    let token = kit.issuer.token("alice").sign();
    let mut socket = kit.socket(&token).await;
    let mut waiting = kit.connect().await;
    waiting
        .write(format!("GET /silent?ms=600000 HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes())
        .await;
    kit.eventually(|| kit.metric("syncgate_requests_in_flight", &[]) == 2.0).await;
    let mut half = kit.connect().await;
    let mut oldest = kit.connect().await;
    let mut younger = kit.connect().await;
    assert_eq!(ask(&kit, &mut younger, "/echo", &token).await, 200);
    assert_eq!(ask(&kit, &mut oldest, "/echo", "no-token").await, 401);
    // Between two requests again, later than the other.
    assert_eq!(ask(&kit, &mut younger, "/echo", &token).await, 200);
    half.write(b"GET /echo HTTP/1.1\r\nHost: gate").await;

    let mut newcomer = kit.connect().await;
    assert_eq!(ask(&kit, &mut newcomer, "/echo", &token).await, 200);
    assert_eq!(kit.within(oldest.read_to_end()).await, b"");
    kit.assert_metric("syncgate_connections_cut_total", &DISPLACED, 1.0).await;
    kit.assert_metric("syncgate_connections_full_total", &[], 1.0).await;

    assert_eq!(ask(&kit, &mut younger, "/echo", &token).await, 200);
    half.write(format!("way\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes()).await;
    assert_eq!(kit.within(half.answer()).await.unwrap().status, 200);
    // Counted on another thread.
    kit.eventually(|| kit.metric("syncgate_requests_in_flight", &[]) == 2.0).await;
    // A ping under an empty mask, and its pong.
    socket.write(b"\x89\x85\0\0\0\0alive").await;
    kit.within(socket.read_until("\u{5}alive")).await;
    kit.stop().await;
}

#[tokio::test]
async fn more_idle_connections_than_places_keep_nobody_out() {
    let kit = Kit::start_with(|config| config.proxy.listen.max_connections = 8).await;
    let token = kit.issuer.token("alice").sign();
    let mut idle = Vec::new();
    for _ in 0..24 {
        let mut client = kit.connect().await;
        assert_eq!(ask(&kit, &mut client, "/echo", "no-token").await, 401);
        idle.push(client);
    }
    for _ in 0..12 {
        let mut client = kit.connect().await;
        assert_eq!(ask(&kit, &mut client, "/echo", &token).await, 200);
        idle.push(client);
    }
    kit.assert_metric("syncgate_connections_cut_total", &DISPLACED, 28.0).await;
    assert_eq!(kit.metric("syncgate_connections", &[]), 8.0);
    kit.stop().await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_gives_way_before_its_time_is_over() {
    let kit = Kit::start_with(|config| {
        config.proxy.listen.max_connections = 3;
        config.proxy.listen.header_timeout = Duration::from_secs(300);
    })
    .await;
    let [mut first, mut second, mut third] = [kit.connect().await, kit.connect().await, kit.connect().await];
    kit.eventually(|| kit.metric("syncgate_connections", &[]) == 3.0).await;
    let token = kit.issuer.token("alice").sign();
    let mut client = kit.connect().await;
    assert_eq!(ask(&kit, &mut client, "/echo", &token).await, 200);
    // They came at one time; which of them is the oldest is not for them to say.
    let closed = async {
        tokio::select! {
            rest = first.read_to_end() => rest,
            rest = second.read_to_end() => rest,
            rest = third.read_to_end() => rest,
        }
    };
    assert_eq!(kit.within(closed).await, b"");
    kit.assert_metric("syncgate_connections_cut_total", &DISPLACED, 1.0).await;
    kit.stop().await;
}
