//! An HTTP/1.1 server that can be stopped at once and restarted on the same port.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::Mutex,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A port that is ours. Nobody listens on it yet, so that connections are refused.
#[derive(Debug)]
pub(in crate::demo) struct Port {
    socket: TcpSocket,
    address: SocketAddr,
}

impl Port {
    /// Takes the port; port 0 chooses a free one.
    pub(in crate::demo) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// Where it is.
    pub(in crate::demo) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// When this is cancelled the server stops. Handlers that outlive their request (WebSockets) watch it.
#[derive(Clone, Debug)]
pub(in crate::demo) struct Stopping(pub(in crate::demo) CancellationToken);

/// A server. Dropping it stops it.
#[derive(Debug)]
pub(in crate::demo) struct HttpServer {
    address: SocketAddr,
    router: Router,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Serving(Serving),
    /// The port stays ours while nobody listens. `None` where even that failed.
    Stopped(Option<Port>),
}

#[derive(Debug)]
struct Serving {
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl HttpServer {
    /// Starts to serve.
    pub(in crate::demo) fn start(port: Port, router: Router) -> io::Result<Self> {
        let address = port.address;
        let serving = Serving::start(port, &router)?;
        Ok(Self { address, router, state: Mutex::new(State::Serving(serving)) })
    }

    /// Where it listens.
    pub(in crate::demo) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every connection and refuses new ones until [`resume`](Self::resume).
    pub(in crate::demo) async fn stop(&self) {
        let mut state = self.state.lock().await;
        if let State::Serving(serving) = &*state {
            serving.stop().await;
            *state = State::Stopped(Port::bind(self.address).ok());
        }
    }

    /// Serves again, on the same port.
    pub(in crate::demo) async fn resume(&self) -> io::Result<()> {
        let mut state = self.state.lock().await;
        if let State::Stopped(port) = &mut *state {
            let port = port.take().map_or_else(|| Port::bind(self.address), Ok)?;
            *state = State::Serving(Serving::start(port, &self.router)?);
        }
        Ok(())
    }
}

impl Serving {
    fn start(port: Port, router: &Router) -> io::Result<Self> {
        let listener = port.socket.listen(BACKLOG)?;
        let (stopping, tasks) = (CancellationToken::new(), TaskTracker::new());
        let router = router.clone().layer(Extension(Stopping(stopping.clone())));
        tasks.spawn(stopping.clone().run_until_cancelled_owned(accept(listener, router, stopping.clone(), tasks.clone())));
        Ok(Self { stopping, tasks })
    }

    async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

async fn accept(listener: TcpListener, router: Router, stopping: CancellationToken, tasks: TaskTracker) {
    let service = Arc::new(TowerToHyperService::new(router));
    loop {
        // Out of file descriptors, or the client is gone again: nothing that ends the server.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone()).with_upgrades();
        tasks.spawn(stopping.clone().run_until_cancelled_owned(connection));
    }
}
