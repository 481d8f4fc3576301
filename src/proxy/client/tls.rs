//! A client's TLS connection, after its handshake.

use std::{
    io::{self, BufRead as _, IoSlice},
    mem::MaybeUninit,
    os::fd::{AsRawFd as _, RawFd},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BytesMut};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

/// Bytes that are read to find out whether the client is there, at most.
const MAX_AHEAD: usize = 1_024;

/// A handle of the session. Who has one can use it, one at a time, so its lock is never waited for.
#[derive(Clone, Debug)]
pub(super) struct TlsHandle {
    id: RawFd,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    stream: TlsStream<TcpStream>,
    /// Read to find out whether the client is there.
    ahead: BytesMut,
}

impl TlsHandle {
    pub(super) fn new(stream: TlsStream<TcpStream>) -> Self {
        let id = stream.get_ref().0.as_raw_fd();
        Self { id, state: Arc::new(Mutex::new(State { stream, ahead: BytesMut::new() })) }
    }

    /// The number of its socket's descriptor, which no other open connection has.
    pub(super) fn id(&self) -> RawFd {
        self.id
    }

    /// Ready when the client has closed its side. What it sends is kept for the next read: unlike with plain TCP, that it leaves is a
    /// message too, so the session has to be read.
    pub(super) fn poll_left(&self, task: &mut Context<'_>) -> Poll<()> {
        let State { stream, ahead } = &mut *self.state();
        if !ahead.is_empty() {
            // It is there. Its bytes wake nobody until they are read.
            return Poll::Pending;
        }
        let mut scratch = [MaybeUninit::uninit(); MAX_AHEAD];
        let mut buffer = ReadBuf::uninit(&mut scratch);
        match ready!(Pin::new(stream).poll_read(task, &mut buffer)) {
            Ok(()) if !buffer.filled().is_empty() => {
                ahead.extend_from_slice(buffer.filled());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// Whether nothing of what the client has sent waits to be read, neither in the session nor before it.
    pub(super) fn is_quiet(&self) -> bool {
        let State { stream, ahead } = &mut *self.state();
        let (socket, session) = stream.get_mut();
        let is_silent = !matches!(SockRef::from(&*socket).peek(&mut [MaybeUninit::uninit()]), Ok(1..));
        is_silent && ahead.is_empty() && session.reader().fill_buf().map_or(true, <[u8]>::is_empty)
    }

    /// Closes both directions. Whoever reads then finds the end.
    pub(super) fn close(&self) {
        // One that is gone already is closed.
        let _ = SockRef::from(self.state().stream.get_ref().0).shutdown(std::net::Shutdown::Both);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_stream<T>(&self, work: impl FnOnce(Pin<&mut TlsStream<TcpStream>>) -> T) -> T {
        work(Pin::new(&mut self.state().stream))
    }
}

impl AsyncRead for TlsHandle {
    fn poll_read(self: Pin<&mut Self>, task: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let State { stream, ahead } = &mut *self.state();
        if !ahead.is_empty() {
            let count = ahead.len().min(buffer.remaining());
            buffer.put_slice(ahead.get(..count).unwrap_or_default());
            ahead.advance(count);
            return Poll::Ready(Ok(()));
        }
        match ready!(Pin::new(stream).poll_read(task, buffer)) {
            // A client that left without saying so. Where its message ends, HTTP and WebSocket know themselves.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            outcome => Poll::Ready(outcome),
        }
    }
}

impl AsyncWrite for TlsHandle {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with_stream(|stream| stream.poll_write(task, bytes))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, task: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.with_stream(|stream| stream.poll_write_vectored(task, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What was written is on its way, also the records that the socket did not take at once.
    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with_stream(|stream| stream.poll_flush(task))
    }

    /// Says that nothing more comes, then closes the sending side.
    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with_stream(|stream| stream.poll_shutdown(task))
    }
}
