//! A handle of a stream whose state has a single owner, as with TLS: shows in tests that a connection need not be a socket.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf as _, BytesMut};
use pingora::protocols::UniqueIDType;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// Who has one can use the stream, one at a time, so its lock is never waited for.
#[derive(Clone, Debug)]
pub(super) struct OwnedHandle(Arc<Mutex<Owned>>);

#[derive(Debug)]
struct Owned {
    stream: DuplexStream,
    /// Read to find out whether the client is there.
    ahead: BytesMut,
}

impl OwnedHandle {
    pub(super) fn new(stream: DuplexStream) -> Self {
        Self(Arc::new(Mutex::new(Owned { stream, ahead: BytesMut::new() })))
    }

    pub(super) fn id(&self) -> UniqueIDType {
        // Two streams that are alive do not lie in one place.
        Arc::as_ptr(&self.0).addr() as UniqueIDType
    }

    /// Such a stream cannot be looked into without reading it.
    pub(super) fn poll_left(&self, task: &mut Context<'_>) -> Poll<()> {
        let mut owned = self.owned();
        let Owned { stream, ahead } = &mut *owned;
        if !ahead.is_empty() {
            return Poll::Pending;
        }
        let mut scratch = [0; 1_024];
        let mut buffer = ReadBuf::new(&mut scratch);
        match ready!(Pin::new(stream).poll_read(task, &mut buffer)) {
            Ok(()) if !buffer.filled().is_empty() => {
                ahead.extend_from_slice(buffer.filled());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.poll_left(&mut Context::from_waker(Waker::noop())).is_pending() && self.owned().ahead.is_empty()
    }

    /// Both directions, by giving up our end.
    pub(super) fn close(&self) {
        let mut owned = self.owned();
        (owned.stream, _) = tokio::io::duplex(1);
        owned.ahead.clear();
    }

    fn owned(&self) -> MutexGuard<'_, Owned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for OwnedHandle {
    fn poll_read(self: Pin<&mut Self>, task: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut owned = self.owned();
        let Owned { stream, ahead } = &mut *owned;
        if ahead.is_empty() {
            return Pin::new(stream).poll_read(task, buffer);
        }
        let count = ahead.len().min(buffer.remaining());
        buffer.put_slice(&ahead[..count]);
        ahead.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for OwnedHandle {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.owned().stream).poll_write(task, bytes)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, task: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.owned().stream).poll_write_vectored(task, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.owned().stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.owned().stream).poll_flush(task)
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.owned().stream).poll_shutdown(task)
    }
}
