//! Upstreams that are down, silent, or leave; those of several addresses; and where they can be.

mod addresses;
mod draining;
mod http2;
mod targets;

use std::time::Duration;

use syncgate::proxy::{HostHeader, Target};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    kit::{Kit, gateway_before, handshake},
    recorder::switch,
};

#[tokio::test]
async fn an_upstream_that_is_down_is_a_502() {
    let kit = Kit::start().await;
    kit.backend.stop().await;
    let answer = kit.get("/echo", &kit.issuer.token("alice").sign()).await;
    assert_eq!(answer.status(), 502);
    assert!(answer.text().await.unwrap().contains("upstream_unavailable"));
    assert!(kit.metric("syncgate_upstream_errors_total", &[("kind", "connect")]) >= 1.0);
    kit.backend.resume().await.unwrap();
    kit.assert_serves().await;
    kit.stop().await;
}

#[tokio::test]
async fn an_upstream_that_is_silent_is_a_504() {
    let kit = Kit::start_with(|config| config.proxy.upstreams[0].read_timeout = Duration::from_millis(200)).await;
    let answer = kit.get("/silent?ms=10000", &kit.issuer.token("alice").sign()).await;
    assert_eq!(answer.status(), 504);
    assert_eq!(kit.metric("syncgate_upstream_errors_total", &[("kind", "timeout")]), 1.0);
    kit.stop().await;
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_502() {
    let kit = Kit::start_with(|config| {
        config.proxy.upstreams[0].targets = vec![Target::new("no-such-host.invalid", 1)];
        config.proxy.upstreams[0].connect_timeout = Duration::from_millis(200);
    })
    .await;
    assert_eq!(kit.get("/echo", &kit.issuer.token("alice").sign()).await.status(), 502);
    assert_eq!(kit.metric("syncgate_upstream_errors_total", &[("kind", "no_address")]), 1.0);
    kit.stop().await;
}

#[tokio::test]
async fn an_upstream_that_cuts_an_answer_short_is_not_taken_for_complete() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kit = gateway_before(listener.local_addr().unwrap(), |_| {}).await;
    let cutting = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await.unwrap();
    });
    let token = kit.issuer.token("alice").sign();
    let mut client = kit.connect().await;
    client.write(format!("GET / HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes()).await;
    let answer = kit.within(client.read_to_end()).await;
    assert!(String::from_utf8_lossy(&answer).ends_with("half"));
    cutting.await.unwrap();
    kit.stop().await;
}

#[tokio::test]
async fn an_answer_of_known_length_flows_piece_by_piece() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kit = gateway_before(listener.local_addr().unwrap(), |_| {}).await;
    let (go_on, told) = tokio::sync::oneshot::channel();
    let upstream = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfirst").await.unwrap();
        told.await.unwrap();
        stream.write_all(b"last").await.unwrap();
    });
    let token = kit.issuer.token("alice").sign();
    let mut client = kit.connect().await;
    client.write(format!("GET / HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes()).await;
    kit.within(client.read_until("first")).await;
    go_on.send(()).unwrap();
    kit.within(client.read_until("last")).await;
    upstream.await.unwrap();
    kit.stop().await;
}

#[tokio::test]
async fn an_upstream_that_leaves_after_an_interim_answer_is_a_502_that_ends_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kit = gateway_before(listener.local_addr().unwrap(), |_| {}).await;
    let leaving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await.unwrap();
    });
    let token = kit.issuer.token("alice").sign();
    let mut client = kit.connect().await;
    client.write(format!("GET / HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes()).await;
    let answers = String::from_utf8(kit.within(client.read_to_end()).await).unwrap();
    let (interim, last) = answers.split_once("\r\n\r\n").unwrap();
    assert!(interim.starts_with("HTTP/1.1 103 "), "{answers}");
    assert!(last.starts_with("HTTP/1.1 502 ") && last.contains("\r\nConnection: close\r\n"), "{answers}");
    leaving.await.unwrap();
    kit.eventually(|| kit.metric("syncgate_requests_total", &[("code", "502"), ("source", "gateway")]) == 1.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn the_upstream_sees_the_host_that_is_configured() {
    let by_client = Kit::start().await;
    let token = by_client.issuer.token("alice").sign();
    let request = format!("GET /echo HTTP/1.1\r\nHost: public.contoso.com\r\nAuthorization: Bearer {token}\r\n\r\n");
    by_client.raw(request.as_bytes()).await;
    assert_eq!(by_client.backend.received().pop().unwrap().header("host"), Some("public.contoso.com"));
    by_client.stop().await;

    let by_upstream = Kit::start_with(|config| config.proxy.upstreams[0].host_header = HostHeader::Upstream).await;
    by_upstream.get("/echo", &by_upstream.issuer.token("alice").sign()).await;
    let host = by_upstream.backend.address().to_string();
    assert_eq!(by_upstream.backend.received().pop().unwrap().header("host"), Some(host.as_str()));
    by_upstream.stop().await;
}

#[tokio::test]
async fn a_401_of_the_upstream_is_counted_apart() {
    let kit = Kit::start().await;
    let other = syncgate::demo::DemoKey::shared(7).unwrap();
    kit.backend.pin(&other.public_key_pem().unwrap()).unwrap();
    assert_eq!(kit.get("/docs", &kit.issuer.token("alice").sign()).await.status(), 401);
    kit.assert_metric("syncgate_upstream_unauthorized_total", &[("route", "default")], 1.0).await;
    kit.stop().await;
}

/// Reads one request header from each of `count` connections or requests and hands it to `answer`, which says what is sent back.
async fn scripted(listener: TcpListener, seen: tokio::sync::mpsc::UnboundedSender<String>, answer: &'static [u8], keep: bool) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut is_first = true;
        let mut request = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = stream.read(&mut request).await {
            seen.send(String::from_utf8_lossy(&request[..count]).into_owned()).unwrap();
            if !is_first && !keep {
                break;
            }
            is_first = false;
            stream.write_all(answer).await.unwrap();
        }
    }
}

/// Reads a request with the body `body`, or with none.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&request);
        let end = if text.contains("Content-Length: 4\r\n") { "\r\n\r\nbody" } else { "\r\n\r\n" };
        if text.ends_with(end) {
            return Some(text.into_owned());
        }
    }
}

#[tokio::test]
async fn only_what_means_the_same_twice_is_sent_twice() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kit = gateway_before(listener.local_addr().unwrap(), |config| config.threads = 1).await;
    let (seen, mut requests) = tokio::sync::mpsc::unbounded_channel();
    // Answers the first request of each connection, and closes it when it has read another.
    let upstream = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let Some(request) = read_request(&mut stream).await else { continue };
            seen.send(request).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            if let Some(request) = read_request(&mut stream).await {
                seen.send(request).unwrap();
            }
        }
    });
    let token = kit.issuer.token("alice").sign();
    let request =
        |method: &str, rest: &str| format!("{method} / HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n{rest}");
    for (method, is_repeated) in [
        ("GET", true),
        ("HEAD", true),
        ("OPTIONS", true),
        ("PUT", true),
        ("DELETE", true),
        ("POST", false),
        ("PATCH", false),
        ("PURGE", false),
    ] {
        // What waits of the round before has been answered once, and is closed with this.
        let mut client = kit.connect().await;
        client.write(request("GET", "\r\n").as_bytes()).await;
        assert_eq!(kit.within(client.answer()).await.unwrap().status, 200);
        while requests.try_recv().is_ok() {}
        client.write(request(method, "Content-Length: 4\r\n\r\nbody").as_bytes()).await;
        assert_eq!(kit.within(client.answer()).await.unwrap().status, if is_repeated { 200 } else { 502 }, "{method}");
        if !is_repeated {
            // So that one waits again.
            client = kit.connect().await;
            client.write(request("GET", "\r\n").as_bytes()).await;
            assert_eq!(kit.within(client.answer()).await.unwrap().status, 200);
        }
        let mut sent = Vec::new();
        while let Ok(request) = requests.try_recv() {
            sent.push(request);
        }
        sent.retain(|sent| sent.starts_with(&format!("{method} ")) && sent.contains("Content-Length: 4"));
        assert_eq!(sent.len(), if is_repeated { 2 } else { 1 }, "{method}: {sent:?}");
        assert!(sent.iter().all(|sent| sent.ends_with("\r\n\r\nbody")), "{sent:?}");
    }
    upstream.abort();
    kit.stop().await;
}

/// The upstream has closed all that it kept: the second attempt is made on a new connection.
#[tokio::test]
async fn a_second_attempt_is_made_on_a_new_connection() {
    const KEPT: usize = 5;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kit = gateway_before(listener.local_addr().unwrap(), |config| config.threads = 1).await;
    let token = kit.issuer.token("alice").sign();
    let request = format!("GET / HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n");
    let (mut clients, mut upstreams) = (Vec::new(), Vec::new());
    for _ in 0..KEPT {
        let mut client = kit.connect().await;
        client.write(request.as_bytes()).await;
        let (mut stream, _) = kit.within(listener.accept()).await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        clients.push(client);
        upstreams.push(stream);
    }
    for (client, stream) in clients.iter_mut().zip(&mut upstreams) {
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        assert_eq!(kit.within(client.answer()).await.unwrap().status, 204);
    }
    let closing = async {
        // Each closes when a request comes on it, as one does whose time is over just then.
        let closing = upstreams.into_iter().map(|mut stream| async move { drop(stream.read(&mut [0; 4096]).await) });
        futures_util::future::join_all(closing).await;
    };
    let serving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    };
    clients[0].write(request.as_bytes()).await;
    let asked = async { tokio::join!(serving, clients[0].answer()).1 };
    let answer = tokio::select! {
        answer = kit.within(asked) => answer,
        () = async { closing.await; std::future::pending().await } => None,
    };
    assert_eq!(answer.unwrap().status, 204);
    kit.stop().await;
}

#[tokio::test]
async fn connecting_takes_no_longer_than_its_timeout_tls_included() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kit = gateway_before(listener.local_addr().unwrap(), |config| {
        let upstream = &mut config.proxy.upstreams[0];
        (upstream.tls, upstream.connect_timeout) = (true, Duration::from_millis(600));
    })
    .await;
    // Takes connections and says nothing.
    let silent = tokio::spawn(async move {
        let mut streams = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            streams.push(stream);
        }
    });
    let token = kit.issuer.token("alice").sign();
    for headers in ["", "Connection: Upgrade\r\nUpgrade: websocket\r\n"] {
        let started = std::time::Instant::now();
        let request = format!("GET / HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n{headers}\r\n");
        assert_eq!(kit.raw(request.as_bytes()).await.status, 504);
        let took = started.elapsed();
        assert!(Duration::from_millis(600) <= took && took < Duration::from_millis(1_100), "{took:?}");
    }
    silent.abort();
    kit.stop().await;
}

#[tokio::test]
async fn an_upstream_that_switches_protocols_unasked_is_a_502() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kit = gateway_before(listener.local_addr().unwrap(), |_| {}).await;
    let (seen, _requests) = tokio::sync::mpsc::unbounded_channel();
    let raw = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nRAW";
    let upstream = tokio::spawn(scripted(listener, seen, raw, true));
    assert_eq!(kit.get("/", &kit.issuer.token("alice").sign()).await.status(), 502);
    upstream.abort();
    kit.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_in_a_handshake_is_noticed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kit = gateway_before(listener.local_addr().unwrap(), |_| {}).await;
    let (seen, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let upstream = tokio::spawn(scripted(listener, seen, b"", true));
    let mut client = kit.connect().await;
    client.write(handshake(&kit.issuer.token("alice").sign()).as_bytes()).await;
    kit.within(requests.recv()).await.unwrap();
    kit.assert_metric("syncgate_requests_in_flight", &[], 1.0).await;
    drop(client);
    kit.eventually(|| kit.metric("syncgate_requests_in_flight", &[]) == 0.0).await;
    upstream.abort();
    kit.stop().await;
}

#[tokio::test]
async fn a_socket_whose_client_takes_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kit = gateway_before(listener.local_addr().unwrap(), |config| {
        config.proxy.listen.write_timeout = Duration::from_millis(300);
    })
    .await;
    let upstream = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 16 * 1024];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        stream.write_all(switch(&handshake(""), "").as_bytes()).await.unwrap();
        let frame = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &[0; 0x1_0000]].concat();
        while stream.write_all(&frame).await.is_ok() {}
    });
    let mut client = kit.connect().await;
    client.write(handshake(&kit.issuer.token("alice").sign()).as_bytes()).await;
    kit.eventually(|| kit.metric("syncgate_websocket_connections", &[]) == 1.0).await;
    kit.eventually(|| kit.metric("syncgate_websocket_connections", &[]) == 0.0).await;
    kit.within(upstream).await.unwrap();
    drop(client);
    kit.stop().await;
}
