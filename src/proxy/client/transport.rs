//! A client's connection as a Pingora stream.
//!
//! The write buffer of Pingora's own stream is not accessible to an embedding program: the head and the body of a response
//! would be sent in two system calls, which costs a third more CPU per request. Reads come straight from the socket, since the
//! HTTP session has its own buffer.
//!
//! Pingora does not flush between the pieces of a response of known length. So the buffer is also sent whenever the
//! connection's task yields: nothing from the upstream is delayed until its next piece.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use async_trait::async_trait;
use bytes::{Buf as _, BytesMut};
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest, UniqueID,
    UniqueIDType, raw_connect::ProxyDigest,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    task::coop,
};

use crate::proxy::{
    client::{
        connection::Connection, date::KeptDate, intake::Look, request_line::is_usual, request_state::Part, stream::ClientStream,
        unreadable::Unreadable,
    },
    http::LazyTimer,
};

/// Holds the head of an answer and the start of its body; larger writes pass it by.
const WRITE_BUFFER: usize = 4 * 1024;

/// One client connection.
#[derive(Debug)]
pub(in crate::proxy) struct Transport {
    stream: ClientStream,
    unsent: Unsent,
    /// To be told in the next header.
    date: KeptDate,
    connection: Arc<Connection>,
    /// With a client that does not take what is written.
    idle_timer: LazyTimer,
    is_blocked: bool,
}

impl Transport {
    /// A write that the client does not take within the connection's limit fails. Pingora's own timeout, which is for
    /// bodies only, is off.
    pub(in crate::proxy) fn new(stream: ClientStream, connection: Arc<Connection>) -> Self {
        let unsent = Unsent { stream: stream.clone(), bytes: Arc::default() };
        Self { stream, unsent, date: KeptDate::default(), connection, idle_timer: LazyTimer::unlimited(), is_blocked: false }
    }

    /// Notes whether the client takes what is written, and bounds how long it does not.
    fn bound<T>(&mut self, task: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let was_blocked = std::mem::replace(&mut self.is_blocked, written.is_pending());
        self.connection.request().blocks_writes(self.is_blocked);
        if self.is_blocked {
            if !was_blocked {
                self.idle_timer.restart(Some(self.connection.request().write_timeout()));
            }
            ready!(self.idle_timer.poll_exceeded(task));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        written
    }

    /// The date that the next header tells instead of Pingora's, of a stream that Pingora holds.
    pub(in crate::proxy) fn date_of(stream: &Stream) -> Option<&KeptDate> {
        stream.as_any().downcast_ref::<Self>().map(|transport| &transport.date)
    }

    /// The write buffer, to be sent when the connection's task pauses.
    pub(super) fn unsent(&self) -> Unsent {
        self.unsent.clone()
    }
}

/// What was written to a transport and not sent yet. One task uses it, so the lock is never waited for.
#[derive(Clone, Debug)]
pub(super) struct Unsent {
    stream: ClientStream,
    bytes: Arc<Mutex<BytesMut>>,
}

impl Unsent {
    /// Sends all of it. Errors are met again by the next write.
    pub(super) fn poll_send(&self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = self.bytes();
        while !bytes.is_empty() {
            let count = ready!(Pin::new(&mut self.stream.clone()).poll_write(task, &bytes))?;
            bytes.advance(count);
        }
        Pin::new(&mut self.stream.clone()).poll_flush(task)
    }

    fn bytes(&self) -> MutexGuard<'_, BytesMut> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a whole header, with this date in it.
    fn poll_write_header(&self, task: &mut Context<'_>, header: &[u8], date: &KeptDate) -> Poll<io::Result<usize>> {
        if self.bytes().len().saturating_add(header.len()) > WRITE_BUFFER {
            ready!(self.poll_send(task))?;
        }
        let mut bytes = self.bytes();
        let start = bytes.len();
        bytes.extend_from_slice(header);
        if let Some(header) = bytes.get_mut(start..) {
            date.put_into(header);
        }
        Poll::Ready(Ok(header.len()))
    }

    fn poll_write(&self, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.bytes().len().saturating_add(bytes.len()) > WRITE_BUFFER {
            ready!(self.poll_send(task))?;
        }
        if bytes.len() >= WRITE_BUFFER {
            return Pin::new(&mut self.stream.clone()).poll_write(task, bytes);
        }
        self.bytes().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }
}

impl AsyncRead for Transport {
    /// Reads what follows a header as it comes, and of a header all of it at once.
    fn poll_read(mut self: Pin<&mut Self>, task: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.connection.inbound().holds_bytes() {
            return self.poll_held(task, buffer);
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(task, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        if read.is_empty() {
            return Poll::Ready(Ok(()));
        }
        match self.connection.request().received_bytes() {
            Part::Body => return Poll::Ready(Ok(())),
            Part::NewHeader if is_usual(read) => return Poll::Ready(Ok(())),
            Part::NewHeader => self.connection.inbound().with_intake(|intake| intake.push(read)),
            // It was given as a whole one, and Pingora's session finds that it is none.
            Part::Header => self.connection.inbound().is_unreadable(Unreadable::Field),
        }
        buffer.set_filled(before);
        self.poll_held(task, buffer)
    }
}

impl Transport {
    /// Gives what is held: of a header nothing before it is whole. What is not a header is not given at all, as if the client had left.
    fn poll_held(&mut self, task: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { connection, stream, .. } = self;
        if connection.inbound().unreadable().is_some() {
            return Poll::Ready(Ok(()));
        }
        let turn = ready!(coop::poll_proceed(task));
        let is_header = connection.request().received_bytes() != Part::Body;
        let outcome = connection.inbound().with_intake(|intake| {
            loop {
                match if is_header { intake.look() } else { Look::Whole } {
                    Look::Whole => intake.give(buffer, is_header),
                    Look::Cut => {
                        connection.request().header_is_cut();
                        continue;
                    }
                    Look::Unreadable(kind) => connection.inbound().is_unreadable(kind),
                    Look::Partial => {
                        let mut scratch = [MaybeUninit::uninit(); 8 * 1024];
                        let space = intake.space().min(scratch.len());
                        let mut read = ReadBuf::uninit(scratch.get_mut(..space).unwrap_or_default());
                        if Pin::new(&mut *stream).poll_read(task, &mut read)?.is_pending() {
                            intake.rest();
                            return Poll::Pending;
                        }
                        if !read.filled().is_empty() {
                            intake.push(read.filled());
                            continue;
                        }
                        // The client has left in the middle of it.
                        intake.clear();
                    }
                }
                return Poll::Ready(Ok(()));
            }
        });
        if outcome.is_ready() {
            turn.made_progress();
        }
        outcome
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = if self.date.is_set() {
            self.unsent.poll_write_header(task, bytes, &self.date)
        } else {
            self.unsent.poll_write(task, bytes)
        };
        self.bound(task, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.unsent.poll_send(task);
        self.bound(task, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = self.unsent.poll_send(task);
        ready!(self.bound(task, sent))?;
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}

#[async_trait]
impl Shutdown for Transport {
    async fn shutdown(&mut self) {
        // The client may be gone already; there is nobody left to tell.
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl UniqueID for Transport {
    fn id(&self) -> UniqueIDType {
        self.stream.id()
    }
}

impl Ssl for Transport {}

impl Peek for Transport {}

impl GetTimingDigest for Transport {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Transport {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Transport {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}
