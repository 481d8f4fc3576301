//! One backend: its addresses, resolved in the background, and how it is spoken to.

use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use http::HeaderValue;
use pingora::{
    Error,
    protocols::{ALPN, l4::socket::SocketAddr as PeerAddress, tls::CaType},
    upstreams::peer::{HttpPeer, Peer as _, PeerOptions},
    utils::tls::{WrappedX509, parse_x509},
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::proxy::{HostHeader, UpstreamSettings, answer::UpstreamFault};

/// For so long an address that did not accept a connection is tried after all others only.
const AVOIDED: Duration = Duration::from_secs(10);

/// How often an upstream's failures are told: when it is down, every request is one.
const COMPLAINS_EVERY: Duration = Duration::from_secs(10);

/// Why an upstream cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The authorities cannot be read.
    #[error("upstream {upstream}: ca_file {path}: {problem}")]
    Authorities {
        /// The upstream's name.
        upstream: String,
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The URL's host cannot stand in a header.
    #[error("upstream {upstream}: the host {host:?} is not a valid name")]
    Host {
        /// The upstream's name.
        upstream: String,
        /// The host.
        host: String,
    },
}

/// One backend.
#[derive(Debug)]
pub(super) struct Upstream {
    settings: UpstreamSettings,
    host_value: HeaderValue,
    options: PeerOptions,
    /// One for each resolved address; empty before the first resolution.
    places: ArcSwap<Vec<Arc<Place>>>,
    is_resolved: watch::Sender<bool>,
    next: AtomicUsize,
    start: Instant,
    /// Milliseconds since the start.
    complains_after: AtomicU64,
}

/// One address of a backend.
#[derive(Debug)]
struct Place {
    peer: Arc<HttpPeer>,
    /// Milliseconds since the upstream's start; before then other addresses are better.
    avoided_until: AtomicU64,
}

impl Upstream {
    pub(super) fn new(settings: UpstreamSettings) -> Result<Self, UpstreamError> {
        let authority = if has_default_port(&settings) {
            bracketed(&settings.host)
        } else {
            format!("{}:{}", bracketed(&settings.host), settings.port)
        };
        let host_value = HeaderValue::try_from(authority)
            .ok()
            .filter(|_| !settings.host.is_empty())
            .ok_or_else(|| UpstreamError::Host { upstream: settings.name.clone(), host: settings.host.clone() })?;
        let options = options(&settings)?;
        Ok(Self {
            settings,
            host_value,
            options,
            places: ArcSwap::default(),
            is_resolved: watch::Sender::new(false),
            next: AtomicUsize::new(0),
            start: Instant::now(),
            complains_after: AtomicU64::new(0),
        })
    }

    pub(super) fn settings(&self) -> &UpstreamSettings {
        &self.settings
    }

    pub(super) fn name(&self) -> &str {
        &self.settings.name
    }

    /// The `Host` to send instead of the client's, if so configured.
    pub(super) fn host_value(&self) -> Option<&HeaderValue> {
        (self.settings.host_header == HostHeader::Upstream).then_some(&self.host_value)
    }

    /// The next peer in turn of those that accept connections, as far as is known. The first requests after the start wait for the name to
    /// be resolved, no longer than for a connection; none if it is not by then.
    pub(super) async fn peer(&self) -> Option<Arc<HttpPeer>> {
        if !*self.is_resolved.borrow() {
            let mut resolution = self.is_resolved.subscribe();
            let resolved = resolution.wait_for(|is_resolved| *is_resolved);
            tokio::time::timeout(self.settings.connect_timeout, resolved).await.ok()?.ok()?;
        }
        let places = self.places.load();
        if let [only] = places.as_slice() {
            return Some(Arc::clone(&only.peer));
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed).checked_rem(places.len())?;
        let (before, after) = places.split_at_checked(turn)?;
        let (now, in_turn) = (self.now(), || after.iter().chain(before));
        let accepting = in_turn().find(|place| place.avoided_until.load(Ordering::Relaxed) <= now);
        accepting.or_else(|| in_turn().next()).map(|place| Arc::clone(&place.peer))
    }

    /// Notes that an address did not accept a connection.
    pub(super) fn avoid(&self, address: &PeerAddress) {
        let until = self.now().saturating_add(u64::try_from(AVOIDED.as_millis()).unwrap_or(u64::MAX));
        for place in self.places.load().iter().filter(|place| place.peer.address() == address) {
            place.avoided_until.store(until, Ordering::Relaxed);
        }
    }

    /// Tells the operator why it failed a request, once in a while.
    pub(super) fn complain(&self, fault: UpstreamFault, error: &Error) {
        if self.may_complain(self.now()) {
            tracing::warn!(upstream = self.name(), kind = fault.label(), cause = %error, "an upstream failed a request");
        }
    }

    /// Once in each span, for one of those that ask. `now`: milliseconds since the start.
    fn may_complain(&self, now: u64) -> bool {
        let not_before = self.complains_after.load(Ordering::Relaxed);
        let next = now.saturating_add(u64::try_from(COMPLAINS_EVERY.as_millis()).unwrap_or(u64::MAX));
        now >= not_before && self.complains_after.compare_exchange(not_before, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Keeps the addresses up to date until stopped. A name that cannot be resolved keeps its last addresses.
    pub(super) async fn keep_resolved(self: Arc<Self>, stop: CancellationToken) {
        let mut failing = false;
        loop {
            let resolved = tokio::net::lookup_host((self.settings.host.as_str(), self.settings.port)).await;
            let pause = match resolved.map(Iterator::collect::<Vec<SocketAddr>>) {
                Ok(addresses) if !addresses.is_empty() => {
                    if std::mem::take(&mut failing) {
                        tracing::info!(upstream = self.name(), "upstream name resolves again");
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
                            "upstream name does not resolve; its last addresses stay"
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

    fn publish(&self, mut addresses: Vec<SocketAddr>) {
        addresses.sort_unstable();
        addresses.dedup();
        let known = self.places.load();
        let places = addresses.into_iter().map(|address| {
            let mut peer = HttpPeer::new(address, self.settings.tls, self.settings.host.clone());
            peer.options = self.options.clone();
            let same = known.iter().find(|place| place.peer.address() == peer.address());
            same.map_or_else(|| Arc::new(Place { peer: Arc::new(peer), avoided_until: AtomicU64::new(0) }), Arc::clone)
        });
        self.places.store(Arc::new(places.collect()));
        self.is_resolved.send_replace(true);
    }
}

fn options(settings: &UpstreamSettings) -> Result<PeerOptions, UpstreamError> {
    let mut options = PeerOptions::new();
    options.alpn = ALPN::H1;
    options.connection_timeout = Some(settings.connect_timeout);
    options.total_connection_timeout = Some(settings.connect_timeout);
    options.read_timeout = Some(settings.read_timeout);
    options.write_timeout = Some(settings.write_timeout);
    options.idle_timeout = Some(settings.idle_timeout);
    options.ca = authorities(settings)?;
    Ok(options)
}

fn authorities(settings: &UpstreamSettings) -> Result<Option<Arc<CaType>>, UpstreamError> {
    let Some(path) = &settings.ca_file else { return Ok(None) };
    let error =
        |problem: String| UpstreamError::Authorities { upstream: settings.name.clone(), path: path.display().to_string(), problem };
    let pem = fs::read(path).map_err(|cause| error(cause.to_string()))?;
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|cause| error(cause.to_string()))?;
    if certificates.is_empty() {
        return Err(error("holds no certificate; PEM is expected".into()));
    }
    let mut store = rustls::RootCertStore::empty();
    for certificate in &certificates {
        store.add(certificate.clone()).map_err(|cause| error(cause.to_string()))?;
    }
    for certificate in &certificates {
        // Pingora parses each once more, and panics where that fails.
        x509_parser::parse_x509_certificate(certificate).map_err(|cause| error(cause.to_string()))?;
    }
    Ok(Some(certificates.iter().map(|certificate| WrappedX509::new(certificate.to_vec(), parse_x509)).collect()))
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

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], 5984))
    }

    fn upstream() -> Upstream {
        Upstream::new(UpstreamSettings {
            name: "couch".into(),
            tls: false,
            host: "couch.contoso.com".into(),
            port: 5984,
            ca_file: None,
            host_header: HostHeader::Client,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(5),
            resolve_every: Duration::from_secs(30),
        })
        .unwrap()
    }

    async fn next(upstream: &Upstream, count: usize) -> Vec<String> {
        let mut addresses = Vec::new();
        for _ in 0..count {
            addresses.push(upstream.peer().await.unwrap().address().to_string());
        }
        addresses
    }

    #[tokio::test]
    async fn an_address_that_does_not_accept_is_left_out_while_another_is_there() {
        let upstream = upstream();
        upstream.publish(vec![address(1), address(2)]);
        assert_eq!(next(&upstream, 4).await, ["127.0.0.1:5984", "127.0.0.2:5984", "127.0.0.1:5984", "127.0.0.2:5984"]);
        upstream.avoid(&PeerAddress::Inet(address(1)));
        assert_eq!(next(&upstream, 3).await, ["127.0.0.2:5984"; 3]);
        // It is still left out after the name was resolved again.
        upstream.publish(vec![address(1), address(2)]);
        assert_eq!(next(&upstream, 3).await, ["127.0.0.2:5984"; 3]);
        // Of none that accepts, each is tried in turn.
        upstream.avoid(&PeerAddress::Inet(address(2)));
        assert_eq!(next(&upstream, 2).await, ["127.0.0.1:5984", "127.0.0.2:5984"]);
    }

    #[test]
    fn failures_are_told_now_and_then() {
        let upstream = upstream();
        assert_eq!(
            [0, 1, 9_999, 10_000, 10_001, 60_000].map(|now| upstream.may_complain(now)),
            [true, false, false, true, false, true]
        );
    }

    #[tokio::test]
    async fn an_only_address_is_tried_whatever_it_did() {
        let upstream = upstream();
        upstream.publish(vec![address(1)]);
        upstream.avoid(&PeerAddress::Inet(address(1)));
        assert_eq!(next(&upstream, 2).await, ["127.0.0.1:5984"; 2]);
    }
}
