use serde_json::json;

use super::*;
use crate::{
    jwks::test_keys::{ec_jwk, jwk, set},
    token::KeySetLimits,
};

const HOUR: u64 = 3600;
const KEEP: Duration = Duration::from_secs(26 * HOUR);

fn hour(hours: u64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_000).plus(Duration::from_secs(hours * HOUR))
}

/// The kids that verify at a time.
fn kids(held: &HeldKeys, now: Timestamp) -> Vec<String> {
    held.trusted(now).0.keys().iter().map(|key| key.kid().unwrap().to_owned()).collect()
}

fn merge(held: &HeldKeys, keys: &[(&str, usize)], now: Timestamp) -> HeldKeys {
    let (held, conflicts) = held.merge(&set(keys), now, KEEP);
    assert_eq!(conflicts, []);
    held
}

#[test]
fn a_key_that_vanishes_serves_until_its_time_is_over_and_not_a_moment_longer() {
    let held = merge(&HeldKeys::default(), &[("a", 0), ("b", 1)], hour(0));
    let held = merge(&held, &[("b", 1)], hour(1));
    let end_of_a = hour(26);
    assert_eq!(kids(&held, end_of_a.minus(Duration::from_millis(1))), ["a", "b"]);
    assert_eq!(held.trusted(hour(1)).1, Timestamp::MIN..end_of_a);
    assert_eq!(kids(&held, end_of_a), ["b"]);
    assert_eq!(held.trusted(end_of_a).1, end_of_a..hour(27));
    assert_eq!(kids(&held, hour(27)), [""; 0]);
    assert_eq!(held.trusted(hour(28)).1, hour(27)..Timestamp::MAX);
}

#[test]
fn a_key_that_returns_is_held_from_then_on() {
    let held = merge(&HeldKeys::default(), &[("a", 0)], hour(0));
    let held = merge(&held, &[("b", 1)], hour(10));
    let held = merge(&held, &[("a", 0), ("b", 1)], hour(20));
    assert_eq!(kids(&held, hour(45)), ["a", "b"]);
    assert_eq!(kids(&held, hour(46)), [""; 0]);
}

#[test]
fn an_answer_that_comes_late_shortens_nothing() {
    let held = merge(&HeldKeys::default(), &[("a", 0)], hour(2));
    let held = merge(&held, &[("a", 0)], hour(1));
    assert_eq!(held.trusted(hour(2)).1, Timestamp::MIN..hour(28));
}

#[test]
fn the_newer_form_of_a_key_replaces_the_older() {
    let held = merge(&HeldKeys::default(), &[("a", 0)], hour(0));
    let again = set(&[("a", 0)]);
    let (held, _) = held.merge(&again, hour(1), KEEP);
    let (trusted, _) = held.trusted(hour(1));
    assert!(Arc::ptr_eq(&trusted.keys()[0], &again.keys()[0]));
}

#[test]
fn another_key_under_a_known_kid_is_reported_once_and_waits_for_the_end_of_the_first() {
    let (first, second) = (set(&[("a", 0)]), set(&[("a", 1)]));
    let (old, new) = (first.keys()[0].id(), second.keys()[0].id());
    let serving = |held: &HeldKeys, now| held.trusted(now).0.keys().iter().map(|key| *key.id()).collect::<Vec<_>>();

    let (held, _) = HeldKeys::default().merge(&first, hour(0), KEEP);
    let (held, conflicts) = held.merge(&second, hour(1), KEEP);
    assert_eq!(conflicts, [Conflict { kid: "a".into() }]);
    let (held, conflicts) = held.merge(&second, hour(25), KEEP);
    assert_eq!(conflicts, []);
    assert_eq!(serving(&held, hour(26).minus(Duration::from_millis(1))), [*old]);
    assert_eq!(serving(&held, hour(26)), [*new]);
}

#[test]
fn a_provider_that_takes_its_other_key_back_keeps_the_first() {
    let (first, second) = (set(&[("a", 0)]), set(&[("a", 1)]));
    let (held, _) = HeldKeys::default().merge(&first, hour(0), KEEP);
    let (held, _) = held.merge(&second, hour(1), KEEP);
    let (held, conflicts) = held.merge(&first, hour(2), KEEP);
    assert_eq!(conflicts, []);
    let (trusted, _) = held.trusted(hour(27));
    assert_eq!(trusted.keys().iter().map(|key| *key.id()).collect::<Vec<_>>(), [*first.keys()[0].id()]);
}

#[test]
fn keys_that_arrive_together_under_one_kid_are_both_there_for_the_key_set_to_choose() {
    let document = json!({ "keys": [jwk("a", 0), ec_jwk("a")] }).to_string();
    let both = KeySet::parse(document.as_bytes(), &KeySetLimits::default()).unwrap();
    let (held, conflicts) = HeldKeys::default().merge(&both, hour(0), KEEP);
    assert_eq!(conflicts, []);
    assert_eq!(kids(&held, hour(0)), ["a", "a"]);
}

#[test]
fn a_provider_with_endless_new_keys_is_held_to_a_bound_and_the_newest_stay() {
    let mut held = HeldKeys::default();
    for batch in 0..5 {
        let names: Vec<String> = (0..250).map(|number| format!("{batch}-{number}")).collect();
        let keys: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 0)).collect();
        held = held.merge(&set(&keys), hour(batch), KEEP).0;
    }
    let kids = kids(&held, hour(5));
    assert_eq!(kids.len(), MOST_KEYS);
    assert!((0..250).all(|number| kids.contains(&format!("4-{number}"))));
    assert_eq!(kids.iter().filter(|kid| kid.starts_with("0-")).count(), MOST_KEYS - 1000);
}
