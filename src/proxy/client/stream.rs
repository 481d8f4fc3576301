//! A client's connection, as bytes.

use std::{
    future::poll_fn,
    io,
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

/// A TCP connection that both Pingora's session and a tunnel can hold: after the switch to a WebSocket the tunnel reads and writes it
/// itself. Only one of them uses it at a time.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct ClientStream(Arc<TcpStream>);

impl ClientStream {
    pub(in crate::proxy) fn new(stream: TcpStream) -> Self {
        Self(Arc::new(stream))
    }

    /// The number of its descriptor, which no other open connection has.
    pub(super) fn id(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Resolves when the client has closed its side. If it sends something instead, this waits for ever: then it is there.
    pub(in crate::proxy) async fn left(&self) {
        if matches!(self.0.peek(&mut [0]).await, Ok(1..)) {
            std::future::pending().await
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

    /// Reads and throws away what the client still sends. Resolves when it has closed its side, or is gone.
    pub(in crate::proxy) async fn discard(&self) {
        let mut stream = self.clone();
        poll_fn(|task| {
            // On the stack: nothing is held of it while nothing comes.
            let mut scratch = [MaybeUninit::uninit(); 16 * 1024];
            loop {
                let mut buffer = ReadBuf::uninit(&mut scratch);
                match ready!(Pin::new(&mut stream).poll_read(task, &mut buffer)) {
                    Ok(()) if !buffer.filled().is_empty() => {}
                    _ => return Poll::Ready(()),
                }
            }
        })
        .await;
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
}

impl AsyncRead for ClientStream {
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

impl AsyncWrite for ClientStream {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let turn = ready!(coop::poll_proceed(task));
        loop {
            match self.0.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(self.0.poll_write_ready(task))?,
                outcome => {
                    turn.made_progress();
                    return Poll::Ready(outcome);
                }
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&*self.0).shutdown(std::net::Shutdown::Write))
    }
}
