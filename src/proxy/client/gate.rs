//! Which connections are let in: an address may have only so many, and only so many new ones.

use std::{sync::Arc, time::Instant};

use arc_swap::ArcSwap;

use crate::{
    limits::{Exceeded, Held, Limits},
    metrics::Metrics,
    proxy::{address::Peer, client::settings::ListenSettings, http::LimitLog},
};

/// Counts the connections of each address. Those of trusted proxies are not counted: they have the connections of all.
#[derive(Debug)]
pub(in crate::proxy) struct Gate {
    limits: Arc<ArcSwap<Limits>>,
    settings: Arc<ArcSwap<ListenSettings>>,
    log: LimitLog,
}

/// A place of an address; none where it is not counted.
pub(super) type Place = Option<Held>;

impl Gate {
    pub(in crate::proxy) fn new(limits: Arc<ArcSwap<Limits>>, settings: Arc<ArcSwap<ListenSettings>>, metrics: &Metrics) -> Self {
        Self { limits, settings, log: LimitLog::new(metrics.clients.limited.clone()) }
    }

    /// A place for a connection. None: it is to be closed.
    pub(super) fn let_in(&self, peer: &Peer) -> Option<Place> {
        self.take(peer, |limits| limits.connect(peer.address(), Instant::now()))
    }

    /// A place for a handshake. None: its connection is to be closed.
    pub(super) fn shake_hands(&self, peer: &Peer) -> Option<Place> {
        self.take(peer, |limits| limits.shake_hands(peer.address()))
    }

    fn take(&self, peer: &Peer, take: impl FnOnce(&Limits) -> Result<Held, Exceeded>) -> Option<Place> {
        if self.settings.load().trust.proxies.contains(peer.address()) {
            return Some(None);
        }
        match take(&self.limits.load()) {
            Ok(held) => Some(Some(held)),
            Err(exceeded) => {
                self.log.tell(exceeded.limit, peer.text());
                None
            }
        }
    }
}
