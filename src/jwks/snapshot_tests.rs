use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::{Value, json};

use super::*;
use crate::jwks::{
    JwksSettings,
    merge::Keep,
    test_keys::{document, set},
};

const KEEP: std::time::Duration = std::time::Duration::from_secs(3600);

fn places() -> Vec<String> {
    vec!["https://contoso.com/keys".to_owned(), "/etc/keys.json".to_owned()]
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_000 + seconds)
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("snapshot.json")
    }

    fn write(&self, content: &str, mode: u32) {
        fs::write(self.path(), content).unwrap();
        fs::set_permissions(self.path(), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self) -> Result<Option<Restored>, String> {
        load(&self.path(), &places()).map_err(|error| error.to_string())
    }
}

#[test]
fn what_is_saved_is_loaded_with_its_times_and_without_what_stands_in_files() {
    let folder = Folder::new();
    assert!(folder.load().unwrap().is_none(), "there is none yet");
    let store = KeyStore::for_sources(places(), &JwksSettings::new(Vec::new()), None, Arc::default());
    store.merge(0, &set(&[("a", 0), ("b", 1)]), at(0), Keep::For(KEEP));
    store.merge(0, &set(&[("b", 1)]), at(60), Keep::For(KEEP));
    store.merge(1, &set(&[("c", 2)]), at(60), Keep::WhileListed);
    store.discover(0, &"https://contoso.com/".into());
    save(&folder.path(), &store, &places()).unwrap();
    assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o7777, 0o600);

    let restored = folder.load().unwrap().unwrap();
    let keys: Vec<_> =
        restored.keys.iter().map(|(key, source, first, last)| (key.kid().unwrap(), *source, *first, *last)).collect();
    assert_eq!(keys, [("a", 0, at(0), at(0)), ("b", 0, at(0), at(60))]);
    assert_eq!(restored.issuers, [(0, "https://contoso.com/".into())]);
    assert_eq!(restored.left_out, 0);
    save(&folder.path(), &store, &places()).unwrap();
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_key_comes_back_with_whose_document_led_to_it() {
    let folder = Folder::new();
    let party = Party::of("https://contoso.com/");
    let fetched = KeySet::parse_of(document(&[("a", 0)]).as_bytes(), &KeySetLimits::default(), Some(&party)).unwrap();
    let store = KeyStore::for_sources(places(), &JwksSettings::new(Vec::new()), None, Arc::default());
    store.merge(0, &fetched, at(0), Keep::For(KEEP));
    save(&folder.path(), &store, &places()).unwrap();
    assert_eq!(folder.load().unwrap().unwrap().keys[0].0.party(), Some(&party));
}

#[test]
fn one_that_others_can_read_is_refused() {
    let folder = Folder::new();
    folder.write("{}", 0o644);
    assert!(folder.load().unwrap_err().contains("run `chmod 600"));
}

#[test]
fn hostile_content_costs_at_most_itself() {
    let folder = Folder::new();
    let good: Value = serde_json::from_str(&document(&[("a", 0)])).unwrap();
    let entry = |jwk: &Value| json!({ "source": "https://contoso.com/keys", "first_seen_ms": 1, "last_seen_ms": 2, "jwk": jwk });
    let good = entry(&good["keys"][0]);
    let odd = [
        json!(7),
        json!({}),
        entry(&json!({ "kty": "oct", "k": "AA" })),
        entry(&json!([])),
        json!({ "source": "https://fabrikam.com/keys", "first_seen_ms": 1, "last_seen_ms": 2, "jwk": good["jwk"] }),
        json!({ "source": "https://contoso.com/keys", "first_seen_ms": "1", "last_seen_ms": 2, "jwk": good["jwk"] }),
        json!({ "source": "https://contoso.com/keys", "first_seen_ms": 1, "last_seen_ms": 1e300, "jwk": good["jwk"] }),
    ];
    let keys: Vec<_> = odd.iter().chain([&good]).collect();
    folder.write(&json!({ "version": 1, "keys": keys }).to_string(), 0o600);
    let restored = folder.load().unwrap().unwrap();
    assert_eq!((restored.keys.len(), restored.left_out), (1, odd.len()));

    let many = vec![&good; 3 * MAX_KEYS];
    folder.write(&json!({ "version": 1, "keys": many }).to_string(), 0o600);
    let restored = folder.load().unwrap().unwrap();
    assert_eq!((restored.keys.len(), restored.left_out), (MAX_KEYS, 2 * MAX_KEYS));

    for content in ["", "[]", "{\"version\":1}", "{\"version\":2,\"keys\":[]}", "{\"version\":1,\"keys\":[", "\u{0}"] {
        folder.write(content, 0o600);
        assert!(folder.load().is_err(), "{content}");
    }
    folder.write(&" ".repeat(MAX_BYTES + 1), 0o600);
    assert!(folder.load().unwrap_err().contains("is longer than"));
}

#[test]
fn what_cannot_be_read_is_not_taken_for_a_first_start() {
    let folder = Folder::new();
    fs::write(folder.path(), "no folder").unwrap();
    assert!(load(&folder.path().join("snapshot.json"), &places()).is_err());
}

#[test]
fn a_snapshot_can_be_read_again_however_much_the_provider_publishes() {
    let folder = Folder::new();
    let store = KeyStore::for_sources(places(), &JwksSettings::new(Vec::new()), None, Arc::default());
    for merge in 0..12 {
        let padded = |number: usize| {
            let mut jwk: Value = serde_json::from_str(&document(&[(&format!("{merge}-{number}"), 0)])).unwrap();
            jwk["keys"][0]["padding"] = json!("x".repeat(15 * 1024));
            jwk["keys"][0].take()
        };
        let keys = json!({ "keys": (0..50).map(padded).collect::<Vec<_>>() }).to_string();
        let limits = KeySetLimits { bytes: 1024 * 1024, ..KeySetLimits::default() };
        store.merge(0, &KeySet::parse(keys.as_bytes(), &limits).unwrap(), at(0), Keep::For(KEEP));
    }
    save(&folder.path(), &store, &places()).unwrap();
    let restored = folder.load().unwrap().unwrap().keys.len();
    let most = MAX_BYTES / 2 / (15 * 1024);
    assert!((most - most / 10..=most).contains(&restored), "{restored} of {most}");
}
