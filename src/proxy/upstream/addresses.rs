//! The addresses of an upstream, and which is next.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwap;
use pingora::upstreams::peer::HttpPeer;

use crate::proxy::upstream::{
    choice::{by_load, by_user, untried},
    hashing::mix,
    place::{Address, InFlight, Place},
    roster::Roster,
};

/// What sets successive random numbers apart (that of splitmix64).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The addresses that names were resolved to; none before that.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    places: ArcSwap<Vec<Arc<Place>>>,
    random: AtomicU64,
    /// Held while one is taken out, so that not all are at once.
    taking_out: Mutex<()>,
}

impl Addresses {
    /// The one for a request of this user: the user's own, or without one the less loaded of two. `now`: milliseconds of any clock, asked
    /// for only where something is known of an address.
    pub(super) fn choose(&self, user: Option<u64>, now: impl Fn() -> u64) -> Option<InFlight> {
        let places = self.places.load();
        let place = match (places.as_slice(), user) {
            ([only], _) => only,
            (several, Some(user)) => by_user(several, user, now)?,
            (several, None) => by_load(several, self.random(), now)?,
        };
        Some(InFlight::at(place))
    }

    /// One that a request has not tried yet, those that serve first; and whether it is doubtful that it does.
    pub(super) fn untried(&self, tried: &[Arc<Place>], user: Option<u64>) -> Option<(Arc<Place>, bool)> {
        let places = self.places.load();
        untried(&places, tried, user, self.random()).map(|(place, is_doubtful)| (Arc::clone(place), is_doubtful))
    }

    pub(super) fn all(&self) -> Arc<Vec<Arc<Place>>> {
        self.places.load_full()
    }

    /// Requests in progress at all of them.
    pub(super) fn in_flight(&self) -> usize {
        self.places.load().iter().map(|place| place.standing.in_flight()).sum()
    }

    /// Takes one out, unless it is the last, or half of them are out.
    pub(super) fn take_out(&self, place: &Place, now: u64) -> bool {
        let _one_at_a_time = self.taking_out.lock().unwrap_or_else(PoisonError::into_inner);
        let places = self.places.load();
        let others_out =
            places.iter().filter(|other| !Arc::ptr_eq(&other.standing, &place.standing) && other.standing.is_out()).count();
        let may_go = (others_out + 1) * 2 <= places.len();
        if may_go {
            place.standing.take_out(now);
        }
        may_go
    }

    /// Replaces the addresses, each with the target that led to it. What is known of them is kept. Says whether they are others.
    pub(super) fn publish(
        &self,
        mut addresses: Vec<(Address, usize)>,
        roster: &Roster,
        peer: impl Fn(&Address) -> Option<HttpPeer>,
    ) -> bool {
        addresses.sort_unstable();
        addresses.dedup_by(|later, earlier| later.0 == earlier.0);
        let known = self.places.load();
        let is_first = known.is_empty();
        let same = |address: &str, target| {
            known.iter().find(|place| place.standing.address() == address && place.target == target).map(Arc::clone)
        };
        let place = |(address, target): (Address, usize)| {
            let name = address.to_string();
            same(&name, target).or_else(|| {
                let peer = Arc::new(peer(&address)?);
                Some(Arc::new(Place { peer, standing: roster.standing(name, !is_first), target }))
            })
        };
        let places: Vec<_> = addresses.into_iter().filter_map(place).collect();
        let is_there = |gone: &Place| places.iter().any(|place| Arc::ptr_eq(&place.standing, &gone.standing));
        let gone: Vec<_> = known.iter().filter(|place| !is_there(place)).collect();
        gone.iter().for_each(|place| place.standing.left());
        let is_changed = !gone.is_empty() || places.len() != known.len();
        self.places.store(Arc::new(places));
        is_changed
    }

    fn random(&self) -> u64 {
        mix(self.random.fetch_add(STEP, Ordering::Relaxed))
    }
}
