//! The issuer rotates its key while users are active.

use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::StatusCode;

use super::{Unexpected, client::Client, eventually, same};
use crate::demo::{DemoKey, issuer::Endpoint};

/// Fewer requests than this would show nothing.
const REQUESTS: u64 = 20;

/// Published first, used once the gateway had the time to fetch it: no request may fail meanwhile.
pub(super) async fn under_load(client: &Client<'_>) -> Result<(), Unexpected> {
    let issuer = &client.world.issuer;
    let old = issuer.signing_key();
    let done = AtomicBool::new(false);
    let rotation = async {
        let rotated = async {
            let new = issuer.announce().await.map_err(|error| Unexpected::new("a new key", error))?;
            eventually(async || same("syncgate_jwks_keys", 2.0, client.scrape().await?.sum("syncgate_jwks_keys", &[]))).await?;
            let used = issuer.rotate().await.map_err(|error| Unexpected::new("a rotation", error))?;
            same("the key that signs now", new.kid(), used.kid())?;
            accepted(client, &old).await?;
            accepted(client, &new).await
        };
        let outcome = rotated.await;
        done.store(true, Ordering::Relaxed);
        outcome
    };
    let (outcome, requests) = tokio::join!(rotation, work_until(client, &done));
    outcome?;
    same("whether the load was high enough", true, requests? >= REQUESTS)
}

/// The old key is taken out of the set. Tokens that it signed live on: Microsoft's own sets lose keys and get them back.
pub(super) async fn after_retirement(client: &Client<'_>) -> Result<(), Unexpected> {
    let issuer = &client.world.issuer;
    let old = issuer.published_keys().into_iter().find(|key| key.kid() != issuer.signing_key().kid());
    let old = old.ok_or_else(|| Unexpected::new("an old key in the set", "none"))?;
    issuer.retire();
    let fetches = issuer.fetches(Endpoint::Keys);
    // The second fetch begins when the first is done with.
    eventually(async || same("whether the key set was fetched twice", true, issuer.fetches(Endpoint::Keys) >= fetches + 2)).await?;
    accepted(client, &old).await
}

/// A token that the gateway has not seen yet, signed by this key.
async fn accepted(client: &Client<'_>, key: &DemoKey) -> Result<(), Unexpected> {
    let token = client.world.issuer.token("carol").claim("jti", unique()).header("kid", key.kid()).signed_by(key);
    let answer = client.send("GET", "/docs", Some(&format!("Bearer {}", token.sign())), None).await?;
    same("status for a valid token", StatusCode::OK, answer.status())
}

/// Requests with a known token and a new one in turn.
async fn work_until(client: &Client<'_>, done: &AtomicBool) -> Result<u64, Unexpected> {
    let known = client.log_in("alice").await?;
    let mut requests = 0;
    while requests < REQUESTS || !done.load(Ordering::Relaxed) {
        client.get("/docs", &known).await?;
        let fresh = client.world.issuer.token("bob").claim("jti", unique()).sign();
        let answer = client.send("GET", "/docs", Some(&format!("Bearer {fresh}")), None).await?;
        same("status for a valid token", StatusCode::OK, answer.status())?;
        requests += 2;
    }
    Ok(requests)
}

/// Two tokens of one second would otherwise be one.
fn unique() -> u64 {
    static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}
