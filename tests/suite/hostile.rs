//! What clients must not get away with. After each attack the upstream has seen nothing of it and the gateway serves on.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    kit::Kit,
    relay::{accept, gateway, send},
};

/// Sends one raw request and asserts the status, that the upstream saw nothing, and that the next user is served.
async fn assert_refused(kit: &Kit, request: impl AsRef<[u8]>, status: u16, reason: &str) {
    let before = kit.backend.received_count();
    let answer = kit.raw(request.as_ref()).await;
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(kit.backend.received_count(), before, "the upstream saw the request");
    if !reason.is_empty() {
        kit.eventually(|| kit.metric("syncgate_rejections_total", &[("reason", reason)]) >= 1.0).await;
    }
    kit.assert_serves().await;
}

fn get(authorization: &[u8]) -> Vec<u8> {
    [&b"GET /echo HTTP/1.1\r\nHost: gateway\r\nAuthorization: "[..], authorization, b"\r\n\r\n"].concat()
}

#[tokio::test]
async fn odd_authorization_headers_are_refused() {
    let kit = Kit::start().await;
    let token = kit.issuer.token("alice").sign();

    let oversized = format!("Bearer {}", "a".repeat(20 * 1024));
    assert_refused(&kit, get(oversized.as_bytes()), 401, "token_too_large").await;
    assert_refused(&kit, get(b"Bearer \xff\xfe\x80.a.b"), 400, "authorization_malformed").await;
    assert_refused(&kit, get(b"Bearer \x01\x02"), 400, "").await;
    assert_refused(&kit, get(b"Bearer"), 400, "authorization_malformed").await;
    assert_refused(&kit, get(format!("Bearer {token} {token}").as_bytes()), 400, "authorization_malformed").await;
    assert_refused(&kit, get(format!("Bearer {}", &token[..token.len() / 2]).as_bytes()), 401, "token_malformed").await;
    assert_refused(&kit, get(format!("Bearer {}", &token[..token.len() - 2]).as_bytes()), 401, "bad_signature").await;
    assert_refused(&kit, get(b"Basic YWxpY2U6c2VjcmV0"), 401, "missing_token").await;
    let twice = format!("Bearer {token}\r\nAuthorization: Bearer {token}");
    assert_refused(&kit, get(twice.as_bytes()), 400, "ambiguous_token").await;
    kit.stop().await;
}

#[tokio::test]
async fn header_blocks_that_are_too_large_are_refused() {
    let kit = Kit::start().await;
    let token = kit.issuer.token("alice").sign();
    for size in [100 * 1024, 1_000_000, 1_200_000] {
        let line = format!("X-Padding: {}\r\n", "x".repeat(8_000));
        let padding = line.repeat(size / line.len());
        let before = kit.backend.received_count();
        let request = format!("GET /echo HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n{padding}\r\n");
        // A client that is still sending when the refusal comes hears it.
        assert_eq!(kit.raw(request.as_bytes()).await.status, 431, "{size}");
        assert_eq!(kit.backend.received_count(), before);
        kit.assert_serves().await;
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_header_that_drips_is_cut_off() {
    let kit = Kit::start_with(|config| config.proxy.listen.header_timeout = Duration::from_millis(300)).await;
    // In the first header of a connection, behind another request, and one that came together with the request before it.
    let begun = "GET /echo HTTP/1.1\r\nHost: gateway\r\n";
    let whole = format!("{begun}\r\n");
    for (number, parts) in [vec![begun], vec![&*whole, begun], vec![&*format!("{whole}{begun}")]].iter().enumerate() {
        let mut slow = kit.connect().await;
        for (number, part) in parts.iter().enumerate() {
            slow.write(part.as_bytes()).await;
            if number + 1 < parts.len() {
                slow.read_until("HTTP/1.1 401 ").await;
            }
        }
        let dripping = async {
            // Each drip is well within any timeout of a single read.
            for _ in 0..200 {
                if !slow.try_write(b"X-Drip: 1\r\n").await {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            panic!("the connection was never closed");
        };
        kit.within(dripping).await;
        let cut = || kit.metric("syncgate_connections_cut_total", &[("cause", "header_timeout")]);
        kit.eventually(|| cut() == (number + 1) as f64).await;
    }
    kit.assert_serves().await;
    kit.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_in_the_header_leaves_no_trace() {
    let kit = Kit::start().await;
    let before = kit.backend.received_count();
    let mut leaving = kit.connect().await;
    leaving.write(b"PUT /docs/a HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bear").await;
    drop(leaving);
    kit.eventually(|| kit.metric("syncgate_connections", &[]) == 0.0).await;
    assert_eq!(kit.backend.received_count(), before);
    kit.assert_serves().await;
    kit.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_in_the_body_stores_nothing() {
    let kit = Kit::start().await;
    let token = kit.issuer.token("alice").sign();
    let mut leaving = kit.connect().await;
    let head = format!(
        "PUT /docs/half HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: 1000\r\n\r\n{{\"a\":"
    );
    leaving.write(head.as_bytes()).await;
    kit.eventually(|| kit.metric("syncgate_requests_in_flight", &[]) == 1.0).await;
    drop(leaving);
    kit.eventually(|| kit.metric("syncgate_requests_in_flight", &[]) == 0.0).await;
    assert_eq!(kit.get("/docs/half", &token).await.status(), 404);
    kit.stop().await;
}

#[tokio::test]
async fn targets_and_hosts_that_could_be_read_twice_are_refused() {
    let kit = Kit::start().await;
    let token = kit.issuer.token("alice").sign();
    let request = |target: &str, hosts: &[&str]| {
        let hosts: String = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
        format!("GET {target} HTTP/1.1\r\n{hosts}Authorization: Bearer {token}\r\n\r\n")
    };
    assert_refused(&kit, request("echo", &["gateway"]), 400, "target_malformed").await;
    assert_refused(&kit, request("http://gateway/echo", &["gateway"]), 400, "target_malformed").await;
    assert_refused(&kit, request("*", &["gateway"]), 400, "target_malformed").await;
    assert_refused(&kit, request("/echo#/../x", &["gateway"]), 400, "target_malformed").await;
    for host in ["gateway:x", "gateway:80x", "gateway..", "[gateway]", "gateway,x", "x,gateway", "gateway;x"] {
        assert_refused(&kit, request("/echo", &[host]), 400, "host_malformed").await;
    }
    assert_refused(&kit, request("/echo", &[]), 400, "host_malformed").await;
    assert_refused(&kit, request("/echo", &["a b"]), 400, "").await;
    assert_refused(&kit, request("/echo", &["a", "b"]), 400, "").await;
    assert_refused(
        &kit,
        format!("CONNECT gateway:443 HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n"),
        405,
        "",
    )
    .await;
    kit.stop().await;
}

#[tokio::test]
async fn nothing_is_smuggled_behind_a_body() {
    let kit = Kit::start().await;
    let token = kit.issuer.token("alice").sign();
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: gateway\r\n\r\n";
    let request = format!(
        "POST /echo-body HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}",
        smuggled.len() + 5
    );
    let answer = kit.raw(request.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(kit.backend.received().iter().all(|received| !received.target.contains("smuggled")));
    kit.assert_serves().await;
    kit.stop().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let kit = Kit::start().await;
    let token = kit.issuer.token("alice").sign();
    let one = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n");
    let mut client = kit.connect().await;
    client.write(format!("{}{}", one("/echo?first"), one("/echo?second")).as_bytes()).await;
    for expected in ["first", "second"] {
        let answer = kit.within(client.answer()).await.unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains(expected), "{}", answer.text());
    }
    kit.stop().await;
}

#[tokio::test]
async fn no_client_header_speaks_for_the_gateway() {
    let kit = Kit::start().await;
    let token = kit.issuer.token("alice").sign();
    let spoofed = format!(
        "GET /echo HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\nConnection: x-hop\r\nX-Remote-User: admin\r\n\
         x_remote_user: admin\r\nX-Auth-CouchDB-Roles: _admin\r\nX_Auth_CouchDB_UserName: admin\r\nX-Hasura-Role: admin\r\n\
         X-Custom: kept\r\n\r\n"
    );
    assert_eq!(kit.raw(spoofed.as_bytes()).await.status, 200);
    let received = kit.backend.received().pop().unwrap();
    assert!(!received.contains("admin"), "{received:?}");
    assert!(!received.contains(&token), "{received:?}");
    assert_eq!(received.header("x-custom"), Some("kept"));
    let authorization = received.header("authorization").unwrap();
    assert!(authorization.starts_with("Bearer "), "{authorization}");
    kit.stop().await;
}

#[tokio::test]
async fn more_connections_than_the_cap_wait_their_turn() {
    let kit = Kit::start_with(|config| config.proxy.listen.max_connections = 2).await;
    let token = kit.issuer.token("alice").sign();
    let (first, second) = (kit.socket(&token).await, kit.socket(&token).await);
    kit.eventually(|| kit.metric("syncgate_connections", &[]) == 2.0).await;
    let mut third = kit.connect().await;
    third.write(format!("GET /echo HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes()).await;
    kit.eventually(|| kit.metric("syncgate_connections_full_total", &[]) == 1.0).await;
    assert_eq!(kit.metric("syncgate_connections_total", &[]), 2.0);
    drop(first);
    assert_eq!(kit.within(third.answer()).await.unwrap().status, 200);
    drop(second);
    kit.stop().await;
}

#[tokio::test]
async fn a_client_that_connects_and_says_nothing_loses_its_place() {
    let kit = Kit::start_with(|config| {
        config.proxy.listen.header_timeout = Duration::from_millis(300);
        config.proxy.listen.max_connections = 3;
    })
    .await;
    let mut silent = [kit.connect().await, kit.connect().await, kit.connect().await];
    kit.eventually(|| kit.metric("syncgate_connections", &[]) == 3.0).await;
    kit.assert_serves().await;
    for client in &mut silent {
        assert_eq!(kit.within(client.read_to_end()).await, b"");
    }
    kit.stop().await;
}

#[tokio::test]
async fn trace_and_double_lengths_are_refused() {
    let kit = Kit::start().await;
    let token = kit.issuer.token("alice").sign();
    let head = |method: &str, more: &str| {
        format!("{method} /echo HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n{more}\r\n")
    };
    assert_refused(&kit, head("TRACE", ""), 405, "method_not_allowed").await;
    assert_refused(&kit, head("PUT", "Content-Length: 2, 2\r\n") + "{}", 400, "length_malformed").await;
    assert_refused(&kit, head("PUT", "Content-Length: 2\r\nContent-Length: 2\r\n") + "{}", 400, "length_malformed").await;
    kit.stop().await;
}

#[tokio::test]
async fn a_body_never_loses_its_coding() {
    let kit = Kit::start().await;
    let token = kit.issuer.token("alice").sign();
    for codings in [
        &["x, chunked"][..],
        &["gzip, chunked"],
        &["chunked, chunked"],
        &["chunked", "chunked"],
        &["identity", "chunked"],
        &["gzip", "chunked"],
        &[", chunked"],
        &["\tgzip\t,\tchunked"],
    ] {
        let lines: String = codings.iter().map(|coding| format!("Transfer-Encoding: {coding}\r\n")).collect();
        let head = format!("PUT /echo HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n{lines}\r\n");
        assert_refused(&kit, head + "2\r\n{}\r\n0\r\n\r\n", 501, "coding_unsupported").await;
    }
    kit.stop().await;
}

#[tokio::test]
async fn odd_chunk_lines_are_refused_or_framed_anew() {
    let (kit, listener) = gateway().await;
    for line in ["5", "0005", "5;", "5 ", "5\t ;x", "5;a=\u{1}\u{7f}", "5;a=\"", "5;a\n0"] {
        let mut client = kit.connect().await;
        send(&kit, &mut client, "PUT /odd HTTP/1.1", "Transfer-Encoding: chunked\r\n").await;
        client.write(format!("{line}\r\nhello\r\n0;x\r\nTrailer: gone\r\n\r\n").as_bytes()).await;
        let (mut upstream, message) = accept(&kit, &listener, "0\r\n\r\n").await;
        let (head, body) = message.split_once("\r\n\r\n").unwrap();
        assert!(head.to_ascii_lowercase().contains("transfer-encoding: chunked"), "{line:?}: {message}");
        assert_eq!(body, "5\r\nhello\r\n0\r\n\r\n", "{line:?}");
        // The next request begins where the body has ended, for both.
        upstream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.unwrap();
        kit.within(client.read_until("\r\n\r\n")).await;
        send(&kit, &mut client, "GET /next HTTP/1.1", "").await;
        let (_, message) = accept(&kit, &listener, "\r\n\r\n").await;
        assert!(message.starts_with("GET /next HTTP/1.1\r\n"), "{line:?}: {message}");
    }
    for line in ["x5", "0x5", "+5", " 5", "5x", "5 5", "5\n", "5;a\r0", "00000000000000005"] {
        let mut client = kit.connect().await;
        send(&kit, &mut client, "PUT /odd HTTP/1.1", "Transfer-Encoding: chunked\r\n").await;
        client.write(format!("{line}\r\nhello\r\n0\r\n\r\n").as_bytes()).await;
        let answer = String::from_utf8(kit.within(client.read_to_end()).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{line:?}: {answer}");
        // If the header has gone on, its body does not end.
        if let Ok(Ok((mut upstream, _))) = tokio::time::timeout(Duration::from_millis(20), listener.accept()).await {
            let mut message = Vec::new();
            let _ = kit.within(upstream.read_to_end(&mut message)).await;
            assert!(
                message.is_empty() || message.ends_with(b"\r\n\r\n") && !message.ends_with(b"0\r\n\r\n"),
                "{line:?}: {message:?}"
            );
        }
    }
    kit.stop().await;
}

#[tokio::test]
async fn what_is_no_http_is_counted() {
    let kit = Kit::start().await;
    assert_eq!(kit.raw(b"\x16\x03\x01 hello\r\n\r\n").await.status, 400);
    kit.eventually(|| kit.metric("syncgate_unreadable_requests_total", &[("kind", "tls")]) == 1.0).await;
    kit.assert_serves().await;
    kit.stop().await;
}

#[tokio::test]
async fn a_connection_belongs_to_no_user() {
    let kit = Kit::start().await;
    let mut client = kit.connect().await;
    let (alice, bob) = (kit.issuer.token("alice").sign(), kit.issuer.token("bob").sign());
    // Alice's, but for one letter of the signature.
    let (head, tail) = alice.split_at(alice.len() - 40);
    let forged = format!("{head}{}{}", if tail.starts_with('A') { 'B' } else { 'A' }, &tail[1..]);
    for round in 0..3 {
        for (token, user) in
            [(&alice, Some("alice")), (&alice, Some("alice")), (&bob, Some("bob")), (&alice, Some("alice")), (&forged, None)]
        {
            client.write(format!("GET /echo HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes()).await;
            let answer = kit.within(client.answer()).await.unwrap();
            match user {
                Some(user) => {
                    assert_eq!(answer.status, 200, "round {round}");
                    let received = kit.backend.received().pop().unwrap();
                    assert_eq!(received.token.unwrap().user_id(), kit.issuer.user_id(user), "round {round}");
                }
                None => assert_eq!(answer.status, 401, "round {round}"),
            }
        }
    }
    kit.stop().await;
}
