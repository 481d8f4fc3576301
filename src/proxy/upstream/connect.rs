//! New connections to upstreams. Nothing is sent before one is established, so each address of a name can be tried, once.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use pingora::{Error, ErrorType, Result, connectors::TransportConnector, protocols::Stream, upstreams::peer::HttpPeer};
use tokio::time::{Instant, sleep_until};

use crate::proxy::upstream::{addresses::Place, backend::Backend};

/// How long an address is waited for at most before the next is tried beside it: one that is silent must not cost the whole time.
const NEXT_ADDRESS_TIMEOUT: Duration = Duration::from_secs(1);

/// Connects, TLS included, to this address of an upstream or, where it does not accept, to another; all within the upstream's
/// connect timeout.
///
/// # Errors
/// What went wrong with the last one. All are the upstream's.
pub(in crate::proxy) async fn connect(
    connector: &TransportConnector,
    upstream: &Backend,
    first: Arc<Place>,
) -> Result<(Stream, Arc<HttpPeer>)> {
    let limit = upstream.settings().connect_timeout;
    let deadline = Instant::now() + limit;
    let addresses = u32::try_from(upstream.addresses().count()).unwrap_or(u32::MAX);
    let head_start = NEXT_ADDRESS_TIMEOUT.min(limit / addresses.saturating_add(1));
    let attempt = |place: Arc<Place>| async move { (upstream.open(connector, &place).await, place) };
    let (mut attempts, mut tried) = (FuturesUnordered::new(), Vec::new());
    let mut next = Some(first);
    loop {
        if let Some(place) = next.take() {
            tried.push(Arc::clone(&place));
            attempts.push(attempt(place));
        }
        let untried = upstream.addresses().next_but(&tried);
        let due = if untried.is_some() { (Instant::now() + head_start).min(deadline) } else { deadline };
        tokio::select! {
            biased;
            Some((outcome, place)) = attempts.next() => match outcome {
                Ok(stream) => {
                    place.accepted();
                    // Those that had a head start and have not accepted by now.
                    tried.iter().take_while(|other| !Arc::ptr_eq(other, &place)).for_each(|other| upstream.refused(other));
                    return Ok((stream, Arc::clone(&place.peer)));
                }
                Err(error) => {
                    upstream.refused(&place);
                    if untried.is_none() && attempts.is_empty() {
                        return Err(error.into_up());
                    }
                    next = untried;
                }
            },
            () = sleep_until(due) => {
                if due == deadline {
                    tried.iter().for_each(|place| upstream.refused(place));
                    return Err(Error::explain(ErrorType::ConnectTimedout, "the upstream did not accept a connection in time").into_up());
                }
                next = untried;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use socket2::{Domain, Socket, Type};
    use tokio::net::TcpListener;

    use super::*;
    use crate::proxy::upstream::{settings::UpstreamSettings, tls::SystemAuthorities};

    const LIMIT: Duration = Duration::from_secs(4);

    /// An upstream with these last bytes of loopback addresses, in the order in which they are tried.
    fn upstream(port: u16, last_bytes: &[u8]) -> Backend {
        let settings = UpstreamSettings { connect_timeout: LIMIT, ..UpstreamSettings::new("couch", "couch.contoso.com", port) };
        let upstream = Backend::new(settings, &SystemAuthorities::default()).unwrap();
        upstream.publish(last_bytes.iter().map(|last| SocketAddr::from(([127, 0, 0, *last], port))).collect());
        upstream
    }

    async fn connected(upstream: &Backend) -> Result<String> {
        let connector = TransportConnector::new(None);
        let first = upstream.place().await.unwrap();
        let (_, peer) = connect(&connector, upstream, first).await?;
        Ok(peer.to_string())
    }

    #[tokio::test]
    async fn no_request_is_lost_as_long_as_one_address_lives() {
        let listener = TcpListener::bind("127.0.0.9:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let upstream = upstream(port, &[2, 3, 4, 9]);
        for round in 0..50 {
            let peer = connected(&upstream).await.unwrap();
            assert!(peer.contains("127.0.0.9"), "round {round}: {peer}");
        }
    }

    #[tokio::test]
    async fn where_none_lives_the_request_fails_at_once() {
        let listener = TcpListener::bind("127.0.0.9:0").await.unwrap();
        let upstream = upstream(listener.local_addr().unwrap().port(), &[2, 3, 4]);
        drop(listener);
        for _ in 0..3 {
            let started = Instant::now();
            let error = connected(&upstream).await.unwrap_err();
            assert_eq!((error.etype(), error.esource()), (&ErrorType::ConnectRefused, &pingora::ErrorSource::Upstream));
            assert!(started.elapsed() < LIMIT / 2);
        }
    }

    /// A listener that drops what would connect: its queue is full.
    fn silent(address: SocketAddr) -> (Socket, Vec<Socket>) {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&address.into()).unwrap();
        listener.listen(0).unwrap();
        let waiting = (0..4).map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address.into());
            socket
        });
        let waiting = waiting.collect();
        (listener, waiting)
    }

    #[tokio::test]
    async fn an_address_that_is_silent_does_not_cost_the_whole_time() {
        let listener = TcpListener::bind("127.0.0.9:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let _silent = silent(SocketAddr::from(([127, 0, 0, 8], port)));
        let upstream = upstream(port, &[8, 9]);
        let started = Instant::now();
        assert!(connected(&upstream).await.unwrap().contains("127.0.0.9"));
        assert!(started.elapsed() < LIMIT / 2, "{:?}", started.elapsed());
        // From now on it is left alone.
        let started = Instant::now();
        for _ in 0..10 {
            assert!(connected(&upstream).await.unwrap().contains("127.0.0.9"));
        }
        assert!(started.elapsed() < LIMIT / 4, "{:?}", started.elapsed());
    }

    #[tokio::test]
    async fn all_addresses_together_have_the_connect_timeout() {
        let probe = TcpListener::bind("127.0.0.9:0").await.unwrap();
        let port = probe.local_addr().unwrap().port();
        let _silent = [7, 8].map(|last| silent(SocketAddr::from(([127, 0, 0, last], port))));
        let upstream = upstream(port, &[7, 8]);
        let started = Instant::now();
        let error = connected(&upstream).await.unwrap_err();
        assert_eq!(error.etype(), &ErrorType::ConnectTimedout);
        assert!(started.elapsed().abs_diff(LIMIT) < LIMIT / 4, "{:?}", started.elapsed());
    }
}
