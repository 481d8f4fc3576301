//! A request whose body is being sent, and its response, at the same time.
//!
//! Each side is read and written as it becomes ready, independently of the other: an upstream may respond before it has read
//! the body, or while it does. One piece is buffered for each direction, and no more is read before it is written. The side
//! that is waited for has a timeout, and is responsible when it expires: the client that pauses in its body, the upstream that
//! does not read it. A side that waits for the other is not.

use std::{
    future::{Future as _, poll_fn},
    pin::pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{StatusCode, header};
use pingora::{Error, ErrorType, Result, RetryType, http::ResponseHeader, protocols::http::HttpTask};

use crate::proxy::{
    client::ClientSession,
    relay::{Relayed, Waiting, is_told, mark_end},
    upstream::{Piece, UpstreamSession},
};

/// Sees each header of the answer before the client does.
pub(super) type OnHeader<'a> = &'a mut (dyn FnMut(&mut ClientSession, &mut ResponseHeader) -> Result<()> + Send);

/// How far both have got when there is nothing left to do at the same time.
pub(super) enum Carried {
    /// The upstream has the whole body, and has not answered whole.
    Uploaded,
    Relayed(Relayed),
}

/// How far the body has got.
pub(in crate::proxy) enum Upload {
    /// The client is to send its next piece.
    Awaited,
    /// The upstream is to take one.
    Sending {
        is_last: bool,
    },
    Complete,
    /// The upstream takes no more. It may have answered all the same, which is why this is not an error yet.
    Broken(Box<Error>),
    /// The client sends no more, and has its answer.
    Abandoned,
}

/// How far the answer has got.
enum Answer {
    Awaited,
    Begun(StatusCode),
    /// All of it has been heard.
    Over(StatusCode),
}

struct Duplex<'a, 'b> {
    client: &'a mut ClientSession,
    upstream: &'a mut UpstreamSession,
    waiting: &'a mut Waiting<'b>,
    /// How long the client may pause in its body.
    pause: Option<Duration>,
    /// The client sends its body when the upstream asks for it.
    awaits_continue: bool,
    upload: Upload,
    answer: Answer,
    /// Whether nothing has moved since the clock was started.
    is_counting: bool,
}

/// Carries both until one of them is whole, or neither can go on.
///
/// # Errors
/// Those of the client and of the upstream, told apart by their source. What was heard of the answer before has been told.
pub(in crate::proxy) async fn carry(
    client: &mut ClientSession,
    upstream: &mut UpstreamSession,
    waiting: &mut Waiting<'_>,
    upload: Upload,
    on_header: OnHeader<'_>,
) -> Result<Carried> {
    let pause = client.read_timeout();
    // It is counted here.
    client.set_read_timeout(None);
    let awaits_continue = client.req_header().headers.contains_key(header::EXPECT) && client.body_bytes_read() == 0;
    let mut duplex =
        Duplex { client, upstream, waiting, pause, awaits_continue, upload, answer: Answer::Awaited, is_counting: false };
    let outcome = poll_fn(|task| duplex.poll(task, on_header)).await;
    let Duplex { client, .. } = duplex;
    client.set_read_timeout(pause);
    if client.has_pending_tasks() {
        // The relay has failed. What was begun is told first: an answer of the gateway's must not be in the middle of it.
        let told = client.write_tasks().await;
        outcome.and_then(|carried| told.map(|_| carried).map_err(|error| error.into_down()))
    } else {
        outcome
    }
}

impl Duplex<'_, '_> {
    fn poll(&mut self, task: &mut Context<'_>, on_header: OnHeader<'_>) -> Poll<Result<Carried>> {
        loop {
            let has_moved = self.poll_upload(task)? | self.poll_answer(task, on_header)?;
            if let Some(carried) = self.carried() {
                return Poll::Ready(Ok(carried));
            }
            if !has_moved {
                return self.poll_clock(task);
            }
            self.is_counting = false;
        }
    }

    /// Says whether anything has moved.
    fn poll_upload(&mut self, task: &mut Context<'_>) -> Result<bool> {
        match self.upload {
            Upload::Awaited => {
                let Poll::Ready(piece) = pin!(self.client.read_body_or_idle(false)).poll(task) else { return Ok(false) };
                self.upload = match piece {
                    Ok(piece) => {
                        self.awaits_continue = false;
                        let is_last = piece.is_none() || self.client.is_body_done();
                        let queued = self.upstream.queue(piece.unwrap_or_default(), is_last);
                        queued.map_or_else(Upload::Broken, |()| Upload::Sending { is_last })
                    }
                    Err(_) if self.is_answered() => Upload::Abandoned,
                    Err(error) => return Err(error.into_down()),
                };
                Ok(true)
            }
            Upload::Sending { is_last } => {
                let before = self.upstream.sent();
                self.upload = match self.upstream.poll_send(task) {
                    Poll::Pending => return Ok(self.upstream.sent() != before),
                    Poll::Ready(Ok(())) if is_last => Upload::Complete,
                    Poll::Ready(Ok(())) => Upload::Awaited,
                    Poll::Ready(Err(error)) => Upload::Broken(error),
                };
                Ok(true)
            }
            Upload::Complete | Upload::Broken(_) | Upload::Abandoned => Ok(false),
        }
    }

    /// Says whether anything has moved.
    fn poll_answer(&mut self, task: &mut Context<'_>, on_header: OnHeader<'_>) -> Result<bool> {
        if self.client.has_pending_tasks() {
            let written = pin!(self.client.write_tasks()).poll(task);
            return match written {
                Poll::Pending => Ok(false),
                Poll::Ready(written) => written.map(|_| true).map_err(|error| error.into_down()),
            };
        }
        if self.is_answered() {
            return Ok(false);
        }
        match self.upstream.poll_read(task) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(piece)) => self.tell(piece, on_header).map(|()| true),
            Poll::Ready(Err(error)) => Err(self.cause(error).into_up()),
        }
    }

    /// Hands a piece of the answer to the client's session, which writes it in the steps that the client allows.
    fn tell(&mut self, piece: Piece, on_header: OnHeader<'_>) -> Result<()> {
        let is_last = piece.is_last();
        match piece {
            Piece::Header { mut header, date, is_delimited, .. } => {
                self.awaits_continue = false;
                mark_end(self.client, &mut header, is_delimited)?;
                on_header(self.client, &mut header)?;
                if !header.status.is_informational() {
                    self.answer = Answer::Begun(header.status);
                }
                if is_told(self.client, &header) {
                    // Only the final answer to a body that is in progress ends the client's connection.
                    self.client.close_on_early_response(!header.status.is_informational());
                    self.client.keep_date(date.as_ref());
                    self.client.send_task(HttpTask::Header(header, is_last));
                }
            }
            // Nothing is what ends a chunked body.
            Piece::Body { bytes, .. } => {
                self.client.send_task(HttpTask::Body(Some(bytes).filter(|bytes| !bytes.is_empty()), is_last));
            }
            Piece::Trailers(fields) => self.client.send_trailers(fields),
        }
        if let (Answer::Begun(status), true) = (&self.answer, is_last) {
            self.answer = Answer::Over(*status);
        }
        Ok(())
    }

    /// None if there is something left to do.
    fn carried(&self) -> Option<Carried> {
        if self.client.has_pending_tasks() {
            return None;
        }
        let relayed = match (&self.upload, &self.answer) {
            (Upload::Complete, Answer::Over(_)) => Relayed::Whole,
            (Upload::Complete, _) => return Some(Carried::Uploaded),
            (Upload::Abandoned, Answer::Over(_)) => Relayed::Answered,
            (Upload::Broken(_), Answer::Over(status)) => cut(*status),
            // Nobody wants the rest.
            (Upload::Awaited | Upload::Sending { .. }, Answer::Over(status)) if !status.is_success() => Relayed::Answered,
            _ => return None,
        };
        Some(Carried::Relayed(relayed))
    }

    /// What becomes of a relay in which nothing moves.
    fn poll_clock(&mut self, task: &mut Context<'_>) -> Poll<Result<Carried>> {
        if self.client.has_pending_tasks() {
            // Its connection gives a client that does not read its time.
            return Poll::Pending;
        }
        if !std::mem::replace(&mut self.is_counting, true) {
            self.waiting.idle_timer.restart(match self.upload {
                Upload::Awaited if self.awaits_continue => self.waiting.silence,
                Upload::Awaited => self.pause,
                _ => self.waiting.write,
            });
        }
        ready!(self.waiting.idle_timer.poll_exceeded(task));
        let late = |kind, what| Error::explain(kind, what);
        Poll::Ready(match (&self.upload, &self.answer) {
            (Upload::Awaited, Answer::Over(_)) => Ok(Carried::Relayed(Relayed::Answered)),
            (_, Answer::Over(status)) => Ok(Carried::Relayed(cut(*status))),
            (Upload::Awaited, _) if self.awaits_continue => {
                Err(late(ErrorType::ReadTimedout, "the upstream neither responds nor requests the body").into_up())
            }
            (Upload::Awaited, _) => Err(late(ErrorType::ReadTimedout, "the client stopped sending its body").into_down()),
            _ => Err(self.cause(late(ErrorType::WriteTimedout, "the upstream does not read")).into_up()),
        })
    }

    fn is_answered(&self) -> bool {
        matches!(self.answer, Answer::Over(_))
    }

    /// Why the answer could not be read: most often since the upstream takes no more.
    fn cause(&mut self, error: Box<Error>) -> Box<Error> {
        match std::mem::replace(&mut self.upload, Upload::Abandoned) {
            // Where nothing was answered at all, that is what matters: it may be asked again.
            Upload::Broken(trouble) if !matches!(error.retry, RetryType::ReusedOnly) => trouble,
            _ => error,
        }
    }
}

/// The upstream has answered, and has not taken the whole body.
fn cut(status: StatusCode) -> Relayed {
    if status.is_success() { Relayed::UploadCut } else { Relayed::Answered }
}
