use super::*;
use crate::jwks::test_keys::set;

const KEEP: Duration = Duration::from_secs(100);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_000 + seconds)
}

#[test]
fn a_new_store_has_nothing_to_say() {
    let store = KeyStore::new(1);
    assert!(!store.is_ready(at(0)));
    assert_eq!(store.load(at(0)).keys().len(), 0);
    assert_eq!(store.age(at(0)), None);
}

#[test]
fn the_generation_changes_with_the_set_and_with_nothing_else() {
    let store = KeyStore::new(1);
    let empty = store.generation(at(0));
    assert!(store.merge(0, &set(&[("a", 0)]), at(0), KEEP).changed);
    let one = store.generation(at(0));
    assert_ne!(one, empty);
    assert!(!store.merge(0, &set(&[("a", 0)]), at(10), KEEP).changed);
    assert_eq!(store.generation(at(10)), one);
    assert!(store.merge(0, &set(&[("b", 1)]), at(20), KEEP).changed);
    assert_ne!(store.generation(at(20)), one);
}

#[test]
fn a_key_ends_at_its_time_without_any_fetch() {
    let store = KeyStore::new(1);
    store.merge(0, &set(&[("a", 0)]), at(0), KEEP);
    store.merge(0, &set(&[("b", 1)]), at(50), KEEP);
    let before = store.generation(at(99));
    assert_eq!(store.load(at(99)).keys().len(), 2);
    assert_ne!(store.generation(at(100)), before);
    assert_eq!(store.load(at(100)).keys()[0].kid(), Some("b"));
    assert!(store.is_ready(at(149)));
    assert!(!store.is_ready(at(150)));
    assert_eq!(store.age(at(150)), Some(Duration::from_secs(100)));
}

#[test]
fn a_fetch_after_the_end_brings_the_keys_back() {
    let store = KeyStore::new(1);
    store.merge(0, &set(&[("a", 0)]), at(0), KEEP);
    assert!(!store.is_ready(at(500)));
    assert!(store.merge(0, &set(&[("a", 0)]), at(501), KEEP).changed);
    assert!(store.is_ready(at(501)));
}

#[test]
fn a_clock_that_jumps_forward_and_back_loses_no_key() {
    let store = KeyStore::new(1);
    store.merge(0, &set(&[("a", 0)]), at(0), KEEP);
    assert!(!store.is_ready(at(100_000)));
    assert!(store.is_ready(at(1)));
}

#[test]
fn of_several_sources_the_one_fetched_longest_ago_gives_the_age() {
    let store = KeyStore::new(2);
    store.merge(0, &set(&[("a", 0)]), at(0), KEEP);
    assert!(store.is_ready(at(1)));
    assert_eq!(store.age(at(1)), None);
    store.merge(1, &set(&[("b", 1)]), at(5), KEEP);
    store.merge(0, &set(&[("a", 0)]), at(9), KEEP);
    assert_eq!(store.age(at(10)), Some(Duration::from_secs(5)));
    assert_eq!(store.load(at(10)).keys().len(), 2);
}
