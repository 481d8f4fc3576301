//! [`Mint`]: tokens of any number of users, made with a test issuer's private key.

use std::{
    io,
    ops::Range,
    thread,
    time::{Duration, SystemTime},
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use syncgate::signing::SigningKey;

use super::Trouble;

/// What the tokens say, in the format of Azure AD B2C.
pub struct Mint {
    pub key: SigningKey,
    /// Which of the issuer's keys it is.
    pub kid: String,
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// `exp` - `iat`.
    pub lifetime: Duration,
    /// Other claims, and others instead of those that B2C would have.
    pub claims: Map<String, Value>,
}

impl Mint {
    /// The tokens of the users with these numbers, made on all cores. RS256 takes about half a millisecond each, ES256 a twentieth.
    pub fn tokens(&self, kind: &str, users: Range<u64>) -> Result<Vec<String>, Trouble> {
        let cores = thread::available_parallelism().map_or(1, |cores| u64::try_from(cores.get()).unwrap_or(1));
        let each = (users.end - users.start).div_ceil(cores);
        let part = |core: u64| (users.start + core * each).min(users.end)..(users.start + (core + 1) * each).min(users.end);
        thread::scope(|scope| {
            let parts: Vec<_> = (0..cores)
                .map(part)
                .map(|part| scope.spawn(move || part.map(|user| self.token(&format!("{kind}-{user}"))).collect()))
                .collect();
            let parts = parts.into_iter().map(|part| part.join().map_err(|_| io::Error::other("a thread ended")));
            let parts: Result<Vec<Result<Vec<_>, _>>, _> = parts.collect();
            let parts: Result<Vec<_>, io::Error> = parts.and_then(|parts| parts.into_iter().collect());
            parts.map(|parts| parts.concat()).map_err(|error| Trouble::with("cannot sign tokens", error))
        })
    }

    /// A name for users that no other run has.
    pub fn new_kind() -> Result<String, Trouble> {
        let mut random = [0; 9];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| Trouble("no random numbers".into()))?;
        Ok(URL_SAFE_NO_PAD.encode(random))
    }

    fn token(&self, user: &str) -> io::Result<String> {
        let segment = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signer = self.key.signer();
        let header = json!({ "alg": format!("{:?}", signer.algorithm()), "kid": self.kid, "typ": "JWT" });
        let message = format!("{}.{}", segment(header), segment(self.payload(user)));
        let signature = signer.try_sign(message.as_bytes()).map_err(io::Error::other)?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn payload(&self, user: &str) -> Value {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let id = guid(&format!("{}/{user}", self.issuer));
        let mut payload = json!({
            "iss": self.issuer,
            "exp": now + self.lifetime.as_secs(),
            "nbf": now,
            "aud": self.audience,
            "oid": id,
            "sub": id,
            "given_name": user,
            "emails": [format!("{user}@contoso.example")],
            "tfp": "B2C_1_signin",
            "scp": "docs.read docs.write",
            "azp": "00000000-0000-4000-8000-0000000000cc",
            "ver": "1.0",
            "iat": now,
        });
        if let Value::Object(members) = &mut payload {
            members.extend(self.claims.clone());
        }
        payload
    }
}

/// A version 4 GUID in form, made of a name.
fn guid(name: &str) -> String {
    let hash = digest(&SHA256, name.as_bytes());
    let hex: String = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}
