//! What a request's header may hold, and what becomes of one that holds more, or comes in pieces.

use std::time::Duration;

use serde_json::json;

use crate::{
    kit::{Kit, Raw, handshake},
    recorder::{Recorder, gateway_with},
};

const HEADER_BYTES: usize = 64 * 1024;

/// A header with a token, as far as its end.
fn begun(kit: &Kit, method: &str, target: &str) -> String {
    let token = kit.issuer.token("alice").sign();
    format!("{method} {target} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n")
}

/// What is answered to a header that is too large, and whether the connection ends with it.
async fn assert_431(kit: &Kit, client: &mut Raw) {
    let answer = kit.within(client.answer()).await.expect("no answer");
    assert_eq!(answer.status, 431, "{}", answer.text());
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(answer.body, br#"{"error":"headers_too_large","error_description":"the request header is too large"}"#);
}

#[tokio::test]
async fn a_header_is_refused_while_it_comes() {
    let kit = Kit::start().await;
    let begun = begun(&kit, "GET", "/echo");
    let field = format!("X-Padding: {}\r\n", "a".repeat(8_000));
    for (number, padding) in
        [field.repeat(9), "a".repeat(HEADER_BYTES), format!("X: {}", "a".repeat(HEADER_BYTES))].iter().enumerate()
    {
        // Never ended: the answer comes all the same.
        let mut client = kit.connect().await;
        let header = if number == 1 { format!("GET /{padding}") } else { format!("{begun}{padding}") };
        client.try_write(header.as_bytes()).await;
        assert_431(&kit, &mut client).await;
        // A client that goes on sending is not reset before it has read the answer.
        assert!(client.try_write("a".repeat(100_000).as_bytes()).await);
    }
    kit.assert_metric("syncgate_rejections_total", &[("reason", "headers_too_large")], 3.0).await;
    kit.assert_metric("syncgate_unreadable_requests_total", &[("kind", "too_large")], 1.0).await;
    kit.assert_metric("syncgate_unfinished_header_bytes", &[], 0.0).await;
    assert_eq!(kit.backend.received_count(), 0);
    kit.assert_serves().await;
    kit.stop().await;
}

#[tokio::test]
async fn each_header_of_a_connection_is_counted_anew_and_bodies_are_not() {
    let kit = Kit::start_with(|config| config.proxy.listen.header_bytes = 2_048).await;
    let (get, put) = (begun(&kit, "GET", "/echo"), begun(&kit, "PUT", "/docs/a"));
    assert!(get.len() < 1_500, "the token is too long for this test");
    let mut client = kit.connect().await;
    let body = format!("{{\"a\":\"{}\"}}", "b".repeat(100_000));
    let whole = format!("{put}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    for _ in 0..3 {
        client.write(format!("{whole}{get}\r\n").as_bytes()).await;
        assert!(kit.within(client.answer()).await.unwrap().status < 300);
        assert_eq!(kit.within(client.answer()).await.unwrap().status, 200);
    }
    // In one write with the request before, and behind its body.
    for before in [format!("{get}\r\n"), whole] {
        let mut client = kit.connect().await;
        client.write(format!("{before}{get}X: {}", "a".repeat(2_048)).as_bytes()).await;
        assert!(kit.within(client.answer()).await.unwrap().status < 300);
        assert_431(&kit, &mut client).await;
    }
    kit.assert_metric("syncgate_unfinished_header_bytes", &[], 0.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_header_is_one_however_it_is_cut() {
    let kit = Kit::start().await;
    let get = format!("{}\r\n", begun(&kit, "GET", "/echo?a=\"b\""));
    let put = format!("{}Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{{\"a\":1}}", begun(&kit, "PUT", "/docs/a"));
    let all = format!("{get}{put}{get}{get}");
    for size in [1, 7, 100, 1_000, all.len()] {
        let mut client = kit.connect().await;
        let received = kit.backend.received_count();
        let mut answers = Vec::new();
        for piece in all.as_bytes().chunks(size) {
            client.write(piece).await;
            if size > 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        for _ in 0..4 {
            answers.push(kit.within(client.answer()).await.unwrap().status);
        }
        assert!(answers.iter().all(|status| (200..300).contains(status)), "{size}: {answers:?}");
        assert_eq!(kit.backend.received_count(), received + 4, "{size}");
    }
    kit.assert_metric("syncgate_unfinished_header_bytes", &[], 0.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn more_fields_than_are_read_are_431() {
    let recorder = Recorder::silent().await;
    let kit = gateway_with(&recorder, json!([{ "name": "a" }])).await;
    let begun = begun(&kit, "GET", "/echo");
    let most = 256 - begun.matches("\r\n").count() + 1;
    let header = |fields: usize| format!("{begun}{}\r\n", "a:b\r\n".repeat(fields));
    assert_eq!(kit.raw(header(most).as_bytes()).await.status, 204);
    // In one read, and in many.
    assert_431(&kit, &mut sent(&kit, &[&header(most + 1)]).await).await;
    let header = header(most + 1);
    let (first, second) = header.split_at(begun.len());
    assert_431(&kit, &mut sent(&kit, &[first, second]).await).await;
    kit.assert_metric("syncgate_unreadable_requests_total", &[("kind", "too_many_fields")], 2.0).await;
    kit.stop().await;
}

async fn sent(kit: &Kit, pieces: &[&str]) -> Raw {
    let mut client = kit.connect().await;
    for piece in pieces {
        client.try_write(piece.as_bytes()).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    client
}

#[tokio::test]
async fn a_page_reads_that_its_header_is_too_large() {
    let recorder = Recorder::silent().await;
    let route = json!([{ "name": "a", "allowed_origins": ["https://app.contoso.com"], "cors": {}, "errors": "couchdb" }]);
    let kit = gateway_with(&recorder, route).await;
    let header = format!("GET /db HTTP/1.1\r\nHost: gateway\r\nOrigin: https://app.contoso.com\r\nX: {}", "a".repeat(HEADER_BYTES));
    let answer = kit.raw(header.as_bytes()).await;
    assert_eq!(answer.status, 431);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.contoso.com"));
    assert_eq!(answer.body, br#"{"error":"headers_too_large","reason":"the request header is too large"}"#);
    kit.assert_metric("syncgate_requests_total", &[("route", "a"), ("code", "431")], 1.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn every_byte_of_a_target_is_sent_on_or_encoded_or_refused() {
    let recorder = Recorder::silent().await;
    let kit = gateway_with(&recorder, json!([{ "name": "a", "access": "public" }])).await;
    for byte in 0..=u8::MAX {
        // The path has rules of its own; here it is the query.
        let request = [b"GET /db/_all_docs?key=".as_slice(), &[byte], b"c HTTP/1.1\r\nHost: gateway\r\n\r\n"].concat();
        let before = recorder.count();
        let answer = kit.raw(&request).await;
        let expected = match byte {
            0..=b' ' | b'#' | 0x7f => 400,
            _ => 204,
        };
        assert_eq!(answer.status, expected, "{byte:#x}: {}", answer.text());
        assert_eq!(recorder.count() - before, usize::from(expected == 204), "{byte:#x}");
        if expected == 204 {
            let sent_on = match byte {
                // Alone it is not UTF-8.
                b'"' | b'<' | b'>' | 0x80.. => format!("/db/_all_docs?key=%{byte:02X}c"),
                _ => format!("/db/_all_docs?key={}c", char::from(byte)),
            };
            assert_eq!(recorder.last().target(), sent_on, "{byte:#x}");
        } else {
            assert!(answer.body.starts_with(b"{\"error\":\""), "{byte:#x}: {}", answer.text());
        }
    }
    let answer = kit.raw("GET /a?key=\u{fc}&b=\"\u{20ac}\" HTTP/1.1\r\nHost: gateway\r\n\r\n".as_bytes()).await;
    assert_eq!((answer.status, recorder.last().target()), (204, "/a?key=\u{fc}&b=%22\u{20ac}%22"));
    kit.stop().await;
}

#[tokio::test]
async fn frames_that_come_with_the_handshake_are_carried() {
    let kit = Kit::start().await;
    let token = kit.issuer.token("alice").sign();
    let handshake = handshake(&token);
    // A masked text frame of 70,000 bytes and more: more than is read at once.
    let text = json!({ "id": "a", "doc": { "b": "c".repeat(70_000) } }).to_string();
    let mut frame = vec![0x81, 0x80 | 127];
    frame.extend_from_slice(&(text.len() as u64).to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text.as_bytes());
    let all = [handshake.as_bytes(), &frame].concat();
    for cut in [0, 10, handshake.len() - 1, handshake.len()] {
        let mut client = kit.connect().await;
        client.write(&all[..cut]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        client.write(&all[cut..]).await;
        kit.within(client.read_until("101 Switching Protocols")).await;
        kit.within(client.read_until(&"c".repeat(70_000))).await;
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_header_that_has_begun_is_finished_though_the_gateway_stops() {
    let kit = Kit::start_with(|config| config.shutdown_grace = Duration::from_secs(15)).await;
    let begun = begun(&kit, "GET", "/echo");
    let mut client = kit.connect().await;
    client.write(begun.as_bytes()).await;
    kit.eventually(|| kit.metric("syncgate_unfinished_header_bytes", &[]) == begun.len() as f64).await;
    let finishing = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        client.write(b"\r\n").await;
        client.answer().await
    };
    let (answer, ()) = tokio::join!(finishing, kit.stop());
    let answer = answer.expect("it was dropped");
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
}
