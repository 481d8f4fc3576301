//! A token on its way through the core: legal at first, then bent by a test.

use jsonwebtoken::Algorithm;
use serde_json::{Map, Value, json};

use super::Row;
use crate::token::{
    BearerToken, Circumstances, Demands, Explanation, IssuerRule, IssuerSettings, KeySet, KeySetLimits, KeysAtHand, Party,
    Permission, PermissionSettings, Rejection, SkippedKey, TenantRule, Timestamp, TokenLimits, TrustedIssuer, UnverifiedToken,
    UserIdRule, Verdict, VerifiedToken,
    testing::{self, RSA, TestKey},
};

/// Now, in seconds. The tokens were issued a minute ago and expire in an hour.
pub(super) const NOW: i64 = 1_700_000_000;
pub(super) const KID: &str = "X5eXk4xyojNFum1kl2Ytv8dlNP4-c57dO6QGTVBwaNk";
pub(super) const TENANT: &str = "775527ff-9a37-4307-8b3d-cc311f58d925";
pub(super) const OTHER_TENANT: &str = "9bc40aaf-e150-4c30-bb3c-a8b3b677266e";
pub(super) const API: &str = "90c0fe63-bcf2-44d5-8fb7-b8bbc0b29dc6";
pub(super) const CLIENT: &str = "fabd2a77-8a0c-4f0a-9d54-5d4a5a0c3b5f";
pub(super) const USER: &str = "ab3ec3b2-a435-45e4-b93a-56a005e88bb7";

/// Everything that decides about a request.
pub(super) struct Attempt {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    raw_header: Option<String>,
    raw_payload: Option<String>,
    raw_token: Option<Vec<u8>>,
    key: &'static TestKey,
    algorithm: Algorithm,
    jwks: Vec<Value>,
    denied: Vec<Value>,
    /// Whose discovery document led to the keys.
    party: Option<&'static str>,
    rules: IssuerSettings,
    demands: PermissionSettings,
    nonce: Option<Vec<u8>>,
    now: Timestamp,
}

/// An access token of a B2C user flow.
pub(super) fn b2c() -> Attempt {
    let issuer = format!("https://contoso.b2clogin.com/{TENANT}/v2.0/");
    attempt(
        json!({
            "iss": issuer, "aud": API, "exp": NOW + 3600, "nbf": NOW - 60, "iat": NOW - 60, "oid": USER, "sub": USER,
            "tfp": "B2C_1_SignUpIn", "scp": "docs.read docs.write", "azp": CLIENT, "ver": "1.0", "given_name": "Chris",
        }),
        IssuerSettings {
            user_id: UserIdRule::Claims(vec!["oid".to_owned(), "sub".to_owned()]),
            ..IssuerSettings::new("contoso", IssuerRule::Exact(vec![issuer]), vec![API.to_owned()])
        },
    )
}

/// An access token of Entra, version 2, from an issuer for several tenants.
pub(super) fn entra() -> Attempt {
    let mut entra = attempt(
        json!({
            "iss": format!("https://login.microsoftonline.com/{TENANT}/v2.0"), "aud": API, "exp": NOW + 3600, "nbf": NOW - 60,
            "iat": NOW - 60, "oid": USER, "sub": "pairwise-AbC", "tid": TENANT, "scp": "docs.read", "roles": ["Writer"],
            "azp": CLIENT, "azpacr": "1", "ver": "2.0",
        }),
        IssuerSettings {
            issuer: IssuerRule::Template {
                patterns: vec!["https://login.microsoftonline.com/{tenantid}/v2.0".to_owned()],
                tenants: TenantRule::Only(vec![TENANT.to_owned()]),
            },
            user_id: UserIdRule::Template("{tid}_{oid}".to_owned()),
            cloud_instance: Some("microsoftonline.com".to_owned()),
            ..b2c().rules
        },
    );
    entra.jwks = vec![jwk_with(&[
        ("issuer", json!("https://login.microsoftonline.com/{tenantid}/v2.0")),
        ("cloud_instance_name", json!("microsoftonline.com")),
    ])];
    entra
}

/// The RSA key with more members.
pub(super) fn jwk_with(members: &[(&str, Value)]) -> Value {
    let mut jwk = RSA.jwk(KID);
    for (name, value) in members {
        jwk[*name] = value.clone();
    }
    jwk
}

fn attempt(claims: Value, rules: IssuerSettings) -> Attempt {
    let Value::Object(header) = json!({ "alg": "RS256", "typ": "JWT", "kid": KID }) else { unreachable!() };
    let Value::Object(claims) = claims else { unreachable!() };
    Attempt {
        header,
        claims,
        raw_header: None,
        raw_payload: None,
        raw_token: None,
        key: &RSA,
        algorithm: Algorithm::RS256,
        jwks: vec![RSA.jwk(KID)],
        denied: Vec::new(),
        party: None,
        rules,
        demands: PermissionSettings::default(),
        nonce: None,
        now: Timestamp::from_seconds(NOW),
    }
}

impl Attempt {
    pub(super) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        assert!(self.claims.remove(name).is_some(), "{name}");
        self
    }

    pub(super) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn without_header(mut self, name: &str) -> Self {
        assert!(self.header.remove(name).is_some(), "{name}");
        self
    }

    /// The header as text, whatever it says.
    pub(super) fn raw_header(mut self, text: impl Into<String>) -> Self {
        self.raw_header = Some(text.into());
        self
    }

    /// The payload as text, whatever it says.
    pub(super) fn raw_payload(mut self, text: impl Into<String>) -> Self {
        self.raw_payload = Some(text.into());
        self
    }

    /// The claims as text with more text before the closing brace.
    pub(super) fn appended(self, text: &str) -> Self {
        let claims = Value::Object(self.claims.clone()).to_string();
        let raw = format!("{},{text}}}", claims.trim_end_matches('}'));
        self.raw_payload(raw)
    }

    /// The finished token, changed.
    pub(super) fn token(mut self, change: impl FnOnce(String) -> String) -> Self {
        self.raw_token = Some(change(self.compact()).into_bytes());
        self
    }

    /// Bytes instead of a token.
    pub(super) fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.raw_token = Some(bytes.into());
        self
    }

    /// Signed by this key; the issuer's set is as it was.
    pub(super) fn signed_by(mut self, key: &'static TestKey, algorithm: Algorithm) -> Self {
        (self.key, self.algorithm) = (key, algorithm);
        self
    }

    /// The issuer's key set.
    pub(super) fn jwks(mut self, jwks: impl Into<Vec<Value>>) -> Self {
        self.jwks = jwks.into();
        self
    }

    pub(super) fn rule(mut self, change: impl FnOnce(&mut IssuerSettings)) -> Self {
        change(&mut self.rules);
        self
    }

    pub(super) fn demand(mut self, change: impl FnOnce(&mut PermissionSettings)) -> Self {
        change(&mut self.demands);
        self
    }

    /// The value of the header that the nonce rule names.
    pub(super) fn nonce(mut self, value: &str) -> Self {
        self.nonce = Some(value.as_bytes().to_vec());
        self
    }

    /// The keys come with the discovery document of this issuer, one of several.
    pub(super) fn published_by(mut self, issuer: &'static str) -> Self {
        self.party = Some(issuer);
        self.rule(|rules| rules.binds_keys = true)
    }

    /// The config denies all keys.
    pub(super) fn deny_keys(mut self) -> Self {
        self.denied = std::mem::take(&mut self.jwks);
        self
    }

    pub(super) fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    /// What the row asserts.
    pub(super) fn row(self, name: &'static str, expected: Rejection) -> Row {
        Row { name, outcome: self.run().map(drop), expected }
    }

    /// The way of every request, as the exchange and the edge walk it; what operators are told about it must be the same.
    pub(super) fn run(&self) -> Result<VerifiedToken, Rejection> {
        let bytes = self.bytes_sent();
        let outcome = self.walk(&bytes);
        let explanation = self.explain_bytes(&bytes, &[self.issuer()], None, &[]);
        let verdict = outcome.as_ref().map_or_else(|rejection| Verdict::Refused(*rejection), |_| Verdict::Accepted);
        assert_eq!(explanation.verdict(), verdict);
        outcome
    }

    fn bytes_sent(&self) -> Vec<u8> {
        self.raw_token.clone().unwrap_or_else(|| self.compact().into_bytes())
    }

    /// What an operator is told.
    pub(super) fn explain(&self) -> Explanation {
        self.explain_with(&[self.issuer()], None, &[])
    }

    /// The same, with other issuers, with a source of keys that is missing, or with keys that are skipped.
    pub(super) fn explain_with(&self, issuers: &[TrustedIssuer], missing: Option<&str>, skipped: &[SkippedKey]) -> Explanation {
        self.explain_bytes(&self.bytes_sent(), issuers, missing, skipped)
    }

    fn explain_bytes(&self, bytes: &[u8], issuers: &[TrustedIssuer], missing: Option<&str>, skipped: &[SkippedKey]) -> Explanation {
        let explanation = Explanation::of(
            bytes,
            &Circumstances {
                issuers,
                limits: &TokenLimits::default(),
                keys: KeysAtHand {
                    set: &self.keys(),
                    skipped,
                    denied: &["denied".to_owned()],
                    denied_keys: &set(&self.denied),
                    missing,
                },
                demands: Some(Demands { permission: &Permission::new(self.demands.clone()), nonce: self.nonce.as_deref() }),
                now: self.now,
            },
        );
        let signature = bytes.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
        for text in explanation.steps.iter().flat_map(|step| [&step.expected, &step.found]) {
            assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{text:?}");
            let shows = |part: &[u8]| text.as_bytes().windows(part.len()).any(|window| window == part);
            assert!(signature.len() < 20 || !shows(&signature[..20]), "{text} shows the signature");
        }
        explanation
    }

    fn walk(&self, bytes: &[u8]) -> Result<VerifiedToken, Rejection> {
        let bearer = BearerToken::parse(bytes, &TokenLimits::default())?;
        let token = UnverifiedToken::open(&bearer)?;
        let issuer = self.issuer();
        TrustedIssuer::choose([&issuer], &token)?;
        let verified = issuer.verify(&token, &self.keys(), self.now)?;
        assert!(issuer.would_pass(&token, self.now), "what is verified passes without its key too");
        Permission::new(self.demands.clone()).check(&verified, self.nonce.as_deref())?;
        Ok(verified)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// What [`TrustedIssuer::would_pass`] says of the token.
    pub(super) fn would_pass(&self) -> bool {
        self.opened(|token| self.issuer().would_pass(token, self.now))
    }

    /// Which of these issuers the token comes from.
    pub(super) fn choose(&self, issuers: &[TrustedIssuer]) -> Result<usize, Rejection> {
        self.opened(|token| TrustedIssuer::choose(issuers, token))
    }

    pub(super) fn issuer(&self) -> TrustedIssuer {
        TrustedIssuer::new(self.rules.clone())
    }

    pub(super) fn opened<T>(&self, read: impl FnOnce(&UnverifiedToken<'_>) -> T) -> T {
        let compact = self.compact();
        let bearer = BearerToken::parse(compact.as_bytes(), &TokenLimits::default()).unwrap();
        read(&UnverifiedToken::open(&bearer).unwrap())
    }

    /// The header and the payload as they are signed.
    pub(super) fn parts(&self) -> (String, String) {
        let header = self.raw_header.clone().unwrap_or_else(|| Value::Object(self.header.clone()).to_string());
        let payload = self.raw_payload.clone().unwrap_or_else(|| Value::Object(self.claims.clone()).to_string());
        (header, payload)
    }

    /// The token as it is sent.
    pub(super) fn compact(&self) -> String {
        let (header, payload) = self.parts();
        self.key.token(self.algorithm, &header, &payload)
    }

    fn keys(&self) -> KeySet {
        match self.party {
            Some(issuer) => {
                let document = serde_json::json!({ "keys": self.jwks }).to_string();
                KeySet::parse_of(document.as_bytes(), &KeySetLimits::default(), Some(&Party::of(issuer))).unwrap()
            }
            None => set(&self.jwks),
        }
    }
}

fn set(jwks: &[Value]) -> KeySet {
    if jwks.is_empty() { KeySet::default() } else { testing::key_set(jwks) }
}
