//! What browsers need: an answer to their preflights, refusals that a page can read, and sockets for known pages alone.

use serde_json::{Value, json};

use crate::{
    kit::{Answer, Kit, UPGRADE, send},
    recorder::{Recorder, gateway_with},
};

const ORIGIN: &str = "Origin: https://app.contoso.com";
const OTHER: &str = "Origin: https://evil.contoso.com";
const ASKS_PUT: &str = "Access-Control-Request-Method: PUT";
const ASKS_HEADERS: &str = "Access-Control-Request-Headers: authorization,content-type";

fn route(more: Value) -> Value {
    let mut route = json!({ "name": "a", "allowed_origins": ["https://app.contoso.com"] });
    route.as_object_mut().unwrap().append(more.clone().as_object_mut().unwrap());
    json!([route])
}

/// A gateway in front of an upstream with a CORS policy of its own.
async fn world(more: Value) -> (Recorder, Kit) {
    let recorder = Recorder::start(|_| {
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVary: Accept\r\nAccess-Control-Allow-Origin: https://upstream.contoso.com\r\n\r\nok".to_owned()
    })
    .await;
    let kit = gateway_with(&recorder, route(more)).await;
    (recorder, kit)
}

/// What a page of this origin may read of an answer.
fn readable(answer: &Answer) -> (Option<&str>, Option<&str>) {
    (answer.header("access-control-allow-origin"), answer.header("access-control-allow-credentials"))
}

const FOR_APP: (Option<&str>, Option<&str>) = (Some("https://app.contoso.com"), Some("true"));

#[tokio::test]
async fn a_preflight_is_answered_and_goes_no_further() {
    let (recorder, kit) = world(json!({ "cors": { "max_age": "5m" } })).await;
    let answer = send(&kit, "OPTIONS", "/db/doc?x=1", &[ORIGIN, ASKS_PUT, ASKS_HEADERS]).await;
    assert_eq!((answer.status, readable(&answer)), (204, FOR_APP), "{}", answer.text());
    assert_eq!(answer.header("access-control-allow-methods"), Some("PUT"));
    assert_eq!(answer.header("access-control-allow-headers"), Some("authorization,content-type"));
    assert_eq!(answer.header("access-control-max-age"), Some("300"));

    let refused = send(&kit, "OPTIONS", "/db/doc", &[OTHER, ASKS_PUT]).await;
    assert_eq!((refused.status, readable(&refused)), (403, (None, None)));
    kit.assert_metric("syncgate_rejections_total", &[("reason", "origin_not_allowed")], 1.0).await;
    assert_eq!(recorder.count(), 0);
    kit.stop().await;
}

#[tokio::test]
async fn an_options_request_that_is_no_preflight_needs_a_token() {
    for preflight in ["answer", "pass"] {
        let (recorder, kit) = world(json!({ "cors": { "preflight": preflight } })).await;
        for headers in [
            &[][..],
            &[ORIGIN],
            &[ASKS_PUT],
            &[ORIGIN, ASKS_PUT, "Authorization: Bearer a.b.c"],
            &[ORIGIN, ASKS_PUT, "Content-Length: 1\r\n\r\nx"],
            &[ORIGIN, ASKS_PUT, "Access-Control-Request-Method: GET"],
        ] {
            let answer = send(&kit, "OPTIONS", "/db", headers).await;
            assert_eq!(answer.status, 401, "{headers:?}: {}", answer.text());
        }
        assert_eq!(recorder.count(), 0);
        kit.stop().await;
    }
}

#[tokio::test]
async fn a_preflight_that_passes_brings_nothing_but_itself() {
    let (recorder, kit) =
        world(json!({ "cors": { "preflight": "pass" }, "token": { "in": [{ "query": "token" }, { "header": "authorization" }] } }))
            .await;
    let extra = ["Cookie: AuthSession=x", "X-HTTP-Method-Override: DELETE", "User-Agent: browser"];
    let headers = [&[ORIGIN, ASKS_PUT, ASKS_HEADERS][..], &extra].concat();
    let answer = send(&kit, "OPTIONS", "/db?token=secret&x=1", &headers).await;
    // The policy is the upstream's.
    assert_eq!((answer.status, readable(&answer)), (200, (Some("https://upstream.contoso.com"), None)));
    let received = recorder.last();
    assert_eq!((received.method(), received.target()), ("OPTIONS", "/db?x=1"));
    assert_eq!(received.header("access-control-request-headers"), Some("authorization,content-type"));
    assert_eq!(received.header("user-agent"), Some("browser"));
    assert!(received.header("cookie").is_none() && received.header("x-http-method-override").is_none(), "{received:?}");
    assert_eq!(send(&kit, "OPTIONS", "/db", &[OTHER, ASKS_PUT]).await.status, 403);
    assert_eq!(recorder.count(), 1);
    kit.stop().await;
}

#[tokio::test]
async fn the_answer_to_a_preflight_shows_nothing_but_its_header() {
    let head = "Access-Control-Allow-Methods: PUT\r\nAccess-Control-Allow-Origin: https://app.contoso.com\r\n";
    for (status, framed) in [
        ("200 OK", "Content-Length: 6\r\n{head}\r\nsecret"),
        ("200 OK", "Transfer-Encoding: chunked\r\n{head}\r\n6\r\nsecret\r\n0\r\n\r\n"),
        ("200 OK", "Connection: close\r\n{head}\r\nsecret"),
        ("404 Not Found", "Content-Length: 6\r\n{head}\r\nsecret"),
        ("204 No Content", "{head}\r\n"),
    ] {
        let answer = format!("HTTP/1.1 {status}\r\n{}", framed.replace("{head}", head));
        let recorder = Recorder::start(move |_| answer.clone()).await;
        let kit = gateway_with(&recorder, route(json!({ "cors": { "preflight": "pass" } }))).await;
        let mut client = kit.connect().await;
        // Twice on one connection, so that nothing of the first answer is taken for the second.
        for _ in 0..2 {
            client.write(format!("OPTIONS /db HTTP/1.1\r\nHost: gateway\r\n{ORIGIN}\r\n{ASKS_PUT}\r\n\r\n").as_bytes()).await;
            let answer = client.answer().await.unwrap();
            let text = answer.text();
            assert!(!text.contains("secret"), "{text}");
            assert_eq!(
                (answer.status.to_string().as_str(), answer.header("access-control-allow-methods")),
                (&status[..3], Some("PUT")),
                "{text}"
            );
        }
        assert_eq!(recorder.count(), 2, "{status} {framed}");
        // Whatever another request is answered stays whole.
        let token = format!("Authorization: Bearer {}", kit.issuer.token("alice").sign());
        let other = send(&kit, "OPTIONS", "/db", &[&token]).await;
        if framed.starts_with("Content-Length") {
            assert_eq!(other.body, b"secret", "{}", other.text());
        }
        kit.stop().await;
    }
}

#[tokio::test]
async fn a_page_can_read_why_it_is_refused() {
    for preflight in ["answer", "pass"] {
        let (_recorder, kit) = world(json!({ "cors": { "preflight": preflight } })).await;
        let refused = send(&kit, "GET", "/db", &[ORIGIN, "Authorization: Bearer a.b.c"]).await;
        assert_eq!((refused.status, readable(&refused)), (401, FOR_APP), "{}", refused.text());
        assert_eq!(refused.header("access-control-expose-headers"), Some("www-authenticate, retry-after"));
        assert_eq!(refused.header("vary"), Some("Origin"));
        let other = send(&kit, "GET", "/db", &[OTHER]).await;
        assert_eq!((other.status, readable(&other), other.header("vary")), (401, (None, None), Some("Origin")));
        kit.stop().await;
    }
    // Nobody listens there.
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    let routes = crate::recorder::routes(route(json!({ "cors": {} })));
    let kit = crate::kit::gateway_before(address, |config| config.proxy.routes = routes).await;
    let token = format!("Authorization: Bearer {}", kit.issuer.token("alice").sign());
    let failed = send(&kit, "GET", "/db", &[ORIGIN, &token]).await;
    assert_eq!((failed.status, readable(&failed)), (502, FOR_APP));
    kit.stop().await;
}

#[tokio::test]
async fn the_one_who_answers_preflights_says_who_may_read() {
    for (preflight, expected) in [("answer", FOR_APP), ("pass", (Some("https://upstream.contoso.com"), None))] {
        let (_recorder, kit) = world(json!({ "cors": { "preflight": preflight, "expose_headers": ["etag"] } })).await;
        let token = format!("Authorization: Bearer {}", kit.issuer.token("alice").sign());
        let answer = send(&kit, "GET", "/db", &[ORIGIN, &token]).await;
        assert_eq!((answer.status, readable(&answer)), (200, expected), "{preflight}");
        // An answer to a socket's upgrade that is no 101 takes another way.
        let answer = send(&kit, "GET", "/db", &[ORIGIN, &token, UPGRADE]).await;
        assert_eq!((answer.status, readable(&answer)), (200, expected), "{preflight}");
        kit.stop().await;
    }
}

#[tokio::test]
async fn every_page_may_read_without_credentials() {
    let (_recorder, kit) = world(json!({ "allowed_origins": "any", "cors": {} })).await;
    let answer = send(&kit, "OPTIONS", "/db", &[OTHER, ASKS_PUT]).await;
    assert_eq!((answer.status, readable(&answer)), (204, (Some("*"), None)));
    let refused = send(&kit, "GET", "/db", &[OTHER]).await;
    assert_eq!((refused.status, readable(&refused)), (401, (Some("*"), None)));
    kit.stop().await;
}

#[tokio::test]
async fn a_preflight_takes_the_route_of_the_request_to_come() {
    let recorder = Recorder::silent().await;
    let routes = json!([
        { "name": "read", "path": "/db", "methods": ["GET"], "allowed_origins": "any", "cors": {} },
        { "name": "write", "path": "/db", "methods": ["PUT"] },
    ]);
    let kit = gateway_with(&recorder, routes).await;
    assert_eq!(send(&kit, "OPTIONS", "/db", &[ORIGIN, "Access-Control-Request-Method: GET"]).await.status, 204);
    assert_eq!(send(&kit, "OPTIONS", "/db", &[ORIGIN, ASKS_PUT]).await.status, 404);
    assert_eq!(recorder.count(), 0);
    kit.stop().await;
}

#[tokio::test]
async fn a_browsers_socket_comes_from_a_known_page() {
    let recorder = Recorder::socket(|_| None).await;
    let kit = gateway_with(&recorder, route(json!({}))).await;
    let token = format!("Authorization: Bearer {}", kit.issuer.token("alice").sign());
    let refused = send(&kit, "GET", "/", &[&token, UPGRADE, OTHER]).await;
    assert_eq!(refused.status, 403);
    assert_eq!(recorder.count(), 0);
    // An app that is no browser names no page.
    for headers in [&[&token, UPGRADE, ORIGIN][..], &[&token, UPGRADE]] {
        assert_eq!(send(&kit, "GET", "/", headers).await.status, 101);
    }
    // Other requests are not asked: a browser keeps their answers from the page.
    assert_ne!(send(&kit, "GET", "/", &[OTHER]).await.status, 403);
    kit.stop().await;
}
