//! An upstream as operators see it, and what they change of it.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use crate::proxy::upstream::{backend::Backend, place::Place, standing::Standing};

/// One upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamView {
    /// Its name in the config.
    pub name: String,
    /// Its addresses: those that its URLs lead to, and others while something is in progress there.
    pub addresses: Vec<AddressView>,
    /// How often an address was taken out after failures in a row, since the start.
    pub taken_out: u64,
    /// How often a request was tried once more, since the start.
    pub retries: u64,
    /// How often one was not, since too many were.
    pub retries_refused: u64,
}

/// One address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressView {
    /// With its port, or `unix:/path`.
    pub address: String,
    /// `serving`, `refusing` (connections), `out` (after failures in a row), `unwell` (by its own words), or `gone`: no URL leads to it any more.
    pub state: &'static str,
    /// Whether an operator drains it.
    pub is_draining: bool,
    /// Requests in progress there, WebSockets included.
    pub in_flight: usize,
    /// Of these, WebSockets.
    pub websockets: usize,
}

/// Why an address cannot be drained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrainError {
    /// No upstream of the config has this name.
    #[error("there is no such upstream")]
    NoUpstream,
    /// No URL of the upstream leads to this address; those to which one does.
    #[error("the upstream has no such address")]
    NoAddress(Vec<String>),
    /// No other would be left.
    #[error("no other address of the upstream serves")]
    Last,
}

impl Backend {
    pub(in crate::proxy) fn view(&self) -> UpstreamView {
        let counts = &self.roster.counts;
        let mut addresses: Vec<_> = self.roster.standings().iter().map(|standing| AddressView::of(standing)).collect();
        addresses.sort_by(|one, other| one.address.cmp(&other.address));
        UpstreamView {
            name: self.name().to_owned(),
            addresses,
            taken_out: counts.taken_out.load(Relaxed),
            retries: counts.retries.load(Relaxed),
            retries_refused: counts.retries_refused.load(Relaxed),
        }
    }

    /// Has an address passed by, and its sockets closed; or undoes that.
    pub(in crate::proxy) fn drain(&self, address: &str, is_to_drain: bool) -> Result<(), DrainError> {
        let standings = self.roster.standings();
        let Some(standing) = standings.iter().find(|standing| standing.address() == address) else {
            return Err(DrainError::NoAddress(standings.iter().map(|standing| standing.address().to_owned()).collect()));
        };
        let is_other = |place: &Arc<Place>| place.standing.address() != address && !place.standing.is_draining();
        if !is_to_drain {
            self.roster.undrain(standing);
        } else if self.addresses().all().iter().any(is_other) {
            self.roster.drain(standing, self.settings.drain_spread);
        } else {
            return Err(DrainError::Last);
        }
        Ok(())
    }
}

impl AddressView {
    fn of(standing: &Standing) -> Self {
        Self {
            address: standing.address().to_owned(),
            state: standing.state().label(),
            is_draining: standing.is_draining(),
            in_flight: standing.in_flight(),
            websockets: standing.sockets(),
        }
    }
}
