//! [`TokenBuilder`]: any token, valid or hostile.

use std::time::SystemTime;

use aws_lc_rs::{
    digest, hmac,
    signature::{
        RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::State;
use crate::{demo::DemoKey, token::Timestamp};

/// A token in the making. Starts as a good B2C access token; each call changes one thing about it.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// let issuer = syncgate::demo::DemoIssuer::start().await?;
/// let expired = issuer.token("alice").expires_in(-120).sign();
/// let forged = issuer.token("alice").signed_by(&syncgate::demo::DemoKey::generate()?).sign();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "sign() makes the token"]
pub struct TokenBuilder {
    now: Timestamp,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    raw_header: Option<Vec<u8>>,
    raw_claims: Option<Vec<u8>>,
    signature: Signature,
}

#[derive(Clone, Debug)]
enum Signature {
    Rsa(DemoKey, &'static dyn RsaEncoding),
    Hmac(Vec<u8>),
    Bytes(Vec<u8>),
}

impl TokenBuilder {
    /// `exp`, in seconds from now; negative: it is past.
    pub fn expires_in(self, seconds: i64) -> Self {
        let expires = self.now.as_seconds().saturating_add(seconds);
        self.claim("exp", expires)
    }

    /// `nbf` and `iat`, in seconds from now; positive: the token is not valid yet.
    pub fn begins_in(self, seconds: i64) -> Self {
        let begins = self.now.as_seconds().saturating_add(seconds);
        self.claim("nbf", begins).claim("iat", begins)
    }

    /// `aud`.
    pub fn audience(self, audience: impl Into<Value>) -> Self {
        self.claim("aud", audience)
    }

    /// `iss`.
    pub fn issuer(self, issuer: impl Into<Value>) -> Self {
        self.claim("iss", issuer)
    }

    /// `scp`, separated by spaces.
    pub fn scope(self, scope: impl Into<Value>) -> Self {
        self.claim("scp", scope)
    }

    /// Any claim.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// Takes a claim out.
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Any header parameter.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.into(), value.into());
        self
    }

    /// Takes a header parameter out.
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// The header segment, before base64url: for duplicate members and what is not JSON at all.
    pub fn raw_header(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.raw_header = Some(text.into());
        self
    }

    /// The payload segment, before base64url.
    pub fn raw_claims(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.raw_claims = Some(text.into());
        self
    }

    /// Signs with another key, RS256. The header goes on naming the issuer's key: [`header`](Self::header) changes that.
    pub fn signed_by(mut self, key: &DemoKey) -> Self {
        self.signature = Signature::Rsa(key.clone(), &RSA_PKCS1_SHA256);
        self
    }

    /// RS384, RS512, PS256, PS384 or PS512 with the same key: signature and `alg`. Any other name changes `alg` alone.
    pub fn algorithm(mut self, name: &str) -> Self {
        let encoding: Option<&'static dyn RsaEncoding> = match name {
            "RS256" => Some(&RSA_PKCS1_SHA256),
            "RS384" => Some(&RSA_PKCS1_SHA384),
            "RS512" => Some(&RSA_PKCS1_SHA512),
            "PS256" => Some(&RSA_PSS_SHA256),
            "PS384" => Some(&RSA_PSS_SHA384),
            "PS512" => Some(&RSA_PSS_SHA512),
            _ => None,
        };
        if let (Some(encoding), Signature::Rsa(key, _)) = (encoding, &self.signature) {
            self.signature = Signature::Rsa(key.clone(), encoding);
        }
        self.header("alg", name)
    }

    /// HS256 with this secret: the confusion attack where it is a public key.
    pub fn hmac(mut self, secret: impl Into<Vec<u8>>) -> Self {
        self.signature = Signature::Hmac(secret.into());
        self.header("alg", "HS256")
    }

    /// `alg` none and an empty signature (RFC 7519 section 6).
    pub fn unsigned(self) -> Self {
        self.signature(Vec::new()).header("alg", "none")
    }

    /// These bytes as the signature, whatever they are.
    pub fn signature(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.signature = Signature::Bytes(bytes.into());
        self
    }

    /// What the signature covers: for a signature made elsewhere.
    pub fn signed_bytes(&self) -> String {
        let segment = |raw: &Option<Vec<u8>>, members: &Map<String, Value>| match raw {
            Some(bytes) => URL_SAFE_NO_PAD.encode(bytes),
            None => URL_SAFE_NO_PAD.encode(Value::Object(members.clone()).to_string()),
        };
        format!("{}.{}", segment(&self.raw_header, &self.header), segment(&self.raw_claims, &self.claims))
    }

    /// The token: a compact JWS (RFC 7515 section 7.1).
    pub fn sign(self) -> String {
        let message = self.signed_bytes();
        let signature = match self.signature {
            Signature::Rsa(key, encoding) => key.sign(encoding, message.as_bytes()),
            Signature::Hmac(secret) => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes()).as_ref().to_vec()
            }
            Signature::Bytes(bytes) => bytes,
        };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

impl State {
    /// The claims of a B2C access token.
    pub(super) fn token(&self, user: &str) -> TokenBuilder {
        let options = &self.options;
        let now = Timestamp::from(SystemTime::now());
        let signing = self.keys.load().signing.clone();
        let user_id = self.user_id(user);
        let claims = json!({
            "iss": self.issuer(),
            "exp": now.plus(options.token_lifetime).as_seconds(),
            "nbf": now.as_seconds(),
            "aud": options.audience,
            "oid": user_id,
            "sub": user_id,
            "given_name": user,
            "emails": [format!("{user}@{}.example", options.tenant)],
            "tfp": options.policy,
            "scp": options.scope,
            "azp": options.client,
            "ver": "1.0",
            "iat": now.as_seconds(),
        });
        let header = json!({"alg": "RS256", "kid": signing.kid(), "typ": "JWT"});
        TokenBuilder {
            now,
            header: members(header),
            claims: members(claims),
            raw_header: None,
            raw_claims: None,
            signature: Signature::Rsa(signing, &RSA_PKCS1_SHA256),
        }
    }

    /// A version 4 GUID in form, made of tenant and name, so that users need no store.
    pub(super) fn user_id(&self, user: &str) -> String {
        let hash = digest::digest(&digest::SHA256, format!("{}/{user}", self.options.tenant_id).as_bytes());
        let hex: String = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
    }
}

fn members(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
