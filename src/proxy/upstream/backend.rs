//! One backend: its addresses, what is known of them, and how to connect to them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::HeaderValue;
use pingora::{
    Error, Result,
    connectors::TransportConnector,
    protocols::Stream,
    upstreams::peer::{HttpPeer, PeerOptions},
};
use tokio::sync::watch;

use crate::proxy::upstream::{
    addresses::Addresses,
    error::UpstreamError,
    fault::UpstreamFault,
    place::{Address, InFlight, Place},
    roster::{Retry, Roster},
    settings::{HostHeader, Target, UpstreamSettings},
    standing::Standing,
    tls::{SystemAuthorities, UpstreamTls},
};

/// How often an upstream's failures are logged: when it is down, every request fails.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Protocol {
    Http1,
    Http2,
}

/// One backend.
#[derive(Debug)]
pub(in crate::proxy) struct Backend {
    pub(super) settings: UpstreamSettings,
    host_value: HeaderValue,
    tls: Option<UpstreamTls>,
    options: PeerOptions,
    addresses: Addresses,
    pub(super) roster: Arc<Roster>,
    is_resolved: watch::Sender<bool>,
    /// Milliseconds, as the roster counts them.
    complains_after: AtomicU64,
}

impl Backend {
    /// What is known of the addresses of `old` is kept: the upstream of this name before a reload.
    pub(in crate::proxy) fn new(
        settings: UpstreamSettings,
        old: Option<&Self>,
        system: &SystemAuthorities,
    ) -> Result<Self, UpstreamError> {
        let host_value = host_value(&settings)?;
        Ok(Self {
            tls: UpstreamTls::new(&settings, system)?,
            options: options(&settings),
            settings,
            host_value,
            addresses: Addresses::default(),
            roster: old.map(|old| Arc::clone(&old.roster)).unwrap_or_default(),
            is_resolved: watch::Sender::new(false),
            complains_after: AtomicU64::new(0),
        })
    }

    pub(in crate::proxy) fn settings(&self) -> &UpstreamSettings {
        &self.settings
    }

    /// Whether it is what these settings and the files that they name ask for.
    pub(in crate::proxy) fn is_by(&self, settings: &UpstreamSettings) -> bool {
        self.settings == *settings && self.tls.as_ref().is_none_or(|tls| tls.is_current(settings))
    }

    pub(in crate::proxy) fn name(&self) -> &str {
        &self.settings.name
    }

    /// The `Host` to send instead of the client's, if so configured.
    pub(in crate::proxy) fn host_value(&self) -> Option<&HeaderValue> {
        (self.settings.host_header == HostHeader::Upstream).then_some(&self.host_value)
    }

    /// What requests are sent by. WebSockets are opened by HTTP/1.1 in any case.
    pub(in crate::proxy) fn protocol(&self) -> Protocol {
        if self.settings.http2 { Protocol::Http2 } else { Protocol::Http1 }
    }

    /// The host of its first URL, whatever clients see.
    pub(super) fn own_host(&self) -> &HeaderValue {
        &self.host_value
    }

    /// An address for a request, of this user where that matters. The first requests after the start wait for names to be resolved, no
    /// longer than for a connection; none if none is by then.
    pub(in crate::proxy) async fn place(&self, user: Option<u64>) -> Option<InFlight> {
        if let Some(place) = self.addresses.choose(user, || self.now()) {
            return Some(place);
        }
        let mut resolution = self.is_resolved.subscribe();
        let resolved = resolution.wait_for(|is_resolved| *is_resolved);
        tokio::time::timeout(self.settings.connect_timeout, resolved).await.ok()?.ok()?;
        self.addresses.choose(user, || self.now())
    }

    pub(super) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Connects to one of its addresses, TLS included. The time limit is that for TCP alone.
    pub(super) async fn open(&self, connector: &TransportConnector, place: &Place, protocol: Protocol) -> Result<Stream> {
        let plain = connector.new_stream(&*place.peer).await?;
        match &self.tls {
            Some(tls) => tls.shake_hands(plain, place, protocol == Protocol::Http2).await,
            None => Ok(plain),
        }
    }

    /// Notes that an address did not accept a connection.
    pub(super) fn refused(&self, place: &Place) {
        if place.standing.refused(self.now()) {
            self.tell(&place.standing, "an address does not accept connections; it is tried again every 10 s");
        }
        self.failed(place);
    }

    /// Notes that it did.
    pub(super) fn accepted(&self, place: &Place) {
        if place.standing.accepted(self.now()) {
            self.tell(&place.standing, "an address accepts connections again");
        }
    }

    /// Notes that an address has failed a request, by a fault of its own.
    pub(in crate::proxy) fn failed(&self, place: &Place) {
        if place.standing.failed() && self.addresses.take_out(place, self.now()) {
            self.roster.counts.taken_out.fetch_add(1, Ordering::Relaxed);
            self.tell(&place.standing, "an address failed five times in a row: requests pass it by for some time");
        }
    }

    /// Notes that an address has served a request.
    pub(in crate::proxy) fn served(&self, place: &Place) {
        if place.standing.served(|| self.now()) {
            self.tell(&place.standing, "an address serves again");
        }
    }

    /// The right to try a request once more.
    pub(in crate::proxy) fn retry(&self) -> Option<Retry> {
        self.roster.retry(self.addresses.in_flight())
    }

    /// Tells the operator of a change. Of an only address nothing changes: it is used in any case.
    pub(super) fn tell(&self, standing: &Standing, what: &str) {
        if self.addresses.all().len() > 1 {
            tracing::warn!(upstream = self.name(), address = standing.address(), "{what}");
        }
    }

    /// Tells the operator why it failed a request, once in a while.
    pub(in crate::proxy) fn complain(&self, fault: UpstreamFault, error: &Error) {
        if self.may_complain(self.now()) {
            tracing::warn!(upstream = self.name(), kind = fault.label(), cause = %error, "an upstream failed a request");
        }
    }

    /// Once in each span, for one of those that ask. `now`: milliseconds.
    fn may_complain(&self, now: u64) -> bool {
        let not_before = self.complains_after.load(Ordering::Relaxed);
        let next = now.saturating_add(u64::try_from(LOG_INTERVAL.as_millis()).unwrap_or(u64::MAX));
        now >= not_before && self.complains_after.compare_exchange(not_before, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    pub(super) fn now(&self) -> u64 {
        self.roster.now()
    }

    /// Takes new addresses. Says whether they are others than before.
    pub(super) fn publish(&self, addresses: Vec<(Address, usize)>) -> bool {
        let is_changed = self.addresses.publish(addresses, &self.roster, |address| {
            // For the connection below TLS alone.
            let mut peer = match address {
                Address::Tcp(address) => HttpPeer::new(*address, false, String::new()),
                Address::Socket(path) => HttpPeer::new_uds(path.to_str()?, false, String::new()).ok()?,
            };
            peer.options = self.options.clone();
            Some(peer)
        });
        self.is_resolved.send_replace(true);
        is_changed
    }
}

fn host_value(settings: &UpstreamSettings) -> Result<HeaderValue, UpstreamError> {
    let authority = match settings.targets.first() {
        Some(Target::Socket(_)) => "localhost".to_owned(),
        Some(target @ Target::Host { host, port }) => {
            let is_default = *port == if settings.tls { 443 } else { 80 };
            let authority = target.to_string();
            let bare = authority.strip_suffix(&format!(":{port}")).filter(|_| is_default).map(str::to_owned);
            if host.is_empty() { String::new() } else { bare.unwrap_or(authority) }
        }
        None => String::new(),
    };
    let invalid = |host: &str| UpstreamError::Host { upstream: settings.name.clone(), host: host.to_owned() };
    HeaderValue::try_from(authority.as_str()).ok().filter(|_| !authority.is_empty()).ok_or_else(|| invalid(&authority))
}

fn options(settings: &UpstreamSettings) -> PeerOptions {
    let mut options = PeerOptions::new();
    options.connection_timeout = Some(settings.connect_timeout);
    options.total_connection_timeout = Some(settings.connect_timeout);
    options.read_timeout = Some(settings.read_timeout);
    options.write_timeout = Some(settings.write_timeout);
    options.idle_timeout = Some(settings.idle_timeout);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream() -> Backend {
        let settings = UpstreamSettings::new("couch", "couch.contoso.com", 5984);
        Backend::new(settings, None, &SystemAuthorities::default()).unwrap()
    }

    #[test]
    fn failures_are_told_now_and_then() {
        let upstream = upstream();
        assert_eq!(
            [0, 1, 9_999, 10_000, 10_001, 60_000].map(|now| upstream.may_complain(now)),
            [true, false, false, true, false, true]
        );
    }

    #[test]
    fn the_host_is_that_of_the_first_url() {
        let host = |targets: &[Target], tls| {
            let settings = UpstreamSettings { targets: targets.to_vec(), tls, ..UpstreamSettings::new("couch", "", 0) };
            host_value(&settings).ok().map(|value| value.to_str().unwrap().to_owned())
        };
        let socket = Target::Socket("/run/couch.sock".into());
        for (targets, tls, expected) in [
            (&[Target::new("a", 80), Target::new("b", 5984)][..], false, Some("a")),
            (&[Target::new("a", 80)], true, Some("a:80")),
            (&[Target::new("::1", 443)], true, Some("[::1]")),
            (&[Target::new("::1", 5984)], true, Some("[::1]:5984")),
            (&[socket.clone(), Target::new("a", 80)], false, Some("localhost")),
            (&[Target::new("", 80)], false, None),
            (&[Target::new("a b\n", 80)], false, None),
            (&[], false, None),
        ] {
            assert_eq!(host(targets, tls).as_deref(), expected, "{targets:?}");
        }
    }
}
