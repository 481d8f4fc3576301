use serde_json::json;

use super::*;
use crate::{
    jwks::test_keys::{ec_jwk, jwk, set},
    token::KeySetLimits,
};

const HOUR: u64 = 3600;
const KEEP: Duration = Duration::from_secs(26 * HOUR);
const KEPT: Keep = Keep::For(KEEP);

fn hour(hours: u64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_000).plus(Duration::from_secs(hours * HOUR))
}

/// The kids that verify at a time.
fn kids(held: &HeldKeys, now: Timestamp) -> Vec<String> {
    held.trusted(now, &Denied::default()).0.keys().iter().map(|key| key.kid().unwrap().to_owned()).collect()
}

fn merge(held: &HeldKeys, keys: &[(&str, usize)], now: Timestamp) -> HeldKeys {
    let (held, conflicts) = held.merge(0, &set(keys), now, KEPT);
    assert_eq!(conflicts, []);
    held
}

#[test]
fn a_key_that_vanishes_serves_until_its_time_is_over_and_not_a_moment_longer() {
    let held = merge(&HeldKeys::default(), &[("a", 0), ("b", 1)], hour(0));
    let held = merge(&held, &[("b", 1)], hour(1));
    let end_of_a = hour(26);
    assert_eq!(kids(&held, end_of_a.minus(Duration::from_millis(1))), ["a", "b"]);
    assert_eq!(held.trusted(hour(1), &Denied::default()).1, Timestamp::MIN..end_of_a);
    assert_eq!(kids(&held, end_of_a), ["b"]);
    assert_eq!(held.trusted(end_of_a, &Denied::default()).1, end_of_a..hour(27));
    assert_eq!(kids(&held, hour(27)), [""; 0]);
    assert_eq!(held.trusted(hour(28), &Denied::default()).1, hour(27)..Timestamp::MAX);
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
    // No fetch takes longer.
    let held = merge(&held, &[("a", 0)], hour(2).minus(Duration::from_secs(60)));
    assert_eq!(held.trusted(hour(2), &Denied::default()).1, Timestamp::MIN..hour(28));
}

#[test]
fn a_clock_that_was_ahead_lengthens_nothing_and_leaves_no_date_of_the_future() {
    let ahead = merge(&HeldKeys::default(), &[("a", 0)], hour(100));
    let held = merge(&ahead, &[("b", 1)], hour(0));
    let a = held.keys.iter().find(|held| held.key.kid() == Some("a")).unwrap();
    assert_eq!((a.first_seen, a.last_seen, a.end), (hour(0), hour(0), Some(hour(26))));
}

#[test]
fn the_newer_form_of_a_key_replaces_the_older() {
    let held = merge(&HeldKeys::default(), &[("a", 0)], hour(0));
    let again = set(&[("a", 0)]);
    let (held, _) = held.merge(0, &again, hour(1), KEPT);
    let (trusted, _) = held.trusted(hour(1), &Denied::default());
    assert!(Arc::ptr_eq(&trusted.keys()[0], &again.keys()[0]));
}

#[test]
fn another_key_under_a_known_kid_is_reported_once_and_waits_for_the_end_of_the_first() {
    let (first, second) = (set(&[("a", 0)]), set(&[("a", 1)]));
    let (old, new) = (first.keys()[0].id(), second.keys()[0].id());
    let serving =
        |held: &HeldKeys, now| held.trusted(now, &Denied::default()).0.keys().iter().map(|key| *key.id()).collect::<Vec<_>>();

    let (held, _) = HeldKeys::default().merge(0, &first, hour(0), KEPT);
    let (held, conflicts) = held.merge(0, &second, hour(1), KEPT);
    assert_eq!(conflicts, [Conflict { kid: "a".into(), known: *old, new: *new }]);
    let (held, conflicts) = held.merge(0, &second, hour(25), KEPT);
    assert_eq!(conflicts, []);
    assert_eq!(serving(&held, hour(26).minus(Duration::from_millis(1))), [*old]);
    assert_eq!(serving(&held, hour(26)), [*new]);
}

#[test]
fn a_provider_that_takes_its_other_key_back_keeps_the_first() {
    let (first, second) = (set(&[("a", 0)]), set(&[("a", 1)]));
    let (held, _) = HeldKeys::default().merge(0, &first, hour(0), KEPT);
    let (held, _) = held.merge(0, &second, hour(1), KEPT);
    let (held, conflicts) = held.merge(0, &first, hour(2), KEPT);
    assert_eq!(conflicts, []);
    let (trusted, _) = held.trusted(hour(27), &Denied::default());
    assert_eq!(trusted.keys().iter().map(|key| *key.id()).collect::<Vec<_>>(), [*first.keys()[0].id()]);
}

#[test]
fn keys_that_arrive_together_under_one_kid_are_both_there_for_the_key_set_to_choose() {
    let document = json!({ "keys": [jwk("a", 0), ec_jwk("a")] }).to_string();
    let both = KeySet::parse(document.as_bytes(), &KeySetLimits::default()).unwrap();
    let (held, conflicts) = HeldKeys::default().merge(0, &both, hour(0), KEPT);
    assert_eq!(conflicts, []);
    assert_eq!(kids(&held, hour(0)), ["a", "a"]);
}

/// A document with entries of one `kid`: two keys for two algorithms, and one key for two issuers.
fn entries(order: &[usize]) -> KeySet {
    let entry = |number: usize, more: serde_json::Value| {
        let mut jwk = jwk("a", number);
        jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        jwk
    };
    let all = [
        entry(0, json!({ "alg": "RS256", "issuer": "https://a.contoso.com" })),
        entry(0, json!({ "alg": "RS256", "issuer": "https://b.contoso.com" })),
        entry(1, json!({ "alg": "PS256" })),
    ];
    let keys: Vec<_> = order.iter().map(|index| all[*index].clone()).collect();
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), &KeySetLimits::default()).unwrap()
}

/// What verifies, whatever its order.
fn trusted_entries(held: &HeldKeys, now: Timestamp) -> Vec<(String, Option<String>)> {
    let (trusted, _) = held.trusted(now, &Denied::default());
    let mut entries: Vec<_> = trusted.keys().iter().map(|key| (key.id().to_string(), key.issuer().map(str::to_owned))).collect();
    entries.sort();
    entries
}

#[test]
fn the_order_of_a_document_decides_nothing_in_a_merge() {
    const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let expected = trusted_entries(&HeldKeys::default().merge(0, &entries(&[0, 1, 2]), hour(0), KEPT).0, hour(0));
    assert_eq!(expected.len(), 3);
    for first in ORDERS {
        for second in ORDERS {
            let (held, conflicts) = HeldKeys::default().merge(0, &entries(&first), hour(0), KEPT);
            assert_eq!((trusted_entries(&held, hour(0)), conflicts), (expected.clone(), vec![]));
            let (held, conflicts) = held.merge(0, &entries(&second), hour(1), KEPT);
            assert_eq!((trusted_entries(&held, hour(1)), conflicts), (expected.clone(), vec![]));
            // And over a restart.
            let nobody = Denied::default();
            let seen = held.live(hour(1), &nobody).map(|(held, _)| (Arc::clone(&held.key), 0, held.first_seen, held.last_seen));
            assert_eq!(trusted_entries(&HeldKeys::restore(seen.collect::<Vec<_>>(), hour(2), KEEP), hour(2)), expected);
        }
    }
}

#[test]
fn an_entry_that_is_withdrawn_goes_while_the_key_stays() {
    let (held, _) = HeldKeys::default().merge(0, &entries(&[0, 1, 2]), hour(0), KEPT);
    let (held, _) = held.merge(0, &entries(&[1, 2]), hour(1), KEPT);
    assert_eq!(trusted_entries(&held, hour(1)).len(), 2);
    // What another source says of the key is beside it, whichever comes last.
    let (held, _) = held.merge(1, &entries(&[0]), hour(2), KEPT);
    let (held, _) = held.merge(0, &entries(&[1, 2]), hour(3), KEPT);
    assert_eq!(trusted_entries(&held, hour(3)).len(), 3);
}

#[test]
fn a_provider_with_endless_new_keys_is_held_to_a_bound_and_the_newest_stay() {
    let mut held = HeldKeys::default();
    for batch in 0..5 {
        let names: Vec<String> = (0..250).map(|number| format!("{batch}-{number}")).collect();
        let keys: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 0)).collect();
        held = held.merge(0, &set(&keys), hour(batch), KEPT).0;
    }
    let kids = kids(&held, hour(5));
    assert_eq!(kids.len(), MAX_KEYS);
    assert!((0..250).all(|number| kids.contains(&format!("4-{number}"))));
    assert_eq!(kids.iter().filter(|kid| kid.starts_with("0-")).count(), MAX_KEYS - 1000);
}

#[test]
fn a_key_of_a_file_stands_and_goes_with_it() {
    let held = HeldKeys::default().merge(0, &set(&[("a", 0), ("b", 1)]), hour(0), Keep::WhileListed).0;
    assert_eq!(kids(&held, hour(1_000_000)), ["a", "b"]);
    let held = held.merge(0, &set(&[("b", 1)]), hour(1), Keep::WhileListed).0;
    assert_eq!(kids(&held, hour(1)), ["b"]);
    let (held, conflicts) = held.merge(0, &set(&[("b", 2)]), hour(2), Keep::WhileListed);
    assert_eq!((kids(&held, hour(2)), conflicts), (vec!["b".to_owned()], vec![]));
    assert_eq!(
        held.merge(0, &KeySet::default(), hour(3), Keep::WhileListed).0.trusted(hour(3), &Denied::default()).0.keys().len(),
        0
    );
}

#[test]
fn what_a_file_no_longer_shows_serves_on_if_the_provider_does() {
    let held = merge(&HeldKeys::default(), &[("a", 0)], hour(0));
    let held = held.merge(1, &set(&[("a", 0)]), hour(1), Keep::WhileListed).0;
    let held = held.merge(1, &set(&[("b", 1)]), hour(2), Keep::WhileListed).0;
    assert_eq!(kids(&held, hour(25)), ["a", "b"]);
    assert_eq!(kids(&held, hour(26)), ["b"]);
}

#[test]
fn a_denied_key_does_not_serve_under_any_kid_and_does_not_hold_up_another() {
    let held = merge(&HeldKeys::default(), &[("a", 0), ("also-a", 0), ("b", 1)], hour(0));
    let (held, _) = held.merge(0, &set(&[("b", 2)]), hour(1), KEPT);
    let serving = |denied: &Denied| {
        let keys = held.trusted(hour(2), denied).0;
        keys.keys().iter().map(|key| (key.kid().unwrap().to_owned(), *key.id())).collect::<Vec<_>>()
    };
    let id = |number: usize| *set(&[("x", number)]).keys()[0].id();
    let all = [("a".to_owned(), id(0)), ("also-a".to_owned(), id(0)), ("b".to_owned(), id(1))];
    assert_eq!(serving(&Denied::default()), all);
    assert_eq!(serving(&Denied::configured(&["a".to_owned()])), all[2..]);
    // By thumbprint: of two keys with one kid the other serves.
    let mut denied = Denied::default();
    denied = denied.purged(&[id(1).to_string()], &[]);
    assert_eq!(serving(&denied), [all[0].clone(), all[1].clone(), ("b".to_owned(), id(2))]);
}

#[test]
fn what_was_seen_before_a_restart_lives_no_longer_for_it() {
    let key = |number: usize| Arc::clone(&set(&[("a", number)]).keys()[0]);
    let seen = [(key(0), 0, hour(0), hour(10)), (key(1), 0, hour(5), hour(30)), (key(2), 0, hour(1), hour(4))];
    let held = HeldKeys::restore(seen, hour(32), KEEP);
    // The second was never seen after hour 30, and says so of hour 32 at most; the third had ended.
    let ends: Vec<_> = held.live(hour(32), &Denied::default()).map(|(held, state)| (held.end, state)).collect();
    assert_eq!(ends, [(Some(hour(36)), KeyState::Trusted), (Some(hour(56)), KeyState::Waiting)]);
    let future = HeldKeys::restore([(key(0), 0, hour(90), hour(100))], hour(32), KEEP);
    assert_eq!(
        future.live(hour(32), &Denied::default()).next().map(|(held, _)| (held.first_seen, held.end)),
        Some((hour(32), Some(hour(58))))
    );
}

#[test]
fn a_key_of_a_file_is_held_once_however_often_it_is_read() {
    let read = |held: &HeldKeys, source, hours| held.merge(source, &set(&[("a", 0)]), hour(hours), Keep::WhileListed).0;
    let held = read(&read(&HeldKeys::default(), 0, 0), 0, 1);
    let seen = |held: &HeldKeys| held.keys.iter().map(|held| (held.source, held.first_seen, held.last_seen)).collect::<Vec<_>>();
    assert_eq!(seen(&held), [(0, hour(0), hour(1))]);
    // Another file goes in its own way.
    assert_eq!(seen(&read(&held, 1, 2)), [(0, hour(0), hour(1)), (1, hour(2), hour(2))]);
}

#[test]
fn under_other_settings_a_key_is_held_for_their_time() {
    let held = merge(&HeldKeys::default(), &[("a", 0)], hour(0));
    let (held, _) = held.merge(1, &set(&[("b", 1)]), hour(1), KEPT);
    let keep = Keep::For(Duration::from_secs(2 * HOUR));
    let moved = held.under(|source| (source == 1).then_some((0, keep)));
    let held: Vec<_> = moved.keys.iter().map(|held| (held.source, held.last_seen, held.end)).collect();
    assert_eq!(held, [(0, hour(1), Some(hour(3)))]);
    assert_eq!((kids(&moved, hour(2)), kids(&moved, hour(3))), (vec!["b".to_owned()], vec![]));
}
