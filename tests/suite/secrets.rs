//! Tokens in queries, and secrets of endpoints, reach no log: neither the gateway's own, nor what Pingora would write if somebody listened. (The access log is
//! that of a process: see `lifecycle`.)

use std::{
    io,
    sync::{LazyLock, Mutex, Once},
};

use serde_json::json;

use crate::{
    endpoints::{self, Desk, FORM, JSON, SECRET, basic, exchange, form},
    kit::{Kit, UPGRADE, gateway_before},
    recorder::{Recorder, gateway_with, routes},
};

/// Every line that any test has logged, by way of `log` or of `tracing`.
static LINES: LazyLock<Mutex<Vec<String>>> = LazyLock::new(Mutex::default);

struct Capture;

impl log::Log for Capture {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        LINES.lock().unwrap().push(format!("{} {}", record.target(), record.args()));
    }

    fn flush(&self) {}
}

impl io::Write for &Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap().push(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn listen_to_everything() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Capture).unwrap();
        log::set_max_level(log::LevelFilter::Info);
        tracing_subscriber::fmt().with_writer(|| &Capture).with_ansi(false).init();
    });
    log::warn!("a line of a library");
}

/// Sends a raw request; whatever the answer is, if there is one.
async fn send(kit: &Kit, target: &str, headers: &str) {
    let mut client = kit.connect().await;
    client.try_write(format!("GET {target} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n{headers}\r\n").as_bytes()).await;
    kit.within(client.read_to_end()).await;
}

#[tokio::test]
async fn a_token_in_a_query_reaches_no_log() {
    listen_to_everything();
    let upgrade = &*format!("{UPGRADE}\r\n");
    let recorder = Recorder::start(|request| match request.target() {
        target if target.contains("/broken") => "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\nx".to_owned(),
        target if target.contains("/garbage") => "no HTTP at all\r\nConnection: close\r\n\r\n".to_owned(),
        _ => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
    })
    .await;
    let kit = gateway_with(&recorder, json!({ "preset": "triplit" })).await;
    // An upstream that accepts nobody.
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let triplit = routes(json!({ "preset": "triplit" }));
    let down = gateway_before(nobody, move |config| config.proxy.routes = triplit).await;
    let mut sent = Vec::new();
    for kit in [&kit, &down] {
        let good = kit.issuer.token("alice").sign();
        let (expired, forged) =
            (kit.issuer.token("alice").expires_in(-3_600).sign(), kit.issuer.token("alice").signature([7; 256]).sign());
        for token in [&good, &expired, &forged] {
            for path in ["/fine", "/broken", "/garbage"] {
                for headers in ["", upgrade, "Bad Header\r\n"] {
                    send(kit, &format!("{path}?a=1&token={token}"), headers).await;
                }
                send(kit, &format!("http://gateway{path}?token={token}"), "").await;
            }
            send(kit, &format!("/twice?token={token}&token={token}"), "").await;
        }
        let mut client = kit.connect().await;
        client.write(format!("GET /early?token={good} HTTP/1.1\r\nHost: gat").as_bytes()).await;
        drop(client);
        sent.extend([good, expired, forged]);
    }
    kit.stop().await;
    down.stop().await;
    let lines = LINES.lock().unwrap().clone();
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert!(count("keys fetched") > 0, "the gateway is not heard: {lines:#?}");
    assert!(count("a line of a library") > 0, "libraries are not heard: {lines:#?}");
    // The claims of each token, which name its issuer, and its signature: other tests have others.
    for secret in sent.iter().flat_map(|token| token.split('.').skip(1)) {
        let found: Vec<_> = lines.iter().filter(|line| line.contains(secret)).collect();
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// Neither what clients and callers know, nor what is minted, nor a text that a caller chooses.
#[tokio::test]
async fn nothing_secret_of_an_endpoint_reaches_a_log() {
    listen_to_everything();
    let desk = Desk::start(json!({})).await;
    let (alice, caller) = (desk.kit.issuer.token("alice").sign(), desk.caller_token());
    let (good, forged) = (basic("b2c", SECRET), basic("b2c", &SECRET.replace('k', "j")));
    let mut sent = vec![alice.clone(), caller.clone(), good.clone(), forged.clone(), SECRET.to_owned()];
    let mut call = endpoints::claims();
    call["correlationId"] = json!("chosen\n by=the caller");
    for (path, headers, body) in [
        ("/token", vec![FORM], form(&exchange(&alice))),
        ("/token", vec![FORM], format!("{}&client_secret={SECRET}", form(&exchange(&alice)))),
        ("/clients/token", vec![FORM, ("Authorization", good.as_str())], form(&exchange(&alice))),
        ("/mint/policy", vec![JSON, ("Authorization", good.as_str())], call.to_string()),
        ("/mint/policy", vec![JSON, ("Authorization", forged.as_str())], call.to_string()),
        ("/mint/flow", vec![JSON, ("x-api-key", SECRET)], "[]".to_owned()),
        ("/mint/entra", vec![JSON, ("Authorization", &*format!("Bearer {caller}"))], endpoints::event().to_string()),
    ] {
        let answer = desk.post(path, &headers, &body).await;
        let minted = answer.text().split('"').filter(|text| text.starts_with("eyJ")).map(str::to_owned).collect::<Vec<_>>();
        sent.extend(minted);
    }
    assert!(sent.len() > 6, "something was minted");
    desk.stop().await;
    let lines = LINES.lock().unwrap().clone();
    assert!(lines.iter().any(|line| line.contains("a sign-in requested a user's token")), "{lines:#?}");
    for secret in
        sent.iter().flat_map(|token| token.split(['.', ' ']).filter(|part| part.len() > 30 && !part.starts_with("eyJhbGciOi")))
    {
        let found: Vec<_> = lines.iter().filter(|line| line.contains(secret)).collect();
        assert!(found.is_empty(), "{found:#?}");
    }
    assert!(!lines.iter().any(|line| line.contains("by=the caller")));
}
