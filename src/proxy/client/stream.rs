//! A client's connection as bytes, whatever the transport.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pingora::protocols::UniqueIDType;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use crate::proxy::client::{tcp::TcpHandle, tls::TlsHandle};

/// A handle of a client's connection: Pingora's session has one, and so has what goes on with the bytes when that is done. Only one of them
/// uses it at a time.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct ClientStream(Carrier);

/// What carries the bytes.
#[derive(Clone, Debug)]
enum Carrier {
    Tcp(TcpHandle),
    Tls(TlsHandle),
}

impl From<TcpStream> for ClientStream {
    fn from(stream: TcpStream) -> Self {
        Self(Carrier::Tcp(TcpHandle::new(stream)))
    }
}

impl From<TlsStream<TcpStream>> for ClientStream {
    fn from(stream: TlsStream<TcpStream>) -> Self {
        Self(Carrier::Tls(TlsHandle::new(stream)))
    }
}

impl ClientStream {
    /// A number that no other open connection has.
    pub(super) fn id(&self) -> UniqueIDType {
        match &self.0 {
            Carrier::Tcp(stream) => stream.id(),
            Carrier::Tls(stream) => stream.id(),
        }
    }

    /// Resolves when the client has closed its side. If it sends something instead, this waits forever: then it is there.
    pub(in crate::proxy) async fn left(&self) {
        poll_fn(|task| match &self.0 {
            Carrier::Tcp(stream) => stream.poll_left(task),
            Carrier::Tls(stream) => stream.poll_left(task),
        })
        .await;
    }

    /// Whether nothing of what the client has sent waits to be read.
    pub(super) fn is_quiet(&self) -> bool {
        match &self.0 {
            Carrier::Tcp(stream) => stream.is_quiet(),
            Carrier::Tls(stream) => stream.is_quiet(),
        }
    }

    /// Closes both directions. Whoever reads then finds the end.
    pub(super) fn close(&self) {
        match &self.0 {
            Carrier::Tcp(stream) => stream.close(),
            Carrier::Tls(stream) => stream.close(),
        }
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
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, task: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Carrier::Tcp(stream) => Pin::new(stream).poll_read(task, buffer),
            Carrier::Tls(stream) => Pin::new(stream).poll_read(task, buffer),
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Carrier::Tcp(stream) => Pin::new(stream).poll_write(task, bytes),
            Carrier::Tls(stream) => Pin::new(stream).poll_write(task, bytes),
        }
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, task: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Carrier::Tcp(stream) => Pin::new(stream).poll_write_vectored(task, pieces),
            Carrier::Tls(stream) => Pin::new(stream).poll_write_vectored(task, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Carrier::Tcp(stream) => stream.is_write_vectored(),
            Carrier::Tls(stream) => stream.is_write_vectored(),
        }
    }

    /// What was written is on its way, also what a carrier of records holds back.
    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Carrier::Tcp(stream) => Pin::new(stream).poll_flush(task),
            Carrier::Tls(stream) => Pin::new(stream).poll_flush(task),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Carrier::Tcp(stream) => Pin::new(stream).poll_shutdown(task),
            Carrier::Tls(stream) => Pin::new(stream).poll_shutdown(task),
        }
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
