//! Every kind of carrier does what a client's connection has to do.

use std::{sync::Arc, time::Duration};

use pingora::http::ResponseHeader;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
    net::TcpListener,
};

use super::*;
use crate::{
    metrics::IntGauge,
    proxy::{
        client::{
            connection::{Arrival, Connection},
            intake::Intake,
            transport::Transport,
        },
        http::ClientSession,
    },
};

/// A client's own end.
trait Client: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Client for T {}

async fn tcp() -> (ClientStream, Box<dyn Client>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (listener.accept().await.unwrap().0.into(), Box::new(client))
}

/// One of each kind.
async fn each() -> Vec<(ClientStream, Box<dyn Client>)> {
    let (ours, theirs) = duplex(4 * 1024);
    vec![tcp().await, (ours.into(), Box::new(theirs))]
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), work).await.expect("it does not come")
}

#[tokio::test]
async fn bytes_go_both_ways_and_end() {
    for (mut stream, mut client) in each().await {
        client.write_all(b"up").await.unwrap();
        let mut taken = [0; 2];
        soon(stream.read_exact(&mut taken)).await.unwrap();
        assert_eq!(&taken, b"up");
        assert!(stream.is_write_vectored());
        let pieces = [IoSlice::new(b"do"), IoSlice::new(b"wn")];
        assert_eq!(soon(stream.write_vectored(&pieces)).await.unwrap(), 4);
        stream.flush().await.unwrap();
        stream.shutdown().await.unwrap();
        let mut heard = Vec::new();
        soon(client.read_to_end(&mut heard)).await.unwrap();
        assert_eq!(heard, b"down");
    }
}

#[tokio::test]
async fn a_client_that_speaks_is_there_and_what_it_said_is_not_lost() {
    for (mut stream, mut client) in each().await {
        client.write_all(b"early").await.unwrap();
        tokio::select! {
            () = stream.left() => panic!("it is there"),
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
        let mut taken = [0; 5];
        soon(stream.read_exact(&mut taken)).await.unwrap();
        assert_eq!(&taken, b"early");
        let left = stream.clone();
        let leaving = async {
            tokio::task::yield_now().await;
            drop(client);
        };
        soon(async { tokio::join!(left.left(), leaving) }).await;
    }
}

#[tokio::test]
async fn one_that_is_quiet_can_be_closed() {
    for (mut stream, mut client) in each().await {
        assert!(stream.is_quiet());
        client.write_all(b"a").await.unwrap();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while stream.is_quiet() {
            assert!(tokio::time::Instant::now() < deadline, "it has spoken");
            tokio::task::yield_now().await;
        }
        let mut taken = [0];
        soon(stream.read_exact(&mut taken)).await.unwrap();
        stream.close();
        assert_eq!(soon(stream.read(&mut taken)).await.unwrap(), 0);
        assert_eq!(soon(client.read(&mut taken)).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn what_nobody_wants_is_read_to_its_end() {
    for (stream, mut client) in each().await {
        let sending = async move {
            client.write_all(&[0; 100_000]).await.unwrap();
            drop(client);
        };
        soon(async { tokio::join!(stream.discard(), sending) }).await;
    }
}

#[tokio::test]
async fn requests_come_over_each() {
    for (stream, mut client) in each().await {
        let intake = Intake::new(1_024, IntGauge::new("held", "held").unwrap());
        let address = "127.0.0.1:1".parse().unwrap();
        let connection =
            Arc::new(Connection::new(Arrival::new(address, 80), Some(stream.clone()), Duration::from_secs(10), intake));
        connection.request().bound_writes(Duration::from_secs(10));
        let mut session = ClientSession::new(Box::new(Transport::new(stream, connection)));
        client.write_all(b"GET /a HTTP/1.1\r\nHost: contoso.com\r\n\r\n").await.unwrap();
        assert!(soon(session.read_request()).await.unwrap().is_some());
        assert_eq!(session.req_header().raw_path(), b"/a");
        let answer = ResponseHeader::build(404, None).unwrap();
        soon(session.write_response_header(Box::new(answer))).await.unwrap();
        session.shutdown().await;
        let mut status = [0; 12];
        soon(client.read_exact(&mut status)).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 404");
    }
}
