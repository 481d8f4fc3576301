//! What a peer must know to verify the gateway's token: issuer, audience, keys. And a token that none may accept.

use std::error::Error;

use aws_lc_rs::{encoding::AsDer as _, rsa::PublicKeyComponents};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::Value;
use syncgate::demo::{DemoIssuer, http_client};

use super::short_token::short;

/// The issuer of one token.
pub struct Issuer {
    pub name: String,
    pub audience: String,
    /// Its key set: JSON, RFC 7517.
    pub key_set: String,
    /// The key that signed the token: SubjectPublicKeyInfo in PEM.
    pub key_pem: String,
}

impl Issuer {
    /// Of a token in compact form and the key set of who made it.
    pub fn of(token: &str, key_set: String) -> Result<Self, Box<dyn Error>> {
        let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part));
        let mut json = || -> Result<Value, Box<dyn Error>> { Ok(serde_json::from_slice(&parts.next().ok_or("half a token")??)?) };
        let (header, claims) = (json()?, json()?);
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or("the token lacks iss or aud");
        let keys: Value = serde_json::from_str(&key_set)?;
        let mut keys = keys["keys"].as_array().into_iter().flatten();
        let key = keys.find(|key| key["kid"] == header["kid"]).ok_or("the issuer does not publish the token's key")?;
        Ok(Self { name: text(&claims["iss"])?, audience: text(&claims["aud"])?, key_pem: pem(key)?, key_set })
    }
}

/// A token that all accept, and its issuer.
pub fn issue() -> Result<(String, Issuer), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let issuer = DemoIssuer::start().await?;
        let token = short(issuer.token("alice")).sign();
        let key_set = http_client()?.get(issuer.keys_url()).send().await?.text().await?;
        let issuer = Issuer::of(&token, key_set)?;
        Ok((token, issuer))
    })
}

fn pem(jwk: &Value) -> Result<String, Box<dyn Error>> {
    let number = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap_or_default());
    let der = PublicKeyComponents { n: number("n")?, e: number("e")? }.as_der()?;
    let mut pem = "-----BEGIN PUBLIC KEY-----\n".to_owned();
    for line in STANDARD.encode(der.as_ref()).as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line)?);
        pem.push('\n');
    }
    pem.push_str("-----END PUBLIC KEY-----\n");
    Ok(pem)
}

/// The token with another signature of the same length.
pub fn forged(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap_or((token, ""));
    format!("{signed}.{}", signature.chars().rev().collect::<String>())
}
