//! The demo's backend over real sockets: its own check, documents, feeds, WebSocket, what it remembers.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use syncgate::demo::{DemoBackend, DemoIssuer, DemoKey, http_client, issuer::TokenBuilder};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest};

const SOON: Duration = Duration::from_secs(10);

/// A backend, and an issuer whose key it pins: the tokens come from there instead of from a gateway.
struct Kit {
    backend: DemoBackend,
    issuer: DemoIssuer,
    client: reqwest::Client,
}

impl Kit {
    async fn start() -> Self {
        let issuer = DemoIssuer::start().await.unwrap();
        let backend = DemoBackend::start(&issuer.signing_key().public_key_pem().unwrap()).await.unwrap();
        Self { backend, issuer, client: http_client().unwrap() }
    }

    fn token(&self, user: &str) -> TokenBuilder {
        self.issuer.token(user).claim("userId", user)
    }

    fn request(&self, method: &str, path: &str, user: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}{path}", self.backend.address());
        self.client.request(method.parse().unwrap(), url).bearer_auth(self.token(user).sign())
    }

    async fn json(&self, path: &str, user: &str) -> Value {
        timeout(SOON, self.request("GET", path, user).send()).await.unwrap().unwrap().json().await.unwrap()
    }

    async fn put(&self, id: &str, user: &str, doc: Value) -> Value {
        let answer = self.request("PUT", &format!("/docs/{id}"), user).json(&doc).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        answer.json().await.unwrap()
    }

    async fn received(&self, count: u64) {
        let arrived = async {
            while self.backend.received_count() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(SOON, arrived).await.expect("the request arrives");
    }
}

#[tokio::test]
async fn it_says_what_the_token_of_its_user_says() {
    let kit = Kit::start().await;
    let claims = kit.json("/whoami", "alice").await;
    assert_eq!(claims["userId"], "alice");
    assert!(claims["exp"].is_i64(), "{claims}");
    let url = format!("http://{}/whoami", kit.backend.address());
    assert_eq!(timeout(SOON, kit.client.get(url).send()).await.unwrap().unwrap().status(), 401);
}

#[tokio::test]
async fn only_a_good_token_of_the_pinned_key_is_taken() {
    let kit = Kit::start().await;
    let good = kit.token("alice");
    let pem = kit.issuer.signing_key().public_key_pem().unwrap();
    let cases = [
        (Some(good.clone().sign()), None),
        (None, Some("not exactly one Authorization header")),
        (Some(good.clone().signed_by(&DemoKey::generate().unwrap()).sign()), Some("InvalidSignature")),
        (Some(good.clone().expires_in(-1).sign()), Some("ExpiredSignature")),
        (Some(good.clone().without("exp").sign()), Some("Missing required claim: exp")),
        (Some(good.clone().without("userId").sign()), Some("no userId")),
        (Some(good.clone().claim("userId", "").sign()), Some("no userId")),
        (Some(good.clone().claim("userId", 7).sign()), Some("no userId")),
        (Some(good.clone().hmac(pem).sign()), Some("InvalidAlgorithm")),
        (Some(good.clone().algorithm("RS512").sign()), Some("InvalidAlgorithm")),
    ];
    for (index, (token, problem)) in cases.into_iter().enumerate() {
        let mut request = kit.client.get(format!("http://{}/docs", kit.backend.address()));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.unwrap();
        let received = kit.backend.received().pop().unwrap();
        match problem {
            None => {
                assert_eq!(answer.status(), 200, "case {index}");
                assert_eq!(received.token.unwrap().user_id(), "alice");
            }
            Some(problem) => {
                assert_eq!(answer.status(), 401, "case {index}");
                assert_eq!(received.token.unwrap_err(), problem, "case {index}");
            }
        }
    }
}

#[tokio::test]
async fn another_key_can_be_pinned() {
    let kit = Kit::start().await;
    let key = DemoKey::generate().unwrap();
    let status = async |token: String| {
        let request = kit.client.get(format!("http://{}/docs", kit.backend.address())).bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    };
    kit.backend.pin(&key.public_key_pem().unwrap()).unwrap();
    assert_eq!(status(kit.token("alice").sign()).await, 401);
    assert_eq!(status(kit.token("alice").signed_by(&key).sign()).await, 200);
    assert!(kit.backend.pin("no key").unwrap_err().to_string().starts_with("the key to pin is not an RSA public key in PEM"));
}

#[tokio::test]
async fn documents_belong_to_their_user() {
    let kit = Kit::start().await;
    assert_eq!(kit.put("note", "alice", json!({"text": "one"})).await, json!({"id": "note", "seq": 1}));
    assert_eq!(kit.put("note", "alice", json!({"text": "two"})).await["seq"], 2);
    assert_eq!(kit.json("/docs/note", "alice").await, json!({"seq": 2, "id": "note", "doc": {"text": "two"}}));
    assert_eq!(kit.json("/docs", "alice").await["documents"].as_array().unwrap().len(), 1);
    assert_eq!(kit.request("GET", "/docs/note", "bob").send().await.unwrap().status(), 404);
    assert_eq!(kit.json("/docs", "bob").await, json!({"documents": []}));

    assert_eq!(kit.request("DELETE", "/docs/note", "bob").send().await.unwrap().status(), 404);
    assert_eq!(kit.request("DELETE", "/docs/note", "alice").send().await.unwrap().status(), 200);
    assert_eq!(kit.request("GET", "/docs/note", "alice").send().await.unwrap().status(), 404);
    let changes = kit.json("/changes", "alice").await;
    assert_eq!(changes, json!({"results": [{"seq": 3, "id": "note", "deleted": true}], "last_seq": 3}));
}

#[tokio::test]
async fn a_long_poll_waits_for_the_next_change() {
    let kit = Kit::start().await;
    kit.put("a", "alice", json!(1)).await;
    let at_once = kit.json("/changes?feed=longpoll", "alice").await;
    assert_eq!(at_once["results"][0], json!({"seq": 1, "id": "a", "doc": 1}));
    let nothing = kit.json("/changes?feed=longpoll&since=1&timeout=20", "alice").await;
    assert_eq!(nothing, json!({"results": [], "last_seq": 1}));

    let seen = kit.backend.received_count();
    let waiting = tokio::spawn(kit.request("GET", "/changes?feed=longpoll&since=1", "alice").send());
    kit.received(seen + 1).await;
    kit.put("b", "bob", json!("of no interest to alice")).await;
    kit.put("b", "alice", json!(2)).await;
    let answer: Value = timeout(SOON, waiting).await.unwrap().unwrap().unwrap().json().await.unwrap();
    assert_eq!(answer, json!({"results": [{"seq": 2, "id": "b", "doc": 2}], "last_seq": 2}));
}

#[tokio::test]
async fn a_continuous_feed_beats_and_brings_changes() {
    let kit = Kit::start().await;
    kit.put("a", "alice", json!(1)).await;
    let feed = kit.request("GET", "/changes?feed=continuous&heartbeat=20", "alice").send().await.unwrap();
    assert_eq!(feed.headers()["transfer-encoding"], "chunked");
    let mut feed = feed.bytes_stream();
    let mut next = async || timeout(SOON, feed.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(
        next().await,
        "{\"seq\":1,\"id\":\"a\",\"doc\":1}\n"
            .replace("{\"seq\":1,\"id\":\"a\",\"doc\":1}", &json!({"seq": 1, "id": "a", "doc": 1}).to_string())
    );
    assert_eq!(next().await, "\n");
    kit.put("a", "alice", json!(2)).await;
    let mut line = next().await;
    while line == "\n" {
        line = next().await;
    }
    assert_eq!(serde_json::from_slice::<Value>(&line).unwrap(), json!({"seq": 2, "id": "a", "doc": 2}));
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn open(kit: &Kit, path: &str, token: &str) -> Result<Socket, tungstenite::Error> {
    let mut request = format!("ws://{}{path}", kit.backend.address()).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    timeout(SOON, tokio_tungstenite::connect_async(request)).await.unwrap().map(|(socket, _)| socket)
}

async fn next_change(socket: &mut Socket) -> Value {
    let message = timeout(SOON, socket.next()).await.unwrap().unwrap().unwrap();
    serde_json::from_str(message.to_text().unwrap()).unwrap()
}

#[tokio::test]
async fn sockets_carry_changes_both_ways() {
    let kit = Kit::start().await;
    kit.put("old", "alice", json!(0)).await;
    let token = kit.token("alice").sign();
    let mut phone = open(&kit, "/live", &token).await.unwrap();
    let mut laptop = open(&kit, "/live?since=0", &token).await.unwrap();
    assert_eq!(next_change(&mut laptop).await["id"], "old");

    kit.put("a", "alice", json!(1)).await;
    let change = json!({"seq": 2, "id": "a", "doc": 1});
    assert_eq!(next_change(&mut phone).await, change);
    assert_eq!(next_change(&mut laptop).await, change);

    phone.send(json!({"id": "b", "doc": {"from": "phone"}}).to_string().into()).await.unwrap();
    assert_eq!(next_change(&mut laptop).await, json!({"seq": 3, "id": "b", "doc": {"from": "phone"}}));
    assert_eq!(kit.json("/docs/b", "alice").await["doc"], json!({"from": "phone"}));

    laptop.send("no document".into()).await.unwrap();
    let close = timeout(SOON, laptop.next()).await.unwrap().unwrap().unwrap();
    let tungstenite::Message::Close(Some(frame)) = close else { panic!("{close:?}") };
    assert_eq!(u16::from(frame.code), 1007);
}

#[tokio::test]
async fn a_socket_needs_a_token_and_dies_with_the_backend() {
    let kit = Kit::start().await;
    let Err(tungstenite::Error::Http(refusal)) = open(&kit, "/live", "none").await else { panic!("the socket opened") };
    assert_eq!(refusal.status(), 401);
    let mut socket = open(&kit, "/live", &kit.token("alice").sign()).await.unwrap();
    timeout(SOON, kit.backend.stop()).await.unwrap();
    assert!(!matches!(timeout(SOON, socket.next()).await.unwrap(), Some(Ok(_))), "the socket is cut");
    kit.backend.resume().await.unwrap();
    open(&kit, "/live", &kit.token("alice").sign()).await.unwrap();
}

#[tokio::test]
async fn the_doors_answer_anybody_and_show_what_came() {
    let kit = Kit::start().await;
    let base = format!("http://{}", kit.backend.address());
    let target = "/echo/a%2Fb//c?x=%20&y";
    let mut request = kit.client.get("http://unused.invalid").header("x-odd", "1").header("x-odd", "2").build().unwrap();
    *request.url_mut() = format!("{base}{target}").parse().unwrap();
    let echo: Value = kit.client.execute(request).await.unwrap().json().await.unwrap();
    assert_eq!((&echo["method"], &echo["target"]), (&json!("GET"), &json!(target)));
    let headers = echo["headers"].as_array().unwrap();
    let odd: Vec<_> = headers.iter().filter(|header| header[0] == "x-odd").map(|header| &header[1]).collect();
    assert_eq!(odd, ["1", "2"]);

    let received = kit.backend.received().pop().unwrap();
    assert_eq!(received.target, target);
    assert_eq!(received.header("x-odd"), None, "there are two");
    assert!(received.contains("a%2Fb") && received.contains("x-odd") && !received.contains("secret"));
    assert!(received.token.is_err());

    assert_eq!(kit.client.get(format!("{base}/status/418")).send().await.unwrap().status(), 418);
    assert_eq!(kit.client.get(format!("{base}/silent?ms=1")).send().await.unwrap().status(), 204);
    assert_eq!(kit.backend.received_count(), 3);
}

#[tokio::test]
async fn a_body_is_echoed_while_it_still_comes() {
    let kit = Kit::start().await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let body = futures_util::stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|piece| (Ok::<_, std::io::Error>(piece), receiver))
    });
    let request = kit.client.post(format!("http://{}/echo-body", kit.backend.address()));
    let answer = tokio::spawn(request.body(reqwest::Body::wrap_stream(body)).send());
    sender.send("one".into()).await.unwrap();
    let mut answer = timeout(SOON, answer).await.unwrap().unwrap().unwrap();
    assert_eq!(timeout(SOON, answer.chunk()).await.unwrap().unwrap().unwrap(), "one");
    sender.send("two".into()).await.unwrap();
    assert_eq!(timeout(SOON, answer.chunk()).await.unwrap().unwrap().unwrap(), "two");
    drop(sender);
    assert_eq!(timeout(SOON, answer.chunk()).await.unwrap().unwrap(), None);
}
