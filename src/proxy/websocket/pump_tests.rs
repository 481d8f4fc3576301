use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::*;
use crate::proxy::{policy::CloseCodes, websocket::frames};

/// A tunnel: the client's socket, the upstream's, and why it ended.
struct Tunnel {
    client: TcpStream,
    upstream: DuplexStream,
    end: JoinHandle<SocketEnd>,
}

impl Tunnel {
    async fn of(adjust: impl FnOnce(&mut Bounds)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let (upstream, far_upstream) = tokio::io::duplex(1024);
        let ends = Ends {
            client: ClientStream::from(accepted),
            from_client: None,
            upstream: Box::new(upstream),
            from_upstream: None,
            farewells: Farewells::new(CloseCodes::default(), None),
        };
        let mut bounds = Bounds {
            ends_in: (Duration::from_secs(60), Cut::TokenEnd),
            idle: Duration::from_secs(60),
            ping_every: None,
            write_timeout: Duration::from_secs(60),
            stopping: CancellationToken::new(),
        };
        adjust(&mut bounds);
        let end = tokio::spawn(carry(ends, bounds, std::future::pending()));
        Self { client, upstream: far_upstream, end }
    }

    /// One whose token ends after 200 ms.
    async fn ending() -> Self {
        Self::of(|bounds| bounds.ends_in = (Duration::from_millis(200), Cut::TokenEnd)).await
    }

    async fn end(self) -> SocketEnd {
        tokio::time::timeout(Duration::from_secs(10), self.end).await.unwrap().unwrap()
    }
}

async fn everything(from: &mut (impl tokio::io::AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), from.read_to_end(&mut bytes)).await.unwrap();
    bytes
}

#[tokio::test]
async fn a_close_stands_between_two_frames_in_both_directions() {
    let mut tunnel = Tunnel::ending().await;
    let Tunnel { client, upstream, .. } = &mut tunnel;
    // Half a frame each way when the token ends; the rest comes within the time for last words, and another frame behind it.
    client.write_all(&[0x82, 0x82, 1, 2, 3, 4, 9]).await.unwrap();
    upstream.write_all(&[0x82, 0x03, 7]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    client.write_all(&[9, 0x82, 0x80, 1, 2, 3, 4]).await.unwrap();
    upstream.write_all(&[8, 9, 0x82, 0x00]).await.unwrap();

    let (to_client, to_upstream) = (everything(client).await, everything(upstream).await);
    assert_eq!(to_client, [&[0x82, 0x03, 7, 8, 9][..], &frames::close(1008, "token expired", Towards::Client)].concat());
    let close = frames::close(1008, "token expired", Towards::Upstream);
    assert_eq!(to_upstream, [&[0x82, 0x82, 1, 2, 3, 4, 9, 9][..], &close].concat());
    let Tunnel { client, upstream, end } = tunnel;
    drop((client, upstream));
    assert_eq!(end.await.unwrap(), SocketEnd::Cut(Cut::TokenEnd));
}

#[tokio::test]
async fn a_peer_that_leaves_a_frame_unfinished_does_not_hold_the_tunnel() {
    let mut tunnel = Tunnel::ending().await;
    tunnel.client.write_all(&[0x82, 0x82, 1]).await.unwrap();
    assert_eq!(tunnel.end().await, SocketEnd::Cut(Cut::TokenEnd));
}

#[tokio::test]
async fn a_side_that_is_behind_is_told_after_the_frame_under_way_and_not_after_all_that_waits() {
    let mut tunnel = Tunnel::ending().await;
    // Many small frames, of which the upstream's pipe holds some; the rest waits when the token ends.
    let frame = [&[0x82, 0xe4, 0, 0, 0, 0][..], &[7; 100]].concat();
    tunnel.client.write_all(&frame.repeat(100)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    let heard = everything(&mut tunnel.upstream).await;
    let close = frames::close(1008, "token expired", Towards::Upstream);
    let frames = heard.strip_suffix(close.as_slice()).expect("no Close at the end");
    assert_eq!(frames.len() % frame.len(), 0, "the Close stands within a frame");
    assert!(frames.len() < 30 * frame.len(), "{} bytes stood before it", frames.len());
}

#[tokio::test]
async fn a_client_whose_upstream_leaves_is_told_so_between_two_frames() {
    for (said, is_told) in [(&[][..], true), (&[0x82, 0x01, 7], true), (&[0x82, 0x02, 7], false), (&[0x88, 0x00], false)] {
        let mut tunnel = Tunnel::of(|_| {}).await;
        tunnel.upstream.write_all(said).await.unwrap();
        tunnel.upstream.shutdown().await.unwrap();
        let heard = everything(&mut tunnel.client).await;
        let close = frames::close(1011, "the service behind the gateway is gone", Towards::Client);
        assert_eq!(heard, [said, if is_told { close.as_slice() } else { &[] }].concat());
        let expected = if said == [0x88, 0x00] { SocketEnd::Closed(Side::Upstream) } else { SocketEnd::Ended(Side::Upstream) };
        assert_eq!(tunnel.end().await, expected);
    }
}

#[tokio::test]
async fn whoever_says_close_first_has_ended_it() {
    let (of_client, of_upstream) = ([0x88, 0x80, 1, 2, 3, 4], [0x88, 0x00]);
    let mut tunnel = Tunnel::of(|_| {}).await;
    tunnel.client.write_all(&of_client).await.unwrap();
    let mut heard = [0; 6];
    tunnel.upstream.read_exact(&mut heard).await.unwrap();
    // A server that hangs up on a Close without an answer is no lost one.
    tunnel.upstream.shutdown().await.unwrap();
    assert_eq!(everything(&mut tunnel.client).await, b"");
    assert_eq!(tunnel.end().await, SocketEnd::Closed(Side::Client));

    let mut tunnel = Tunnel::of(|_| {}).await;
    tunnel.upstream.write_all(&of_upstream).await.unwrap();
    let mut heard = [0; 2];
    tunnel.client.read_exact(&mut heard).await.unwrap();
    tunnel.client.write_all(&of_client).await.unwrap();
    tunnel.client.shutdown().await.unwrap();
    assert_eq!(everything(&mut tunnel.upstream).await, of_client);
    assert_eq!(tunnel.end().await, SocketEnd::Closed(Side::Upstream));
}

#[tokio::test]
async fn a_client_that_leaves_is_not_told_that_its_upstream_has() {
    let mut tunnel = Tunnel::of(|_| {}).await;
    tunnel.client.shutdown().await.unwrap();
    assert_eq!(everything(&mut tunnel.upstream).await, b"");
    tunnel.upstream.write_all(&[0x82, 0x01, 7]).await.unwrap();
    tunnel.upstream.shutdown().await.unwrap();
    assert_eq!(everything(&mut tunnel.client).await, [0x82, 0x01, 7]);
    assert_eq!(tunnel.end().await, SocketEnd::Ended(Side::Client));
}

#[tokio::test]
async fn a_client_whose_connection_breaks_ends_it_at_once() {
    let tunnel = Tunnel::of(|_| {}).await;
    let started = std::time::Instant::now();
    socket2::SockRef::from(&tunnel.client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(tunnel.client);
    assert_eq!(tunnel.end.await.unwrap(), SocketEnd::Reset(Side::Client));
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_side_that_takes_nothing_is_given_up_and_the_other_is_told() {
    let short = |bounds: &mut Bounds| bounds.write_timeout = Duration::from_millis(200);
    let mut tunnel = Tunnel::of(short).await;
    // More than the upstream's pipe holds.
    tunnel.client.write_all(&[&[0x82, 0xfe, 0x20, 0, 0, 0, 0, 0][..], &[7; 0x2000]].concat()).await.unwrap();
    let close = frames::close(1011, "the service behind the gateway is gone", Towards::Client);
    assert_eq!(everything(&mut tunnel.client).await, close);
    drop(tunnel.client);
    assert_eq!(tunnel.end.await.unwrap(), SocketEnd::Cut(Cut::SlowUpstream));

    let mut tunnel = Tunnel::of(short).await;
    let frame = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &[0; 0x1_0000]].concat();
    let (mut upstream_reads, mut upstream_writes) = tokio::io::split(tunnel.upstream);
    let flooding = tokio::spawn(async move { while upstream_writes.write_all(&frame).await.is_ok() {} });
    assert_eq!(everything(&mut upstream_reads).await, frames::close(1001, "the client does not read", Towards::Upstream));
    assert_eq!(tunnel.end.await.unwrap(), SocketEnd::Cut(Cut::SlowClient));
    drop(upstream_reads);
    tunnel.client.shutdown().await.unwrap();
    flooding.await.unwrap();
}

#[tokio::test]
async fn what_comes_first_is_bounded_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let (upstream, _far_upstream) = tokio::io::duplex(16);
    let ends = Ends {
        client: ClientStream::from(accepted),
        from_client: Some(Bytes::from(vec![0x82; 1024])),
        upstream: Box::new(upstream),
        from_upstream: None,
        farewells: Farewells::new(CloseCodes::default(), None),
    };
    let bounds = Bounds {
        ends_in: (Duration::from_secs(60), Cut::TokenEnd),
        idle: Duration::from_secs(60),
        ping_every: None,
        write_timeout: Duration::from_millis(100),
        stopping: CancellationToken::new(),
    };
    let end = tokio::time::timeout(Duration::from_secs(10), carry(ends, bounds, std::future::pending())).await;
    assert_eq!(end, Ok(SocketEnd::Cut(Cut::SlowUpstream)));
}
