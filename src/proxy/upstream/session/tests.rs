//! The session over streams of its own, and what it makes of bytes however they come.

use std::time::Duration;

use http::HeaderName;
use pingora::ErrorType;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::{fuzzing::hear_answer, *};
use crate::proxy::http::Changes;

/// A session whose request has been sent, and the upstream's end.
async fn asked(method: &str) -> (UpstreamSession, DuplexStream) {
    let (stream, mut upstream) = duplex(64 * 1024);
    let client = pingora::http::RequestHeader::build(method, b"/docs", None).unwrap();
    let request = UpstreamRequest::new(&client, Changes::default(), |_: &HeaderName| false).unwrap();
    let mut session = UpstreamSession::new(Box::new(stream), &request);
    session.send(Bytes::new(), true).await.unwrap();
    let mut sent = vec![0; request.head.len()];
    upstream.read_exact(&mut sent).await.unwrap();
    assert_eq!(sent, request.head);
    (session, upstream)
}

async fn body(session: &mut UpstreamSession) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let piece = session.read().await?;
        if let Piece::Body { bytes, .. } = &piece {
            body.extend_from_slice(bytes);
        }
        if piece.is_last() {
            return Ok(body);
        }
    }
}

#[tokio::test]
async fn nothing_is_lost_when_a_read_is_given_up() {
    let (mut session, mut upstream) = asked("GET").await;
    let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
    let mut heard = Vec::new();
    for byte in answer {
        upstream.write_all(&[*byte]).await.unwrap();
        while let Ok(piece) = tokio::time::timeout(Duration::from_millis(1), session.read()).await {
            let piece = piece.unwrap();
            if let Piece::Body { bytes, .. } = &piece {
                heard.extend_from_slice(bytes);
            }
            if piece.is_last() {
                break;
            }
        }
    }
    assert_eq!(heard, b"body");
    assert!(session.into_persistent().is_some());
}

#[tokio::test]
async fn a_connection_is_kept_behind_a_complete_answer_alone() {
    for (method, answer, is_kept) in [
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", true),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", true),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", true),
        ("GET", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", true),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbodyHTTP", false),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\nbody", false),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", false),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody", false),
        ("GET", "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody", false),
    ] {
        let (mut session, mut upstream) = asked(method).await;
        upstream.write_all(answer.as_bytes()).await.unwrap();
        body(&mut session).await.unwrap();
        assert_eq!(session.into_persistent().is_some(), is_kept, "{method} {answer:?}");
    }
    let (mut session, mut upstream) = asked("GET").await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo").await.unwrap();
    session.read().await.unwrap();
    assert!(session.into_persistent().is_none(), "half a body");
    let (mut session, mut upstream) = asked("GET").await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\n\r\nbody").await.unwrap();
    drop(upstream);
    assert_eq!(body(&mut session).await.unwrap(), b"body");
    assert!(session.into_persistent().is_none(), "a body until the end of the connection");
}

#[tokio::test]
async fn interim_answers_have_an_end() {
    for (count, is_heard) in [(255, true), (256, false)] {
        let (mut session, mut upstream) = asked("GET").await;
        let answers = "HTTP/1.1 102 Processing\r\n\r\n".repeat(count) + "HTTP/1.1 204 No Content\r\n\r\n";
        upstream.write_all(answers.as_bytes()).await.unwrap();
        assert_eq!(body(&mut session).await.is_ok(), is_heard, "{count}");
    }
}

#[tokio::test]
async fn what_was_not_answered_at_all_may_be_asked_again_on_another_connection() {
    for (answer, may_retry) in [
        ("", true),
        ("HTTP", false),
        ("HTTP/1.1 103 Early Hints\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", false),
    ] {
        let (mut session, mut upstream) = asked("GET").await;
        upstream.write_all(answer.as_bytes()).await.unwrap();
        drop(upstream);
        let mut error = body(&mut session).await.unwrap_err();
        error.retry.decide_reuse(true);
        assert_eq!(error.retry(), may_retry, "{answer:?}");
    }
}

#[tokio::test]
async fn a_reset_before_an_answer_is_no_answer() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (upstream, _) = listener.accept().await.unwrap();
    let client = pingora::http::RequestHeader::build("GET", b"/docs", None).unwrap();
    let request = UpstreamRequest::new(&client, Changes::default(), |_: &HeaderName| false).unwrap();
    let mut session = UpstreamSession::new(Box::new(pingora::protocols::l4::stream::Stream::from(stream)), &request);
    session.send(Bytes::new(), true).await.unwrap();
    // What is unread when it closes resets the connection.
    upstream.readable().await.unwrap();
    drop(upstream);
    let mut error = session.read().await.unwrap_err();
    assert_eq!(*error.etype(), ErrorType::ReadError);
    error.retry.decide_reuse(true);
    assert!(error.retry());
}

proptest! {
    #[test]
    fn an_answer_means_the_same_however_it_is_cut(
        parts in prop::collection::vec(
            prop_oneof![
                Just("HTTP/1.1 200 OK\r\n"), Just("HTTP/1.1 103 Early Hints\r\n"), Just("HTTP/1.0 204 No Content\r\n"),
                Just("Content-Length: 4\r\n"), Just("Content-Length: 4, 4\r\n"), Just("Content-Length: 5\r\n"),
                Just("Transfer-Encoding: chunked\r\n"), Just("Transfer-Encoding: identity\r\n"), Just("Transfer-Encoding: gzip\r\n"), Just("Connection: close, x\r\n"), Just("X: y\r\n z\r\n"),
                Just("\r\n"), Just("\n"), Just("4\r\n"), Just("4;x=\"\n\"\r\n"), Just("body"), Just("0\r\n"), Just("\0"),
            ],
            0..12,
        ),
        cuts: Vec<prop::sample::Index>,
        answers_head: bool,
    ) {
        let wire = ["HTTP/1.1 200 OK\r\n", &parts.concat()].concat().into_bytes();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(wire.len())).chain([0, wire.len()]).collect();
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|cut| &wire[cut[0]..cut[1]]).collect();
        prop_assert_eq!(hear_answer(&pieces, answers_head), hear_answer(&[&wire], answers_head));
    }
}
