//! A client's TCP connection.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::{AsRawFd as _, RawFd},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
    task::coop,
};

/// A handle of the socket. Who has one can use it, one at a time.
#[derive(Clone, Debug)]
pub(super) struct TcpHandle(Arc<TcpStream>);

impl TcpHandle {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self(Arc::new(stream))
    }

    /// The number of its descriptor, which no other open connection has.
    pub(super) fn id(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Ready when the client has closed its side. What it sends is left where it is.
    pub(super) fn poll_left(&self, task: &mut Context<'_>) -> Poll<()> {
        match ready!(self.0.poll_peek(task, &mut ReadBuf::new(&mut [0]))) {
            // It is there. Its bytes wake nobody until they are read.
            Ok(1..) => Poll::Pending,
            Ok(0) | Err(_) => Poll::Ready(()),
        }
    }

    /// Whether nothing of what the client has sent waits to be read.
    pub(super) fn is_quiet(&self) -> bool {
        !matches!(SockRef::from(&*self.0).peek(&mut [MaybeUninit::uninit()]), Ok(1..))
    }

    /// Closes both directions. Whoever reads then finds the end.
    pub(super) fn close(&self) {
        // One that is gone already is closed.
        let _ = SockRef::from(&*self.0).shutdown(std::net::Shutdown::Both);
    }

    /// Reads what is there, into the buffer as it is: Pingora reads bodies into 64 KiB, which to fill with zeros first would cost time, and
    /// memory for as long as a socket is open.
    ///
    /// A read that leaves room has emptied the socket. To say so spares the system call that would find out when the next read is tried,
    /// which is once a request; bytes that come later, or the end, make the socket ready again.
    fn read_now(&self, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        let room = buffer.remaining();
        let mut has_read = false;
        let outcome = self.0.try_io(Interest::READABLE, || {
            let count = self.0.try_read_buf(buffer)?;
            has_read = true;
            if 0 < count && count < room { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        if has_read { Ok(()) } else { outcome }
    }

    fn poll_write_with(&self, task: &mut Context<'_>, write: impl Fn(&TcpStream) -> io::Result<usize>) -> Poll<io::Result<usize>> {
        let turn = ready!(coop::poll_proceed(task));
        loop {
            match write(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(self.0.poll_write_ready(task))?,
                outcome => {
                    turn.made_progress();
                    return Poll::Ready(outcome);
                }
            }
        }
    }
}

impl AsyncRead for TcpHandle {
    fn poll_read(self: Pin<&mut Self>, task: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // A client that always has more to say has its turn and no more: others are on the same thread.
        let turn = ready!(coop::poll_proceed(task));
        loop {
            match self.read_now(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(self.0.poll_read_ready(task))?,
                outcome => {
                    turn.made_progress();
                    return Poll::Ready(outcome);
                }
            }
        }
    }
}

impl AsyncWrite for TcpHandle {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_with(task, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, task: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.poll_write_with(task, |stream| stream.try_write_vectored(pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&*self.0).shutdown(std::net::Shutdown::Write))
    }
}
