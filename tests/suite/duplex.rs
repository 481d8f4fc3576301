//! A body in progress and its answer, at the same time: neither waits for the other, and whoever holds things up is named.

use std::time::{Duration, Instant};

use syncgate::config::Config;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    kit::{Kit, Raw, gateway_before},
    relay::{accept, gateway, is_closed, read_until, send},
};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

async fn gateway_with(adjust: impl FnOnce(&mut Config) + Send + 'static) -> (Kit, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kit = gateway_before(listener.local_addr().unwrap(), move |config| {
        config.threads = 1;
        adjust(config);
    })
    .await;
    (kit, listener)
}

/// Bytes of which no two pieces look the same.
fn body(size: usize) -> Vec<u8> {
    (0_u64..).flat_map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).take(size).collect()
}

/// Begins a request with a body, and says it to the end while its answer is read; what comes after the answer's header.
async fn exchange(kit: &Kit, size: usize) -> (String, Vec<u8>) {
    let token = kit.issuer.token("alice").sign();
    let mut client = TcpStream::connect(kit.gateway.address()).await.unwrap();
    let head = format!("PUT / HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\nContent-Length: {size}\r\n\r\n");
    let (mut reading, mut writing) = client.split();
    let sending = async {
        writing.write_all(head.as_bytes()).await?;
        writing.write_all(&body(size)).await
    };
    let mut answer = Vec::new();
    let (_, read) = kit.within(async { tokio::join!(sending, reading.read_to_end(&mut answer)) }).await;
    read.unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a header") + 4;
    (String::from_utf8_lossy(&answer[..end]).into_owned(), answer.split_off(end))
}

/// Sends as much of a body as is taken, and goes on when there is room again.
async fn flood(client: &mut Raw) {
    while client.try_write(&[b'x'; 64 * KIB]).await {}
}

/// It takes no more while its own output is not taken, as whatever transforms a body does.
#[tokio::test]
async fn an_upstream_that_answers_while_it_reads_is_heard_while_it_is_told() {
    const PIECES: usize = 128;
    let (kit, listener) = gateway().await;
    let upstream = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        // The body may follow in the same packet.
        let mut header = Vec::new();
        while !header.ends_with(b"\r\n\r\n") {
            header.push(stream.read_u8().await.unwrap());
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", PIECES * 256 * KIB);
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut told = Vec::new();
        for _ in 0..PIECES {
            let mut piece = vec![0; 64 * KIB];
            stream.read_exact(&mut piece).await.unwrap();
            for _ in 0..4 {
                stream.write_all(&piece).await.unwrap();
            }
            told.extend_from_slice(&piece);
        }
        told
    };
    let started = Instant::now();
    let ((head, answer), told) = kit.within(async { tokio::join!(exchange(&kit, PIECES * 64 * KIB), upstream) }).await;
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(told == body(PIECES * 64 * KIB));
    let expected: Vec<u8> = told.chunks(64 * KIB).flat_map(|piece| piece.repeat(4)).collect();
    assert!(answer == expected);
    kit.stop().await;
}

#[tokio::test]
async fn both_sides_may_talk_in_turns() {
    let (kit, listener) = gateway().await;
    let mut client = kit.connect().await;
    send(&kit, &mut client, "POST /talk HTTP/1.1", "Transfer-Encoding: chunked\r\n").await;
    let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    kit.within(client.read_until("\r\n\r\n")).await;
    for _ in 0..5 {
        client.write(b"4\r\nping\r\n").await;
        read_until(&kit, &mut upstream, "4\r\nping\r\n").await;
        upstream.write_all(b"4\r\npong\r\n").await.unwrap();
        kit.within(client.read_until("4\r\npong\r\n")).await;
    }
    upstream.write_all(b"0\r\n\r\n").await.unwrap();
    kit.within(client.read_until("0\r\n\r\n")).await;
    client.write(b"0\r\n\r\n").await;
    read_until(&kit, &mut upstream, "0\r\n\r\n").await;
    // Both are whole, so the upstream's connection serves the next request.
    let mut client = kit.connect().await;
    send(&kit, &mut client, "GET /next HTTP/1.1", "").await;
    assert!(read_until(&kit, &mut upstream, "\r\n\r\n").await.starts_with("GET /next "));
    kit.stop().await;
}

#[tokio::test]
async fn a_refusal_is_heard_at_once_though_the_upstream_reads_nothing() {
    let (kit, listener) = gateway().await;
    let mut client = kit.connect().await;
    send(&kit, &mut client, "PUT /large HTTP/1.1", "Content-Length: 1000000000\r\n").await;
    let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
    // More than the sockets hold, so that the upload stands still.
    let filling = tokio::time::timeout(Duration::from_millis(500), flood(&mut client)).await;
    assert!(filling.is_err());
    let started = Instant::now();
    upstream.write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nlarge").await.unwrap();
    kit.within(client.read_until("413 Content Too Large")).await;
    kit.within(client.read_until("\r\n\r\nlarge")).await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    // The upload is given up, and the client may finish it all the same.
    while matches!(kit.within(upstream.read(&mut [0; 64 * KIB])).await, Ok(1..)) {}
    for _ in 0..64 {
        assert!(kit.within(client.try_write(&[b'x'; 64 * KIB])).await);
    }
    drop(client);
    kit.assert_metric("syncgate_upstream_errors_total", &[], 0.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn an_upstream_that_takes_nothing_costs_its_write_timeout_and_no_more() {
    let (kit, listener) = gateway_with(|config| {
        let upstream = &mut config.proxy.upstreams[0];
        (upstream.write_timeout, upstream.read_timeout) = (Duration::from_secs(1), Duration::from_secs(600));
    })
    .await;
    let mut client = kit.connect().await;
    send(&kit, &mut client, "PUT / HTTP/1.1", "Content-Length: 1000000000\r\n").await;
    let (_upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
    let started = Instant::now();
    let answered = async {
        let _ = tokio::time::timeout(Duration::from_millis(500), flood(&mut client)).await;
        client.read_until("HTTP/1.1 504 ").await;
    };
    kit.within(answered).await;
    let took = started.elapsed();
    assert!(Duration::from_millis(900) < took && took < Duration::from_secs(4), "{took:?}");
    kit.assert_metric("syncgate_upstream_errors_total", &[("kind", "timeout")], 1.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_pause_of_the_client_is_the_clients() {
    let (kit, listener) = gateway_with(|config| {
        config.proxy.listen.body_timeout = Duration::from_secs(1);
        config.proxy.upstreams[0].read_timeout = Duration::from_millis(200);
    })
    .await;
    for said in ["", "HTTP/1.1 103 Early Hints\r\n\r\n"] {
        let mut client = kit.connect().await;
        send(&kit, &mut client, "PUT / HTTP/1.1", "Content-Length: 8\r\n").await;
        client.write(b"par").await;
        let (mut upstream, _) = accept(&kit, &listener, "par").await;
        upstream.write_all(said.as_bytes()).await.unwrap();
        let started = Instant::now();
        kit.within(client.read_until("HTTP/1.1 408 ")).await;
        assert!(started.elapsed() > Duration::from_millis(800), "{:?}", started.elapsed());
        assert!(is_closed(&kit, &mut upstream).await);
    }
    kit.assert_metric("syncgate_upstream_errors_total", &[], 0.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_for_its_body_does_not_pause() {
    let (kit, listener) = gateway_with(|config| {
        config.proxy.listen.body_timeout = Duration::from_secs(1);
        config.proxy.upstreams[0].read_timeout = Duration::from_secs(3);
    })
    .await;
    let expect = "Expect: 100-continue\r\nContent-Length: 4\r\n";
    let mut client = kit.connect().await;
    send(&kit, &mut client, "PUT / HTTP/1.1", expect).await;
    let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    upstream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 100);
    client.write(b"body").await;
    read_until(&kit, &mut upstream, "body").await;
    upstream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 204);
    send(&kit, &mut client, "PUT / HTTP/1.1", expect).await;
    read_until(&kit, &mut upstream, "\r\n\r\n").await;
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 504, "the upstream never asks");
    kit.assert_metric("syncgate_upstream_errors_total", &[("kind", "timeout")], 1.0).await;
    kit.stop().await;
}

/// Whatever of a relay is cut, the client does not take it for whole, and the operator can see it.
#[tokio::test]
async fn what_was_cut_is_never_told_as_whole() {
    let (kit, listener) = gateway_with(|config| config.proxy.upstreams[0].write_timeout = Duration::from_secs(1)).await;
    let begun = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n";
    for (is_whole, kind) in [(false, "timeout"), (true, "upload_cut")] {
        let mut client = kit.connect().await;
        send(&kit, &mut client, "PUT / HTTP/1.1", "Content-Length: 1000000000\r\n").await;
        let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
        let filling = tokio::time::timeout(Duration::from_millis(500), flood(&mut client)).await;
        assert!(filling.is_err());
        upstream.write_all(begun.as_bytes()).await.unwrap();
        if is_whole {
            upstream.write_all(b"0\r\n\r\n").await.unwrap();
        }
        kit.within(client.read_until("4\r\nsome\r\n")).await;
        assert!(is_whole_before_end(&kit, &mut client).await == is_whole);
        kit.assert_metric("syncgate_upstream_errors_total", &[("kind", kind)], 1.0).await;
    }
    kit.stop().await;
}

async fn is_whole_before_end(kit: &Kit, client: &mut Raw) -> bool {
    // What is left of the upload is read for some time, or the connection is reset: either way it ends.
    let rest = kit.within(client.read_to_end()).await;
    rest.ends_with(b"0\r\n\r\n")
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_counted_and_by_whom() {
    let (kit, listener) = gateway_with(|config| config.proxy.listen.write_timeout = Duration::from_secs(1)).await;
    let mut client = kit.connect().await;
    send(&kit, &mut client, "GET / HTTP/1.1", "").await;
    let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody").await.unwrap();
    drop(upstream);
    assert!(kit.within(client.read_to_end()).await.ends_with(b"\r\n\r\nbody"));
    kit.assert_metric("syncgate_upstream_errors_total", &[("kind", "broken")], 1.0).await;

    let mut client = kit.connect().await;
    send(&kit, &mut client, "GET / HTTP/1.1", "").await;
    let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1_000 * MIB);
    upstream.write_all(head.as_bytes()).await.unwrap();
    let endless = async { while upstream.write_all(&[b'x'; 64 * KIB]).await.is_ok() {} };
    kit.within(endless).await;
    kit.assert_metric("syncgate_connections_cut_total", &[("cause", "write_timeout")], 1.0).await;
    kit.assert_metric("syncgate_upstream_errors_total", &[], 1.0).await;
    drop(client);
    kit.stop().await;
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_or_reset_is_not_used() {
    let (kit, listener) = gateway().await;
    let mut client = kit.connect().await;
    for is_reset in [false, true] {
        send(&kit, &mut client, "GET /first HTTP/1.1", "").await;
        let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
        upstream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        assert_eq!(kit.within(client.answer()).await.unwrap().status, 204);
        if is_reset {
            socket2::SockRef::from(&upstream).set_linger(Some(Duration::ZERO)).unwrap();
        }
        drop(upstream);
        // A POST would be lost on it.
        send(&kit, &mut client, "POST /second HTTP/1.1", "Content-Length: 4\r\n").await;
        client.write(b"body").await;
        let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\nbody").await;
        upstream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.unwrap();
        assert_eq!(kit.within(client.answer()).await.unwrap().status, 204);
    }
    kit.stop().await;
}
