//! What the fuzz targets share: issuers, their keys, and one private key to sign with.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a finding is a panic")]

pub mod answer;
pub mod forwarding;
#[path = "../../tests/oracle/mod.rs"]
mod oracle;
pub mod request_target;

use std::{sync::LazyLock, time::Duration};

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use syncgate::token::{
    BearerToken, Circumstances, Explanation, IssuerRule, IssuerSettings, KeySet, KeySetLimits, KeysAtHand, Rejection, TenantRule,
    Timestamp, TokenKinds, TokenLimits, TrustedIssuer, UnverifiedToken, UserIdRule, Verdict, VerifiedToken, algorithm_from_name,
};

/// When all tokens are verified. The genuine tokens among the seeds were issued a minute before and expire in an hour.
pub const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);
/// The audience of every issuer.
pub const AUDIENCE: &str = "90c0fe63-bcf2-44d5-8fb7-b8bbc0b29dc6";
/// The client that the issuers with a list of clients take.
pub const CLIENT: &str = "fabd2a77-8a0c-4f0a-9d54-5d4a5a0c3b5f";
/// Tolerated clock difference of every issuer.
pub const LEEWAY: Duration = Duration::from_secs(60);

/// The issuers: one like B2C with every list filled, one like Entra for a list of tenants, one like any provider.
pub static ISSUERS: LazyLock<[TrustedIssuer; 3]> = LazyLock::new(|| {
    let texts = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    let oidc = IssuerSettings {
        algorithms: ALGORITHMS.iter().filter_map(|name| algorithm_from_name(name)).collect(),
        kinds: TokenKinds { access: true, id: true, app_only: true },
        role_claim: "groups".into(),
        leeway: LEEWAY,
        max_lifetime: Some(Duration::from_secs(86_400)),
        kept_claims: texts(&["groups", "email_verified"]),
        client_ids: texts(&[CLIENT]),
        ..IssuerSettings::new("oidc", IssuerRule::Exact(texts(&["https://login.contoso.com/"])), texts(&[AUDIENCE]))
    };
    let b2c = IssuerSettings {
        name: "b2c".into(),
        issuer: IssuerRule::Exact(texts(&["https://contoso.b2clogin.com/775527ff-9a37-4307-8b3d-cc311f58d925/v2.0/"])),
        policies: texts(&["B2C_1_signin", "B2C_1A_signup_signin"]),
        authorized_parties: texts(&[CLIENT]),
        client_ids: Vec::new(),
        takes_sender_constrained: false,
        kinds: TokenKinds::default(),
        user_id: UserIdRule::Claims(texts(&["oid", "sub"])),
        role_claim: "roles".into(),
        max_lifetime: None,
        ..oidc.clone()
    };
    let entra = IssuerSettings {
        name: "entra".into(),
        issuer: IssuerRule::Template {
            patterns: texts(&["https://login.microsoftonline.com/{tenantid}/v2.0", "https://sts.windows.net/{tenantid}/"]),
            tenants: TenantRule::Only(texts(&["775527ff-9a37-4307-8b3d-cc311f58d925"])),
        },
        user_id: UserIdRule::Template("{tid}_{oid}".into()),
        client_ids: Vec::new(),
        takes_group_overage: false,
        role_claim: "roles".into(),
        cloud_instance: Some("microsoftonline.com".into()),
        ..oidc.clone()
    };
    [b2c, entra, oidc].map(TrustedIssuer::new)
});

/// The keys of every issuer: RSA, P-256 and the Ed25519 key that [`sign`] uses.
pub static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    KeySet::parse(include_bytes!("../keys.json"), &KeySetLimits::default()).expect("the keys of the fuzz targets")
});

const ALGORITHMS: [&str; 9] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// Verifies a token. What an operator is told about it must be the same, in printable text.
pub fn verify(token: &[u8]) -> Result<(&'static TrustedIssuer, VerifiedToken), Rejection> {
    let outcome = walk(token);
    let limits = TokenLimits::default();
    let denied_keys = KeySet::default();
    let keys = KeysAtHand { set: &KEYS, skipped: KEYS.skipped(), denied: &[], denied_keys: &denied_keys, missing: None };
    let around = Circumstances { issuers: &*ISSUERS, limits: &limits, keys, demands: None, now: NOW };
    let explanation = Explanation::of(token, &around);
    let verdict = outcome.as_ref().map_or_else(|rejection| Verdict::Refused(*rejection), |_| Verdict::Accepted);
    assert_eq!(explanation.verdict(), verdict);
    let mut texts = explanation.steps.iter().flat_map(|step| [&step.expected, &step.found]);
    assert!(texts.all(|text| text.bytes().all(|byte| matches!(byte, b' '..=b'~'))));
    outcome
}

/// The way of every request, as the exchange walks it.
fn walk(token: &[u8]) -> Result<(&'static TrustedIssuer, VerifiedToken), Rejection> {
    let bearer = BearerToken::parse(token, &TokenLimits::default())?;
    let token = UnverifiedToken::open(&bearer)?;
    let issuer = &ISSUERS[TrustedIssuer::choose(ISSUERS.iter(), &token)?];
    Ok((issuer, issuer.verify(&token, &KEYS, NOW)?))
}

/// A token with this header and payload, whatever they say, and an Ed25519 signature that holds.
pub fn sign(header: &[u8], payload: &[u8]) -> String {
    static KEY: LazyLock<Ed25519KeyPair> =
        LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed of 32 bytes"));
    let mut token = format!("{}.{}", base64url(header), base64url(payload));
    let signature = base64url(KEY.sign(token.as_bytes()).as_ref());
    token.push('.');
    token.push_str(&signature);
    token
}

/// Base64url without padding.
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
