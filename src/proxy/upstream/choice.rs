//! Which of several addresses gets a request: the one of two with less to do, or the one of the user. Pure but for what the addresses
//! themselves know.

use std::sync::Arc;

use crate::proxy::upstream::{hashing::mix, place::Place};

/// An address may have so many requests in flight, whatever the others have, before one of its users goes elsewhere: of fewer, the
/// number says little.
const MIN_LOAD_BOUND: usize = 16;

/// The less loaded of two, each as probable as any other; but one that is due to be tried again comes first.
pub(super) fn by_load(places: &[Arc<Place>], random: u64, now: impl Fn() -> u64) -> Option<&Arc<Place>> {
    let (one, other) = two_of(places, random)?;
    if one.standing.is_plain() && other.standing.is_plain() {
        return Some(less_loaded(one, other));
    }
    let now = now();
    let due = places.iter().find(|place| !place.standing.is_draining() && place.standing.claim(now));
    if due.is_some() {
        return due;
    }
    let fit = fit(places.iter());
    let (one, other) = two_of(&fit, random)?;
    Some(of_shares(one, other, mix(random), now))
}

/// The first in the order of this user of those that serve and have room. The order is the same for every gateway, and of the other
/// addresses it is the same when one is missing (rendezvous hashing).
pub(super) fn by_user(places: &[Arc<Place>], user: u64, now: impl Fn() -> u64) -> Option<&Arc<Place>> {
    let rank = |place: &&Arc<Place>| mix(user ^ place.standing.seed());
    let own = places.iter().filter(|place| !place.standing.is_draining()).max_by_key(rank);
    if let Some(own) = own
        && !own.standing.is_plain()
        && own.standing.claim(now())
    {
        return Some(own);
    }
    let bound = load_bound(places);
    let has_room = |place: &&Arc<Place>| place.standing.in_flight() < bound;
    let fit = fit(places.iter());
    fit.iter().copied().filter(has_room).max_by_key(rank).or_else(|| fit.iter().copied().max_by_key(rank))
}

/// One that was not tried yet, and whether it is doubtful that it serves.
pub(super) fn untried<'a>(
    places: &'a [Arc<Place>],
    tried: &[Arc<Place>],
    user: Option<u64>,
    random: u64,
) -> Option<(&'a Arc<Place>, bool)> {
    let is_untried = |place: &&Arc<Place>| !tried.iter().any(|tried| Arc::ptr_eq(tried, place));
    let fit = fit(places.iter().filter(is_untried));
    let place = match user {
        Some(user) => fit.iter().copied().max_by_key(|place| mix(user ^ place.standing.seed()))?,
        None => two_of(&fit, random).map(|(one, other)| less_loaded(one, other))?,
    };
    let standing = &place.standing;
    Some((place, standing.refuses() || standing.is_ill() || standing.is_draining()))
}

/// Those that are to be chosen from: that serve, as far as is known. If health excludes more than half of them it is not asked, since
/// then the fault is elsewhere, or the rest would not bear it. If none is left, one that does not serve may.
fn fit<'a>(places: impl Iterator<Item = &'a Arc<Place>> + Clone) -> Vec<&'a Arc<Place>> {
    let (mut all, mut ill) = (0_usize, 0_usize);
    for place in places.clone() {
        all += 1;
        ill += usize::from(place.standing.is_ill());
    }
    let asks_health = ill * 2 <= all;
    let serves = |place: &&Arc<Place>| {
        let standing = &place.standing;
        !(standing.is_draining() || standing.refuses() || asks_health && standing.is_ill())
    };
    let fit: Vec<_> = places.clone().filter(serves).collect();
    if !fit.is_empty() {
        return fit;
    }
    let fit: Vec<_> = places.clone().filter(|place| !place.standing.is_draining()).collect();
    if fit.is_empty() { places.collect() } else { fit }
}

/// How many requests an address may have in flight before a user of its own goes elsewhere: a quarter more than the mean.
fn load_bound(places: &[Arc<Place>]) -> usize {
    let all: usize = places.iter().map(|place| place.standing.in_flight()).sum();
    let bound = (all + 1).saturating_mul(5).div_ceil(places.len().max(1).saturating_mul(4));
    bound.max(MIN_LOAD_BOUND)
}

/// Two different ones, if there are two.
fn two_of<T>(places: &[T], random: u64) -> Option<(&T, &T)> {
    let below = |bits: u64, count: usize| usize::try_from((bits * u64::try_from(count).unwrap_or(1)) >> 32).unwrap_or(0);
    let one = below(random >> 32, places.len());
    let other = below(random & 0xffff_ffff, places.len().saturating_sub(1));
    let other = if other >= one && places.len() > 1 { other + 1 } else { other };
    Some((places.get(one)?, places.get(other)?))
}

fn less_loaded<'a>(one: &'a Arc<Place>, other: &'a Arc<Place>) -> &'a Arc<Place> {
    if other.standing.in_flight() < one.standing.in_flight() { other } else { one }
}

/// The less loaded one, but one in its slow start is chosen no more often than its share says.
fn of_shares<'a>(one: &'a Arc<Place>, other: &'a Arc<Place>, random: u64, now: u64) -> &'a Arc<Place> {
    let (share, other_share) = (one.standing.share(now), other.standing.share(now));
    let is_left_out = |share: u64| random % 256 >= share;
    match (share < 256, other_share < 256) {
        (true, false) if is_left_out(share) => other,
        (false, true) if is_left_out(other_share) => one,
        _ => less_loaded(one, other),
    }
}

#[cfg(test)]
#[path = "choice_tests.rs"]
mod tests;
