//! What upstreams answer, well or badly, and what a client hears of it.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    kit::{UPGRADE, gateway_before},
    recorder::switch,
    relay::{accept, gateway, is_closed, read_until, send},
};

#[tokio::test]
async fn an_answer_is_told_as_it_came_and_its_connection_is_used_again() {
    let (kit, listener) = gateway().await;
    let mut client = kit.connect().await;
    send(&kit, &mut client, "GET /begin HTTP/1.1", "").await;
    let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
    upstream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 204);
    upstream.set_nodelay(true).unwrap();
    for (method, answer, told, body) in [
        ("GET", "HTTP/1.1 200 Fine\r\nContent-Length: 4\r\n\r\nbody", "200 Fine\r\nContent-Length: 4\r\n", "body"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\ncontent-length: 4\r\n\r\nbody", "200 OK\r\nContent-Length: 4\r\n", "body"),
        (
            "GET",
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nbody",
            "200 OK\r\nContent-Length: 4\r\n",
            "body",
        ),
        ("GET", "HTTP/1.1 404 Object Not Found\r\nContent-Length: 0\r\n\r\n", "404 Object Not Found\r\nContent-Length: 0\r\n", ""),
        ("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n", "304 Not Modified\r\nETag: \"1\"\r\n", ""),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nX-A: one\r\n two\r\nContent-Length: 4\r\n\r\nbody",
            "200 OK\r\nX-A: one two\r\nContent-Length: 4\r\n",
            "body",
        ),
        ("DELETE", "HTTP/1.1 204 No Content\r\n\r\n", "204 No Content\r\n", ""),
    ] {
        // In one piece, and byte by byte.
        for size in [answer.len(), 1] {
            send(&kit, &mut client, &format!("{method} / HTTP/1.1"), "").await;
            read_until(&kit, &mut upstream, "\r\n\r\n").await;
            for piece in answer.as_bytes().chunks(size) {
                upstream.write_all(piece).await.unwrap();
            }
            let heard = kit.within(client.answer()).await.unwrap();
            assert!(heard.head.starts_with(&format!("HTTP/1.1 {told}Date: ")), "{answer}: {}", heard.head);
            assert_eq!(heard.body, body.as_bytes(), "{answer}");
        }
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_socket_has_what_came_with_the_switch_to_it() {
    let (kit, listener) = gateway().await;
    let mut client = kit.connect().await;
    send(&kit, &mut client, "GET /live HTTP/1.1", &format!("{UPGRADE}\r\n")).await;
    let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let switch = switch(UPGRADE, "");
    upstream.write_all(format!("{interim}{switch}\u{1}\u{5}hello").as_bytes()).await.unwrap();
    kit.within(client.read_until("HTTP/1.1 101 ")).await;
    kit.within(client.read_until("\r\n\r\n\u{1}\u{5}hello")).await;
    kit.stop().await;
}

#[tokio::test]
async fn an_upstream_that_falls_silent_in_a_handshake_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let adjust = |config: &mut syncgate::config::Config| config.proxy.upstreams[0].read_timeout = Duration::from_millis(300);
    let kit = gateway_before(listener.local_addr().unwrap(), adjust).await;
    for said in ["", "HTTP/1.1 101 Switch", "HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nnot"] {
        let mut client = kit.connect().await;
        send(&kit, &mut client, "GET /live HTTP/1.1", &format!("{UPGRADE}\r\n")).await;
        let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
        upstream.write_all(said.as_bytes()).await.unwrap();
        if said.contains("403") {
            // Its answer has begun, so it breaks off.
            assert!(kit.within(client.read_to_end()).await.ends_with(b"\r\n\r\nnot"));
        } else {
            assert_eq!(kit.within(client.answer()).await.unwrap().status, 504, "{said}");
        }
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_client_reads_the_end_of_a_body_where_the_gateway_did() {
    let (kit, listener) = gateway().await;
    for said in [
        "Transfer-Encoding: chunked,\r\nContent-Length: 4\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: \r\n",
        "Transfer-Encoding: , chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
    ] {
        let mut client = kit.connect().await;
        send(&kit, &mut client, "GET / HTTP/1.1", "").await;
        let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
        upstream
            .write_all(format!("HTTP/1.1 200 OK\r\n{said}Connection: close\r\n\r\n4\r\nbody\r\n0\r\n\r\n").as_bytes())
            .await
            .unwrap();
        kit.within(client.read_until("200 OK\r\nTransfer-Encoding: chunked\r\nDate: ")).await;
        kit.within(client.read_until("\r\n\r\n4\r\nbody\r\n0\r\n\r\n")).await;
    }
    kit.stop().await;
}

#[tokio::test]
async fn an_answer_to_head_has_a_length_and_no_body() {
    let (kit, listener) = gateway().await;
    let mut client = kit.connect().await;
    send(&kit, &mut client, "HEAD /docs HTTP/1.1", "").await;
    let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
    for path in ["/more", "/end"] {
        upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").await.unwrap();
        kit.within(client.read_until("Content-Length: 5")).await;
        kit.within(client.read_until("\r\n\r\n")).await;
        send(&kit, &mut client, &format!("HEAD {path} HTTP/1.1"), "").await;
        assert!(read_until(&kit, &mut upstream, "\r\n\r\n").await.starts_with(&format!("HEAD {path} ")));
    }
    kit.stop().await;
}

#[tokio::test]
async fn interim_answers_are_told_before_the_answer() {
    let (kit, listener) = gateway().await;
    let mut client = kit.connect().await;
    send(&kit, &mut client, "GET / HTTP/1.1", "").await;
    let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
    upstream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x-hop\r\nX-Hop: gone\r\n\r\n").await.unwrap();
    let interim = kit.within(client.answer()).await.unwrap();
    assert_eq!((interim.status, interim.header("link"), interim.header("x-hop")), (103, Some("</a.css>"), None));
    let rest = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody";
    upstream.write_all(rest).await.unwrap();
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 103);
    assert_eq!(kit.within(client.answer()).await.unwrap().body, b"body");
    kit.stop().await;
}

#[tokio::test]
async fn what_concerns_the_upstreams_connection_is_not_told() {
    let (kit, listener) = gateway().await;
    let mut client = kit.connect().await;
    send(&kit, &mut client, "GET / HTTP/1.1", "").await;
    let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
    let fields = "Connection: close, X-Private\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\nUpgrade: h2c\r\nX-Private: gone\r\n\
                  X-Couch-Request-ID: kept\r\nContent-Length: 4\r\n";
    upstream.write_all(format!("HTTP/1.1 200 OK\r\n{fields}\r\nbody").as_bytes()).await.unwrap();
    let heard = kit.within(client.answer()).await.unwrap();
    for name in ["keep-alive", "proxy-connection", "upgrade", "x-private"] {
        assert_eq!(heard.header(name), None, "{name}");
    }
    assert!(heard.head.contains("X-Couch-Request-ID: kept"), "spelled as it came: {}", heard.head);
    assert_eq!(heard.header("connection"), Some("keep-alive"), "the client's connection is another one");
    assert!(is_closed(&kit, &mut upstream).await);
    kit.stop().await;
}

#[tokio::test]
async fn an_identity_coding_leaves_the_length_to_end_a_body() {
    let (kit, listener) = gateway().await;
    let mut client = kit.connect().await;
    send(&kit, &mut client, "GET / HTTP/1.1", "").await;
    let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
    // Twice on one connection, which stays open.
    for _ in 0..2 {
        upstream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        let heard = kit.within(client.answer()).await.unwrap();
        assert_eq!((heard.body.as_slice(), heard.header("transfer-encoding")), (&b"ok"[..], None));
        send(&kit, &mut client, "GET /next HTTP/1.1", "").await;
        read_until(&kit, &mut upstream, "\r\n\r\n").await;
    }
    // Without a length, the connection ends it; the client's does not.
    upstream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok").await.unwrap();
    drop(upstream);
    kit.within(client.read_until("Transfer-Encoding: chunked")).await;
    kit.within(client.read_until("\r\n\r\n2\r\nok\r\n0\r\n\r\n")).await;
    kit.stop().await;
}

#[tokio::test]
async fn the_date_of_an_answer_stays_and_is_told_where_there_is_none() {
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    let (kit, listener) = gateway().await;
    // What fits into the write buffer, and what does not; of known length, in chunks, and where a socket was asked for.
    let long = format!("X-Long: {}\r\n", "x".repeat(6_000));
    for (headers, fields) in [("", ""), ("", &long), (&*format!("{UPGRADE}\r\n"), "")] {
        for (framing, body) in [("Content-Length: 4", "body"), ("Transfer-Encoding: chunked", "4\r\nbody\r\n0\r\n\r\n")] {
            for date in
                [format!("Date: {DATE}\r\n"), format!("date: {DATE}\r\nDate: {DATE}\r\n"), "Date: 0\r\n".into(), String::new()]
            {
                let mut client = kit.connect().await;
                send(&kit, &mut client, "GET / HTTP/1.1", headers).await;
                let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
                let answer = format!("HTTP/1.1 200 OK\r\n{date}{fields}{framing}\r\nAge: 7\r\nConnection: close\r\n\r\n{body}");
                upstream.write_all(answer.as_bytes()).await.unwrap();
                let heard = kit.within(client.answer()).await.unwrap();
                let told: Vec<_> = heard.head.lines().filter(|line| line.to_ascii_lowercase().starts_with("date:")).collect();
                let is_kept = date.contains(DATE);
                assert!(matches!(told[..], [told] if (told == format!("Date: {DATE}")) == is_kept), "{date:?}: {}", heard.head);
                assert_eq!(heard.header("age"), Some("7"));
            }
        }
    }
    kit.stop().await;
}

#[tokio::test]
async fn interim_answers_do_not_reach_a_client_of_http_1_0() {
    let (kit, listener) = gateway().await;
    let mut client = kit.connect().await;
    send(&kit, &mut client, "GET / HTTP/1.0", "").await;
    let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    upstream.write_all(format!("{interim}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody").as_bytes()).await.unwrap();
    let heard = kit.within(client.answer()).await.unwrap();
    assert_eq!((heard.status, heard.body.as_slice()), (200, &b"body"[..]));
    kit.stop().await;
}

#[tokio::test]
async fn interim_answers_without_an_end_are_a_502() {
    let (kit, listener) = gateway().await;
    let mut client = kit.connect().await;
    send(&kit, &mut client, "GET / HTTP/1.0", "").await;
    let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
    let endless = async { while upstream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await.is_ok() {} };
    let (heard, ()) = kit.within(async { tokio::join!(client.answer(), endless) }).await;
    assert_eq!(heard.unwrap().status, 502);
    kit.stop().await;
}

#[tokio::test]
async fn what_is_no_answer_is_a_502() {
    let (kit, listener) = gateway().await;
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(300 * 1024));
    for answer in [
        "SSH-2.0-OpenSSH_9.9\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 4\r\n\r\nbody",
        "",
        &long,
    ] {
        let mut client = kit.connect().await;
        send(&kit, &mut client, "GET / HTTP/1.1", "").await;
        let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
        // The gateway may have hung up before all of it was said.
        let _ = upstream.write_all(answer.as_bytes()).await;
        drop(upstream);
        let heard = kit.within(client.answer()).await.unwrap();
        assert_eq!(heard.status, 502, "{}", &answer[..answer.len().min(80)]);
    }
    kit.assert_metric("syncgate_upstream_errors_total", &[("kind", "broken")], 2.0).await;
    kit.assert_metric("syncgate_upstream_errors_total", &[("kind", "malformed")], 7.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    let (kit, listener) = gateway().await;
    for (answer, heard) in [
        ("Content-Length: 9\r\n\r\nbody", "\r\n\r\nbody"),
        ("Transfer-Encoding: chunked\r\n\r\n4\r\nbody", "\r\n\r\n4\r\nbody\r\n"),
        ("Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n", "\r\n\r\n4\r\nbody\r\n"),
        ("Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n", "\r\n\r\n4\r\nbody\r\n"),
        ("Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n\r\n", "\r\n\r\n4\r\nbody\r\n"),
    ] {
        let mut client = kit.connect().await;
        send(&kit, &mut client, "GET / HTTP/1.1", "").await;
        let (mut upstream, _) = accept(&kit, &listener, "\r\n\r\n").await;
        upstream.write_all(format!("HTTP/1.1 200 OK\r\n{answer}").as_bytes()).await.unwrap();
        drop(upstream);
        let all = String::from_utf8(kit.within(client.read_to_end()).await).unwrap();
        assert!(all.starts_with("HTTP/1.1 200 OK\r\n") && all.ends_with(heard), "{answer:?}: {all:?}");
    }
    kit.stop().await;
}

#[tokio::test]
async fn large_bodies_are_carried_whole_in_both_directions() {
    const SIZE: usize = 3 * 1024 * 1024;
    const END: &[u8] = b"THE END";
    let (kit, listener) = gateway().await;
    let body: Vec<u8> = (END.len()..SIZE).map(|at| b'a' + u8::try_from(at % 23).unwrap()).chain(END.to_vec()).collect();
    for (framing, ending) in
        [(format!("Content-Length: {SIZE}\r\n"), ""), ("Transfer-Encoding: chunked\r\n".to_owned(), "0\r\n\r\n")]
    {
        let wire = if ending.is_empty() { body.clone() } else { in_chunks(&body) };
        let request = reqwest::Client::new().put(kit.url("/docs")).bearer_auth(kit.issuer.token("alice").sign());
        let request = if ending.is_empty() {
            request.body(body.clone())
        } else {
            let pieces: Vec<_> = body.chunks(70_001).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
            request.body(reqwest::Body::wrap_stream(futures_util::stream::iter(pieces)))
        };
        let answered = tokio::spawn(async move { request.send().await.unwrap().bytes().await.unwrap() });
        let (mut upstream, _) = kit.within(listener.accept()).await.unwrap();
        let (mut reading, mut writing) = upstream.split();
        // It answers while it is still told.
        let answer = [format!("HTTP/1.1 200 OK\r\n{framing}\r\n").into_bytes(), wire].concat();
        let told = async {
            let mut told = Vec::new();
            while !told.ends_with(if ending.is_empty() { END } else { ending.as_bytes() }) {
                assert!(reading.read_buf(&mut told).await.unwrap() > 0, "{}", told.len());
            }
            told
        };
        let (told, written) = kit.within(async { tokio::join!(told, writing.write_all(&answer)) }).await;
        written.unwrap();
        assert!(kit.within(answered).await.unwrap() == body, "{framing}");
        let begin = told.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        let told = if ending.is_empty() { told[begin..].to_vec() } else { without_chunks(&told[begin..]) };
        assert!(told == body, "{framing}");
    }
    kit.stop().await;
}

/// Of very different sizes.
fn in_chunks(mut body: &[u8]) -> Vec<u8> {
    let (mut wire, mut size) = (Vec::new(), 1);
    while !body.is_empty() {
        let (chunk, rest) = body.split_at(size.min(body.len()));
        wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        wire.extend_from_slice(&[chunk, b"\r\n"].concat());
        (body, size) = (rest, size % 100_003 * 7 + 1);
    }
    [&wire, &b"0\r\n\r\n"[..]].concat()
}

fn without_chunks(mut wire: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = wire.windows(2).position(|bytes| bytes == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&wire[..line]).unwrap(), 16).unwrap();
        body.extend_from_slice(&wire[line + 2..line + 2 + size]);
        wire = &wire[line + 2 + size + 2..];
        if size == 0 {
            return body;
        }
    }
}
