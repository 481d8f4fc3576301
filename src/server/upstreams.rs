//! The edge's upstreams, as the admin listener shows and changes them.

use crate::{
    admin::{Address, NotDrained, Upstream, Upstreams},
    proxy::{AddressView, DrainError, LiveProxy, UpstreamView},
};

impl Upstreams for LiveProxy {
    fn list(&self) -> Vec<Upstream> {
        self.upstreams().into_iter().map(shown).collect()
    }

    fn drain(&self, upstream: &str, address: &str, is_to_drain: bool) -> Result<Upstream, NotDrained> {
        Self::drain(self, upstream, address, is_to_drain).map(shown).map_err(|error| match error {
            DrainError::NoUpstream => NotDrained::NoUpstream,
            DrainError::NoAddress(known) => NotDrained::NoAddress(known),
            DrainError::Last => NotDrained::Last,
        })
    }
}

fn shown(view: UpstreamView) -> Upstream {
    let address = |AddressView { address, state, is_draining, in_flight, websockets }| Address {
        address,
        state,
        draining: is_draining,
        in_flight,
        websockets,
    };
    let UpstreamView { name, addresses, taken_out, retries, retries_refused } = view;
    Upstream { name, addresses: addresses.into_iter().map(address).collect(), taken_out, retries, retries_refused }
}
