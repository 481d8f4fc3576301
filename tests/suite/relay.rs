//! What goes between a client and an upstream, and in which order: early answers, bodies, ends, connections that are used again.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::kit::{Kit, Raw, UPGRADE, gateway_before};

/// A gateway before a listener that the test itself answers for. Its connections share one event loop, and so those to the listener.
pub(crate) async fn gateway() -> (Kit, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (gateway_before(listener.local_addr().unwrap(), |config| config.threads = 1).await, listener)
}

/// The next connection and all of its first message up to `end`.
pub(crate) async fn accept(kit: &Kit, listener: &TcpListener, end: &str) -> (TcpStream, String) {
    let (mut stream, _) = kit.within(listener.accept()).await.unwrap();
    let message = read_until(kit, &mut stream, end).await;
    (stream, message)
}

pub(crate) async fn read_until(kit: &Kit, stream: &mut TcpStream, end: &str) -> String {
    let mut message = Vec::new();
    while !String::from_utf8_lossy(&message).ends_with(end) {
        let count = kit.within(stream.read_buf(&mut message)).await.unwrap();
        assert!(count > 0, "the gateway closed after {:?}", String::from_utf8_lossy(&message));
    }
    String::from_utf8(message).unwrap()
}

pub(crate) async fn is_closed(kit: &Kit, stream: &mut TcpStream) -> bool {
    matches!(kit.within(stream.read(&mut [0])).await, Ok(0) | Err(_))
}

/// Sends a request with alice's token, and these headers.
pub(crate) async fn send(kit: &Kit, client: &mut Raw, line: &str, headers: &str) {
    let token = kit.issuer.token("alice").sign();
    client.write(format!("{line}\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n{headers}\r\n").as_bytes()).await;
}

#[tokio::test]
async fn an_answer_without_an_end_gets_one_that_its_client_knows() {
    let (kit, listener) = gateway().await;
    for (version, answer) in [
        ("1.1", "Connection: close\r\n\r\nbody"),
        ("1.0", "Connection: close\r\n\r\nbody"),
        ("1.0", "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"),
    ] {
        let mut client = kit.connect().await;
        send(&kit, &mut client, &format!("GET / HTTP/{version}"), "Connection: keep-alive\r\n").await;
        let (mut upstream, message) = accept(&kit, &listener, "\r\n\r\n").await;
        assert!(message.starts_with("GET / HTTP/1.1\r\n"), "{message}");
        upstream.write_all(format!("HTTP/1.1 200 OK\r\n{answer}").as_bytes()).await.unwrap();
        drop(upstream);
        if version == "1.1" {
            kit.within(client.read_until("Transfer-Encoding: chunked")).await;
            kit.within(client.read_until("4\r\nbody\r\n0\r\n\r\n")).await;
        } else {
            let answer = String::from_utf8(kit.within(client.read_to_end()).await).unwrap();
            let lower = answer.to_ascii_lowercase();
            assert!(answer.ends_with("\r\n\r\nbody"), "{answer}");
            assert!(!lower.contains("transfer-encoding") && lower.contains("connection: close"), "{answer}");
        }
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_client_that_is_still_sending_hears_an_early_answer() {
    let (kit, listener) = gateway().await;
    let mut client = kit.connect().await;
    send(&kit, &mut client, "PUT /large HTTP/1.1", "Content-Length: 10000000\r\n").await;
    let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
    upstream.write_all(b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 5\r\n\r\nlarge").await.unwrap();
    drop(upstream);
    // More than what fits between two sockets: the gateway goes on reading.
    let piece = vec![b'x'; 64 * 1024];
    for _ in 0..128 {
        assert!(kit.within(client.try_write(&piece)).await);
    }
    kit.within(client.read_until("413 Content Too Large")).await;
    kit.within(client.read_until("large")).await;
    drop(client);
    kit.stop().await;
}

#[tokio::test]
async fn a_client_that_is_still_sending_hears_that_it_is_refused_or_that_the_upstream_is_gone() {
    let (kit, listener) = gateway().await;
    drop(listener);
    for (authorization, status) in [("Bearer x".to_owned(), "401"), (format!("Bearer {}", kit.issuer.token("alice").sign()), "502")]
    {
        let mut client = kit.connect().await;
        let header =
            format!("PUT / HTTP/1.1\r\nHost: gateway\r\nAuthorization: {authorization}\r\nContent-Length: 8388608\r\n\r\n");
        client.write(header.as_bytes()).await;
        let piece = vec![b'x'; 64 * 1024];
        for _ in 0..128 {
            assert!(kit.within(client.try_write(&piece)).await, "{status}");
        }
        let answer = String::from_utf8(kit.within(client.read_to_end()).await).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains("Connection: close"), "{answer}");
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_client_that_asks_and_asks_and_takes_no_answer_loses_its_place() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let adjust = |config: &mut syncgate::config::Config| config.proxy.listen.write_timeout = Duration::from_secs(1);
    let kit = gateway_before(listener.local_addr().unwrap(), adjust).await;
    let mut client = kit.connect().await;
    // Refused, without a body, and so many that the answers fill what is between the two.
    let requests = "HEAD / HTTP/1.1\r\nHost: gateway\r\n\r\n".repeat(1_000);
    while kit.within(client.try_write(requests.as_bytes())).await {}
    drop(listener);
    kit.eventually(|| kit.metric("syncgate_connections", &[]) == 0.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn an_upstream_that_takes_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let adjust = |config: &mut syncgate::config::Config| {
        let upstream = &mut config.proxy.upstreams[0];
        (upstream.write_timeout, upstream.read_timeout) = (Duration::from_secs(1), Duration::from_secs(1));
    };
    let kit = gateway_before(listener.local_addr().unwrap(), adjust).await;
    let mut client = kit.connect().await;
    send(&kit, &mut client, "PUT / HTTP/1.1", "Content-Length: 16777216\r\n").await;
    let piece = vec![b'x'; 64 * 1024];
    let sending = async {
        for _ in 0..256 {
            assert!(client.try_write(&piece).await);
        }
    };
    let (_upstream, ()) = tokio::join!(listener.accept(), kit.within(sending));
    kit.within(client.read_until("HTTP/1.1 504 ")).await;
    drop(client);
    kit.stop().await;
}

#[tokio::test]
async fn a_body_may_go_on_after_its_answer_and_then_its_connection_serves_the_next() {
    let (kit, listener) = gateway().await;
    let mut client = kit.connect().await;
    send(&kit, &mut client, "POST /slow HTTP/1.1", "Transfer-Encoding: chunked\r\n").await;
    client.write(b"5\r\nfirst\r\n").await;
    let (mut upstream, message) = accept(&kit, &listener, "5\r\nfirst\r\n").await;
    assert!(message.contains("Transfer-Encoding: chunked\r\n"), "{message}");
    upstream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    kit.within(client.read_until("Connection: close")).await;
    kit.within(client.read_until("\r\n\r\nok")).await;
    client.write(b"4\r\nlast\r\n0\r\n\r\n").await;
    read_until(&kit, &mut upstream, "4\r\nlast\r\n0\r\n\r\n").await;
    assert!(kit.within(client.read_to_end()).await.is_empty());
    let mut client = kit.connect().await;
    send(&kit, &mut client, "GET /next HTTP/1.1", "").await;
    assert!(read_until(&kit, &mut upstream, "\r\n\r\n").await.starts_with("GET /next "));
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext").await.unwrap();
    kit.within(client.read_until("next")).await;
    kit.stop().await;
}

/// An empty piece would end them, and the last one may be empty.
#[tokio::test]
async fn chunks_end_once_however_they_come() {
    let (kit, listener) = gateway().await;
    for headers in ["", &format!("{UPGRADE}\r\n")] {
        let mut client = kit.connect().await;
        send(&kit, &mut client, "GET /chunks HTTP/1.1", headers).await;
        let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
        upstream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody").await.unwrap();
        kit.within(client.read_until("\r\n\r\n4\r\nbody\r\n")).await;
        upstream.write_all(b"\r\n4\r\nmore\r\n0\r\nX: trailer\r\n\r\n").await.unwrap();
        kit.within(client.read_until("4\r\nmore\r\n0\r\n\r\n")).await;
        send(&kit, &mut client, "GET /next HTTP/1.1", "").await;
        let (mut next, message) = match headers {
            "" => {
                let message = read_until(&kit, &mut upstream, "\r\n\r\n").await;
                (upstream, message)
            }
            _ => accept(&kit, &listener, "\r\n\r\n").await,
        };
        assert!(message.starts_with("GET /next "), "{message}");
        next.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.unwrap();
        assert_eq!(kit.within(client.answer()).await.unwrap().status, 204, "{headers}");
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_with_it() {
    let (kit, listener) = gateway().await;
    for body in ["", "Content-Length: 9\r\n\r\npart"] {
        let mut client = kit.connect().await;
        let (headers, part) =
            body.split_once("\r\n\r\n").map_or((body.to_owned(), ""), |(head, part)| (format!("{head}\r\n"), part));
        send(&kit, &mut client, "PUT / HTTP/1.1", &headers).await;
        client.write(part.as_bytes()).await;
        let (mut upstream, _) = accept(&kit, &listener, if part.is_empty() { "\r\n\r\n" } else { part }).await;
        drop(client);
        assert!(is_closed(&kit, &mut upstream).await);
    }
    kit.eventually(|| kit.metric("syncgate_requests_in_flight", &[]) == 0.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn what_an_upstream_says_unasked_answers_nobody() {
    let (kit, listener) = gateway().await;
    let answer = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut client = kit.connect().await;
    for unasked in ["with the answer", "after it"] {
        send(&kit, &mut client, "GET /first HTTP/1.1", "").await;
        let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
        if unasked == "with the answer" {
            upstream.write_all(format!("{}{}", answer("mine"), answer("unasked")).as_bytes()).await.unwrap();
            kit.within(client.read_until("mine")).await;
        } else {
            upstream.write_all(answer("mine").as_bytes()).await.unwrap();
            kit.within(client.read_until("mine")).await;
            upstream.write_all(answer("unasked").as_bytes()).await.unwrap();
            // It is closed without being asked for.
            assert!(is_closed(&kit, &mut upstream).await);
        }
        send(&kit, &mut client, "GET /second HTTP/1.1", "").await;
        let (mut other, message) = accept(&kit, &listener, "\r\n\r\n").await;
        assert!(message.starts_with("GET /second "), "{message}");
        other.write_all(format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{}", &answer("other")[17..]).as_bytes()).await.unwrap();
        kit.within(client.read_until("other")).await;
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_connection_that_waits_is_used_again_and_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let adjust = |config: &mut syncgate::config::Config| config.proxy.upstreams[0].idle_timeout = Duration::from_secs(1);
    let kit = gateway_before(listener.local_addr().unwrap(), adjust).await;
    let mut client = kit.connect().await;
    send(&kit, &mut client, "GET /first HTTP/1.1", "").await;
    let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
    upstream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 204);
    send(&kit, &mut client, "GET /second HTTP/1.1", "").await;
    assert!(read_until(&kit, &mut upstream, "\r\n\r\n").await.starts_with("GET /second "));
    upstream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 204);
    assert!(is_closed(&kit, &mut upstream).await, "nobody needs it any more");
    kit.stop().await;
}

#[tokio::test]
async fn a_client_that_asks_nothing_more_is_left_in_time_and_not_while_it_asks() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let adjust = |config: &mut syncgate::config::Config| config.proxy.listen.keepalive_timeout = Duration::from_secs(1);
    let kit = gateway_before(listener.local_addr().unwrap(), adjust).await;
    let mut client = kit.connect().await;
    for _ in 0..2 {
        send(&kit, &mut client, "GET / HTTP/1.1", "").await;
        let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
        // Longer than a client may be idle.
        assert!(tokio::time::timeout(Duration::from_millis(1_500), client.read_until("HTTP")).await.is_err());
        upstream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.unwrap();
        assert_eq!(kit.within(client.answer()).await.unwrap().status, 204);
    }
    assert!(kit.within(client.read_to_end()).await.is_empty());
    kit.stop().await;
}

#[tokio::test]
async fn a_request_that_is_sent_again_has_its_body() {
    let (kit, listener) = gateway().await;
    let mut client = kit.connect().await;
    send(&kit, &mut client, "GET /first HTTP/1.1", "").await;
    let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
    upstream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 204);
    send(&kit, &mut client, "GET /second HTTP/1.1", "Content-Length: 9\r\n").await;
    client.write(b"some").await;
    // The upstream has the first half when it closes, as one does that has waited long enough.
    read_until(&kit, &mut upstream, "some").await;
    drop(upstream);
    let (mut upstream, message) = accept(&kit, &listener, "some").await;
    assert!(message.starts_with("GET /second "), "{message}");
    client.write(b" more").await;
    read_until(&kit, &mut upstream, " more").await;
    upstream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 204);
    kit.stop().await;
}
