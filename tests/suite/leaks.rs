//! Tokens on the wrong side: the client's never reaches the backend, the gateway's never the client, whatever holds them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{
    kit::{Answer, Kit, SOCKET_KEY, UPGRADE, send},
    recorder::{Recorder, Request, gateway_with, switch},
    zero::zero,
};

const PAGE: &str = "Origin: https://app.contoso.com";

/// Every place in which a backend that sees the token in its request might have it from.
fn places() -> Vec<(Value, &'static str)> {
    vec![
        (json!({ "query": "token" }), "GET /x?a=1&token={}&b=2"),
        (json!({ "cookie": "sid" }), "GET /x\nCookie: theme=dark; sid={}"),
        (json!({ "header": "x-contoso-auth" }), "GET /x\nX-Contoso-Auth: {}"),
        (json!({ "protocol": "list" }), "GET /x\nSec-WebSocket-Protocol: v1, bearer, {}"),
        (json!({ "protocol": "kubernetes" }), "GET /x\nSec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.{64}"),
        (json!({ "protocol": "zero" }), "GET /x\nSec-WebSocket-Protocol: {zero}"),
    ]
}

/// A request with the token where the braces are.
fn request(template: &str, token: &str) -> (String, Vec<String>) {
    let filled = template.replace("{64}", &URL_SAFE_NO_PAD.encode(token)).replace("{zero}", &zero(token)).replace("{}", token);
    let mut lines = filled.lines().map(str::to_owned);
    (lines.next().unwrap().trim_start_matches("GET ").to_owned(), lines.collect())
}

async fn sent(kit: &Kit, template: &str, token: &str, more: &[&str]) -> Answer {
    let (target, lines) = request(template, token);
    let lines: Vec<&str> = lines.iter().map(String::as_str).chain(more.iter().copied()).collect();
    send(kit, "GET", &target, &lines).await
}

/// The minted token in a request, wherever it is.
fn minted(request: &Request) -> String {
    let text = percent_encoding::percent_decode_str(&request.head).decode_utf8_lossy().into_owned();
    let mut texts = vec![text.clone()];
    for word in text.split(|letter: char| !letter.is_ascii_alphanumeric() && !"-_+/=".contains(letter)) {
        for engine in [&base64::engine::general_purpose::STANDARD, &base64::engine::general_purpose::URL_SAFE_NO_PAD] {
            texts.extend(engine.decode(word).ok().and_then(|bytes| String::from_utf8(bytes).ok()));
        }
    }
    let is_token = |word: &&str| word.starts_with("eyJ") && word.split('.').count() == 3;
    let words = texts.iter().flat_map(|text| text.split(|letter: char| !letter.is_ascii_alphanumeric() && !"-_.".contains(letter)));
    words.filter(is_token).max_by_key(|word| word.len()).expect("no token").to_owned()
}

/// Fails if the signature of a token is in a text, however it is encoded.
#[track_caller]
fn assert_without(text: &str, token: &str) {
    let signature = token.rsplit('.').next().unwrap();
    let mut text = text.to_owned();
    for _ in 0..4 {
        assert!(!text.contains(signature) && !text.contains(&URL_SAFE_NO_PAD.encode(token)), "{text}");
        for word in text.split(|letter: char| !letter.is_ascii_alphanumeric() && !"-_+/".contains(letter)) {
            let decoded = base64::engine::general_purpose::STANDARD_NO_PAD.decode(word).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&decoded).contains(signature), "{text}");
        }
        text = percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned();
    }
}

#[tokio::test]
async fn what_a_backend_sends_back_holds_no_token() {
    for (place, template) in places() {
        let (out, echoed) = tokio::sync::watch::channel(String::new());
        let recorder = Recorder::start(move |request| {
            let token = minted(request);
            let _ = out.send(token.clone());
            let spelled = token.replace('.', "%2E").replace('-', "%2d");
            let lines = [
                format!("Location: /x/?a=1&token={token}&b=2"),
                format!("Content-Location: /x/?token={spelled}"),
                format!("Refresh: 0; url=/x?token={token}"),
                format!("Link: </x?token={token}>; rel=next"),
                "Set-Cookie: theme=light".to_owned(),
                format!("Set-Cookie: sid={token}; Path=/"),
                format!("X-Debug: Bearer {token}"),
                format!("X-Session: {}", base64::engine::general_purpose::STANDARD.encode(format!("{{\"t\":\"{token}\"}}"))),
                format!("sec_websocket_protocol: bearer, {token}"),
                format!("Sec-WebSocket-Protocol: v1\r\nSec-WebSocket-Protocol: {token}"),
            ];
            let interim = format!("HTTP/1.1 103 Early Hints\r\nLink: </x?token={token}>\r\n\r\n");
            let head = format!("HTTP/1.1 302 Found {token}\r\n{}\r\nContent-Length: 0\r\n\r\n", lines.join("\r\n"));
            format!("{interim}{head}")
        })
        .await;
        let kit = gateway_with(
            &recorder,
            json!([{ "name": "a", "token": { "in": place }, "allowed_origins": ["https://app.contoso.com"] }]),
        )
        .await;
        let token = kit.issuer.token("alice").sign();
        let (target, lines) = request(template, &token);
        let mut client = kit.connect().await;
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        client
            .write(format!("GET {target} HTTP/1.1\r\nHost: gateway\r\n{lines}{PAGE}\r\nConnection: close\r\n\r\n").as_bytes())
            .await;
        let heard = String::from_utf8(kit.within(client.read_to_end()).await).unwrap();
        assert!(heard.contains("HTTP/1.1 103") && heard.contains("HTTP/1.1 302"), "{heard}");
        assert_without(&heard, &echoed.borrow());
        // What can do without stays.
        let heard = heard.to_lowercase();
        assert!(heard.contains("\r\nlocation: /x/?a=1&b=2\r\n"), "{heard}");
        assert!(heard.contains("\r\nset-cookie: theme=light\r\n"), "{heard}");
        kit.stop().await;
    }
}

#[tokio::test]
async fn no_line_of_a_switch_holds_a_token() {
    for (place, template) in places() {
        let recorder = Recorder::start(|request| {
            let token = minted(request);
            let offered = request.header("sec-websocket-protocol").unwrap_or("none").to_owned();
            let lines = [
                "Sec-WebSocket-Protocol: v1".to_owned(),
                format!("Sec-WebSocket-Protocol: bearer, {token}"),
                format!("Sec_WebSocket_Protocol: {offered}"),
                format!("Sec-WebSocket-Protocol: {offered} "),
                format!("X-Token: {token}"),
            ];
            switch(&request.head, &format!("{}\r\n", lines.join("\r\n")))
        })
        .await;
        let kit = gateway_with(
            &recorder,
            json!([{ "name": "a", "token": { "in": place }, "allowed_origins": ["https://app.contoso.com"] }]),
        )
        .await;
        let token = kit.issuer.token("alice").sign();
        let answer = sent(&kit, template, &token, &[UPGRADE, PAGE]).await;
        assert_eq!(answer.status, 101);
        assert_without(&answer.head, &minted(&recorder.last()));
        assert_eq!(answer.header("sec-websocket-protocol"), Some("v1"), "{}", answer.head);
        kit.stop().await;
    }
}

#[tokio::test]
async fn a_clients_token_reaches_the_backend_in_no_other_place_either() {
    let recorder = Recorder::silent().await;
    let routes = json!([
        { "name": "header", "path": "/header" },
        { "name": "query", "path": "/query", "token": { "in": { "query": "token" } } },
        { "name": "moved", "path": "/moved", "token": { "in": [{ "query": "token" }, { "cookie": "sid" }], "out": { "header": "authorization" } }, "allowed_origins": ["https://app.contoso.com"] },
    ]);
    let kit = gateway_with(&recorder, routes).await;
    let token = kit.issuer.token("alice").sign();
    for (target, credential) in [
        ("/header?x=1".to_owned(), format!("Authorization: Bearer {token}")),
        (format!("/query?token={token}&x=1"), "X-None: 1".to_owned()),
        (format!("/moved?token={token}&x=1"), "X-None: 1".to_owned()),
        ("/moved?x=1".to_owned(), format!("Cookie: sid={token}")),
    ] {
        let copies = [
            credential,
            format!("Referer: https://app.contoso.com/page?y=1&token={token}&z=%2F"),
            format!("Cookie: theme=dark; copy={token}; lang=de"),
            format!("X-Copy: {token}"),
            format!("X-Encoded: {}", base64::engine::general_purpose::STANDARD.encode(format!("xy{token}"))),
            format!("X-Copies: 1\r\nX-Copies: {token}"),
            format!("Sec-WebSocket-Protocol: v1, {token}"),
            format!("X-Spelled: {}", token.replace('.', "%252e").replace('_', "%5F")),
        ];
        let copies: Vec<&str> = copies.iter().map(String::as_str).collect();
        let target = format!("{target}&w={token}");
        assert_eq!(send(&kit, "GET", &target, &copies).await.status, 204, "{target}");
        let received = recorder.last();
        assert_without(&received.head, &token);
        assert!(received.target().ends_with("x=1"), "{}", received.target());
        assert_eq!(received.header("sec-websocket-protocol"), Some("v1"));
        let cookie = received.header("cookie").unwrap();
        assert_eq!(cookie, "theme=dark; lang=de");
        assert_eq!(received.header("referer"), Some("https://app.contoso.com/page?y=1&z=%2F"));
    }
    // A path without it would be another one.
    let answer = send(&kit, "GET", &format!("/header/{token}"), &[&format!("Authorization: Bearer {token}")]).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    kit.stop().await;
}

#[tokio::test]
async fn an_older_token_in_the_url_of_a_page_stays_there() {
    let recorder = Recorder::silent().await;
    let kit = gateway_with(&recorder, json!([{ "name": "a", "token": { "in": { "query": "token" } } }, { "name": "open", "path": "/open", "access": "public", "token": { "in": { "query": "token" } } }])).await;
    let token = kit.issuer.token("alice").sign();
    let old = kit.issuer.token("alice").expires_in(-3_600).sign();
    for target in [format!("/x?token={token}"), "/open".to_owned()] {
        let referer = format!("Referer: https://app.contoso.com/?%54oken={old}&y=1");
        assert_eq!(send(&kit, "GET", &target, &[&referer]).await.status, 204);
        let received = recorder.last();
        assert_without(&received.head, &old);
        assert_eq!(received.header("referer"), Some("https://app.contoso.com/?y=1"));
        let twice = [referer.as_str(), referer.as_str()];
        assert_eq!(send(&kit, "GET", &target, &twice).await.status, 204);
        assert_eq!(recorder.last().header("referer"), None);
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_websocket_may_be_one_of_several_protocols() {
    let recorder = Recorder::socket(|_| None).await;
    let kit = gateway_with(&recorder, json!([{ "name": "a" }])).await;
    let token = kit.issuer.token("alice").sign();
    let ask = async |upgrade: &str| {
        send(
            &kit,
            "GET",
            "/live",
            &["Connection: keep-alive, Upgrade", upgrade, SOCKET_KEY, &format!("Authorization: Bearer {token}")],
        )
        .await
    };
    for upgrade in [
        "Upgrade: websocket, h2c",
        "Upgrade: h2c,WebSocket",
        "Upgrade: websocket\r\nUpgrade: h2c",
        "Upgrade: h2c\r\nUpgrade: websocket",
        "Upgrade: ,\r\nUpgrade: , websocket ,",
    ] {
        assert_eq!(ask(upgrade).await.status, 101, "{upgrade}");
        assert_eq!(recorder.last().header("upgrade"), Some("websocket"), "asked for that alone");
        assert_eq!(recorder.last().header("connection"), Some("Upgrade"));
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_switch_that_was_not_asked_for_is_a_502() {
    let recorder = Recorder::start(|request| {
        let whole = switch(&request.head, "");
        let accept = whole.lines().find(|line| line.starts_with("Sec-WebSocket-Accept")).unwrap();
        match request.target() {
            "/h2c" => whole.replace("Upgrade: websocket", "Upgrade: h2c"),
            "/both" => whole.replace("Upgrade: websocket", "Upgrade: websocket, h2c"),
            "/without" => whole.replace("Upgrade: websocket\r\n", ""),
            "/connection" => whole.replace("Connection: Upgrade\r\n", "Connection: keep-alive\r\n"),
            "/unanswered" => whole.replace(&format!("{accept}\r\n"), ""),
            "/wrong" => whole.replace(accept, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            "/twice" => whole.replace(accept, &format!("{accept}\r\n{accept}")),
            _ => whole,
        }
    })
    .await;
    let kit = gateway_with(&recorder, json!([{ "name": "a" }])).await;
    let token = kit.issuer.token("alice").sign();
    let ask = async |target: &str| send(&kit, "GET", target, &[UPGRADE, &format!("Authorization: Bearer {token}")]).await.status;
    assert_eq!(ask("/").await, 101);
    let wrong = ["/h2c", "/both", "/without", "/connection", "/unanswered", "/wrong", "/twice"];
    for target in wrong {
        assert_eq!(ask(target).await, 502, "{target}");
    }
    kit.assert_metric("syncgate_upstream_errors_total", &[("kind", "malformed")], wrong.len() as f64).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_client_may_say_on_any_line_that_it_closes() {
    let recorder = Recorder::silent().await;
    let kit = gateway_with(&recorder, json!([{ "name": "a" }])).await;
    let token = kit.issuer.token("alice").sign();
    for lines in ["Connection: close", "Connection: keep-alive, close", "Connection: keep-alive\r\nConnection: x-none, Close"] {
        let mut client = kit.connect().await;
        client
            .write(format!("GET / HTTP/1.1\r\nHost: gateway\r\n{lines}\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes())
            .await;
        let heard = String::from_utf8(kit.within(client.read_to_end()).await).unwrap().to_lowercase();
        assert!(heard.starts_with("http/1.1 204") && heard.contains("connection: close"), "{lines}: {heard}");
    }
    kit.stop().await;
}
