//! The addresses of an upstream: which is next, and which do not accept connections.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwap;
use pingora::upstreams::peer::{HttpPeer, Peer as _};

/// Milliseconds for which an address that did not accept a connection is left to itself. Then one request tries it.
const LEFT_ALONE: u64 = 10_000;
const ACCEPTS: u64 = 0;

/// The addresses that a name was resolved to; none before that.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    places: ArcSwap<Vec<Arc<Place>>>,
    turn: AtomicUsize,
}

/// One address.
#[derive(Debug)]
pub(in crate::proxy) struct Place {
    pub(in crate::proxy) peer: Arc<HttpPeer>,
    /// `ACCEPTS` if it accepts connections, as far as is known; else when it is tried again, in milliseconds.
    tried_again: AtomicU64,
}

impl Addresses {
    /// The next in turn of those that accept connections; but one that did not is tried now and then, by one request. `now`: milliseconds
    /// of any clock, asked for only where an address does not accept.
    pub(in crate::proxy) fn next(&self, now: impl Fn() -> u64) -> Option<Arc<Place>> {
        let places = self.places.load();
        if let [only] = places.as_slice() {
            return Some(Arc::clone(only));
        }
        let in_turn = || self.in_turn(&places);
        let chosen = in_turn().find(|place| match place.tried_again.load(Ordering::Relaxed) {
            ACCEPTS => true,
            due => place.claim(due, now()),
        });
        let chosen = chosen.or_else(|| in_turn().next()).map(Arc::clone);
        self.turn.fetch_add(1, Ordering::Relaxed);
        chosen
    }

    /// One that a request has not tried yet: first of those that accept connections.
    pub(super) fn next_but(&self, tried: &[Arc<Place>]) -> Option<Arc<Place>> {
        let places = self.places.load();
        let untried = || self.in_turn(&places).filter(|place| !tried.iter().any(|tried| Arc::ptr_eq(tried, place)));
        untried().find(|place| place.accepts()).or_else(|| untried().next()).map(Arc::clone)
    }

    pub(in crate::proxy) fn count(&self) -> usize {
        self.places.load().len()
    }

    /// Replaces the addresses. What is known of those that stay is kept.
    pub(super) fn publish(&self, mut addresses: Vec<SocketAddr>, peer: impl Fn(SocketAddr) -> HttpPeer) {
        addresses.sort_unstable();
        addresses.dedup();
        let known = self.places.load();
        let places = addresses.into_iter().map(|address| {
            let peer = peer(address);
            let same = known.iter().find(|place| place.peer.address() == peer.address());
            same.map_or_else(|| Arc::new(Place { peer: Arc::new(peer), tried_again: AtomicU64::new(ACCEPTS) }), Arc::clone)
        });
        self.places.store(Arc::new(places.collect()));
    }

    fn in_turn<'a>(&self, places: &'a [Arc<Place>]) -> impl Iterator<Item = &'a Arc<Place>> {
        let turn = self.turn.load(Ordering::Relaxed).checked_rem(places.len()).unwrap_or(0);
        let (before, after) = places.split_at_checked(turn).unwrap_or((places, &[]));
        after.iter().chain(before)
    }
}

impl Place {
    /// It did not accept a connection.
    pub(in crate::proxy) fn refused(&self, now: u64) {
        self.tried_again.store(now.saturating_add(LEFT_ALONE), Ordering::Relaxed);
    }

    /// It did.
    pub(in crate::proxy) fn accepted(&self) {
        if !self.accepts() {
            self.tried_again.store(ACCEPTS, Ordering::Relaxed);
        }
    }

    fn accepts(&self) -> bool {
        self.tried_again.load(Ordering::Relaxed) == ACCEPTS
    }

    /// Whether it is time to try it again, for one of those that ask.
    fn claim(&self, due: u64, now: u64) -> bool {
        let next = now.saturating_add(LEFT_ALONE);
        due <= now && self.tried_again.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], 5984))
    }

    fn addresses(count: u8) -> Addresses {
        let addresses = Addresses::default();
        publish(&addresses, count);
        addresses
    }

    fn publish(addresses: &Addresses, count: u8) {
        addresses.publish((1..=count).map(address).collect(), |address| HttpPeer::new(address, false, String::new()));
    }

    fn last(place: &Place) -> u8 {
        (1..=250).find(|last| place.peer.address().to_string() == address(*last).to_string()).unwrap()
    }

    fn next(addresses: &Addresses, now: u64, count: usize) -> Vec<u8> {
        (0..count).map(|_| last(&addresses.next(|| now).unwrap())).collect()
    }

    fn refuse(addresses: &Addresses, wanted: u8, now: u64) {
        addresses.places.load().iter().find(|place| last(place) == wanted).unwrap().refused(now);
    }

    #[test]
    fn each_has_its_turn_but_those_that_do_not_accept() {
        let addresses = addresses(3);
        assert_eq!(next(&addresses, 0, 6), [1, 2, 3, 1, 2, 3]);
        refuse(&addresses, 2, 5);
        assert!(!next(&addresses, 10_004, 30).contains(&2));
        // It is still left out after the name was resolved again.
        publish(&addresses, 3);
        assert!(!next(&addresses, 10_004, 30).contains(&2));
    }

    #[test]
    fn one_request_at_a_time_tries_one_that_did_not_accept() {
        let addresses = addresses(4);
        for dead in [1, 2, 3] {
            refuse(&addresses, dead, 0);
        }
        // As if the attempt took its time: nobody else tries meanwhile.
        for round in 1..5 {
            let mut seen = next(&addresses, round * 10_000, 200);
            seen.retain(|place| *place != 4);
            seen.sort_unstable();
            assert_eq!(seen, [1, 2, 3], "round {round}");
        }
    }

    #[test]
    fn one_that_accepts_again_has_its_turn_again() {
        let addresses = addresses(2);
        refuse(&addresses, 1, 0);
        let tried = (0..2).filter_map(|_| addresses.next(|| 10_000)).find(|place| last(place) == 1).unwrap();
        assert!(!next(&addresses, 10_001, 10).contains(&1));
        tried.accepted();
        assert!(next(&addresses, 10_001, 10).contains(&1));
    }

    #[test]
    fn of_none_that_accepts_each_is_tried() {
        let addresses = addresses(2);
        for dead in [1, 2] {
            refuse(&addresses, dead, 0);
        }
        assert_eq!(next(&addresses, 1, 4), [1, 2, 1, 2]);
        let addresses = self::addresses(1);
        refuse(&addresses, 1, 0);
        assert_eq!(next(&addresses, 1, 2), [1, 1]);
    }

    #[test]
    fn a_request_tries_each_once_and_those_that_accept_first() {
        let addresses = addresses(5);
        for dead in [1, 2, 4] {
            refuse(&addresses, dead, 0);
        }
        let mut tried = vec![addresses.next(|| 1).unwrap()];
        while let Some(place) = addresses.next_but(&tried) {
            tried.push(place);
        }
        let mut order: Vec<_> = tried.iter().map(|place| last(place)).collect();
        assert!(order[..2].iter().all(|place| [3, 5].contains(place)), "{order:?}");
        order.sort_unstable();
        assert_eq!(order, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn before_a_name_is_resolved_there_is_none() {
        let addresses = Addresses::default();
        assert!(addresses.next(|| 0).is_none() && addresses.next_but(&[]).is_none());
    }
}
