//! One backend: its addresses, resolved in the background, and how to connect to it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use http::HeaderValue;
use pingora::{
    Error, Result,
    connectors::TransportConnector,
    protocols::Stream,
    upstreams::peer::{HttpPeer, PeerOptions},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::proxy::upstream::{
    addresses::{Addresses, Place},
    error::UpstreamError,
    fault::UpstreamFault,
    settings::{HostHeader, UpstreamSettings},
    tls::{SystemAuthorities, UpstreamTls},
};

/// How often an upstream's failures are logged: when it is down, every request fails.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// One backend.
#[derive(Debug)]
pub(in crate::proxy) struct Backend {
    settings: UpstreamSettings,
    host_value: HeaderValue,
    tls: Option<UpstreamTls>,
    options: PeerOptions,
    addresses: Addresses,
    is_resolved: watch::Sender<bool>,
    start: Instant,
    /// Milliseconds since the start.
    complains_after: AtomicU64,
}

impl Backend {
    pub(in crate::proxy) fn new(settings: UpstreamSettings, system: &SystemAuthorities) -> Result<Self, UpstreamError> {
        let authority = if has_default_port(&settings) {
            bracketed(&settings.host)
        } else {
            format!("{}:{}", bracketed(&settings.host), settings.port)
        };
        let host_value = HeaderValue::try_from(authority)
            .ok()
            .filter(|_| !settings.host.is_empty())
            .ok_or_else(|| UpstreamError::Host { upstream: settings.name.clone(), host: settings.host.clone() })?;
        Ok(Self {
            tls: UpstreamTls::new(&settings, system)?,
            options: options(&settings),
            settings,
            host_value,
            addresses: Addresses::default(),
            is_resolved: watch::Sender::new(false),
            start: Instant::now(),
            complains_after: AtomicU64::new(0),
        })
    }

    pub(in crate::proxy) fn settings(&self) -> &UpstreamSettings {
        &self.settings
    }

    pub(in crate::proxy) fn name(&self) -> &str {
        &self.settings.name
    }

    /// The `Host` to send instead of the client's, if so configured.
    pub(in crate::proxy) fn host_value(&self) -> Option<&HeaderValue> {
        (self.settings.host_header == HostHeader::Upstream).then_some(&self.host_value)
    }

    /// The address whose turn it is. The first requests after the start wait for the name to be resolved, no longer than for a connection;
    /// none if it is not by then.
    pub(in crate::proxy) async fn place(&self) -> Option<Arc<Place>> {
        if !*self.is_resolved.borrow() {
            let mut resolution = self.is_resolved.subscribe();
            let resolved = resolution.wait_for(|is_resolved| *is_resolved);
            tokio::time::timeout(self.settings.connect_timeout, resolved).await.ok()?.ok()?;
        }
        self.addresses.next(|| self.now())
    }

    pub(super) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Connects to one of its addresses, TLS included. The time limit is that for TCP alone.
    pub(super) async fn open(&self, connector: &TransportConnector, place: &Place) -> Result<Stream> {
        let plain = connector.new_stream(&*place.peer).await?;
        match &self.tls {
            Some(tls) => tls.shake_hands(plain, &place.peer).await,
            None => Ok(plain),
        }
    }

    /// Notes that an address did not accept a connection.
    pub(in crate::proxy) fn refused(&self, place: &Place) {
        place.refused(self.now());
    }

    /// Tells the operator why it failed a request, once in a while.
    pub(in crate::proxy) fn complain(&self, fault: UpstreamFault, error: &Error) {
        if self.may_complain(self.now()) {
            tracing::warn!(upstream = self.name(), kind = fault.label(), cause = %error, "an upstream failed a request");
        }
    }

    /// Once in each span, for one of those that ask. `now`: milliseconds since the start.
    fn may_complain(&self, now: u64) -> bool {
        let not_before = self.complains_after.load(Ordering::Relaxed);
        let next = now.saturating_add(u64::try_from(LOG_INTERVAL.as_millis()).unwrap_or(u64::MAX));
        now >= not_before && self.complains_after.compare_exchange(not_before, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Keeps the addresses up to date until stopped. A name that cannot be resolved keeps its last addresses.
    pub(in crate::proxy) async fn keep_resolved(self: Arc<Self>, stop: CancellationToken) {
        let mut failing = false;
        loop {
            let resolved = tokio::net::lookup_host((self.settings.host.as_str(), self.settings.port)).await;
            let pause = match resolved.map(Iterator::collect::<Vec<SocketAddr>>) {
                Ok(addresses) if !addresses.is_empty() => {
                    if std::mem::take(&mut failing) {
                        tracing::info!(upstream = self.name(), "the upstream's name resolves again");
                    }
                    self.publish(addresses);
                    self.settings.resolve_every
                }
                outcome => {
                    if !std::mem::replace(&mut failing, true) {
                        let cause = outcome.err().map_or_else(|| "no address".to_owned(), |error| error.to_string());
                        let host = self.settings.host.as_str();
                        tracing::warn!(
                            upstream = self.name(),
                            host,
                            cause,
                            "the upstream's name does not resolve; its last addresses are kept"
                        );
                    }
                    self.settings.resolve_every.min(Duration::from_secs(1))
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    pub(super) fn publish(&self, addresses: Vec<SocketAddr>) {
        self.addresses.publish(addresses, |address| {
            // For TCP alone.
            let mut peer = HttpPeer::new(address, false, String::new());
            peer.options = self.options.clone();
            peer
        });
        self.is_resolved.send_replace(true);
    }
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

fn has_default_port(settings: &UpstreamSettings) -> bool {
    settings.port == if settings.tls { 443 } else { 80 }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream() -> Backend {
        let settings = UpstreamSettings::new("couch", "couch.contoso.com", 5984);
        Backend::new(settings, &SystemAuthorities::default()).unwrap()
    }

    #[test]
    fn failures_are_told_now_and_then() {
        let upstream = upstream();
        assert_eq!(
            [0, 1, 9_999, 10_000, 10_001, 60_000].map(|now| upstream.may_complain(now)),
            [true, false, false, true, false, true]
        );
    }
}
