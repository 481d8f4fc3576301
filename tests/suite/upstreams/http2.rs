//! Upstreams that speak HTTP/2, with the server of the h2 crate, and with frames written by hand.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use h2::{Reason, RecvStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
};
use syncgate::{
    config::Config,
    proxy::{HealthSettings, Target},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    http2::client::{self, Http2},
    kit::{Kit, gateway_before, send, serve_tls},
    recorder::Recorder,
};

type Responder = SendResponse<Bytes>;

/// Serves the streams of a connection, each in a task of its own.
async fn serve<F>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    builder: h2::server::Builder,
    answer: impl Fn(Request<RecvStream>, Responder) -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let Ok(mut connection) = builder.handshake(stream).await else { return };
    while let Some(Ok((request, responder))) = connection.accept().await {
        tokio::spawn(answer(request, responder));
    }
}

/// A server without TLS, and how many connections it has taken.
async fn server<F>(
    builder: h2::server::Builder,
    answer: impl Fn(Request<RecvStream>, Responder) -> F + Clone + Send + 'static,
) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(serve(stream, builder.clone(), answer.clone()));
        }
    });
    (address, count)
}

fn by_http2(config: &mut Config) {
    config.proxy.upstreams[0].http2 = true;
    config.threads = 1;
}

/// The body of a request, given back to the window as it comes.
async fn body(request: Request<RecvStream>) -> Vec<u8> {
    let mut stream = request.into_body();
    let mut whole = Vec::new();
    while let Some(Ok(piece)) = stream.data().await {
        let _ = stream.flow_control().release_capacity(piece.len());
        whole.extend_from_slice(&piece);
    }
    whole
}

/// Answers with what was asked for, and the body that came.
async fn echo(request: Request<RecvStream>, mut responder: Responder) {
    let told = format!("{} {} {:?} ", request.method(), request.uri(), request.headers().get("x-told"));
    let mut answer = told.into_bytes();
    answer.extend(body(request).await);
    let header = Response::builder().header("x-upstream", "h2").body(()).unwrap();
    let mut sending = responder.send_response(header, false).unwrap();
    sending.send_data(answer.into(), true).unwrap();
}

#[tokio::test]
async fn requests_share_one_connection_of_an_event_loop() {
    let (address, connections) = server(h2::server::Builder::new(), echo).await;
    let kit = gateway_before(address, by_http2).await;
    let token = kit.issuer.token("alice").sign();
    let authorization = format!("Authorization: Bearer {token}");
    let requests = (0..30).map(|number| {
        let (kit, authorization) = (&kit, &authorization);
        async move { send(kit, "GET", &format!("/docs/{number}?a=b"), &[authorization, "X-Told: 1", "TE: gzip"]).await }
    });
    for (number, answer) in join_all(requests).await.into_iter().enumerate() {
        // Without a length, which HTTP/1.1 then writes in chunks.
        assert_eq!(
            (answer.status, answer.header("x-upstream"), answer.header("transfer-encoding")),
            (200, Some("h2"), Some("chunked"))
        );
        let _ = number;
    }
    let answer = kit.get("/docs?a=b", &token).await;
    assert_eq!(answer.text().await.unwrap(), format!("GET http://{}/docs?a=b None ", kit.gateway.address()));
    let posted = reqwest::Client::new().post(kit.url("/in")).bearer_auth(&token).header("x-told", "2").body("x".repeat(300_000));
    let posted = kit.within(posted.send()).await.unwrap().text().await.unwrap();
    assert!(posted.starts_with(&format!("POST http://{}/in Some(\"2\") xxx", kit.gateway.address())), "{}", &posted[..80]);
    assert_eq!(posted.matches('x').count(), 300_000);
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    kit.stop().await;
}

#[tokio::test]
async fn where_a_connection_takes_no_more_streams_the_next_is_opened() {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(2);
    let (come, mut came) = tokio::sync::mpsc::unbounded_channel();
    let (address, connections) = server(builder, move |request, responder| {
        let come = come.clone();
        async move { drop(come.send((request, responder))) }
    })
    .await;
    let kit = gateway_before(address, by_http2).await;
    let token = kit.issuer.token("alice").sign();
    let asked: Vec<_> = (0..5)
        .map(|_| {
            let request = reqwest::Client::new().get(kit.url("/")).bearer_auth(&token).send();
            tokio::spawn(async move { request.await.unwrap().status().as_u16() })
        })
        .collect();
    let mut held = Vec::new();
    while held.len() < 5 {
        held.push(kit.within(came.recv()).await.unwrap());
    }
    assert_eq!(connections.load(Ordering::Relaxed), 3);
    for (_, mut responder) in held {
        responder.send_response(Response::new(()), true).unwrap();
    }
    for asked in asked {
        assert_eq!(kit.within(asked).await.unwrap(), 200);
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_stream_that_was_refused_is_tried_again_whatever_it_means() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let (address, _) = server(h2::server::Builder::new(), move |request, mut responder| {
        let log = Arc::clone(&log);
        async move {
            let is_first = log.lock().unwrap().is_empty();
            if is_first {
                log.lock().unwrap().push(String::new());
                return responder.send_reset(Reason::REFUSED_STREAM);
            }
            let body = body(request).await;
            log.lock().unwrap().push(String::from_utf8(body).unwrap());
            responder.send_response(Response::new(()), true).unwrap();
        }
    })
    .await;
    let kit = gateway_before(address, by_http2).await;
    let token = kit.issuer.token("alice").sign();
    let posted = reqwest::Client::new().post(kit.url("/in")).bearer_auth(&token).body("order");
    assert_eq!(kit.within(posted.send()).await.unwrap().status(), 200);
    assert_eq!(*seen.lock().unwrap(), ["", "order"]);
    kit.stop().await;
}

#[tokio::test]
async fn another_reset_is_not_tried_again() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let (address, _) = server(h2::server::Builder::new(), move |_, mut responder| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move { responder.send_reset(Reason::INTERNAL_ERROR) }
    })
    .await;
    let kit = gateway_before(address, by_http2).await;
    let token = kit.issuer.token("alice").sign();
    let posted = reqwest::Client::new().post(kit.url("/in")).bearer_auth(&token).body("order");
    assert_eq!(kit.within(posted.send()).await.unwrap().status(), 502);
    assert_eq!(count.load(Ordering::Relaxed), 1);
    kit.stop().await;
}

/// GOAWAY with this last stream, as the first answer to a request; then a server that answers.
#[tokio::test]
async fn what_is_above_the_last_stream_of_a_goaway_is_tried_again_and_nothing_else() {
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    for (last, status) in [(0, 200), (1, 502)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(SETTINGS).await.unwrap();
            let mut read = Vec::new();
            // The frame of a header, whose type is 1, for stream 1.
            while !read.windows(7).any(|part| part[0] == 1 && part[2..7] == [0, 0, 0, 1, 0x83]) {
                assert!(stream.read_buf(&mut read).await.unwrap() > 0);
            }
            stream.write_all(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, last, 0, 0, 0, 0]).await.unwrap();
            stream.shutdown().await.unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, h2::server::Builder::new(), echo));
            }
        });
        let kit = gateway_before(address, by_http2).await;
        let token = kit.issuer.token("alice").sign();
        let posted = reqwest::Client::new().post(kit.url("/in")).bearer_auth(&token).body("order");
        assert_eq!(kit.within(posted.send()).await.unwrap().status(), status, "{last}");
        task.abort();
        kit.stop().await;
    }
}

#[tokio::test]
async fn trailers_reach_clients_that_know_them() {
    let (address, _) = server(h2::server::Builder::new(), |request, mut responder| async move {
        let te = request.headers().get("te").cloned().unwrap_or(HeaderValue::from_static("none"));
        let asked = body(request).await;
        let header = Response::builder().header("content-type", "application/grpc").header("x-te", te).body(()).unwrap();
        let mut sending = responder.send_response(header, false).unwrap();
        sending.send_data(asked.into(), false).unwrap();
        let mut fields = HeaderMap::new();
        fields.insert("grpc-status", HeaderValue::from_static("0"));
        fields.insert("grpc-message", HeaderValue::from_static("fine"));
        sending.send_trailers(fields).unwrap();
    })
    .await;
    let kit = client::world(move |config| {
        config.proxy.upstreams[0].targets = vec![Target::new("127.0.0.1", address.port())];
        by_http2(config);
    })
    .await;
    let token = kit.issuer.token("alice").sign();
    let http2 = Http2::connect(&kit).await;
    for question in ["", "question"] {
        let mut request = client::request("POST", "/shop.Orders/Put", &token);
        request.headers_mut().insert("te", HeaderValue::from_static("trailers"));
        let (parts, mut stream) = http2.send(request, question).await.unwrap().into_parts();
        assert_eq!((parts.status.as_u16(), client::field(&parts.headers, "x-te")), (200, "trailers"));
        let mut whole = Vec::new();
        while let Some(piece) = stream.data().await {
            whole.extend_from_slice(&piece.unwrap());
        }
        assert_eq!(whole, question.as_bytes());
        let fields = stream.trailers().await.unwrap().unwrap();
        assert_eq!((client::field(&fields, "grpc-status"), client::field(&fields, "grpc-message")), ("0", "fine"));
    }
    // One of HTTP/1.1 gets the response without them.
    let answer = reqwest::Client::new().post(kit.url("/")).bearer_auth(&token).body("question").send().await.unwrap();
    assert_eq!(answer.headers().get("x-te").unwrap(), "none");
    assert_eq!(answer.text().await.unwrap(), "question");
    kit.stop().await;
}

/// What the other side does not take is not read, so nothing piles up in the gateway.
#[tokio::test]
async fn each_side_waits_for_the_window_of_the_other() {
    const LARGE: usize = 64 * 1024 * 1024;
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let (address, _) = server(h2::server::Builder::new(), move |request, mut responder| {
        let counted = Arc::clone(&counted);
        async move {
            let is_upload = request.method() == "POST";
            let mut sending = responder.send_response(Response::new(()), false).unwrap();
            let piece = Bytes::from(vec![b'x'; 64 * 1024]);
            while !is_upload && counted.load(Ordering::Relaxed) < LARGE {
                sending.reserve_capacity(piece.len());
                let Some(Ok(room)) = std::future::poll_fn(|task| sending.poll_capacity(task)).await else { return };
                counted.fetch_add(room, Ordering::Relaxed);
                if sending.send_data(piece.slice(..room), false).is_err() {
                    return;
                }
            }
            // An upload that nobody reads.
            tokio::time::sleep(Duration::from_secs(60)).await;
            drop((request, sending));
        }
    })
    .await;
    let kit = gateway_before(address, by_http2).await;
    let token = kit.issuer.token("alice").sign();
    let mut download = kit.connect().await;
    download.write(format!("GET / HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes()).await;
    kit.within(download.read_until("200 OK")).await;
    let settled = async |count: &dyn Fn() -> usize| {
        let mut before = usize::MAX;
        while std::mem::replace(&mut before, count()) != count() || before == 0 {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        before
    };
    let held = kit.within(settled(&|| sent.load(Ordering::Relaxed))).await;
    // Windows and the buffers of sockets.
    assert!(held < 16 * 1024 * 1024, "{held}");

    let mut upload = tokio::net::TcpStream::connect(kit.gateway.address()).await.unwrap();
    let head = format!("POST / HTTP/1.1\r\nHost: gateway\r\nContent-Length: {LARGE}\r\nAuthorization: Bearer {token}\r\n\r\n");
    upload.write_all(head.as_bytes()).await.unwrap();
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let writing = tokio::spawn(async move {
        while let Ok(written) = upload.write(&[b'x'; 64 * 1024]).await {
            count.fetch_add(written, Ordering::Relaxed);
        }
    });
    let held = kit.within(settled(&|| taken.load(Ordering::Relaxed))).await;
    assert!(held < 16 * 1024 * 1024, "{held}");
    writing.abort();
    kit.stop().await;
}

#[tokio::test]
async fn with_tls_it_is_agreed_on_or_refused() {
    syncgate::server::install_crypto();
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, own.cert.pem()).unwrap();
    for (protocols, status) in [(vec![b"h2".to_vec()], 200), (vec![], 502), (vec![b"http/1.1".to_vec()], 502)] {
        let key = PrivateKeyDer::from_pem_slice(own.signing_key.serialize_pem().as_bytes()).unwrap();
        let mut server = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![own.cert.der().clone()], key).unwrap();
        server.alpn_protocols = protocols;
        let address = serve_tls(server, |stream| serve(stream, h2::server::Builder::new(), echo)).await;
        let trusted = ca_file.clone();
        let kit = gateway_before(address, move |config| {
            by_http2(config);
            let upstream = &mut config.proxy.upstreams[0];
            (upstream.tls, upstream.ca_file) = (true, Some(trusted));
            upstream.targets = vec![Target::new("localhost", address.port())];
        })
        .await;
        assert_eq!(kit.get("/", &kit.issuer.token("alice").sign()).await.status(), status);
        kit.stop().await;
    }
}

#[tokio::test]
async fn a_websocket_is_opened_by_http_1() {
    let recorder = Recorder::socket(|_| None).await;
    let kit = gateway_before(recorder.address, by_http2).await;
    kit.socket(&kit.issuer.token("alice").sign()).await;
    assert!(recorder.last().head.starts_with("GET /live HTTP/1.1"));
    kit.stop().await;
}

#[tokio::test]
async fn its_health_is_asked_for_by_http_2() {
    let (ask, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let (address, _) = server(h2::server::Builder::new(), move |request, mut responder| {
        let ask = ask.clone();
        async move {
            let agent = request.headers().get("user-agent").cloned();
            ask.send((request.uri().to_string(), agent)).unwrap();
            responder.send_response(Response::new(()), true).unwrap();
        }
    })
    .await;
    let kit = gateway_before(address, |config| {
        by_http2(config);
        let every = Duration::from_millis(20);
        config.proxy.upstreams[0].health = Some(HealthSettings { every, ..HealthSettings::new("/_up") });
    })
    .await;
    let (uri, agent) = kit.within(asked.recv()).await.unwrap();
    assert_eq!((uri, agent.unwrap()), (format!("http://{address}/_up"), HeaderValue::from_static("syncgate-health")));
    kit.stop().await;
}

/// The gateway notices a GOAWAY while nothing is in progress, and connects anew.
#[tokio::test]
async fn a_connection_that_the_upstream_ends_is_not_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                if let Some(Ok((_, mut responder))) = connection.accept().await {
                    responder.send_response(Response::new(()), true).unwrap();
                }
                connection.graceful_shutdown();
                while connection.accept().await.is_some() {}
            });
        }
    });
    let kit = gateway_before(address, by_http2).await;
    let token = kit.issuer.token("alice").sign();
    for _ in 0..20 {
        let posted = reqwest::Client::new().post(kit.url("/in")).bearer_auth(&token).body("order");
        assert_eq!(kit.within(posted.send()).await.unwrap().status(), 200);
    }
    task.abort();
    kit.stop().await;
}

/// The client of an upstream takes no pushes.
#[tokio::test]
async fn pushes_are_refused() {
    let (address, _) = server(h2::server::Builder::new(), |_, mut responder: Responder| async move {
        let pushed = responder.push_request(Request::get("http://gateway/pushed").body(()).unwrap());
        let status = if pushed.is_err() { 200 } else { 500 };
        responder.send_response(Response::builder().status(status).body(()).unwrap(), true).unwrap();
    })
    .await;
    let kit: Kit = gateway_before(address, by_http2).await;
    assert_eq!(kit.get("/", &kit.issuer.token("alice").sign()).await.status(), 200);
    kit.stop().await;
}
