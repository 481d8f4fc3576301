use bytes::Bytes;
use serde_json::{Value, json};

use super::client::{Http2, connect, field, request, trusting, world};

#[tokio::test]
async fn requests_are_served_at_the_same_time_and_the_backend_gets_the_gateways_token() {
    let kit = world(|_| {}).await;
    let client = Http2::connect(&kit).await;
    let token = kit.issuer.token("alice").sign();
    let (answer, body) = kit.within(client.ask(request("GET", "/whoami", &token), "")).await.unwrap();
    assert_eq!(answer.status(), 200);
    let claims: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(claims["userId"], json!(kit.issuer.user_id("alice")), "{claims}");
    assert!(!field(answer.headers(), "date").is_empty());

    let users: Vec<_> = (0..50).map(|number| format!("user-{number}")).collect();
    let asking = users.iter().map(|user| {
        let (client, token) = (&client, kit.issuer.token(user).sign());
        async move { client.ask(request("GET", "/whoami", &token), "").await.unwrap().1 }
    });
    let answers = kit.within(futures_util::future::join_all(asking)).await;
    for (user, body) in users.iter().zip(answers) {
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["userId"], json!(kit.issuer.user_id(user)));
    }
    kit.stop().await;
}

#[tokio::test]
async fn bodies_go_both_ways() {
    let kit = world(|_| {}).await;
    let client = Http2::connect(&kit).await;
    let token = kit.issuer.token("alice").sign();
    for length in [1, 1_000, 64 * 1_024, 3_000_000] {
        let body = Bytes::from(vec![b'a'; length]);
        let mut asked = request("POST", "/echo-body", &token);
        asked.headers_mut().insert("content-type", "application/octet-stream".parse().unwrap());
        let mut requests = client.requests.clone().ready().await.unwrap();
        let (answer, mut sending) = requests.send_request(asked, false).unwrap();
        let sent = body.clone();
        let uploading = async move {
            let mut rest = sent;
            while !rest.is_empty() {
                sending.reserve_capacity(rest.len());
                let capacity = std::future::poll_fn(|task| sending.poll_capacity(task)).await.unwrap().unwrap();
                let part = rest.split_to(capacity.min(rest.len()));
                let is_last = rest.is_empty();
                sending.send_data(part, is_last).unwrap();
            }
        };
        let downloading = async {
            let answer = answer.await.unwrap();
            assert_eq!(answer.status(), 200);
            let mut incoming = answer.into_body();
            let mut whole = Vec::new();
            while let Some(piece) = incoming.data().await {
                let piece = piece.unwrap();
                incoming.flow_control().release_capacity(piece.len()).unwrap();
                whole.extend_from_slice(&piece);
            }
            whole
        };
        let (whole, ()) = kit.within(async { tokio::join!(downloading, uploading) }).await;
        assert_eq!(whole.len(), body.len());
        assert!(whole == body);
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_refusal_is_one_as_in_http_1() {
    let kit = world(|_| {}).await;
    let client = Http2::connect(&kit).await;
    let (answer, body) = kit.within(client.ask(request("GET", "/echo", "nonsense"), "")).await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(field(answer.headers(), "www-authenticate").starts_with("Bearer realm=\"syncgate\""));
    assert!(serde_json::from_slice::<Value>(&body).unwrap()["error"].is_string());
    kit.assert_metric("syncgate_requests_total", &[("code", "401"), ("source", "gateway")], 1.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_client_of_http_1_is_served_over_tls_too() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let kit = world(|_| {}).await;
    let token = kit.issuer.token("alice").sign();
    for protocols in [&[][..], &[&b"http/1.1"[..]]] {
        let mut stream = connect(kit.tls_address().unwrap(), trusting(&kit, protocols)).await;
        let asked = format!("GET /echo HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
        stream.write_all(asked.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        kit.within(stream.read_to_end(&mut answer)).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&answer));
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_refusal_of_grpc_is_in_its_own_fields_and_has_no_body() {
    let kit = world(|config| config.proxy.routes[0].path = "/notes.Notes".into()).await;
    let client = Http2::connect(&kit).await;
    let good = kit.issuer.token("alice").sign();
    for (token, path, status) in [("nonsense", "/notes.Notes/List", "16"), (good.as_str(), "/nowhere", "12")] {
        let mut asked = request("POST", path, token);
        asked.headers_mut().insert("content-type", "application/grpc+proto".parse().unwrap());
        let answer = kit.within(client.send(asked, "a message")).await.unwrap();
        assert_eq!((answer.status().as_u16(), field(answer.headers(), "grpc-status")), (200, status));
        assert_eq!(field(answer.headers(), "content-type"), "application/grpc");
        assert!(!field(answer.headers(), "grpc-message").is_empty());
        assert!(answer.body().is_end_stream());
    }
    // Whoever does not ask as gRPC is told as ever.
    let answer = kit.within(client.send(request("POST", "/nowhere", &good), "a message")).await.unwrap();
    assert_eq!((answer.status().as_u16(), field(answer.headers(), "grpc-status")), (404, ""));
    kit.assert_metric("syncgate_rejections_total", &[("reason", "no_route")], 2.0).await;
    kit.stop().await;
}
