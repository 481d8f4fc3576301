//! What becomes of a header of HTTP/2 on its way to an upstream of HTTP/1.1.

use http::{HeaderValue, Request};
use serde_json::Value;

use super::client::{Http2, field, request, world};
use crate::kit::Kit;

/// The fields of a request that the backend has got, each as `name: value`.
async fn seen_by_backend(kit: &Kit, client: &Http2, request: Request<()>) -> (u16, Vec<String>) {
    let (answer, body) = kit.within(client.ask(request, "")).await.unwrap();
    let status = answer.status().as_u16();
    let seen: Value = serde_json::from_slice(&body).unwrap();
    let line = |field: &Value| format!("{}: {}", field[0].as_str().unwrap(), field[1].as_str().unwrap());
    (status, seen["headers"].as_array().map(|fields| fields.iter().map(line).collect()).unwrap_or_default())
}

#[tokio::test]
async fn the_authority_becomes_the_host_and_cookies_become_one_field() {
    let kit = world(|_| {}).await;
    let client = Http2::connect(&kit).await;
    let mut asked = request("GET", "/echo", &kit.issuer.token("alice").sign());
    for crumb in ["a=1", "b=2", "c=3"] {
        asked.headers_mut().append("cookie", HeaderValue::from_static(crumb));
    }
    asked.headers_mut().insert("te", HeaderValue::from_static("trailers"));
    let (status, seen) = seen_by_backend(&kit, &client, asked).await;
    assert_eq!(status, 200, "{seen:?}");
    let of = |name: &str| seen.iter().filter(|line| line.starts_with(&format!("{name}: "))).cloned().collect::<Vec<_>>();
    assert_eq!(of("host"), ["host: localhost"]);
    assert_eq!(of("x-forwarded-for"), ["x-forwarded-for: 127.0.0.1"]);
    assert_eq!(of("x-forwarded-proto"), ["x-forwarded-proto: https"]);
    assert_eq!(of("x-forwarded-ssl"), ["x-forwarded-ssl: on"]);
    assert_eq!(of("x-forwarded-host"), ["x-forwarded-host: localhost"]);
    assert_eq!(of("x-forwarded-port"), ["x-forwarded-port: 443"]);
    assert_eq!(of("cookie"), ["cookie: a=1; b=2; c=3"]);
    assert!(of("te").is_empty() && of("transfer-encoding").is_empty(), "{seen:?}");
    kit.stop().await;
}

#[tokio::test]
async fn what_http_1_would_read_in_another_way_is_refused() {
    let kit = world(|_| {}).await;
    let client = Http2::connect(&kit).await;
    let token = kit.issuer.token("alice").sign();
    let plain = || request("GET", "/echo", &token);
    let with = |name: &'static str, value: &'static str| {
        let mut asked = plain();
        asked.headers_mut().append(name, HeaderValue::from_static(value));
        asked
    };
    let at = |method: &str, uri: &str| {
        Request::builder().method(method).uri(uri).header("authorization", format!("Bearer {token}")).body(()).unwrap()
    };
    let cases = [
        (plain(), 200),
        (with("host", "localhost"), 200),
        (with("host", "contoso.com"), 400),
        (with("host", "LOCALHOST"), 400),
        (at("GET", "https://user@localhost/echo"), 400),
        (with("x-a", " blank before"), 400),
        (with("x-a", "blank behind\t"), 400),
        (with("authorization", "Bearer another"), 400),
        (with("content-length", "0"), 200),
        (at("TRACE", "https://localhost/echo"), 405),
    ];
    for (asked, expected) in cases {
        let shown = format!("{asked:?}");
        let (answer, body) = kit.within(client.ask(asked, "")).await.unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert_eq!(answer.status(), expected, "{shown}: {}", String::from_utf8_lossy(&body));
    }
    // The connection goes on.
    assert_eq!(kit.within(client.ask(plain(), "")).await.unwrap().0.status(), 200);
    kit.assert_metric("syncgate_unreadable_requests_total", &[("kind", "field")], 2.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_connect_is_refused() {
    let kit = world(|_| {}).await;
    let client = Http2::connect(&kit).await;
    let asked = Request::builder().method("CONNECT").uri("contoso.com:443").body(()).unwrap();
    let answer = kit.within(client.send(asked, "")).await.unwrap();
    assert_eq!(answer.status(), 405);
    kit.stop().await;
}

#[tokio::test]
async fn answers_without_a_body_end_with_their_header() {
    let kit = world(|_| {}).await;
    let client = Http2::connect(&kit).await;
    let token = kit.issuer.token("alice").sign();
    for (method, path, status) in
        [("HEAD", "/echo", 200), ("GET", "/status/204", 204), ("GET", "/status/304", 304), ("HEAD", "/nowhere", 404)]
    {
        let answer = kit.within(client.send(request(method, path, &token), "")).await.unwrap();
        assert_eq!(answer.status(), status, "{method} {path}");
        assert!(answer.headers().get("transfer-encoding").is_none() && answer.headers().get("connection").is_none());
        let mut body = answer.into_body();
        assert!(kit.within(body.data()).await.is_none(), "{method} {path}");
    }
    let answer = kit.within(client.send(request("HEAD", "/echo", "nonsense"), "")).await.unwrap();
    assert_eq!((answer.status().as_u16(), field(answer.headers(), "content-type")), (401, "application/json"));
    kit.stop().await;
}
