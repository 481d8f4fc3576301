//! What an attacker tries: each attempt is refused for the right reason and never reaches the backend.

use super::{
    Unexpected,
    client::{Client, User},
    eventually, same,
};
use crate::{demo::DemoKey, token::Rejection};

/// One attempt.
pub(super) struct Refusal {
    pub(super) what: &'static str,
    authorization: Option<String>,
    reason: Rejection,
}

pub(super) fn all(client: &Client<'_>, alice: &User) -> Result<Vec<Refusal>, Unexpected> {
    let issuer = &client.world.issuer;
    let token = || issuer.token("alice");
    let bearer = |token: String| Some(format!("Bearer {token}"));
    let no_key = |error| Unexpected::new("a key", error);
    let forged = token().signed_by(&DemoKey::generate().map_err(no_key)?);
    let public_key = issuer.signing_key().public_key_pem().map_err(no_key)?;
    let refusal = |what, authorization, reason| Refusal { what, authorization, reason };
    Ok(vec![
        refusal("no token", None, Rejection::MissingToken),
        refusal("a password instead of a token", Some("Basic YWxpY2U6ZGVtbw==".into()), Rejection::MissingToken),
        refusal("something other than a JWT", bearer("rosebud".into()), Rejection::TokenMalformed),
        refusal("a token signed by another key", bearer(forged.sign()), Rejection::BadSignature),
        refusal("a token with another user in it", bearer(tampered(client, alice)), Rejection::BadSignature),
        refusal("a token without a signature (alg none)", bearer(token().unsigned().sign()), Rejection::TokenMalformed),
        refusal("alg none with a valid signature", bearer(token().algorithm("none").sign()), Rejection::AlgorithmNotAllowed),
        refusal("HS256 with the public key as the secret", bearer(token().hmac(public_key).sign()), Rejection::AlgorithmNotAllowed),
        refusal("an expired token", bearer(token().expires_in(-120).sign()), Rejection::Expired),
        refusal("a token that is not valid yet", bearer(token().begins_in(120).sign()), Rejection::NotYetValid),
        refusal("a token for another audience", bearer(token().audience("another-api").sign()), Rejection::WrongAudience),
        refusal("a token of another tenant", bearer(token().issuer(other_tenant(client)).sign()), Rejection::UnknownIssuer),
        refusal("a token of another policy", bearer(token().claim("tfp", "B2C_1_reset").sign()), Rejection::WrongPolicy),
        refusal("a token without a user", bearer(token().without("oid").without("sub").sign()), Rejection::UserIdMissing),
    ])
}

/// Alice's token with Bob's claims: her signature does not cover them.
fn tampered(client: &Client<'_>, alice: &User) -> String {
    let bobs = client.world.issuer.token("bob").signed_bytes();
    let signature = alice.token.rsplit('.').next().unwrap_or_default();
    format!("{bobs}.{signature}")
}

/// Microsoft's tenants share their keys, so that only `iss` tells them apart.
fn other_tenant(client: &Client<'_>) -> String {
    let issuer = &client.world.issuer;
    issuer.issuer().replace(&issuer.options().tenant_id, "00000000-0000-4000-8000-00000000dead")
}

impl Refusal {
    pub(super) async fn check(&self, client: &Client<'_>) -> Result<(), Unexpected> {
        let reason = [("reason", self.reason.label())];
        let rejections = async || Ok::<_, Unexpected>(client.scrape().await?.sum("syncgate_rejections_total", &reason));
        let (seen, counted) = (client.world.backend.received_count(), rejections().await?);

        let answer = client.send("GET", "/docs", self.authorization.as_deref(), None).await?;
        same("status", self.reason.status(), answer.status().as_u16())?;
        let challenge = answer.headers().get("www-authenticate").and_then(|value| value.to_str().ok()).unwrap_or("no challenge");
        same("whether WWW-Authenticate is a Bearer challenge", true, challenge.starts_with("Bearer realm="))?;
        let error = challenge.split_once("error=\"").and_then(|(_, rest)| rest.split('"').next());
        same("error in WWW-Authenticate", self.reason.error(), error)?;

        same("requests the backend saw", seen, client.world.backend.received_count())?;
        eventually(async || same("syncgate_rejections_total with this reason", counted + 1.0, rejections().await?)).await
    }
}
