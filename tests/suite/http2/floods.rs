//! What a hostile client does with frames: its connection ends or its streams are refused, and others are served.

use std::time::Duration;

use super::client::{Http2, connect, request, trusting, world};
use crate::kit::{Kit, Raw};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// One frame (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// GET https://localhost/echo without a token: indexed fields, and an authority written out (RFC 7541 appendix A).
fn get() -> Vec<u8> {
    [&[0x82, 0x87, 0x41, 9][..], b"localhost", &[0x44, 5], b"/echo"].concat()
}

/// A field that is added to no table.
fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).ok().filter(|length| *length < 127).unwrap();
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

/// What the flood does to its own connection.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// It is told to go, or cut.
    Ends,
    /// It goes on.
    GoesOn,
}

async fn begun(kit: &Kit) -> Raw {
    let mut client = Raw::over(connect(kit.tls_address().unwrap(), trusting(kit, &[b"h2"])).await);
    client.write(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await;
    client
}

/// Whether a PING is answered.
async fn goes_on(client: &mut Raw) -> bool {
    let mark = "are-you?";
    if !client.try_write(&frame(PING, 0, 0, mark.as_bytes())).await {
        return false;
    }
    let answered = tokio::time::timeout(Duration::from_secs(10), client.read_until_ended_or(mark)).await;
    answered.is_ok() && client.take_unread().windows(mark.len()).any(|bytes| bytes == mark.as_bytes())
}

/// Each kind, as bytes.
fn floods() -> Vec<(&'static str, Vec<Vec<u8>>, Outcome)> {
    let streams = |count: u32| (0..count).map(|number| 2 * number + 1);
    let open = |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &get());
    let cancel = |stream| frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
    let many = |bytes: Vec<u8>, count: usize| vec![bytes; count];
    let large = |count: usize| (0..count).flat_map(|_| field("x-padding-field-name", &"a".repeat(120))).collect::<Vec<_>>();
    vec![
        ("rapid reset", streams(3_000).map(|stream| [open(stream), cancel(stream)].concat()).collect(), Outcome::Ends),
        (
            "streams that break the rules",
            streams(3_000)
                .map(|stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &[get(), field("connection", "close")].concat()))
                .collect(),
            Outcome::Ends,
        ),
        (
            "a window of nothing, so that the gateway resets",
            streams(3_000).map(|stream| [open(stream), frame(WINDOW_UPDATE, 0, stream, &0_u32.to_be_bytes())].concat()).collect(),
            Outcome::Ends,
        ),
        (
            "CONTINUATION without an end",
            std::iter::once(frame(HEADERS, 0, 1, &get())).chain(many(frame(CONTINUATION, 0, 1, &large(50)), 2_000)).collect(),
            Outcome::Ends,
        ),
        (
            "a header far too large",
            vec![[frame(HEADERS, 0, 1, &get()), frame(CONTINUATION, END_HEADERS, 1, &large(110))].concat()],
            Outcome::GoesOn,
        ),
        ("SETTINGS", many(frame(SETTINGS, 0, 0, &[]), 10_000), Outcome::GoesOn),
        ("PING", many(frame(PING, 0, 0, b"12345678"), 10_000), Outcome::GoesOn),
        (
            "empty DATA",
            std::iter::once(frame(HEADERS, END_HEADERS, 1, &get())).chain(many(frame(DATA, 0, 1, &[]), 3_000)).collect(),
            Outcome::Ends,
        ),
        ("DATA of no stream", vec![frame(DATA, 0, 7, b"data")], Outcome::Ends),
        ("a frame that is too long", vec![frame(DATA, 0, 1, &vec![0; 20_000])], Outcome::Ends),
        ("HTTP/1.1 in the middle", vec![b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()], Outcome::Ends),
        ("a stream with an even number", vec![open(2)], Outcome::Ends),
        ("a compressed header that is none", vec![frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff; 40])], Outcome::Ends),
    ]
}

#[tokio::test]
async fn floods_harm_nobody_else() {
    let kit = world(|_| {}).await;
    let bystander = Http2::connect(&kit).await;
    let token = kit.issuer.token("alice").sign();
    for (name, pieces, expected) in floods() {
        let mut client = begun(&kit).await;
        for piece in pieces {
            if !client.try_write(&piece).await {
                break;
            }
        }
        let (answer, _) = kit.within(bystander.ask(request("GET", "/echo", &token), "")).await.unwrap();
        assert_eq!(answer.status(), 200, "{name}");
        let outcome = if goes_on(&mut client).await { Outcome::GoesOn } else { Outcome::Ends };
        assert_eq!(outcome, expected, "{name}");
    }
    // None of it is left.
    kit.assert_metric("syncgate_requests_in_flight", &[], 0.0).await;
    kit.assert_metric("syncgate_connections", &[], 1.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn more_streams_than_are_allowed_are_refused_and_the_others_served() {
    let kit = world(|config| config.proxy.listen.http2.max_streams = 5).await;
    let token = kit.issuer.token("alice").sign();
    let mut client = begun(&kit).await;
    client.read_until("\u{0}").await;
    let block = [get(), field("authorization", "Bearer x")].concat();
    for number in 0..20_u32 {
        client.write(&frame(HEADERS, END_HEADERS, 2 * number + 1, &block)).await;
    }
    assert!(goes_on(&mut client).await);
    let bystander = Http2::connect(&kit).await;
    assert_eq!(kit.within(bystander.ask(request("GET", "/echo", &token), "")).await.unwrap().0.status(), 200);
    kit.stop().await;
}

#[tokio::test]
async fn a_client_that_agrees_on_http_2_and_says_nothing_is_cut() {
    let kit = world(|config| config.proxy.listen.header_timeout = Duration::from_secs(1)).await;
    let mut silent = Raw::over(connect(kit.tls_address().unwrap(), trusting(&kit, &[b"h2"])).await);
    kit.within(silent.read_to_end()).await;
    kit.assert_metric("syncgate_connections_cut_total", &[("cause", "header_timeout")], 1.0).await;
    kit.stop().await;
}
