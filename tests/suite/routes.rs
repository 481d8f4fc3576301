//! Which requests go where, and what goes with them on public routes.

use serde_json::json;

use crate::{
    kit::send,
    recorder::{Recorder, gateway_with},
};

#[tokio::test]
async fn what_no_route_takes_is_a_404_and_goes_nowhere() {
    let recorder = Recorder::silent().await;
    let kit = gateway_with(&recorder, json!([{ "name": "a", "path": "/db", "methods": ["GET"], "host": "gateway" }])).await;
    let token = format!("Authorization: Bearer {}", kit.issuer.token("alice").sign());
    assert_eq!(send(&kit, "GET", "/db/x", &[&token]).await.status, 204);
    for (method, target) in [("POST", "/db/x"), ("GET", "/dbx"), ("GET", "/")] {
        assert_eq!(send(&kit, method, target, &[&token, "Content-Length: 0"]).await.status, 404, "{method} {target}");
    }
    let other = format!("GET /db HTTP/1.1\r\nHost: other\r\n{token}\r\n\r\n");
    assert_eq!(kit.raw(other.as_bytes()).await.status, 404);
    assert_eq!(recorder.count(), 1);
    kit.stop().await;
}

#[tokio::test]
async fn a_route_for_a_host_cannot_be_got_round_by_another_spelling_of_it() {
    let recorder = Recorder::silent().await;
    let routes = json!([{ "name": "admin", "host": "admin.test" }, { "name": "www", "access": "public" }]);
    let kit = gateway_with(&recorder, routes).await;
    let ask = async |host: &str, header: &str| kit.raw(format!("GET /x HTTP/1.1\r\nHost: {host}\r\n{header}\r\n").as_bytes()).await;
    for host in ["admin.test", "ADMIN.test.", "admin.test:123456", "admin.test:", "admin.test.:80"] {
        assert_eq!(ask(host, "").await.status, 401, "{host}");
    }
    for host in [
        "admin.test:x",
        "admin.test:-1",
        "admin.test.:x",
        "admin.test..",
        "[admin.test]",
        "admin.test,x",
        "x,admin.test",
        "admin.test!",
    ] {
        assert_eq!(ask(host, "").await.status, 400, "{host}");
    }
    assert_eq!(recorder.count(), 0);
    for name in [
        "X-Forwarded-Host",
        "x_forwarded_host",
        "X.Forwarded.Host",
        "X-Host",
        "X-Original-Host",
        "X-HTTP-Host-Override",
        "X-Forwarded-Server",
    ] {
        assert_eq!(ask("www.test", &format!("{name}: admin.test\r\n")).await.status, 204, "{name}");
        assert!(!recorder.last().contains("admin.test"), "{name}");
    }
    assert_eq!(ask("www.test", "Forwarded: for=1.2.3.4;host=admin.test\r\n").await.status, 204);
    assert!(!recorder.last().contains("admin.test"));
    kit.stop().await;
}

#[tokio::test]
async fn no_header_names_another_method_or_path_to_the_backend() {
    let recorder = Recorder::silent().await;
    let kit = gateway_with(&recorder, json!([{ "name": "www", "access": "public" }])).await;
    for name in [
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "Script-Name",
        "SCRIPT_NAME",
        "Path-Info",
        "Daphne-Root-Path",
        "X-Script-Name",
        "X-Forwarded-Prefix",
        "X-Forwarded-Path",
        "X-Forwarded-Script-Name",
        "X-Forwarded-Uri",
        "X-Forwarded-Url",
        "X-Original-URI",
        "X-Original-URL",
        "X-Rewrite-URI",
        "X-Rewrite-URL",
        "X-Envoy-Original-Path",
        "X-CouchDB-Vhost-Path",
        "X-CouchDB-Requested-Path",
        "Request-URI",
        "Script-URL",
        "Redirect-URL",
    ] {
        for name in [name.to_owned(), name.to_uppercase(), name.replace('-', "_"), name.replace('-', ".")] {
            assert_eq!(send(&kit, "POST", "/x", &["Content-Length: 0", &format!("{name}: unwanted")]).await.status, 204, "{name}");
            assert!(!recorder.last().contains("unwanted"), "{name}");
        }
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_public_path_is_public_under_every_reading_or_not_at_all() {
    let recorder = Recorder::silent().await;
    let kit =
        gateway_with(&recorder, json!([{ "name": "default" }, { "name": "open", "path": "/public", "access": "public" }])).await;
    for path in ["/public", "/public/a/b", "/public/%C3%A9", "/public/a%20b"] {
        assert_eq!(send(&kit, "GET", path, &[]).await.status, 204, "{path}");
        assert_eq!(recorder.last().target(), path);
    }
    let count = recorder.count();
    for path in [
        "/public/../x",
        "/public/%2e%2e/x",
        "/public/%252e%252e/x",
        "/public/..%2fx",
        "/public/..;/x",
        "/public/\\..\\..\\x",
        "/public%5c..%5cx",
        "//public",
        "/PUBLIC",
        "/public;a",
        "/%70ublic",
        "/x",
    ] {
        assert_eq!(send(&kit, "GET", path, &[]).await.status, 401, "{path}");
    }
    assert_eq!(recorder.count(), count);
    kit.stop().await;
}

#[tokio::test]
async fn a_public_route_sends_on_no_credentials_unless_told_to() {
    let recorder = Recorder::silent().await;
    let places = json!({ "in": [{ "query": "token" }, { "cookie": "sid" }, { "header": "x-contoso-auth" }] });
    let kit = gateway_with(
        &recorder,
        json!([
            { "name": "open", "access": "public", "token": places },
            { "name": "passed", "path": "/passed", "access": "public", "pass_authorization": true, "token": places },
        ]),
    )
    .await;
    let headers = [
        "Authorization: Bearer theirs",
        "X-Contoso-Auth: theirs",
        "X_Contoso_Auth: theirs",
        "Cookie: sid=theirs; lang=de",
        "X-User-Id: theirs",
        "Accept: text/plain",
    ];
    assert_eq!(send(&kit, "GET", "/a?token=theirs&b=%20", &headers).await.status, 204);
    let received = recorder.last();
    assert!(!received.contains("theirs"), "{received:?}");
    assert_eq!((received.target(), received.header("cookie")), ("/a?b=%20", Some("lang=de")));
    assert_eq!(received.header("accept"), Some("text/plain"));

    assert_eq!(send(&kit, "GET", "/passed?token=theirs&b=%20", &headers).await.status, 204);
    let received = recorder.last();
    assert_eq!(received.target(), "/passed?token=theirs&b=%20");
    assert_eq!(received.header("authorization"), Some("Bearer theirs"));
    assert_eq!(received.header("cookie"), Some("sid=theirs; lang=de"));
    assert_eq!(received.header("x-contoso-auth"), Some("theirs"));
    assert!(received.header("x-user-id").is_none(), "{received:?}");
    kit.stop().await;
}

#[tokio::test]
async fn a_refusal_has_the_shape_that_the_backends_clients_understand() {
    let recorder = Recorder::silent().await;
    let kit = gateway_with(
        &recorder,
        json!([{ "name": "plain" }, { "preset": "couchdb", "path": "/db" }, { "preset": "couchdb", "name": "scoped", "path": "/scoped", "scopes": ["docs.admin"] }]),
    )
    .await;
    let bearer = |token: String| format!("Authorization: Bearer {token}");
    let expired = bearer(kit.issuer.token("alice").expires_in(-3_600).sign());
    let forged = bearer(kit.issuer.token("alice").signature([1; 256]).sign());
    let good = bearer(kit.issuer.token("alice").sign());
    for (target, token, status, error, reason) in [
        ("/", &expired, 401, "invalid_token", "error_description"),
        ("/db", &expired, 401, "token_expired", "reason"),
        ("/db", &forged, 401, "unauthorized", "reason"),
        ("/scoped", &good, 403, "forbidden", "reason"),
    ] {
        let answer = send(&kit, "GET", target, &[token]).await;
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status, &body["error"]), (status, &json!(error)), "{target}");
        assert!(body[reason].is_string() && answer.header("www-authenticate").is_some(), "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    assert_eq!(recorder.count(), 0);
    kit.stop().await;
}
