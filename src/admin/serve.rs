//! How admin connections are accepted and served: within limits, since anyone who can reach the port can open them.
//!
//! At the limit a new connection is served and another is closed: the oldest without a request in progress, if there is one. So
//! clients that only connect cannot block a probe.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, extract::ConnectInfo};
use hyper::{Request, body::Incoming, server::conn::http1, service::Service as _};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::guard::Connection;
use crate::metrics::{Listening, Metrics};

/// Connections at a time.
pub(super) const MAX_CONNECTIONS: usize = 64;
/// From the connection's start, or the end of the answer before, to the end of a header. So an idle connection ends after it, too.
pub(super) const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum bytes of a header.
const HEADER_BYTES: usize = 16 * 1024;
/// Descriptors that are held for operators, should the process have no other left.
const SPARE: usize = 8;
/// How long nothing is accepted after that failed.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);
/// How often the log says that.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// Serves on `socket` until `stop`; answers in progress are finished.
pub(super) async fn serve(socket: TcpListener, router: Router, metrics: Arc<Metrics>, stop: CancellationToken) {
    let mut connections = Connections::default();
    let mut spare = Spare::default();
    let mut complained: Option<Instant> = None;
    loop {
        spare.fill();
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.tasks.join_next() => continue,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = Connection::new(&stream, peer);
                connections.admit(|is_busy| serve_one(stream, connection, router.clone(), is_busy, stop.clone()));
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                metrics.accept_failed(Listening::Operators, &error);
                if complained.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
                    complained = Some(Instant::now());
                    tracing::warn!(%error, "cannot accept admin connections; retrying");
                }
                if !spare.give_up_one() {
                    tokio::time::sleep(RETRY_INTERVAL).await;
                }
            }
        }
    }
    drop(socket);
    while connections.tasks.join_next().await.is_some() {}
}

/// The requests of one connection.
async fn serve_one(stream: TcpStream, connection: Connection, router: Router, is_busy: Arc<AtomicBool>, stop: CancellationToken) {
    let router = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(connection));
        is_busy.store(true, Ordering::Relaxed);
        let (answering, is_busy) = (router.call(request), Arc::clone(&is_busy));
        async move {
            let answer = answering.await;
            is_busy.store(false, Ordering::Relaxed);
            answer
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(HEADER_BYTES);
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an admin connection failed");
    }
}

/// Those that are open, the oldest first.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    open: VecDeque<Open>,
}

struct Open {
    task: AbortHandle,
    /// Whether a request is being answered.
    is_busy: Arc<AtomicBool>,
}

impl Connections {
    /// Serves one more, in the place of another if there are as many as may be.
    fn admit<F: Future<Output = ()> + Send + 'static>(&mut self, serve: impl FnOnce(Arc<AtomicBool>) -> F) {
        self.open.retain(|open| !open.task.is_finished());
        if self.open.len() >= MAX_CONNECTIONS {
            let idle = self.open.iter().position(|open| !open.is_busy.load(Ordering::Relaxed));
            if let Some(open) = self.open.remove(idle.unwrap_or(0)) {
                open.task.abort();
            }
        }
        let is_busy = Arc::default();
        let task = self.tasks.spawn(serve(Arc::clone(&is_busy)));
        self.open.push_back(Open { task, is_busy });
    }
}

/// Reserved file descriptors, so that a connection can be accepted when the process has no others left.
#[derive(Default)]
struct Spare(Vec<File>);

impl Spare {
    fn fill(&mut self) {
        while self.0.len() < SPARE {
            let Ok(file) = File::open("/dev/null") else { return };
            self.0.push(file);
        }
    }

    /// Whether there was one.
    fn give_up_one(&mut self) -> bool {
        self.0.pop().is_some()
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused)
}
