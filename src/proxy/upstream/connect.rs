//! New connections to upstreams. Nothing is sent before one is established, so each address of a name can be tried, once.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use pingora::{Error, ErrorType, Result, connectors::TransportConnector, protocols::Stream};
use tokio::time::{Instant, sleep_until};

use crate::proxy::upstream::{
    backend::{Backend, Protocol},
    place::{InFlight, Place},
};

/// How long an address is waited for at most before the next is tried beside it: one that is silent must not cost the whole time.
const NEXT_ADDRESS_TIMEOUT: Duration = Duration::from_secs(1);

/// Connects, TLS included, to this address of an upstream or, where it does not accept, to another; all within the upstream's
/// connect timeout. Each is tried once: those that serve, as far as is known, in any case; the others as far as the retries allow.
///
/// # Errors
/// What went wrong with the last one. All are the upstream's.
pub(in crate::proxy) async fn connect(
    connector: &TransportConnector,
    upstream: &Backend,
    first: InFlight,
    user: Option<u64>,
    protocol: Protocol,
) -> Result<(Stream, InFlight)> {
    let limit = upstream.settings().connect_timeout;
    let deadline = Instant::now() + limit;
    let addresses = u32::try_from(upstream.addresses().all().len()).unwrap_or(u32::MAX);
    let head_start = NEXT_ADDRESS_TIMEOUT.min(limit / addresses.saturating_add(1));
    let attempt = |request: InFlight| async move { (upstream.open(connector, request.place(), protocol).await, request) };
    let (mut attempts, mut tried, mut retries) = (FuturesUnordered::new(), Vec::new(), Vec::new());
    let mut next = Some(first);
    // Held until one has accepted.
    let mut another = |tried: &[Arc<Place>]| {
        let (place, is_doubtful) = upstream.addresses().untried(tried, user)?;
        if is_doubtful {
            retries.push(upstream.retry()?);
        }
        Some(InFlight::at(&place))
    };
    let mut has_others = true;
    loop {
        if let Some(request) = next.take() {
            tried.push(Arc::clone(request.place()));
            attempts.push(attempt(request));
            has_others = upstream.addresses().untried(&tried, user).is_some();
        }
        let due = if has_others { (Instant::now() + head_start).min(deadline) } else { deadline };
        tokio::select! {
            biased;
            Some((outcome, request)) = attempts.next() => match outcome {
                Ok(stream) => {
                    upstream.accepted(request.place());
                    // Those that had a head start and have not accepted by now.
                    let late = tried.iter().take_while(|other| !Arc::ptr_eq(other, request.place()));
                    late.for_each(|other| upstream.refused(other));
                    return Ok((stream, request));
                }
                Err(error) => {
                    upstream.refused(request.place());
                    next = if has_others { another(&tried) } else { None };
                    has_others = next.is_some();
                    if next.is_none() && attempts.is_empty() {
                        return Err(error.into_up());
                    }
                }
            },
            () = sleep_until(due) => {
                if due == deadline {
                    tried.iter().for_each(|place| upstream.refused(place));
                    return Err(Error::explain(ErrorType::ConnectTimedout, "the upstream did not accept a connection in time").into_up());
                }
                next = another(&tried);
                has_others = next.is_some();
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
    use crate::proxy::upstream::{place::Address, settings::UpstreamSettings, tls::SystemAuthorities};

    const LIMIT: Duration = Duration::from_secs(4);

    /// An upstream with these last bytes of loopback addresses, in the order in which they are tried.
    fn upstream(port: u16, last_bytes: &[u8]) -> Backend {
        let settings = UpstreamSettings { connect_timeout: LIMIT, ..UpstreamSettings::new("couch", "couch.contoso.com", port) };
        let upstream = Backend::new(settings, None, &SystemAuthorities::default()).unwrap();
        let address = |last: &u8| (Address::Tcp(SocketAddr::from(([127, 0, 0, *last], port))), 0);
        upstream.publish(last_bytes.iter().map(address).collect());
        upstream
    }

    async fn connected(upstream: &Backend) -> Result<String> {
        let connector = TransportConnector::new(None);
        let first = upstream.place(None).await.unwrap();
        let (_, request) = connect(&connector, upstream, first, None, Protocol::Http1).await?;
        Ok(request.place().peer.to_string())
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
