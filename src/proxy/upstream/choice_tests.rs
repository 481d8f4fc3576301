use std::{collections::BTreeMap, time::Duration};

use pingora::upstreams::peer::HttpPeer;
use proptest::prelude::*;

use super::*;
use crate::proxy::upstream::{hashing::hash, place::InFlight, standing::Standing};

fn places(count: usize) -> Vec<Arc<Place>> {
    (0..count).map(|number| place(&format!("10.0.0.{number}:5984"))).collect()
}

fn place(address: &str) -> Arc<Place> {
    let peer = Arc::new(HttpPeer::new("127.0.0.1:5984", false, String::new()));
    Arc::new(Place { peer, standing: Arc::new(Standing::new(address.to_owned())), target: 0 })
}

fn user(number: usize) -> u64 {
    hash(&[b"contoso", number.to_string().as_bytes()])
}

fn index_of(places: &[Arc<Place>], chosen: &Arc<Place>) -> usize {
    places.iter().position(|place| Arc::ptr_eq(place, chosen)).unwrap()
}

/// How many of so many choices each address gets.
fn chosen<'a>(places: &[Arc<Place>], count: usize, choose: impl Fn(usize) -> Option<&'a Arc<Place>>) -> Vec<usize> {
    let mut counts = vec![0; places.len()];
    (0..count).for_each(|number| counts[index_of(places, choose(number).unwrap())] += 1);
    counts
}

fn random(number: usize) -> u64 {
    mix(u64::try_from(number).unwrap().wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

#[test]
fn those_that_are_alike_get_alike() {
    for count in 1..20 {
        let places = places(count);
        let counts = chosen(&places, 10_000 * count, |number| by_load(&places, random(number), || 0));
        assert!(counts.iter().all(|chosen| (9_500..10_500).contains(chosen)), "{counts:?}");
    }
}

#[test]
fn the_less_loaded_of_two_is_chosen() {
    let places = places(5);
    let mut held = Vec::new();
    for number in 0..10_000 {
        held.push(InFlight::at(by_load(&places, random(number), || 0).unwrap()));
    }
    // Two choices keep the most loaded one within a few of the mean, where one would be off by some hundred.
    let loads: Vec<_> = places.iter().map(|place| place.standing.in_flight()).collect();
    assert!(loads.iter().all(|load| (1_995..=2_005).contains(load)), "{loads:?}");
    let busiest = InFlight::at(&places[3]);
    (0..20).for_each(|_| held.push(InFlight::at(&places[3])));
    let counts = chosen(&places, 1_000, |number| by_load(&places, random(number), || 0));
    assert_eq!(counts[3], 0, "it is never the less loaded one");
    drop((held, busiest));
    assert!(places.iter().all(|place| place.standing.in_flight() == 0));
}

#[test]
fn one_that_does_not_serve_is_passed_by_until_it_is_tried_again() {
    let marks: [fn(&Standing); 4] = [
        |standing| {
            standing.refused(0);
        },
        |standing| standing.take_out(0),
        |standing| {
            standing.is_well(false, 0);
        },
        |standing| standing.drain(Duration::ZERO),
    ];
    for (number, mark) in marks.into_iter().enumerate() {
        let places = places(3);
        mark(&places[1].standing);
        let by_load = chosen(&places, 3_000, |number| by_load(&places, random(number), || 9_999));
        assert!(by_load[1] == 0 && by_load[0].min(by_load[2]) > 1_300, "{number}: {by_load:?}");
        let by_user = chosen(&places, 3_000, |number| by_user(&places, user(number), || 9_999));
        assert!(by_user[1] == 0 && by_user[0].min(by_user[2]) > 1_300, "{number}: {by_user:?}");
    }
    for by_users in [false, true] {
        let places = places(3);
        places[1].standing.refused(0);
        let counts = chosen(&places, 3_000, |number| match by_users {
            false => by_load(&places, random(number), || 10_000),
            true => by_user(&places, user(number), || 10_000),
        });
        assert_eq!(counts[1], 1, "one request tries it");
    }
}

#[test]
fn where_health_excludes_more_than_half_it_is_not_asked() {
    for (ill, expected) in [(1, 3), (2, 2), (3, 4), (4, 4)] {
        let places = places(4);
        for place in places.iter().take(ill) {
            place.standing.is_well(false, 0);
        }
        for by_users in [false, true] {
            let counts = chosen(&places, 4_000, |number| match by_users {
                false => by_load(&places, random(number), || 0),
                true => by_user(&places, user(number), || 0),
            });
            assert_eq!(counts.iter().filter(|count| **count > 0).count(), expected, "{counts:?}");
        }
    }
}

#[test]
fn one_in_its_slow_start_gets_its_share() {
    let places = places(2);
    places[0].standing.begin_fresh(0);
    for (now, share) in [(0, 16), (2_500, 64), (5_000, 128), (7_500, 192), (10_000, 256)] {
        let counts = chosen(&places, 10_000, |number| by_load(&places, random(number), || now));
        let expected = 5_000 * share / 256;
        // Of those that would be its own; the less loaded one of two that are alike is the first.
        assert!(counts[0].abs_diff(expected) < 300, "{now}: {counts:?}, not {expected}");
    }
}

#[test]
fn users_are_spread_evenly_and_only_those_of_a_missing_address_move() {
    let places = places(20);
    let own = |places: &[Arc<Place>], number| Arc::clone(by_user(places, user(number), || 0).unwrap());
    let before: Vec<_> = (0..100_000).map(|number| own(&places, number)).collect();
    let mut counts = BTreeMap::new();
    before.iter().for_each(|place| *counts.entry(place.standing.address().to_owned()).or_insert(0) += 1);
    assert!(counts.len() == 20 && counts.values().all(|count| (4_700..5_300).contains(count)), "{counts:?}");
    let fewer: Vec<_> = places.iter().filter(|place| !Arc::ptr_eq(place, &places[7])).map(Arc::clone).collect();
    let mut moved = vec![0; 20];
    for (number, before) in before.iter().enumerate() {
        let after = own(&fewer, number);
        if Arc::ptr_eq(before, &places[7]) {
            moved[index_of(&places, &after)] += 1;
        } else {
            assert!(Arc::ptr_eq(before, &after), "user {number}");
        }
    }
    assert!(moved.iter().enumerate().all(|(index, count)| index == 7 || (180..350).contains(count)), "{moved:?}");
}

#[test]
fn users_of_one_address_go_elsewhere_when_it_has_a_quarter_more_than_the_mean() {
    let places = places(3);
    // All of them would be here.
    let own: Vec<_> = (0..3_000).map(user).filter(|user| Arc::ptr_eq(by_user(&places, *user, || 0).unwrap(), &places[0])).collect();
    let mut held = Vec::new();
    for user in own {
        held.push(InFlight::at(by_user(&places, user, || 0).unwrap()));
        let all = held.len();
        let here = places[0].standing.in_flight();
        assert!(here <= 16.max((all + 1) * 5 / 12 + 1), "{here} of {all}");
        assert!(all > 16 || here == all, "few are not sent elsewhere");
    }
    // Each of the others takes those whose second it is.
    assert!(places[1].standing.in_flight().abs_diff(places[2].standing.in_flight()) < 60);
}

proptest! {
    /// Whatever state they are in, one is chosen; and one that serves if there is any.
    #[test]
    fn some_address_is_always_chosen(
        states in prop::collection::vec(0_u8..16, 1..6), seed: u64, of_user: bool, loads in prop::collection::vec(0_usize..40, 6),
    ) {
        let places = places(states.len());
        let mut held = Vec::new();
        for (place, (state, load)) in places.iter().zip(states.iter().zip(loads)) {
            if state & 1 != 0 { place.standing.refused(0); }
            if state & 2 != 0 { place.standing.take_out(0); }
            if state & 4 != 0 { place.standing.is_well(false, 0); }
            if state & 8 != 0 { place.standing.drain(Duration::ZERO); }
            held.extend((0..load).map(|_| InFlight::at(place)));
        }
        let chosen = if of_user { by_user(&places, seed, || 0) } else { by_load(&places, seed, || 0) };
        let chosen = &chosen.unwrap().standing;
        if states.contains(&0) {
            prop_assert!(!chosen.is_draining() && !chosen.refuses());
        }
        if states.iter().any(|state| state & 8 == 0) {
            prop_assert!(!chosen.is_draining());
        }
        // Each is tried once, whatever its state.
        let mut tried = Vec::new();
        while let Some((place, _)) = untried(&places, &tried, of_user.then_some(seed), seed) {
            prop_assert!(tried.len() < places.len());
            tried.push(Arc::clone(place));
        }
        prop_assert_eq!(tried.len(), places.len());
    }
}
