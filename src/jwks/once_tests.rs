use super::*;
use crate::{
    jwks::{
        KeySource,
        test_keys::{document, jwk},
        test_provider::{Answer, TestProvider, install_crypto},
    },
    token::Party,
};

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

fn kids(keys: &KeySet) -> Vec<&str> {
    keys.keys().iter().filter_map(|key| key.kid()).collect()
}

#[tokio::test]
async fn the_keys_of_all_sources_are_merged_and_failures_are_told() {
    install_crypto();
    let provider = TestProvider::start().await;
    let odd = serde_json::json!({ "keys": [jwk("b", 1), { "kid": "c", "kty": "oct", "k": "AA" }] });
    provider.set("/one", Answer::Body(document(&[("a", 0)])));
    provider.set("/two", Answer::Body(odd.to_string()));
    let sources = ["/one", "/two", "/three"].map(|path| KeySource::Jwks(provider.url("http", path)));
    let denying = JwksSettings { deny_kids: vec!["a".into()], ..JwksSettings::new(sources.to_vec()) };
    let fetched = fetch_once(&denying, NOW).await.unwrap();
    assert_eq!((kids(&fetched.keys), kids(&fetched.denied_keys), fetched.denied), (vec!["b"], vec!["a"], vec!["a".to_owned()]));
    let fetched = fetch_once(&JwksSettings::new(sources.to_vec()), NOW).await.unwrap();
    assert_eq!(kids(&fetched.keys), ["a", "b"]);
    assert_eq!(fetched.skipped, [SkippedKey { kid: Some("c".into()), reason: crate::token::SkipReason::Symmetric }]);
    let failure =
        format!("{}: responded with 404 Not Found; is the tenant or policy in the URL right?", provider.url("http", "/three"));
    assert_eq!(fetched.failures, [failure]);
}

#[tokio::test]
async fn a_key_knows_the_discovery_document_that_led_to_it() {
    install_crypto();
    let provider = TestProvider::start().await;
    for (path, issuer, keys) in [("/one", "https://one.contoso.com/", "/a"), ("/two", "https://two.contoso.com", "/b")] {
        let document = serde_json::json!({ "issuer": issuer, "jwks_uri": provider.url("http", keys) });
        provider.set(path, Answer::Body(document.to_string()));
    }
    provider.set("/a", Answer::Body(document(&[("a", 0), ("shared", 2)])));
    provider.set("/b", Answer::Body(document(&[("b", 1), ("shared", 2)])));
    provider.set("/c", Answer::Body(document(&[("c", 1)])));
    let sources = vec![
        KeySource::Discovery(provider.url("http", "/one")),
        KeySource::Discovery(provider.url("http", "/two")),
        KeySource::Jwks(provider.url("http", "/c")),
    ];
    let fetched = fetch_once(&JwksSettings::new(sources), NOW).await.unwrap();
    let mut found: Vec<_> = fetched.keys.keys().iter().map(|key| (key.kid().unwrap(), key.party().cloned())).collect();
    found.sort();
    let (one, two) = (Some(Party::of("https://one.contoso.com/")), Some(Party::of("https://two.contoso.com")));
    assert_eq!(found, [("a", one.clone()), ("b", two.clone()), ("c", None), ("shared", one), ("shared", two)]);
}

#[tokio::test]
async fn a_source_that_cannot_be_used_is_an_error() {
    install_crypto();
    let source = KeySource::Jwks("http://login.contoso.com/keys".into());
    let error = fetch_once(&JwksSettings::new(vec![source]), NOW).await.unwrap_err().to_string();
    assert_eq!(error, "http://login.contoso.com/keys is not https; plain http is accepted only on loopback");
}

#[test]
fn a_document_is_held_against_the_denied_keys_too() {
    let settings = JwksSettings { deny_kids: vec!["a".into()], ..JwksSettings::new(Vec::new()) };
    let document = crate::jwks::test_keys::set(&[("a", 0), ("b", 1)]);
    let known = FetchedKeys::of_document(&document, &settings, NOW);
    assert_eq!((kids(&known.keys), kids(&known.denied_keys), known.denied), (vec!["b"], vec!["a"], vec!["a".to_owned()]));
    let odd = KeySet::parse(br#"{"keys":[{"kid":"c","kty":"oct","k":"AA"}]}"#, &KeySetLimits::default());
    assert!(odd.is_err(), "no key can be used");
    let odd = serde_json::json!({ "keys": [jwk("b", 1), { "kid": "c", "kty": "oct", "k": "AA" }] }).to_string();
    let odd = KeySet::parse(odd.as_bytes(), &KeySetLimits::default()).unwrap();
    assert_eq!(FetchedKeys::of_document(&odd, &settings, NOW).skipped, odd.skipped());
}
