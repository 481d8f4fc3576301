//! What is held of an upstream's answer: it means the same however it is cut, and the same as to hyper's client.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
};

use hyper::{
    Request,
    body::{Body as _, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use syncgate::fuzzing::{HeardAnswer, HeardEnd, hear_answer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Maximum bytes that hyper is given at once: it bounds its buffer otherwise than the gateway does.
const MAX_INPUT_BYTES: usize = 64 * 1024;

/// Fails if it does not hold. The first byte says whether the request was a HEAD (`H`), the second how the answer is cut; the rest
/// is the answer.
pub fn hold(input: &[u8]) {
    let [method, cut, wire @ ..] = input else { return };
    if wire.len() > MAX_INPUT_BYTES {
        return;
    }
    let answers_head = *method == b'H';
    let heard = hear_answer(&[wire], answers_head);
    let size = usize::from(cut % 61) + 1;
    let pieces: Vec<_> = wire.chunks(size).collect();
    let cut = hear_answer(&pieces, answers_head);
    // Which of two faults is met first may depend on the cut; whether there is one does not.
    match (&heard.end, &cut.end) {
        (HeardEnd::Malformed(_), HeardEnd::Malformed(_)) => {}
        _ => assert_eq!(heard, cut, "cut into pieces of {size}"),
    }
    // Nobody asked for another protocol; the gateway refuses that where it is heard.
    if heard.statuses.contains(&101) || is_heard_otherwise(wire) {
        return;
    }
    let hypers = by_hyper(wire, answers_head);
    match &heard.end {
        HeardEnd::Whole { .. } | HeardEnd::Closed => agree(&heard, &hypers, wire),
        HeardEnd::CutShort => assert!(!hypers.is_whole, "cut short, and whole to hyper: {hypers:?}"),
        // The gateway is stricter: one length or the same one several times, no coding but chunks, sizes with a digit, bounds of its own.
        HeardEnd::Malformed(_) => {}
    }
}

/// What hyper makes of it.
#[derive(Debug)]
struct Hypers {
    status: Option<u16>,
    body: Vec<u8>,
    is_whole: bool,
}

/// Where the gateway hears otherwise on purpose: `identity` says nothing, so that a length beside it holds, where to hyper the
/// connection's end is the body's; a coding in HTTP/1.0, which hyper refuses, is read, though its connection is not used again (RFC
/// 9112 section 6.1); and an empty item of a list says nothing (RFC 9110 section 5.6.1.2), where to hyper it is the last coding.
fn is_heard_otherwise(wire: &[u8]) -> bool {
    has_coding(wire) && (says(wire, "identity") || says(wire, "http/1.0") || has_empty_coding(wire))
}

fn has_empty_coding(wire: &[u8]) -> bool {
    let codings = wire.split(|byte| *byte == b'\n').filter(|line| has_coding(line));
    let mut values = codings.filter_map(|line| line.splitn(2, |byte| *byte == b':').nth(1));
    values.any(|value| value.split(|byte| *byte == b',').any(|item| item.trim_ascii().is_empty()))
}

fn has_coding(wire: &[u8]) -> bool {
    says(wire, "transfer-encoding")
}

fn says(wire: &[u8], text: &str) -> bool {
    wire.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes()))
}

fn agree(heard: &HeardAnswer, hypers: &Hypers, wire: &[u8]) {
    assert_eq!(heard.statuses.last().copied(), hypers.status, "{hypers:?}");
    assert!(heard.body == hypers.body, "{:?} is {:?} to hyper", heard.body.escape_ascii(), hypers.body.escape_ascii());
    // Behind the last chunk hyper reads fields, which have a form and bounds; the gateway drops what is there.
    assert!(hypers.is_whole || has_coding(wire), "whole, and cut short to hyper");
}

fn by_hyper(wire: &[u8], answers_head: bool) -> Hypers {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut hypers = Hypers { status: None, body: Vec::new(), is_whole: false };
        let (stream, mut upstream) = tokio::io::duplex(2 * MAX_INPUT_BYTES);
        let mut builder = http1::Builder::new();
        builder
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .max_headers(256);
        let Ok((mut sender, connection)) = builder.handshake::<_, String>(TokioIo::new(stream)).await else { return hypers };
        let request = Request::builder().method(if answers_head { "HEAD" } else { "GET" }).uri("/").header("host", "a");
        {
            let asking = async {
                let Ok(answer) = sender.send_request(request.body(String::new()).expect("a request")).await else { return };
                hypers.status = Some(answer.status().as_u16());
                hypers.is_whole = read(answer.into_body(), &mut hypers.body).await;
            };
            let answering = async {
                // What comes before it has asked is not an answer to hyper.
                assert!(upstream.read(&mut [0; 1024]).await.expect("a request") > 0);
                upstream.write_all(wire).await.expect("room for the answer");
                drop(upstream);
            };
            let asking = async { tokio::join!(asking, answering) };
            // The connection has to be driven beside; when it ends, what is left is heard.
            let (mut asking, mut connection, mut is_open) = (pin!(asking), pin!(connection), true);
            tokio::select! {
                biased;
                _ = &mut asking => is_open = false,
                _ = &mut connection => {}
            }
            if is_open {
                asking.await;
            }
        }
        hypers
    })
}

/// Says whether it comes to its end.
async fn read(mut incoming: Incoming, body: &mut Vec<u8>) -> bool {
    loop {
        match poll_fn(|task| Pin::new(&mut incoming).poll_frame(task)).await {
            Some(Ok(frame)) => body.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            Some(Err(_)) => return false,
            None => return true,
        }
    }
}
