//! Realm: the wire traffic of its .NET client through the gateway, against a stand-in that behaves as the Object Server does.
//!
//! The stand-in pins one key, has the nickname login on by default, takes any `Authorization` for a token of its own, and reads paths as
//! Express does, and more loosely where that is worse for the gateway.

use std::sync::{Arc, OnceLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Map, Value, json};
use syncgate::demo::DemoKey;

use crate::{
    kit::{Answer, Kit, UPGRADE},
    recorder::{Recorder, Request, gateway_with, switch},
};

/// What its clients demand, to the letter.
const JSON: &str = "application/json; charset=utf-8";

fn answer(status: u16, body: &Value) -> String {
    let body = body.to_string();
    format!("HTTP/1.1 {status} Answer\r\nContent-Type: {JSON}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn problem(status: u16, code: u16, title: &str) -> String {
    answer(
        status,
        &json!({ "type": "https://realm.io/docs/object-server/problems/x", "title": title, "status": status, "code": code }),
    )
}

/// A token of Realm's own: base64 JSON, a colon, a signature.
fn own_token(kind: &str, user: &str) -> String {
    let data = json!({ "identity": user, "access": [kind], "app_id": "io.realm.Auth", "expires": 2_110_814_859_u64 });
    format!("{}:{}", STANDARD.encode(data.to_string()), STANDARD.encode(format!("signed {kind} {user}")))
}

/// The user of a token of Realm's own, if the signature fits.
fn own_user(token: &str, kind: &str) -> Option<String> {
    let (data, _) = token.split_once(':')?;
    let data: Value = serde_json::from_slice(&STANDARD.decode(data).ok()?).ok()?;
    let user = data["identity"].as_str()?.to_owned();
    (token == own_token(kind, &user)).then_some(user)
}

/// The path as a loose server reads it.
fn path_of(request: &Request) -> String {
    let path = request.target().split('?').next().unwrap();
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy().to_lowercase();
    let segments = decoded.split('/').map(|segment| segment.split(';').next().unwrap()).filter(|segment| !segment.is_empty());
    format!("/{}", segments.collect::<Vec<_>>().join("/"))
}

/// Answers as the Object Server does. The key is pinned once the gateway runs.
fn serve(request: &Request, pinned: &OnceLock<String>) -> String {
    let path = path_of(request);
    let authorization = request.header("authorization");
    if path.starts_with("/realm-sync/") {
        let token = authorization.and_then(|value| value.strip_prefix("Realm-Access-Token version=1 token=\"")?.strip_suffix('"'));
        return match (token.and_then(|token| own_user(token, "access")), request.header("sec-websocket-protocol")) {
            (Some(_), Some(protocol @ "io.realm.sync.22")) => {
                switch(&request.head, &format!("server: realm-sync-server/22\r\nSec-WebSocket-Protocol: {protocol}\r\n"))
            }
            _ => problem(401, 611, "The provided credentials are invalid."),
        };
    }
    // Its middleware takes whatever is there for a token of its own.
    if let Some(token) = authorization.or(request.header("x-realm-access-token")) {
        let Some(user) = own_user(token, "refresh") else { return problem(401, 611, "tokenString does not have 2 parts") };
        return answer(200, &json!({ "user_id": user }));
    }
    match (request.method(), path.as_str()) {
        ("POST", "/auth") => login(&request.body, pinned.get().unwrap()),
        _ => problem(404, 404, "There is nothing here."),
    }
}

fn login(body: &str, pinned: &str) -> String {
    let Ok(body) = serde_json::from_str::<Value>(body) else {
        return problem(400, 601, "Your request parameters did not validate.");
    };
    let data = body["data"].as_str().unwrap_or_default();
    let user = match body["provider"].as_str() {
        Some("jwt") => verified(data, pinned),
        Some("nickname") => Some(data.to_owned()),
        Some("realm") => {
            return match own_user(data, "refresh") {
                Some(user) => {
                    let path = body["path"].as_str().unwrap_or_default().replace('~', &user);
                    let token_data =
                        json!({ "identity": user, "path": path, "expires": 2_000_000_000, "access": ["download", "upload"] });
                    answer(200, &json!({ "access_token": { "token": own_token("access", &user), "token_data": token_data } }))
                }
                None => problem(401, 611, "The provided credentials are invalid."),
            };
        }
        _ => None,
    };
    match user {
        Some(user) => {
            let token_data = json!({ "app_id": "io.realm.Auth", "identity": user, "access": ["refresh"], "expires": 2_110_814_859_u64, "is_admin": false });
            answer(200, &json!({ "refresh_token": { "token": own_token("refresh", &user), "token_data": token_data } }))
        }
        None => problem(401, 611, "The provided credentials are invalid."),
    }
}

/// RS256, the pinned key, a `userId` that needs no escapes in a URL.
fn verified(token: &str, pinned: &str) -> Option<String> {
    let mut rules = Validation::new(Algorithm::RS256);
    rules.leeway = 0;
    rules.validate_aud = false;
    let key = DecodingKey::from_rsa_pem(pinned.as_bytes()).ok()?;
    let claims = decode::<Map<String, Value>>(token, &key, &rules).ok()?.claims;
    let user = claims.get("userId")?.as_str()?;
    let unescaped = !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte));
    unescaped.then(|| user.to_owned())
}

/// The stand-in and a gateway with the preset in front of it.
async fn world(routes: Value) -> (Recorder, Kit) {
    let pinned = Arc::new(OnceLock::new());
    let key = Arc::clone(&pinned);
    let server = Recorder::start(move |request| serve(request, &key)).await;
    let kit = gateway_with(&server, routes).await;
    pinned.set(kit.pinned_key_pem.clone()).unwrap();
    (server, kit)
}

/// A request of the .NET client: `HttpClient` with a JSON body and no `Authorization`.
async fn post(kit: &Kit, path: &str, body: &str) -> Answer {
    post_as(kit, path, body, &format!("Content-Type: {JSON}\r\n")).await
}

async fn post_as(kit: &Kit, path: &str, body: &str, headers: &str) -> Answer {
    let head = format!(
        "POST {path} HTTP/1.1\r\nAccept: application/json, application/problem+json\r\n{headers}Host: gateway\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    kit.raw(format!("{head}{body}").as_bytes()).await
}

/// `Credentials.Custom("jwt", token, ...)` as the client writes it.
fn credentials(token: &str) -> String {
    format!("{{\"data\":\"{token}\",\"provider\":\"jwt\",\"user_info\":{{}},\"app_id\":\"\"}}")
}

fn body_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.text()))
}

#[tokio::test]
async fn an_unchanged_client_logs_in_syncs_and_logs_out() {
    let (server, kit) = world(json!({ "preset": "realm" })).await;
    let token = kit.issuer.token("alice").sign();
    let user = kit.issuer.user_id("alice");

    // LoginAsync.
    let sent = credentials(&token);
    let login = post(&kit, "/auth", &sent).await;
    assert_eq!((login.status, login.header("content-type")), (200, Some(JSON)), "{}", login.text());
    let refresh_token = body_of(&login)["refresh_token"]["token"].as_str().unwrap().to_owned();
    assert_eq!(body_of(&login)["refresh_token"]["token_data"]["identity"], user);
    let received = server.last();
    assert!(!received.contains(&token) && received.header("authorization").is_none(), "{received:?}");
    // `data` and the length are new; all else is as it was sent.
    let minted = serde_json::from_str::<Value>(&received.body).unwrap()["data"].as_str().unwrap().to_owned();
    assert_eq!(received.body, sent.replace(&token, &minted));
    assert_eq!(received.header("content-type"), Some(JSON));

    // An access token for a Realm, with Realm's own token.
    let sent = format!("{{\"data\":\"{refresh_token}\",\"path\":\"/~/docs\",\"provider\":\"realm\",\"app_id\":\"\"}}");
    let refresh = post(&kit, "/auth", &sent).await;
    assert_eq!((refresh.status, refresh.header("content-type")), (200, Some(JSON)), "{}", refresh.text());
    assert_eq!(server.last().body, sent);
    let access_token = body_of(&refresh)["access_token"]["token"].as_str().unwrap().to_owned();

    // The sync socket: the slashes of the Realm's path stay encoded.
    let path = format!("/realm-sync/%2F{user}%2Fdocs");
    let socket = kit
        .raw(
            format!(
                "GET {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Realm-Access-Token version=1 token=\"{access_token}\"\r\n\
                 {UPGRADE}\r\nSec-WebSocket-Protocol: io.realm.sync.22\r\n\r\n"
            )
            .as_bytes(),
        )
        .await;
    assert_eq!((socket.status, socket.header("sec-websocket-protocol")), (101, Some("io.realm.sync.22")), "{}", socket.text());
    assert_eq!(server.last().target(), path);

    // User info and logout: the raw token, without a scheme.
    for (request, body) in [
        ("GET /auth/users/jwt/x".to_owned(), String::new()),
        ("POST /auth/revoke".to_owned(), format!("{{\"token\":\"{refresh_token}\"}}")),
    ] {
        let head = format!(
            "{request} HTTP/1.1\r\nHost: gateway\r\nAuthorization: {refresh_token}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = kit.raw(format!("{head}{body}").as_bytes()).await;
        assert_eq!((answer.status, body_of(&answer)["user_id"].as_str()), (200, Some(user.as_str())), "{request}");
        assert_eq!(server.last().body, body);
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_refused_login_is_told_so_in_realms_words() {
    let (server, kit) = world(json!({ "preset": "realm", "scopes": ["docs.read"] })).await;
    let token = |user: &str| kit.issuer.token(user);
    let foreign = DemoKey::shared(9).unwrap();
    for (token, status, code) in [
        (token("a").expires_in(-3_600).sign(), 401, 611),
        (token("a").signed_by(&foreign).sign(), 401, 611),
        (token("a").scope("other").sign(), 403, 614),
        ("x".to_owned(), 401, 611),
        ("a b".to_owned(), 400, 601),
    ] {
        let answer = post(&kit, "/auth", &credentials(&token)).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, Some(JSON)), "{}", answer.text());
        let body = body_of(&answer);
        assert_eq!((&body["status"], &body["code"]), (&json!(status), &json!(code)));
        assert!(body["title"].is_string() && body["type"].is_string(), "{body}");
    }
    assert_eq!(server.count(), 0);
    kit.stop().await;
}

#[tokio::test]
async fn no_other_login_gets_by_in_any_spelling() {
    let (server, kit) = world(json!({ "preset": "realm" })).await;
    // It is on by default: asked directly, the server lets anybody in.
    let nickname = "{\"data\":\"eve\",\"provider\":\"nickname\"}";
    assert!(login(nickname, "").starts_with("HTTP/1.1 200"));
    let paths = [
        "/auth",
        "/auth/",
        "/AUTH",
        "/%61uth",
        "/%2561uth",
        "//auth",
        "/./auth",
        "/x/../auth",
        "/auth;x=1",
        "/auth%2f",
        "/auth?x=1",
    ];
    for path in paths {
        for provider in ["nickname", "password", "debug", "cloudkit", "anonymous", "JWT", "jwt "] {
            let answer = post(&kit, path, &nickname.replace("nickname", provider)).await;
            assert_eq!((answer.status, body_of(&answer)["code"].clone()), (403, json!(614)), "{path} {provider}");
        }
    }
    kit.assert_metric("syncgate_rejections_total", &[("reason", "login_not_allowed")], 7.0 * paths.len() as f64).await;
    assert_eq!(server.count(), 0);
    // And a good one is served in each of them.
    let token = kit.issuer.token("alice").sign();
    for path in ["/auth", "/auth/", "/AUTH", "/%61uth", "//auth", "/auth;x=1", "/auth?x=1"] {
        let answer = post(&kit, path, &credentials(&token)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(server.last().target(), path);
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_login_that_is_listed_passes() {
    let pass = json!({ "in": { "body": "data", "member": "provider", "exchange": ["jwt"], "pass": ["realm", "nickname"] } });
    let (server, kit) = world(json!({ "preset": "realm", "token": pass })).await;
    let body = "{\"data\":\"eve\", \"provider\":\"nickname\"}";
    assert_eq!(post(&kit, "/auth", body).await.status, 200);
    assert_eq!(server.last().body, body);
    kit.stop().await;
}

#[tokio::test]
async fn bodies_that_two_readers_could_read_differently_go_nowhere() {
    let (server, kit) = world(json!({ "preset": "realm" })).await;
    let token = kit.issuer.token("alice").sign();
    let good = credentials(&token);
    let mut polyglot = good.clone();
    polyglot.insert_str(polyglot.len() - 1, ",\"x\":\"&provider=nickname&data=eve&\"");
    let json = "Content-Type: application/json\r\n";
    for (body, headers, status) in [
        (good.replace("\"app_id\"", "\"provider\":\"nickname\",\"app_id\""), json.to_owned(), 400),
        (good.replace("\"app_id\"", "\"d\\u0061ta\":\"x\",\"app_id\""), json.to_owned(), 400),
        (good.replace("{}", "{\"a\":1,\"a\":2}"), json.to_owned(), 400),
        (String::new(), json.to_owned(), 400),
        ("[]".to_owned(), json.to_owned(), 400),
        ("provider=nickname&data=eve".to_owned(), json.to_owned(), 400),
        (polyglot, "Content-Type: application/x-www-form-urlencoded\r\n".to_owned(), 415),
        (good.clone(), String::new(), 415),
        (good.clone(), "Content-Type: application/json; charset=utf-16le\r\n".to_owned(), 415),
        (good.clone(), format!("{json}Content-Encoding: gzip\r\n"), 415),
        (good.clone(), format!("{json}Content-Type: text/plain\r\n"), 415),
    ] {
        let answer = post_as(&kit, "/auth", &body, &headers).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, Some(JSON)), "{headers}{body}");
    }
    assert_eq!(server.count(), 0);
    kit.stop().await;
}

#[tokio::test]
async fn bodies_of_up_to_64_kib_are_taken_and_no_larger_ones() {
    let (server, kit) = world(json!({ "preset": "realm" })).await;
    let token = kit.issuer.token("alice").sign();
    let body = |bytes: usize| {
        let bare = credentials(&token);
        bare.replace("{}", &format!("{{\"x\":\"{}\"}}", "y".repeat(bytes - bare.len() - 6)))
    };
    let chunked = |body: &str| {
        let head = "POST /auth HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunks: String = body
            .as_bytes()
            .chunks(1_000)
            .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), str::from_utf8(chunk).unwrap()))
            .collect();
        format!("{head}{chunks}0\r\n\r\n")
    };
    let largest = body(65_536);
    assert_eq!(largest.len(), 65_536);
    assert_eq!(post(&kit, "/auth", &largest).await.status, 200);
    assert_eq!(kit.raw(chunked(&largest).as_bytes()).await.status, 200);
    let received = server.last();
    assert_eq!(received.body.len(), received.header("content-length").unwrap().parse::<usize>().unwrap());
    let too_large = body(65_537);
    assert_eq!(post(&kit, "/auth", &too_large).await.status, 413);
    assert_eq!(kit.raw(chunked(&too_large).as_bytes()).await.status, 413);
    // It need not arrive to be refused.
    let announced = b"POST /auth HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n";
    assert_eq!(kit.raw(announced).await.status, 413);
    assert_eq!(server.count(), 2);
    kit.stop().await;
}

#[tokio::test]
async fn a_client_that_waits_for_100_is_told_to_go_on_and_one_that_dawdles_is_given_up() {
    let routes = crate::recorder::routes(json!({ "preset": "realm" }));
    let pinned = Arc::new(OnceLock::new());
    let key = Arc::clone(&pinned);
    let server = Recorder::start(move |request| serve(request, &key)).await;
    let kit = crate::kit::gateway_before(server.address, move |config| {
        config.proxy.routes = routes;
        config.proxy.listen.body_timeout = std::time::Duration::from_millis(600);
    })
    .await;
    pinned.set(kit.pinned_key_pem.clone()).unwrap();
    let body = credentials(&kit.issuer.token("alice").sign());
    let head = format!(
        "POST /auth HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut client = kit.connect().await;
    client.write(head.as_bytes()).await;
    kit.within(client.read_until("100 Continue\r\n\r\n")).await;
    client.write(body.as_bytes()).await;
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 200);
    assert!(server.last().header("expect").is_none());

    // A byte now and then does not help: the whole body has one deadline.
    let mut client = kit.connect().await;
    client.write(head.as_bytes()).await;
    kit.within(client.read_until("100 Continue\r\n\r\n")).await;
    let answer = async {
        loop {
            let dawdling = tokio::time::timeout(std::time::Duration::from_millis(100), client.answer()).await;
            match dawdling {
                Ok(answer) => return answer.unwrap(),
                Err(_) => drop(client.try_write(b" ").await),
            }
        }
    };
    assert_eq!(kit.within(answer).await.status, 408);
    kit.assert_metric("syncgate_rejections_total", &[("reason", "body_timeout")], 1.0).await;
    assert_eq!(server.count(), 1);
    kit.stop().await;
}

#[tokio::test]
async fn an_authorization_beside_a_login_is_dropped() {
    let (server, kit) = world(json!({ "preset": "realm" })).await;
    let token = kit.issuer.token("alice").sign();
    let headers = format!("Content-Type: {JSON}\r\nAuthorization: Bearer {token}\r\nX-Realm-Access-Token: {token}\r\n");
    let answer = post_as(&kit, "/auth", &credentials(&token), &headers).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!server.last().contains(&token));
    kit.stop().await;
}
