//! What the gateway answers itself: tokens for those who go straight to the backend, and the key by which they are verified.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    Unexpected,
    client::{Client, User},
    eventually, same,
};
use crate::{
    demo::endpoints::{KEYS, MINT, TOKEN},
    token::Rejection,
};

/// The issuer's policy asks the gateway in the middle of a sign-in. Returns the token for the backend that the user's own carries.
pub(super) async fn sign_in(client: &Client<'_>) -> Result<String, Unexpected> {
    let before = minted(client).await?;
    let User { for_backend, .. } = client.log_in("alice").await?;
    same("tokens that the gateway has minted", before + 1.0, minted(client).await?)?;
    for_backend.ok_or_else(|| Unexpected::new("a token for the backend in Alice's own", "none"))
}

pub(super) async fn straight_to_the_backend(client: &Client<'_>, alice: &User, for_backend: &str) -> Result<(), Unexpected> {
    let seen = client.world.backend.received_count();
    let claims = client.get_at_backend("/whoami", for_backend).await?;
    same("the user", &json!(alice.id), &claims["userId"])?;
    same("the document", &json!({"text": "buy milk"}), &client.get_at_backend("/docs/note", for_backend).await?["doc"])?;
    same("requests the backend saw", seen + 2, client.world.backend.received_count())
}

/// Returns the token that came out of it.
pub(super) async fn exchange(client: &Client<'_>, alice: &User) -> Result<String, Unexpected> {
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", &alice.token),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    let answer = client.post_form(TOKEN, &form).await?;
    same(&format!("status of POST {TOKEN}"), StatusCode::OK, answer.status())?;
    let answer: Value = answer.json().await?;
    let token = answer["access_token"].as_str().ok_or_else(|| Unexpected::new("an access_token", &answer))?;
    same("the user", &json!(alice.id), &client.get_at_backend("/whoami", token).await?["userId"])?;
    Ok(token.to_owned())
}

pub(super) async fn key_set(client: &Client<'_>, token: &str) -> Result<(), Unexpected> {
    let answer = client.send("GET", KEYS, None, None).await?;
    same(&format!("status of GET {KEYS}"), StatusCode::OK, answer.status())?;
    let set: Value = answer.json().await?;
    let [key] = set["keys"].as_array().map(Vec::as_slice).unwrap_or_default() else {
        return Err(Unexpected::new("one key", &set));
    };
    let member = |name: &str| key[name].as_str().ok_or_else(|| Unexpected::new(format_args!("{name} in the key"), key));
    let no_key = |error| Unexpected::new("an RSA key", error);
    let key = DecodingKey::from_rsa_components(member("n")?, member("e")?).map_err(no_key)?;
    let mut rules = Validation::new(Algorithm::RS256);
    rules.validate_aud = false;
    let verified = decode::<Value>(token, &key, &rules);
    verified.map(drop).map_err(|error| Unexpected::new("a token that this key verifies", error))
}

/// Who may have tokens minted for any user must prove who it is.
pub(super) async fn strangers(client: &Client<'_>, alice: &User) -> Result<(), Unexpected> {
    let reason = [("reason", Rejection::CallerUnauthenticated.label())];
    let refused = async || Ok::<_, Unexpected>(client.scrape().await?.sum("syncgate_rejections_total", &reason));
    let (tokens, seen) = (minted(client).await?, client.world.backend.received_count());
    let own_token = format!("Bearer {}", alice.token);
    for credentials in [None, Some("Basic YjJjOmRlbW8="), Some(own_token.as_str())] {
        let before = refused().await?;
        let answer = client.send("POST", MINT, credentials, Some(&json!({"objectId": alice.id}))).await?;
        same(&format!("status of POST {MINT}"), StatusCode::UNAUTHORIZED, answer.status())?;
        let text = answer.text().await?;
        same("whether the answer holds a token", false, text.contains("eyJ"))?;
        eventually(async || same("syncgate_rejections_total with this reason", before + 1.0, refused().await?)).await?;
    }
    same("tokens that the gateway has minted", tokens, minted(client).await?)?;
    same("requests the backend saw", seen, client.world.backend.received_count())
}

async fn minted(client: &Client<'_>) -> Result<f64, Unexpected> {
    Ok(client.scrape().await?.sum("syncgate_exchange_duration_seconds_count", &[("stage", "mint")]))
}
