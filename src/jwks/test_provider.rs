//! A provider on a real socket that answers as a test tells it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};

/// How a path is answered.
#[derive(Clone)]
pub(super) enum Answer {
    /// 200 with this body.
    Body(String),
    /// 200 with this body and these header lines.
    Headed(String, String),
    /// The same with a body that need not be text.
    Bytes(Vec<u8>, String),
    /// 200 with this body for whoever accepts this type, 406 for others.
    Picky(String, &'static str),
    /// A status, with a header line or none, without a body.
    Status(u16, String),
    /// 200 with a body that never ends, sent in chunks.
    Endless,
    /// Nothing, with the connection left open.
    Silence,
}

/// Answers 404 for what no answer is set. Ends with its last connection when dropped.
pub(super) struct TestProvider {
    address: SocketAddr,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct State {
    answers: Mutex<HashMap<String, Answer>>,
    requests: Mutex<Vec<String>>,
}

impl TestProvider {
    pub(super) async fn start() -> Self {
        Self::start_with(None).await
    }

    pub(super) async fn start_with(tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<State>::default();
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&state);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (state, tls) = (Arc::clone(&shared), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => state.answer(stream).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => state.answer(stream).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Self { address, state, _tasks: tasks }
    }

    /// The URL of a path, with this scheme.
    pub(super) fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://localhost:{}{path}", self.address.port())
    }

    /// From now on, this path (query string included) is answered so.
    pub(super) fn set(&self, path: &str, answer: Answer) {
        self.state.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// The paths that were asked for so far.
    pub(super) fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().clone()
    }
}

impl State {
    /// One request, one answer, and the connection is closed.
    async fn answer(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Option<()> {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.ok()?);
        }
        let request = String::from_utf8(request).ok()?;
        let path = request.split(' ').nth(1)?.to_owned();
        let accept = request.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("accept:").map(str::to_owned));
        let answer = self.answers.lock().unwrap().get(&path).cloned();
        self.requests.lock().unwrap().push(path);
        let text = match answer {
            None => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
            Some(Answer::Body(body)) => {
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
            }
            Some(Answer::Headed(body, lines)) => {
                format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
            }
            Some(Answer::Status(status, header)) => {
                format!("HTTP/1.1 {status} So\r\n{header}Content-Length: 0\r\nConnection: close\r\n\r\n")
            }
            Some(Answer::Bytes(body, lines)) => {
                let length = body.len();
                let head = format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: {length}\r\nConnection: close\r\n\r\n");
                stream.write_all(&[head.into_bytes(), body].concat()).await.ok()?;
                return stream.shutdown().await.ok();
            }
            Some(Answer::Picky(body, kind))
                if accept.is_some_and(|accept| accept.split([',', ';']).any(|one| one.trim() == kind)) =>
            {
                let length = body.len();
                format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
            }
            Some(Answer::Picky(..)) => "HTTP/1.1 406 Not Acceptable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
            Some(Answer::Silence) => std::future::pending().await,
            Some(Answer::Endless) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.ok()?;
                loop {
                    stream.write_all(format!("1000\r\n{}\r\n", " ".repeat(0x1000)).as_bytes()).await.ok()?;
                }
            }
        };
        stream.write_all(text.as_bytes()).await.ok()?;
        stream.shutdown().await.ok()
    }
}

/// What the process does at start: rustls needs a provider before any client is built.
pub(super) fn install_crypto() {
    // A second call changes nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
