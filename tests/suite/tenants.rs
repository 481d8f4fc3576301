//! Entra's tenants, versions and clouds against the keys that may speak for them: every combination, by a rule that is written down here
//! and takes nothing from the code.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use syncgate::{
    config::Config,
    token::{BearerToken, KeySet, KeySetLimits, Rejection, Timestamp, TokenLimits, TrustedIssuer, UnverifiedToken},
};

const OURS: &str = "9c0c1f5e-0000-4000-8000-000000000000";
const THEIRS: &str = "0d5b0f2c-0000-4000-8000-000000000000";
/// The tenant of every personal account.
const PERSONAL: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
const TENANTS: [&str; 3] = [OURS, THEIRS, PERSONAL];
const API: &str = "00000000-0000-4000-8000-0000000000aa";
const NOW: i64 = 1_700_000_000;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Cloud {
    Public,
    UsGovernment,
    China,
}

const CLOUDS: [Cloud; 3] = [Cloud::Public, Cloud::UsGovernment, Cloud::China];

/// What `cloud_instance_name` says.
fn instance(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Public => "microsoftonline.com",
        Cloud::UsGovernment => "microsoftonline.us",
        Cloud::China => "partner.microsoftonline.cn",
    }
}

/// The `iss` of a tenant's tokens, as Microsoft writes it.
fn iss(cloud: Cloud, version: u8, tenant: &str) -> String {
    match (cloud, version) {
        (Cloud::Public | Cloud::UsGovernment, 1) => format!("https://sts.windows.net/{tenant}/"),
        (Cloud::China, 1) => format!("https://sts.chinacloudapi.cn/{tenant}/"),
        (Cloud::Public, _) => format!("https://login.microsoftonline.com/{tenant}/v2.0"),
        (Cloud::UsGovernment, _) => format!("https://login.microsoftonline.us/{tenant}/v2.0"),
        (Cloud::China, _) => format!("https://login.partner.microsoftonline.cn/{tenant}/v2.0"),
    }
}

/// A config and what it is meant to trust.
struct Case {
    yaml: String,
    cloud: Cloud,
    tenants: &'static [&'static str],
    versions: &'static [u8],
    /// Whether it is for many tenants: then `tid` alone tells them apart.
    many: bool,
}

fn cases() -> Vec<Case> {
    let us = format!("discovery: https://login.microsoftonline.us/{OURS}/v2.0/.well-known/openid-configuration");
    let china = format!("discovery: https://login.partner.microsoftonline.cn/{OURS}/v2.0/.well-known/openid-configuration");
    let public = format!("discovery: https://login.microsoftonline.com/{OURS}/v2.0/.well-known/openid-configuration");
    let file = "jwks_file: keys.json";
    let case = |yaml: &str, cloud, tenants, versions, many| Case { yaml: yaml.to_owned(), cloud, tenants, versions, many };
    let single = |yaml: &str, cloud, versions| case(yaml, cloud, &[OURS], versions, false);
    let listed = |cloud, keys: &str| {
        single(&format!("issuer: ['{}', '{}'], {keys}", iss(cloud, 2, OURS), iss(cloud, 1, OURS)), cloud, &[1, 2])
    };
    let alone = |cloud, version: &'static [u8], keys: &str| {
        single(&format!("issuer: '{}', {keys}", iss(cloud, version[0], OURS)), cloud, version)
    };
    let template = |cloud, version: &'static [u8], keys: &str| {
        let pattern = iss(cloud, version[0], "{tenantid}");
        case(&format!("issuer: '{pattern}', tenants: [{OURS}], user_id: '{{tid}}_{{oid}}', {keys}"), cloud, &[OURS], version, true)
    };
    vec![
        single(&format!("preset: entra, tenant: {OURS}"), Cloud::Public, &[1, 2]),
        single(&format!("preset: entra, tenant: {OURS}, {us}"), Cloud::UsGovernment, &[1, 2]),
        single(&format!("preset: entra, tenant: {OURS}, {china}"), Cloud::China, &[1, 2]),
        case(&format!("preset: entra, tenant: {PERSONAL}"), Cloud::Public, &[PERSONAL], &[1, 2], false),
        case(&format!("preset: entra, tenant: common, tenants: [{OURS}]"), Cloud::Public, &[OURS], &[1, 2], true),
        case(&format!("preset: entra, tenant: organizations, tenants: [{OURS}]"), Cloud::Public, &[OURS], &[1, 2], true),
        case(&format!("preset: entra, tenant: common, tenants: [{OURS}, {THEIRS}]"), Cloud::Public, &[OURS, THEIRS], &[1, 2], true),
        case(&format!("preset: entra, tenant: common, tenants: [{PERSONAL}]"), Cloud::Public, &[PERSONAL], &[1, 2], true),
        case("preset: entra, tenant: common, any_tenant: true", Cloud::Public, &TENANTS, &[1, 2], true),
        case(&format!("preset: entra, tenant: common, tenants: [{OURS}], {us}"), Cloud::UsGovernment, &[OURS], &[1, 2], true),
        listed(Cloud::Public, &public),
        listed(Cloud::Public, file),
        listed(Cloud::UsGovernment, &us),
        listed(Cloud::UsGovernment, file),
        listed(Cloud::China, file),
        alone(Cloud::Public, &[1], &public),
        alone(Cloud::Public, &[1], file),
        alone(Cloud::Public, &[2], file),
        alone(Cloud::UsGovernment, &[1], &us),
        alone(Cloud::UsGovernment, &[2], file),
        alone(Cloud::China, &[1], file),
        template(Cloud::Public, &[1], &public),
        template(Cloud::Public, &[2], file),
        template(Cloud::UsGovernment, &[1], &us),
        template(Cloud::China, &[1], file),
    ]
}

/// What a token says of where it comes from.
#[derive(Debug)]
struct Origin {
    iss: String,
    /// The tenant in it.
    tenant: &'static str,
    tid: Option<&'static str>,
}

fn origins() -> Vec<Origin> {
    let mut origins = Vec::new();
    for cloud in CLOUDS {
        for version in [1, 2] {
            for tenant in TENANTS {
                for tid in [Some(OURS), Some(THEIRS), Some(PERSONAL), None] {
                    origins.push(Origin { iss: iss(cloud, version, tenant), tenant, tid });
                }
            }
        }
    }
    origins
}

/// Whom a key is for.
#[derive(Clone, Copy, Debug)]
enum Bound {
    /// It names no issuer.
    Nobody,
    /// It has `{tenantid}` in its issuer.
    Template(Cloud),
    /// It has a tenant's GUID filled in.
    Tenant(Cloud, &'static str),
}

fn keys() -> Vec<(Bound, Option<Cloud>)> {
    let mut bounds = vec![Bound::Nobody];
    bounds.extend(CLOUDS.map(Bound::Template));
    bounds.extend(CLOUDS.iter().flat_map(|cloud| TENANTS.map(|tenant| Bound::Tenant(*cloud, tenant))));
    let named = |bound: &Bound| [None, Some(CLOUDS[0]), Some(CLOUDS[1]), Some(CLOUDS[2])].map(|cloud| (*bound, cloud));
    bounds.iter().flat_map(named).collect()
}

/// The rule. The config must trust the tenant and the version; the key must be of the config's cloud; and the tenant in the key's issuer,
/// in `iss` and in `tid` must be one and the same.
fn may_pass(case: &Case, origin: &Origin, (bound, instance): (Bound, Option<Cloud>)) -> bool {
    let one_tenant = origin.tid == Some(origin.tenant);
    let trusted = case.versions.iter().any(|version| iss(case.cloud, *version, origin.tenant) == origin.iss)
        && case.tenants.contains(&origin.tenant)
        && (one_tenant || !case.many);
    let speaks = match bound {
        Bound::Nobody => true,
        Bound::Template(cloud) => cloud == case.cloud && one_tenant,
        Bound::Tenant(cloud, tenant) => cloud == case.cloud && tenant == origin.tenant && one_tenant,
    };
    trusted && speaks && instance.is_none_or(|cloud| cloud == case.cloud)
}

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

fn token(origin: &Origin, audience: &str) -> String {
    let mut claims = json!({
        "iss": origin.iss, "aud": audience, "exp": NOW + 3600, "iat": NOW, "oid": "ab3ec3b2-a435-45e4-b93a-56a005e88bb7", "sub": "x",
        "scp": "docs.read",
    });
    if let Some(tid) = origin.tid {
        claims["tid"] = tid.into();
    }
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&json!({ "alg": "EdDSA", "typ": "JWT", "kid": "k" })), encode(&claims));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(pair().sign(signed.as_bytes())))
}

fn key_set((bound, named): (Bound, Option<Cloud>)) -> KeySet {
    let x = URL_SAFE_NO_PAD.encode(pair().public_key());
    let mut jwk = json!({ "kid": "k", "kty": "OKP", "crv": "Ed25519", "use": "sig", "x": x });
    match bound {
        Bound::Nobody => {}
        Bound::Template(cloud) => jwk["issuer"] = iss(cloud, 2, "{tenantid}").into(),
        Bound::Tenant(cloud, tenant) => jwk["issuer"] = iss(cloud, 2, tenant).into(),
    }
    if let Some(cloud) = named {
        jwk["cloud_instance_name"] = instance(cloud).into();
    }
    KeySet::parse(json!({ "keys": [jwk] }).to_string().as_bytes(), &KeySetLimits::default()).unwrap()
}

fn issuer(yaml: &str) -> TrustedIssuer {
    let config = format!(
        "issuers: [{{ {yaml}, audiences: ['{API}', 'api://{API}'], algorithms: [EdDSA] }}]\nsigning: {{ key_file: k.pem }}\n\
         upstream: {{ url: 'http://127.0.0.1:1' }}\n"
    );
    match Config::parse(&config, std::path::Path::new("/")) {
        Ok(loaded) => TrustedIssuer::new(loaded.config.issuers[0].rules.clone()),
        Err(findings) => panic!("{config}\n{findings:?}"),
    }
}

fn verify(issuer: &TrustedIssuer, token: &str, keys: &KeySet) -> Result<(), Rejection> {
    let bearer = BearerToken::parse(token.as_bytes(), &TokenLimits::default())?;
    let token = UnverifiedToken::open(&bearer)?;
    TrustedIssuer::choose([issuer], &token)?;
    issuer.verify(&token, keys, Timestamp::from_seconds(NOW)).map(drop)
}

#[test]
fn a_key_speaks_for_its_own_tenant_and_cloud_in_both_versions() {
    let tokens: Vec<_> = origins().into_iter().map(|origin| (token(&origin, API), origin)).collect();
    let sets: Vec<_> = keys().into_iter().map(|key| (key_set(key), key)).collect();
    let (mut accepted, mut refused) = (0, 0);
    for case in cases() {
        let issuer = issuer(&case.yaml);
        for (token, origin) in &tokens {
            for (set, key) in &sets {
                let outcome = verify(&issuer, token, set);
                let expected = may_pass(&case, origin, *key);
                assert_eq!(outcome.is_ok(), expected, "{} {origin:?} {key:?}: {outcome:?}", case.yaml);
                *if expected { &mut accepted } else { &mut refused } += 1;
            }
        }
    }
    assert!(accepted > 300 && refused > 50_000, "{accepted} {refused}");
}

/// The config of README for Entra, as a registration is by default: tokens of version 1, which name the API by its URI.
#[test]
fn a_default_registration_is_taken_by_its_id() {
    let config = format!(
        "issuers: [{{ preset: entra, tenant: {OURS}, audiences: [{API}], algorithms: [EdDSA] }}]\nsigning: {{ key_file: k.pem }}\n\
         upstream: {{ url: 'http://127.0.0.1:1' }}\n"
    );
    let loaded = Config::parse(&config, std::path::Path::new("/")).unwrap();
    let issuer = TrustedIssuer::new(loaded.config.issuers[0].rules.clone());
    let keys = key_set((Bound::Tenant(Cloud::Public, OURS), Some(Cloud::Public)));
    let version = |version| Origin { iss: iss(Cloud::Public, version, OURS), tenant: OURS, tid: Some(OURS) };
    assert_eq!(verify(&issuer, &token(&version(1), &format!("api://{API}")), &keys), Ok(()));
    assert_eq!(verify(&issuer, &token(&version(2), API), &keys), Ok(()));
    assert_eq!(verify(&issuer, &token(&version(1), &format!("api://{THEIRS}")), &keys), Err(Rejection::WrongAudience));
}
