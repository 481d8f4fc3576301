//! What users do: documents, feeds, WebSockets. And what the backend saw of it.

use futures_util::StreamExt;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    Unexpected,
    client::{Client, User},
    eventually, same,
};

pub(super) async fn documents(client: &Client<'_>, alice: &User) -> Result<(), Unexpected> {
    let note = json!({"text": "buy milk"});
    client.put("note", alice, &note).await?;
    same("the document", &note, &client.get("/docs/note", alice).await?["doc"])?;
    let listed = client.get("/docs", alice).await?;
    same("documents listed", Some(1), listed["documents"].as_array().map(Vec::len))
}

pub(super) async fn strangers(client: &Client<'_>, bob: &User) -> Result<(), Unexpected> {
    let answer = client.send("GET", "/docs/note", Some(&format!("Bearer {}", bob.token)), None).await?;
    same("status of GET /docs/note for Bob", StatusCode::NOT_FOUND, answer.status())
}

pub(super) async fn long_poll(client: &Client<'_>, alice: &User) -> Result<(), Unexpected> {
    let path = format!("/changes?feed=longpoll&since={}", last_change(client, alice).await?);
    let doc = json!({"from": "the laptop"});
    let change = async {
        arrives(client, &path).await?;
        client.put("polled", alice, &doc).await
    };
    let (answer, written) = tokio::join!(client.get(&path, alice), change);
    written?;
    same("the change", (&json!("polled"), &doc), named(&answer?["results"][0]))
}

pub(super) async fn continuous_feed(client: &Client<'_>, alice: &User) -> Result<(), Unexpected> {
    let path = format!("/changes?feed=continuous&heartbeat=50&since={}", last_change(client, alice).await?);
    let answer = client.send("GET", &path, Some(&format!("Bearer {}", alice.token)), None).await?;
    same("status of the feed", StatusCode::OK, answer.status())?;
    let mut feed = answer.bytes_stream();
    let broken = || Unexpected::new("a feed that goes on", "its end");
    let heartbeat = feed.next().await.ok_or_else(broken)??;
    same("the heartbeat of a quiet feed", "\n", &String::from_utf8_lossy(&heartbeat))?;

    let doc = json!({"from": "the tablet"});
    client.put("fed", alice, &doc).await?;
    let mut text = String::new();
    while !text.trim_start().contains('\n') {
        text.push_str(&String::from_utf8_lossy(&feed.next().await.ok_or_else(broken)??));
    }
    let change: Value = serde_json::from_str(text.trim()).map_err(|error| Unexpected::new("a line of JSON", error))?;
    same("the change", (&json!("fed"), &doc), named(&change))
}

pub(super) async fn sockets(client: &Client<'_>, alice: &User) -> Result<(), Unexpected> {
    let (mut phone, mut laptop) = (client.socket("/live", alice).await?, client.socket("/live", alice).await?);
    let doc = json!({"from": "an app without sockets"});
    client.put("pushed", alice, &doc).await?;
    same("the change on the phone", (&json!("pushed"), &doc), named(&phone.next().await?))?;
    same("the change on the laptop", (&json!("pushed"), &doc), named(&laptop.next().await?))?;

    let doc = json!({"from": "the phone"});
    phone.send(&json!({"id": "sent", "doc": doc})).await?;
    same("the phone's document on the laptop", (&json!("sent"), &doc), named(&laptop.next().await?))?;
    same("the phone's document over HTTP", &doc, &client.get("/docs/sent", alice).await?["doc"])?;
    phone.close().await?;
    laptop.close().await
}

/// Every request that reached the backend bore a token of the gateway, and nothing of the issuer's.
pub(super) async fn received(client: &Client<'_>, users: &[&User]) -> Result<(), Unexpected> {
    let world = client.world;
    same("the gateway's public key", Some(world.pinned_key_pem.clone()), world.gateway.public_key_pem())?;
    let received = world.backend.received();
    same("whether the backend was asked at all", false, received.is_empty())?;
    for request in &received {
        let what = format!("{} {}", request.method, request.target);
        let claims = request.token.as_ref().map_err(|problem| Unexpected::new(format_args!("{what}: a good token"), problem))?;
        same(&format!("{what}: whose userId"), true, users.iter().any(|user| user.id == claims.user_id()))?;
        let mut names: Vec<_> = claims.names().collect();
        names.sort_unstable();
        same(&format!("{what}: the claims"), vec!["exp", "iat", "userId"], names)?;
        for user in users {
            // The signature alone would be enough to use the rest of the token again.
            let signature = user.token.rsplit('.').next().unwrap_or(&user.token);
            same(&format!("{what}: whether it holds the client's token"), false, request.contains(signature))?;
        }
    }
    Ok(())
}

async fn last_change(client: &Client<'_>, user: &User) -> Result<u64, Unexpected> {
    let changes = client.get("/changes", user).await?;
    changes["last_seq"].as_u64().ok_or_else(|| Unexpected::new("a number in last_seq", &changes))
}

/// Waits until a request for this target has reached the backend.
async fn arrives(client: &Client<'_>, target: &str) -> Result<(), Unexpected> {
    let arrived = || client.world.backend.received().iter().any(|request| request.target == target);
    eventually(async || same("whether the request has arrived at the backend", true, arrived())).await
}

fn named(change: &Value) -> (&Value, &Value) {
    (&change["id"], &change["doc"])
}
