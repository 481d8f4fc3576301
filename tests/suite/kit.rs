//! A world to attack: issuer, gateway and backend on free ports, a raw client, and deadlines instead of sleeps.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use syncgate::{
    config::Config,
    demo::{DemoKey, MetricsText, World, http_client, world::WorldOptions},
    proxy::Target,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};

/// Nothing here takes this long unless it hangs.
const DEADLINE: Duration = Duration::from_secs(20);

/// What a client says of itself to a WebSocket server.
pub const SOCKET_KEY: &str = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==";

/// The header lines with which a request asks for a WebSocket.
pub const UPGRADE: &str =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==";

/// Sends a request with these header lines, and reads its answer.
pub async fn send(kit: &Kit, method: &str, target: &str, headers: &[&str]) -> Answer {
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    kit.raw(format!("{method} {target} HTTP/1.1\r\nHost: gateway\r\n{lines}\r\n").as_bytes()).await
}

/// The request for the backend's WebSocket, with this token.
pub fn handshake(token: &str) -> String {
    format!("GET /live HTTP/1.1\r\nHost: gateway\r\n{UPGRADE}\r\nAuthorization: Bearer {token}\r\n\r\n")
}

/// Takes TLS connections at a port of loopback, each served in a task of its own.
pub async fn serve_tls<F>(config: ServerConfig, serve: impl Fn(TlsStream<TcpStream>) -> F + Copy + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream).await;
                }
            });
        }
    });
    address
}

/// A running world and clients for it.
pub struct Kit {
    world: World,
    client: reqwest::Client,
}

impl std::ops::Deref for Kit {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Kit {
    /// A world with the defaults, ready to serve.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// A world with a changed config, ready to serve.
    pub async fn start_with(adjust: impl FnOnce(&mut Config) + Send + 'static) -> Self {
        let kit = Self::start_unready(WorldOptions::default().config(adjust)).await;
        kit.await_ready().await;
        kit
    }

    /// A world whose gateway need not have keys yet.
    pub async fn start_unready(options: WorldOptions) -> Self {
        let client = http_client().unwrap();
        let world = World::start(options).await.unwrap();
        Self { world, client }
    }

    /// Waits until `/readyz` says yes.
    pub async fn await_ready(&self) {
        let ready = async {
            while self.client.get(self.admin_url("/readyz")).send().await.unwrap().status() != 200 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        self.within(ready).await;
    }

    /// Stops everything.
    pub async fn stop(self) {
        let stopping = self.world.stop();
        tokio::time::timeout(DEADLINE, stopping).await.expect("the world does not stop");
    }

    /// `GET` with a token.
    pub async fn get(&self, path: &str, token: &str) -> reqwest::Response {
        self.within(self.client.get(self.url(path)).bearer_auth(token).send()).await.unwrap()
    }

    /// `GET` on the operators' listener.
    pub async fn admin(&self, path: &str) -> reqwest::Response {
        self.within(self.client.get(self.admin_url(path)).send()).await.unwrap()
    }

    /// A user with a good token is served.
    pub async fn assert_serves(&self) {
        let answer = self.get("/echo", &self.issuer.token("bystander").sign()).await;
        assert_eq!(answer.status(), 200);
    }

    /// A user whose token this key signed is served. The gateway has not seen the token before.
    pub async fn assert_serves_key(&self, key: &DemoKey) {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let token = self.issuer.token("bystander").claim("jti", number).header("kid", key.kid()).signed_by(key).sign();
        assert_eq!(self.get("/echo", &token).await.status(), 200);
    }

    /// The sum of a series, as the registry has it now.
    pub fn metric(&self, series: &str, labels: &[(&str, &str)]) -> f64 {
        MetricsText::new(self.gateway.metrics().render().unwrap()).sum(series, labels)
    }

    /// Waits until a series has this sum. A request is counted when it is over, which is after its client has read the answer.
    pub async fn assert_metric(&self, series: &str, labels: &[(&str, &str)], expected: f64) {
        let waiting = self.wait_for(|| self.metric(series, labels) == expected);
        assert!(waiting.await, "{series}{labels:?} is {}, not {expected}", self.metric(series, labels));
    }

    /// Fails if `work` takes longer than the deadline.
    pub async fn within<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::time::timeout(DEADLINE, work).await.expect("the deadline passed")
    }

    /// Waits until something is so.
    pub async fn eventually(&self, is_so: impl Fn() -> bool) {
        assert!(self.wait_for(is_so).await, "the deadline passed");
    }

    /// Whether something is so before the deadline.
    async fn wait_for(&self, is_so: impl Fn() -> bool) -> bool {
        let waiting = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(DEADLINE, waiting).await.is_ok()
    }

    /// A raw connection to the gateway.
    pub async fn connect(&self) -> Raw {
        Raw::connect(self.gateway.address()).await
    }

    /// A raw connection that became a WebSocket.
    pub async fn socket(&self, token: &str) -> Raw {
        let mut client = self.connect().await;
        client.write(handshake(token).as_bytes()).await;
        self.within(client.read_until("101 Switching Protocols")).await;
        client
    }

    /// Sends a raw request and reads one answer.
    pub async fn raw(&self, request: &[u8]) -> Answer {
        self.try_raw(request).await.expect("the connection was closed without an answer")
    }

    /// Sends a raw request and reads one answer, if there is one.
    pub async fn try_raw(&self, request: &[u8]) -> Option<Answer> {
        let mut client = self.connect().await;
        client.try_write(request).await;
        self.within(client.answer()).await
    }
}

/// A connection that says exactly what it is told to.
pub struct Raw {
    stream: Box<dyn Bytes>,
    unread: Vec<u8>,
}

/// What carries the bytes of a connection.
pub trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// One HTTP answer.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// Head and body for people.
    pub fn text(&self) -> String {
        format!("{}\n{}", self.head, String::from_utf8_lossy(&self.body))
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, v)| v)
    }
}

impl Raw {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    /// Over a connection that there is.
    pub fn over(stream: impl Bytes + 'static) -> Self {
        Self { stream: Box::new(stream), unread: Vec::new() }
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        assert!(self.try_write(bytes).await, "the connection has ended");
    }

    /// Whether the other side still takes it.
    pub async fn try_write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// Reads until the text has come; fails if the connection ends before.
    pub async fn read_until(&mut self, text: &str) {
        while !contains(&self.unread, text.as_bytes()) {
            assert!(self.read_some().await, "ended before {text:?}: {}", String::from_utf8_lossy(&self.unread));
        }
        let end = position(&self.unread, text.as_bytes()).unwrap() + text.len();
        self.unread.drain(..end);
    }

    /// Reads until the text has come or the connection ends.
    pub async fn read_until_ended_or(&mut self, text: &str) {
        while !contains(&self.unread, text.as_bytes()) && self.read_some().await {}
    }

    /// What was read and not looked at.
    pub fn take_unread(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unread)
    }

    /// Everything until the connection ends.
    pub async fn read_to_end(&mut self) -> Vec<u8> {
        while self.read_some().await {}
        std::mem::take(&mut self.unread)
    }

    /// One answer with a `Content-Length` (none counts as 0), or none if the connection ends before.
    pub async fn answer(&mut self) -> Option<Answer> {
        let end = loop {
            match position(&self.unread, b"\r\n\r\n") {
                Some(end) => break end,
                None if self.read_some().await => {}
                None => return None,
            }
        };
        let head = String::from_utf8_lossy(&self.unread[..end]).into_owned();
        self.unread.drain(..end + 4);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: Vec::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        while self.unread.len() < length {
            assert!(self.read_some().await, "ended in the body");
        }
        answer.body = self.unread.drain(..length).collect();
        Some(answer)
    }

    async fn read_some(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer).await {
            Ok(count) if count > 0 => {
                self.unread.extend_from_slice(&buffer[..count]);
                true
            }
            _ => false,
        }
    }
}

fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    position(haystack, needle).is_some()
}

/// A gateway in front of something that is not the demo's backend.
pub async fn gateway_before(upstream: SocketAddr, adjust: impl FnOnce(&mut Config) + Send + 'static) -> Kit {
    Kit::start_with(move |config| {
        config.proxy.upstreams[0].targets = vec![Target::new(&upstream.ip().to_string(), upstream.port())];
        adjust(config);
    })
    .await
}
