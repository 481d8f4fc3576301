//! An upstream that answers what a test says, and remembers every byte that reached it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Map, Value, json};
use syncgate::{
    config::Config,
    proxy::{RouteSettings, Target},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::{
    http2::client::world as secure_world,
    kit::{Kit, gateway_before},
};

/// One request as it came.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub head: String,
    pub body: String,
}

impl Request {
    pub fn method(&self) -> &str {
        self.head.split(' ').next().unwrap()
    }

    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    /// The value of a header that is there once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &&str| line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name));
        let mut lines = self.head.lines().skip(1).filter(named);
        let value = lines.next()?.split_once(':').unwrap().1.trim();
        assert!(lines.next().is_none(), "{name} twice: {}", self.head);
        Some(value)
    }

    pub fn contains(&self, text: &str) -> bool {
        self.head.contains(text) || self.body.contains(text)
    }
}

/// A running recorder. It stops when it is dropped.
pub struct Recorder {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Recorder {
    /// Answers each request with these bytes, and leaves after those that say `Connection: close`.
    pub async fn start(answer: impl Fn(&Request) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&requests), Arc::new(answer));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&log), Arc::clone(&answer)));
            }
        });
        Self { address, requests, task }
    }

    /// Answers 204 to everything.
    pub async fn silent() -> Self {
        Self::start(|_| "HTTP/1.1 204 No Content\r\n\r\n".to_owned()).await
    }

    /// Switches every WebSocket to this subprotocol, which may depend on the request.
    pub async fn socket(protocol: impl Fn(&Request) -> Option<String> + Send + Sync + 'static) -> Self {
        Self::start(move |request| {
            let chosen = protocol(request).map(|chosen| format!("Sec-WebSocket-Protocol: {chosen}\r\n")).unwrap_or_default();
            switch(&request.head, &chosen)
        })
        .await
    }

    pub fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// All requests, oldest first.
    pub fn all(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub fn last(&self) -> Request {
        self.all().pop().expect("nothing came")
    }
}

/// The answer to a handshake, with these fields besides.
pub fn switch(handshake: &str, more: &str) -> String {
    let key =
        handshake.lines().filter_map(|line| line.split_once(": ")).find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
    let accept = key.map(|(_, key)| derive_accept_key(key.trim().as_bytes())).unwrap_or_default();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
}

async fn serve(mut stream: TcpStream, log: Arc<Mutex<Vec<Request>>>, answer: Arc<impl Fn(&Request) -> String>) {
    let mut unread = Vec::new();
    while let Some(request) = read(&mut stream, &mut unread).await {
        log.lock().unwrap().push(request.clone());
        let answer = answer(&request);
        if stream.write_all(answer.as_bytes()).await.is_err() || answer.contains("Connection: close") {
            return;
        }
    }
}

/// The next request, its body by `Content-Length`.
async fn read(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<Request> {
    let end = loop {
        if let Some(end) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        more(stream, unread).await?;
    };
    let head = String::from_utf8_lossy(&unread[..end]).into_owned();
    unread.drain(..end + 4);
    let mut request = Request { head, body: String::new() };
    assert!(request.header("transfer-encoding").is_none(), "a length is expected: {}", request.head);
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    while unread.len() < length {
        more(stream, unread).await?;
    }
    request.body = String::from_utf8_lossy(&unread[..length]).into_owned();
    unread.drain(..length);
    Some(request)
}

async fn more(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<()> {
    let mut buffer = [0; 16 * 1024];
    match stream.read(&mut buffer).await {
        Ok(count) if count > 0 => {
            unread.extend_from_slice(&buffer[..count]);
            Some(())
        }
        _ => None,
    }
}

/// A config file with these routes. What it says of the issuer and of the upstream is not for use.
pub fn config(mut more: Value) -> Config {
    let mut file = json!({
        "issuers": [{ "preset": "oidc", "issuer": "https://login.contoso.com", "audiences": ["api"] }],
        "signing": { "key_file": "signing.pem" },
        "upstream": { "url": "http://127.0.0.1:1" },
    });
    file.as_object_mut().unwrap().append(more.as_object_mut().unwrap());
    Config::parse(file.to_string(), "/".as_ref()).unwrap().config
}

/// What `routes:` of a config file reads as; tokens are those of the tests' own profile.
pub fn routes(value: Value) -> Vec<RouteSettings> {
    config(json!({ "routes": value, "mint": { "user_id_claim": "userId" } })).proxy.routes
}

/// A gateway with these routes in front of a recorder.
pub async fn gateway_with(recorder: &Recorder, value: Value) -> Kit {
    let routes = routes(value);
    gateway_before(recorder.address, move |config| config.proxy.routes = routes).await
}

/// A gateway with the routes and the minting of this config file in front of this address.
pub async fn gateway_of(upstream: SocketAddr, file: Value) -> Kit {
    gateway_before(upstream, by(file)).await
}

/// The same with TLS on a second listener.
pub async fn secure_gateway_of(upstream: SocketAddr, file: Value) -> Kit {
    let by = by(file);
    secure_world(move |config| {
        config.proxy.upstreams[0].targets = vec![Target::new("127.0.0.1", upstream.port())];
        by(config);
    })
    .await
}

fn by(file: Value) -> impl FnOnce(&mut Config) + Send + 'static {
    let settings = config(file);
    move |config| {
        config.proxy.routes = settings.proxy.routes;
        config.profiles = settings.profiles;
        config.proxy.listen.max_stream_age = settings.proxy.listen.max_stream_age;
        config.issuers[0].rules.leeway = Duration::ZERO;
    }
}

/// The claims of a token that the gateway minted; fails if the pinned key does not verify it.
pub fn claims_of(kit: &Kit, token: &str) -> Map<String, Value> {
    let mut rules = Validation::new(Algorithm::RS256);
    rules.leeway = 0;
    rules.validate_aud = false;
    decode(token, &DecodingKey::from_rsa_pem(kit.pinned_key_pem.as_bytes()).unwrap(), &rules).unwrap().claims
}
