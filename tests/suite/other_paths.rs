//! Paths that a request names beside its target, at a server that acts on them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde_json::json;

use crate::{
    kit::Kit,
    recorder::{Recorder, Request, gateway_with},
};

type Files = Arc<Mutex<BTreeMap<String, String>>>;

/// What a WebDAV server does (RFC 4918 section 9), or CouchDB with a `Destination` that is relative.
fn act(files: &Files, request: &Request) -> &'static str {
    let mut files = files.lock().unwrap();
    let source = request.target().to_owned();
    match request.method() {
        "GET" if files.contains_key(&source) => return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "PUT" => drop(files.insert(source, request.body.clone())),
        "DELETE" => drop(files.remove(&source)),
        method @ ("COPY" | "MOVE") => {
            let destination = request.header("destination").unwrap();
            let destination = match destination.split_once("://") {
                Some((_, rest)) => format!("/{}", rest.split_once('/').unwrap().1),
                None if destination.starts_with('/') => destination.to_owned(),
                None => format!("{}/{destination}", source.rsplit_once('/').unwrap().0),
            };
            let content = if method == "MOVE" { files.remove(&source) } else { files.get(&source).cloned() };
            files.insert(destination, content.unwrap());
        }
        _ => return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    }
    "HTTP/1.1 204 No Content\r\n\r\n"
}

async fn server() -> (Recorder, Files) {
    let files: Files = Arc::default();
    for name in ["/public/evil.txt", "/admin/config.txt"] {
        files.lock().unwrap().insert(name.to_owned(), name.to_owned());
    }
    let own = Arc::clone(&files);
    (Recorder::start(move |request| act(&own, request).to_owned()).await, files)
}

async fn status(kit: &Kit, token: &str, method: &str, target: &str, destination: &str) -> u16 {
    let head = format!("{method} {target} HTTP/1.1\r\nHost: www.test\r\nDestination: {destination}\r\nOverwrite: T\r\n{token}");
    kit.raw(format!("{head}Content-Length: 0\r\n\r\n").as_bytes()).await.status
}

#[tokio::test]
async fn what_is_copied_or_moved_goes_nowhere_that_its_token_may_not_write() {
    let (recorder, files) = server().await;
    let kit = gateway_with(&recorder, json!([{ "name": "www" }, { "name": "admin", "path": "/admin", "roles": ["admin"] }])).await;
    let bearer = |token: String| format!("Authorization: Bearer {token}\r\n");
    let mallory = bearer(kit.issuer.token("mallory").sign());
    let admin = bearer(kit.issuer.token("alice").claim("roles", json!(["admin"])).sign());
    let before = files.lock().unwrap().clone();
    for destination in ["/admin/config.txt", "http://www.test/admin/new.txt", "../admin/x", "/%61dmin/x"] {
        for method in ["COPY", "MOVE", "copy"] {
            assert_eq!(status(&kit, &mallory, method, "/public/evil.txt", destination).await, 403, "{method} {destination}");
        }
    }
    assert_eq!(status(&kit, &mallory, "COPY", "/public/evil.txt", "http://other.test/x").await, 400);
    assert_eq!(status(&kit, &mallory, "COPY", "/admin/config.txt", "/public/x").await, 403);
    assert_eq!((recorder.count(), &before), (0, &*files.lock().unwrap()));

    assert_eq!(status(&kit, &mallory, "COPY", "/public/evil.txt", "/public/copy.txt").await, 204);
    assert_eq!(status(&kit, &mallory, "MOVE", "/public/copy.txt", "http://www.test/public/moved.txt").await, 204);
    assert_eq!(status(&kit, &admin, "COPY", "/public/evil.txt", "/admin/config.txt").await, 204);
    assert_eq!(recorder.last().header("destination"), Some("/admin/config.txt"));
    let files = files.lock().unwrap().clone();
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(names, ["/admin/config.txt", "/public/evil.txt", "/public/moved.txt"]);
    assert_eq!(files["/admin/config.txt"], "/public/evil.txt");
    kit.stop().await;
}

#[tokio::test]
async fn nothing_is_copied_from_a_public_path_to_where_no_route_or_a_protected_one_is() {
    let (recorder, _) = server().await;
    let public = json!({ "name": "open", "path": "/public", "access": "public" });
    let kit = gateway_with(&recorder, json!([public, { "name": "admin", "path": "/admin" }])).await;
    assert_eq!(status(&kit, "", "COPY", "/public/evil.txt", "/admin/config.txt").await, 401);
    assert_eq!(status(&kit, "", "MOVE", "/public/evil.txt", "/elsewhere").await, 400);
    assert_eq!(recorder.count(), 0);
    assert_eq!(status(&kit, "", "COPY", "/public/evil.txt", "new.txt").await, 204);
    kit.stop().await;
}

#[tokio::test]
async fn a_method_in_another_case_does_not_take_the_route_of_the_real_one() {
    let (recorder, _) = server().await;
    let read = json!({ "name": "read", "methods": ["GET"], "access": "public" });
    let kit = gateway_with(&recorder, json!([read, { "name": "write", "roles": ["admin"] }])).await;
    for method in ["get", "Get", "head", "POST", "pUT"] {
        assert_eq!(status(&kit, "", method, "/public/evil.txt", "x").await, 401, "{method}");
    }
    assert_eq!(recorder.count(), 0);
    assert_eq!(status(&kit, "", "GET", "/public/evil.txt", "x").await, 200);
    kit.stop().await;
}
