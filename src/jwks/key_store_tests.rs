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
    assert!(store.publish(0, &set(&[("a", 0)]), at(0), KEEP).changed);
    let one = store.generation(at(0));
    assert_ne!(one, empty);
    assert!(!store.publish(0, &set(&[("a", 0)]), at(10), KEEP).changed);
    assert_eq!(store.generation(at(10)), one);
    assert!(store.publish(0, &set(&[("b", 1)]), at(20), KEEP).changed);
    assert_ne!(store.generation(at(20)), one);
}

#[test]
fn a_key_ends_at_its_time_without_any_fetch() {
    let store = KeyStore::new(1);
    store.publish(0, &set(&[("a", 0)]), at(0), KEEP);
    store.publish(0, &set(&[("b", 1)]), at(50), KEEP);
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
    store.publish(0, &set(&[("a", 0)]), at(0), KEEP);
    assert!(!store.is_ready(at(500)));
    assert!(store.publish(0, &set(&[("a", 0)]), at(501), KEEP).changed);
    assert!(store.is_ready(at(501)));
}

#[test]
fn a_clock_that_jumps_forward_and_back_loses_no_key() {
    let store = KeyStore::new(1);
    store.publish(0, &set(&[("a", 0)]), at(0), KEEP);
    assert!(!store.is_ready(at(100_000)));
    assert!(store.is_ready(at(1)));
}

#[test]
fn of_several_sources_the_one_fetched_longest_ago_gives_the_age() {
    let store = KeyStore::new(2);
    store.publish(0, &set(&[("a", 0)]), at(0), KEEP);
    assert!(store.is_ready(at(1)));
    assert_eq!(store.age(at(1)), None);
    store.publish(1, &set(&[("b", 1)]), at(5), KEEP);
    store.publish(0, &set(&[("a", 0)]), at(9), KEEP);
    assert_eq!(store.age(at(10)), Some(Duration::from_secs(5)));
    assert_eq!(store.load(at(10)).keys().len(), 2);
}

#[test]
fn a_purged_key_is_gone_at_once_and_stays_gone() {
    let store = KeyStore::new(1);
    store.publish(0, &set(&[("a", 0), ("b", 1)]), at(0), KEEP);
    let before = store.generation(at(1));
    assert_eq!(store.purge("a", at(1)), Some(1));
    assert_ne!(store.generation(at(1)), before);
    assert_eq!(store.load(at(1)).keys()[0].kid(), Some("b"));
    assert_eq!(store.purge("a", at(1)), Some(0));
    store.publish(0, &set(&[("a", 0), ("b", 1)]), at(2), KEEP);
    assert_eq!(store.load(at(2)).keys().len(), 1);
    assert!(store.denies("a") && !store.denies("b"));
    assert_eq!(store.view(at(2)).purged, ["a"]);
}

#[test]
fn the_list_of_purged_keys_is_bounded() {
    let store = KeyStore::new(1);
    let purged = (0..10_000).filter(|number| store.purge(&number.to_string(), at(0)).is_some()).count();
    assert_eq!((purged, store.view(at(0)).purged.len()), (256, 256));
}

#[test]
fn a_key_counts_as_absent_once_every_source_was_asked_late_enough() {
    let store = KeyStore::new(2);
    let absent = |kid, since| store.was_answered_without(Some(kid), at(since), at(1_000));
    store.publish(0, &set(&[("a", 0)]), at(10), KEEP);
    assert!(!absent("x", 0), "the second source was never asked");
    store.publish(1, &set(&[("b", 1)]), at(20), KEEP);
    assert!(absent("x", 10));
    assert!(!absent("x", 11), "the first source was asked before");
    assert!(!absent("a", 0) && !absent("b", 0));
    // Its time is over, but the provider did not withdraw it.
    assert_eq!(store.load(at(500)).keys().len(), 0);
    assert!(!absent("a", 0));
}

#[test]
fn what_a_clock_that_was_ahead_asked_proves_nothing_and_the_next_answer_counts() {
    let store = KeyStore::new(1);
    store.publish(0, &set(&[("a", 0)]), at(3_000), KEEP);
    // A request that waited for the answer began a little before it.
    assert!(store.was_answered_without(Some("x"), at(2_990), at(2_995)));
    assert!(!store.was_answered_without(Some("x"), at(0), at(10)), "the clock was set back: it may have been asked before");
    store.publish(0, &set(&[("a", 0), ("b", 1)]), at(20), KEEP);
    assert!(store.was_answered_without(Some("x"), at(15), at(21)));
    assert!(!store.was_answered_without(Some("b"), at(15), at(21)));
    assert_eq!(store.last_success(), Some(at(20)));
}

#[test]
fn a_key_lives_no_longer_for_a_clock_that_was_ahead() {
    let store = KeyStore::new(1);
    let year = 365 * 86_400;
    store.publish(0, &set(&[("a", 0), ("b", 1)]), at(year), KEEP);
    // The provider withdraws one of them.
    store.publish(0, &set(&[("b", 1)]), at(10), KEEP);
    store.publish(0, &set(&[("b", 1)]), at(90), KEEP);
    assert_eq!(store.load(at(109)).keys().len(), 2);
    assert_eq!((store.load(at(110)).keys().len(), store.load(at(110)).keys()[0].kid()), (1, Some("b")));
    assert!(!store.is_ready(at(190)));
}

#[test]
fn what_is_purged_is_purged_of_every_store_of_the_issuer_whichever_was_asked() {
    let (purges, settings) = (Arc::<Purges>::default(), JwksSettings::new(Vec::new()));
    let store = || {
        let store = Arc::new(KeyStore::for_sources(vec!["0".into()], &settings, None, Arc::clone(&purges)));
        purges.bind(&store, at(0));
        store.publish(0, &set(&[("a", 0), ("b", 1), ("c", 2)]), at(0), KEEP);
        store
    };
    let kids = |store: &KeyStore| store.load(at(1)).keys().iter().map(|key| key.kid().unwrap_or("-")).collect::<String>();
    let (old, new) = (store(), store());
    old.purge("a", at(1));
    new.purge("b", at(1));
    assert_eq!((kids(&old), kids(&new)), ("c".to_owned(), "c".to_owned()));
    // An issuer that left the config, and came back.
    drop((old, new));
    assert_eq!(kids(&store()), "c");
}

#[test]
fn a_purged_key_is_denied_of_every_issuer_and_its_name_of_its_own() {
    let (purges, settings) = (Arc::<Purges>::default(), JwksSettings::new(Vec::new()));
    let store = |purges: &Arc<Purges>| {
        let store = Arc::new(KeyStore::for_sources(vec!["x".into()], &settings, None, Arc::clone(purges)));
        purges.bind(&store, at(0));
        store
    };
    let other = Arc::new(purges.of_another());
    let (first, second) = (store(&purges), store(&other));
    first.publish(0, &set(&[("a", 0), ("b", 1)]), at(0), KEEP);
    second.publish(0, &set(&[("a", 2), ("c", 0)]), at(0), KEEP);
    assert_eq!(first.purge("a", at(1)), Some(1));
    assert_eq!(kids(&first.load(at(1))), ["b"]);
    assert_eq!(kids(&second.load(at(1))), ["a"], "another key has the name there, and the key another name");

    // As after a reload that names the issuer again.
    let renamed = store(&Arc::new(purges.of_another()));
    renamed.publish(0, &set(&[("a", 0), ("b", 1)]), at(2), KEEP);
    assert_eq!(kids(&renamed.load(at(2))), ["b"]);
    assert!(renamed.purge("b", at(3)).is_some_and(|gone| gone == 1));
    assert_eq!(kids(&first.load(at(3))), [""; 0]);
}

#[test]
fn what_the_config_denies_can_be_purged_too() {
    let (purges, mut settings) = (Arc::<Purges>::default(), JwksSettings::new(Vec::new()));
    let store = |settings: &JwksSettings| {
        let store = Arc::new(KeyStore::for_sources(vec!["0".into()], settings, None, Arc::clone(&purges)));
        purges.bind(&store, at(0));
        store.publish(0, &set(&[("a", 0)]), at(0), KEEP);
        store
    };
    settings.deny_kids = vec!["a".into()];
    assert_eq!(store(&settings).purge("a", at(1)), Some(0));
    // The line leaves the config.
    settings.deny_kids = Vec::new();
    assert!(!store(&settings).is_ready(at(1)));
}

#[test]
fn the_first_issuer_that_is_discovered_stays() {
    let store = KeyStore::new(1);
    assert_eq!(store.discovered_issuers(), []);
    assert_eq!(store.discover(0, &"https://contoso.com/".into()), None);
    assert_eq!(store.discover(0, &"https://fabrikam.com/".into()).as_deref(), Some("https://contoso.com/"));
    assert_eq!(store.discovered_issuers(), ["https://contoso.com/".into()]);
}

#[test]
fn no_two_stores_share_a_generation() {
    let stores = [KeyStore::new(1), KeyStore::new(1)];
    stores.iter().for_each(|store| drop(store.publish(0, &set(&[("a", 0)]), at(0), KEEP)));
    assert_ne!(stores[0].generation(at(0)), stores[1].generation(at(0)));
}

fn kids(keys: &KeySet) -> Vec<&str> {
    keys.keys().iter().filter_map(|key| key.kid()).collect()
}

#[test]
fn a_key_that_is_denied_is_known_as_such_until_its_end() {
    let store = KeyStore::new(1);
    store.publish(0, &set(&[("a", 0), ("b", 1)]), at(0), KEEP);
    assert_eq!(store.denied(at(1)).keys().len(), 0);
    store.purge("a", at(1));
    let denied =
        |seconds| store.denied(at(seconds)).keys().iter().filter_map(|key| key.kid().map(str::to_owned)).collect::<Vec<_>>();
    assert_eq!((denied(1), denied(99)), (vec!["a".to_owned()], vec!["a".to_owned()]));
    assert_eq!(denied(100), Vec::<String>::new());
}

#[test]
fn a_snapshot_that_cannot_be_written_is_remembered_until_one_can() {
    let store = KeyStore::new(1);
    assert_eq!(store.snapshot_error(), None);
    store.note_snapshot(Some("no space left".into()));
    assert_eq!(store.snapshot_error().as_deref(), Some("no space left"));
    store.note_snapshot(None);
    assert_eq!(store.snapshot_error(), None);
}

#[test]
fn a_store_takes_over_the_keys_and_answers_of_the_sources_that_stay() {
    let old = KeyStore::new(2);
    old.publish(0, &set(&[("a", 0)]), at(0), KEEP);
    old.publish(1, &set(&[("b", 1)]), at(0), KEEP);
    old.discover(1, &"https://b/".into());
    old.demand.end(1, |source| source.failures = 7);
    let new = KeyStore::new(1);
    new.inherit(&old, at(1), |source| (source == 1).then_some((0, Keep::For(Duration::from_secs(50)))));
    assert_eq!(new.load(at(1)).keys().iter().map(|key| key.kid()).collect::<Vec<_>>(), [Some("b")]);
    assert!(new.is_ready(at(49)) && !new.is_ready(at(50)));
    assert_eq!(new.discovered_issuers(), ["https://b/".into()]);
    assert!(!new.was_tried(), "the source is at another place");
    let same = KeyStore::new(2);
    old.demand.end(0, |_| {});
    same.inherit(&old, at(1), |source| Some((source, Keep::For(KEEP))));
    assert!(same.was_tried());
}
