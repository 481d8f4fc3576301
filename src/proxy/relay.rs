//! One request and its answer, between a client and an upstream.
//!
//! Two sessions, one for each side, read and write the messages: they say where a message ends, and whether its connection
//! can be used again. Here is only what goes from one to the other, and when. Pingora's own proxy does that in two halves with channels between
//! them, with modules and a cache on the way, which takes as many instructions as two of its sessions do.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Version, header};
use pingora::{Error, ErrorType, Result, RetryType, http::ResponseHeader};

use crate::proxy::{
    patience::Patience,
    session::ClientSession,
    upstream_session::{Piece, UpstreamSession},
};

/// The body of a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body<'a> {
    /// What the client sends.
    Client,
    /// This, in place of what the client has sent. That has been read to its end.
    Whole(&'a Bytes),
}

/// How long the upstream is waited for.
pub(super) struct Waiting<'a> {
    pub(super) patience: &'a mut Patience,
    /// While an answer is awaited, and the client says nothing either.
    pub(super) silence: Option<Duration>,
    /// For each piece that the upstream is to take.
    pub(super) write: Option<Duration>,
}

/// Sends a request and relays the answer, of which each header is shown to `on_header` first. Says whether the upstream's connection can be
/// used again.
///
/// # Errors
/// Those of the client and of the upstream, told apart by their source; one without a source is ours. What was relayed before stays relayed.
pub(super) async fn relay(
    client: &mut ClientSession,
    upstream: &mut UpstreamSession,
    body: Body<'_>,
    mut waiting: Waiting<'_>,
    mut on_header: impl FnMut(&mut ClientSession, &mut ResponseHeader) -> Result<()>,
) -> Result<bool> {
    let mut upload = Upload::begin(client, upstream, &mut waiting, body).await;
    let mut is_answered = false;
    while !(is_answered && upload.is_over()) {
        let event = if upload.is_over() {
            // When the upstream pauses, the client is looked at: it has nothing more to say but that it leaves. One whose body the upstream
            // did not take is in the middle of it.
            tokio::select! {
                biased;
                piece = upstream.read() => Event::Answer(piece),
                left = client.read_body_or_idle(true), if upload.is_complete() => Event::Body(left),
                () = waiting.silence() => Event::Silence,
            }
        } else {
            tokio::select! {
                piece = upstream.read(), if !is_answered => Event::Answer(piece),
                piece = client.read_body_or_idle(false) => Event::Body(piece),
                () = waiting.silence(), if !is_answered => Event::Silence,
            }
        };
        match event {
            Event::Answer(piece) => {
                let mut piece = piece.map_err(|error| upload.cause(error).into_up())?;
                if let Piece::Header { header, is_last } = &mut piece {
                    mark_end(client, header, *is_last)?;
                    on_header(client, header)?;
                }
                is_answered = piece.is_last();
                write(client, piece).await.map_err(|error| error.into_down())?;
            }
            // The client has its answer, and does not send what nobody may want any more.
            Event::Body(Err(_)) if is_answered => return Ok(false),
            Event::Body(piece) => {
                let piece = piece.map_err(|error| error.into_down())?;
                let is_last = piece.is_none() || client.is_body_done();
                upload.send(upstream, &mut waiting, piece.as_ref(), is_last).await;
            }
            Event::Silence => {
                let silent = || Error::explain(ErrorType::ReadTimedout, "the upstream is silent");
                return Err(upload.trouble().unwrap_or_else(silent).into_up());
            }
        }
    }
    Ok(upload.is_complete())
}

impl Waiting<'_> {
    /// Ready when nothing has been said for too long.
    fn silence(&mut self) -> impl Future<Output = ()> {
        self.patience.exceeded(self.silence)
    }

    /// What is written to the upstream, which has to take it in time.
    async fn taken(&mut self, writing: impl Future<Output = Result<()>>) -> Result<()> {
        tokio::select! {
            biased;
            written = writing => written,
            () = self.patience.exceeded(self.write) => Err(Error::explain(ErrorType::WriteTimedout, "the upstream takes nothing")),
        }
    }
}

/// What happens next, on either side.
enum Event {
    Answer(Result<Piece>),
    Body(Result<Option<Bytes>>),
    Silence,
}

/// How far the body of a request has got.
enum Upload {
    Underway,
    Complete,
    /// The upstream takes no more. It may have answered all the same, which is why this is no error yet.
    Broken(Option<Box<Error>>),
}

impl Upload {
    /// Sends what is there already: a body that was read whole, or what an attempt before this one has read.
    async fn begin(client: &mut ClientSession, upstream: &mut UpstreamSession, waiting: &mut Waiting<'_>, body: Body<'_>) -> Self {
        let mut upload = Self::Underway;
        match body {
            Body::Whole(bytes) => upload.send(upstream, waiting, Some(bytes), true).await,
            Body::Client if client.is_body_empty() => upload.send(upstream, waiting, None, true).await,
            Body::Client => {
                if client.req_header().method.is_safe() {
                    client.enable_retry_buffering();
                }
                let read_before = client.get_retry_buffer();
                let is_last = read_before.is_some() && client.is_body_done();
                upload.send(upstream, waiting, read_before.as_ref(), is_last).await;
            }
        }
        upload
    }

    async fn send(&mut self, upstream: &mut UpstreamSession, waiting: &mut Waiting<'_>, piece: Option<&Bytes>, is_last: bool) {
        match waiting.taken(upstream.send(piece.map_or(&[], |piece| piece), is_last)).await {
            Ok(()) if is_last => *self = Self::Complete,
            Ok(()) => {}
            Err(error) => *self = Self::Broken(Some(error)),
        }
    }

    fn is_over(&self) -> bool {
        !matches!(self, Self::Underway)
    }

    fn is_complete(&self) -> bool {
        matches!(self, Self::Complete)
    }

    /// Why the answer could not be read: most often since the upstream takes no more.
    fn cause(&mut self, error: Box<Error>) -> Box<Error> {
        // Where nothing was answered at all, that is what matters: it may be asked again.
        if matches!(error.retry, RetryType::ReusedOnly) { error } else { self.trouble().unwrap_or(error) }
    }

    /// Why the upstream took no more.
    fn trouble(&mut self) -> Option<Box<Error>> {
        match self {
            Self::Broken(error) => error.take(),
            Self::Underway | Self::Complete => None,
        }
    }
}

/// Writes a piece of an answer. The last one leaves at once, whatever waits with it.
pub(super) async fn write(client: &mut ClientSession, piece: Piece) -> Result<()> {
    let is_last = piece.is_last();
    match piece {
        Piece::Header { header, .. } => client.write_response_header(header).await?,
        // Nothing is what ends a chunked body.
        Piece::Body { bytes, .. } if !bytes.is_empty() => drop(client.write_body(&bytes).await?),
        Piece::Body { .. } => {}
    }
    if is_last {
        client.finish_body().await?;
    }
    Ok(())
}

/// Makes an answer whose body the upstream ends by closing, or in a way that the client does not know, say where it ends.
pub(super) fn mark_end(client: &mut ClientSession, answer: &mut ResponseHeader, is_empty: bool) -> Result<()> {
    if is_empty || answer.status.is_informational() {
        return Ok(());
    }
    let knows_chunks = client.req_header().version == Version::HTTP_11;
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
        client.set_server_keepalive(None);
        Ok(())
    }
}
