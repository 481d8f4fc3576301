//! One request and its response, between a client and an upstream.
//!
//! Two sessions, one for each side, read and write the messages: they know where a message ends, and whether its connection can
//! be reused. This module only decides what is passed from one to the other, and when; in [`duplex`], while a body is being
//! sent. Pingora's own proxy does that in two halves with channels between them, with modules and a cache, which takes as many
//! instructions as two of its sessions. Knows neither routes nor tokens.

mod duplex;

use std::{future::poll_fn, task::Poll, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, header};
use pingora::{Error, ErrorType, Result, http::ResponseHeader};

use self::duplex::{Carried, Upload, carry};
use crate::proxy::{
    client::ClientSession,
    http::LazyTimer,
    upstream::{Piece, UpstreamSession},
};

/// The body of a request.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) enum Body<'a> {
    /// What the client sends.
    Client {
        /// Whether the request may have to be sent again, so that what is read of its body is kept.
        again: bool,
    },
    /// This, instead of what the client has sent. That has been read to its end.
    Whole(&'a Bytes),
}

/// How long the upstream is waited for.
pub(in crate::proxy) struct Waiting<'a> {
    pub(in crate::proxy) idle_timer: &'a mut LazyTimer,
    /// While it has the whole request, and says nothing.
    pub(in crate::proxy) silence: Option<Duration>,
    /// While it neither reads the request nor responds.
    pub(in crate::proxy) write: Option<Duration>,
}

/// What became of a request and its answer. The client has the whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Relayed {
    /// The upstream has the whole request: its connection may serve the next.
    Whole,
    /// It wanted no more of the request, or the client did not send it.
    Answered,
    /// It responded with a success, but did not read the whole body.
    UploadCut,
}

/// Sends a request and relays the answer, of which each header is shown to `on_header` first.
///
/// # Errors
/// Those of the client and of the upstream, told apart by their source; one without a source is ours. What was relayed before stays
/// relayed.
pub(in crate::proxy) async fn relay(
    client: &mut ClientSession,
    upstream: &mut UpstreamSession,
    body: Body<'_>,
    mut waiting: Waiting<'_>,
    mut on_header: impl FnMut(&mut ClientSession, &mut ResponseHeader) -> Result<()> + Send,
) -> Result<Relayed> {
    let upload = begin(client, upstream, body).await;
    if !matches!(upload, Upload::Complete) {
        // Boxed, so that it does not make the future of every request large.
        match Box::pin(carry(client, upstream, &mut waiting, upload, &mut on_header)).await? {
            Carried::Uploaded => {}
            Carried::Relayed(relayed) => return Ok(relayed),
        }
    }
    loop {
        // When the upstream pauses, the client is checked: it has nothing more to say but that it leaves.
        let mut piece = tokio::select! {
            biased;
            piece = upstream.read() => piece.map_err(|error| error.into_up())?,
            left = client.read_body_or_idle(true) => match left {
                Ok(_) => continue,
                Err(error) => return Err(error.into_down()),
            },
            () = waiting.silence() => return Err(Error::explain(ErrorType::ReadTimedout, "the upstream sends nothing").into_up()),
        };
        if let Piece::Header { header, is_delimited, .. } = &mut piece {
            mark_end(client, header, *is_delimited)?;
            on_header(client, header)?;
        }
        let is_answered = piece.is_last();
        write(client, piece).await.map_err(|error| error.into_down())?;
        if is_answered {
            return Ok(Relayed::Whole);
        }
    }
}

/// Sends what is there already: a body that was read whole, or what an attempt before this one has read. Most requests leave at once.
async fn begin(client: &mut ClientSession, upstream: &mut UpstreamSession, body: Body<'_>) -> Upload {
    let (part, is_last) = match body {
        Body::Whole(bytes) => (bytes.clone(), true),
        Body::Client { .. } if client.is_body_empty() => (Bytes::new(), true),
        Body::Client { again } => {
            if again {
                client.enable_retry_buffering();
            }
            (client.retry_buffer().unwrap_or_default(), client.is_body_done())
        }
    };
    if let Err(error) = upstream.queue(part, is_last) {
        return Upload::Broken(error);
    }
    match poll_fn(|task| Poll::Ready(upstream.poll_send(task))).await {
        Poll::Ready(Ok(())) if is_last => Upload::Complete,
        Poll::Ready(Ok(())) => Upload::Awaited,
        Poll::Ready(Err(error)) => Upload::Broken(error),
        Poll::Pending => Upload::Sending { is_last },
    }
}

impl Waiting<'_> {
    /// Ready when nothing has been sent for too long.
    fn silence(&mut self) -> impl Future<Output = ()> {
        self.idle_timer.exceeded(self.silence)
    }
}

/// Writes a piece of an answer. The last one leaves at once, whatever waits with it.
pub(in crate::proxy) async fn write(client: &mut ClientSession, piece: Piece) -> Result<()> {
    let is_last = piece.is_last();
    match piece {
        Piece::Header { header, .. } if !is_told(client, &header) => {}
        Piece::Header { header, date, .. } => {
            client.keep_date(date.as_ref());
            client.write_header(header, is_last).await?;
        }
        // Nothing is what ends a chunked body.
        Piece::Body { bytes, .. } if !bytes.is_empty() => client.write_body(bytes, is_last).await?,
        Piece::Body { .. } => {}
        Piece::Trailers(fields) => client.write_trailers(*fields)?,
    }
    if is_last {
        client.finish_body().await?;
    }
    Ok(())
}

/// Whether the client is to hear this header. One of HTTP/1.0 does not know interim ones, and may take one for the answer (RFC 9110 section
/// 15.2).
pub(in crate::proxy) fn is_told(client: &ClientSession, header: &ResponseHeader) -> bool {
    !header.status.is_informational() || client.is_current()
}

/// Makes an answer whose body the upstream ends by closing, or in a way that the client does not know, say where it ends.
pub(in crate::proxy) fn mark_end(client: &mut ClientSession, answer: &mut ResponseHeader, is_delimited: bool) -> Result<()> {
    if is_delimited || client.is_framed() || answer.status.is_informational() {
        return Ok(());
    }
    let knows_chunks = client.is_current();
    if !knows_chunks {
        answer.remove_header(&header::TRANSFER_ENCODING);
    }
    if answer.headers.contains_key(header::CONTENT_LENGTH) || answer.headers.contains_key(header::TRANSFER_ENCODING) {
        return Ok(());
    }
    if knows_chunks {
        answer.insert_header(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"))
    } else {
        // The end of the connection is the end of the body.
        client.close_after();
        Ok(())
    }
}
