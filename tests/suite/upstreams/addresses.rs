//! Several addresses of one upstream: which of them gets a request, and which does not.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use syncgate::{
    config::Config,
    proxy::{HealthSettings, Target},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    kit::{Kit, Raw, gateway_before},
    recorder::{Recorder, Request},
};

pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

pub fn target(address: SocketAddr) -> Target {
    Target::new(&address.ip().to_string(), address.port())
}

/// A gateway before all of these.
pub async fn gateway(addresses: &[SocketAddr], adjust: impl FnOnce(&mut Config) + Send + 'static) -> Kit {
    let targets = addresses.iter().copied().map(target).collect();
    gateway_before(addresses[0], move |config| {
        config.proxy.upstreams[0].targets = targets;
        adjust(config);
    })
    .await
}

/// An address at which nobody listens.
fn dead() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn request(kit: &Kit, method: &str, user: &str) -> String {
    let token = kit.issuer.token(user).sign();
    let body = if method == "POST" { "Content-Length: 4\r\n\r\nbody" } else { "\r\n" };
    format!("{method} / HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n{body}")
}

/// The statuses of so many requests on one connection.
async fn statuses(kit: &Kit, request: &str, count: usize) -> Vec<u16> {
    let mut client = kit.connect().await;
    let mut statuses = Vec::new();
    for _ in 0..count {
        client.write(request.as_bytes()).await;
        let answer = kit.within(client.answer()).await.unwrap();
        let is_closed = answer.header("connection") == Some("close");
        statuses.push(answer.status);
        if is_closed {
            client = kit.connect().await;
        }
    }
    statuses
}

/// No request is lost whose address does not accept connections, whatever its method; nor are many made for it.
#[tokio::test]
async fn no_request_is_lost_while_one_of_three_addresses_is_dead() {
    let alive = [Recorder::start(|_| OK.to_owned()).await, Recorder::start(|_| OK.to_owned()).await];
    let kit = gateway(&[alive[0].address, dead(), alive[1].address], |_| {}).await;
    for method in ["GET", "POST"] {
        let request = request(&kit, method, "alice");
        let all = join_all((0..16).map(|_| statuses(&kit, &request, 20))).await;
        assert!(all.iter().flatten().all(|status| *status == 200), "{method}: {all:?}");
    }
    assert_eq!(alive[0].count() + alive[1].count(), 640);
    assert!(alive.iter().all(|one| one.count() > 200), "{} {}", alive[0].count(), alive[1].count());
    kit.stop().await;
}

/// Requests go where fewer are in flight: not to one that does not answer, as long as others do.
#[tokio::test]
async fn a_slow_address_gets_less() {
    let quick = [Recorder::start(|_| OK.to_owned()).await, Recorder::start(|_| OK.to_owned()).await];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slow = listener.local_addr().unwrap();
    let came = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&came);
    let task = tokio::spawn(async move {
        let mut streams = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            streams.push(stream);
        }
    });
    let kit = gateway(&[quick[0].address, quick[1].address, slow], |_| {}).await;
    let request = request(&kit, "GET", "alice");
    let mut held = Vec::new();
    for _ in 0..200 {
        let mut client = kit.connect().await;
        client.write(request.as_bytes()).await;
        // Until it is answered, or waits at the slow one.
        let before = came.load(Ordering::Relaxed);
        tokio::select! {
            answer = client.answer() => assert_eq!(answer.unwrap().status, 200),
            () = kit.eventually(|| came.load(Ordering::Relaxed) > before) => held.push(client),
        }
    }
    // One is held there by the first that comes; then each other address has less to do.
    assert!((1..=3).contains(&held.len()), "{}", held.len());
    assert!(quick.iter().all(|one| one.count() > 60), "{} {}", quick[0].count(), quick[1].count());
    drop(held);
    task.abort();
    kit.stop().await;
}

/// Answers with its own number, and keeps no connection, so that nothing is left of it when it is dropped.
async fn numbered(number: usize) -> Recorder {
    Recorder::start(move |_| format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n{number}")).await
}

async fn numbers(kit: &Kit, users: usize) -> BTreeMap<usize, BTreeSet<String>> {
    let mut numbers = BTreeMap::<_, BTreeSet<_>>::new();
    for user in 0..users {
        // Tokens of one user differ.
        for session in 0..2 {
            let token = kit.issuer.token(&format!("user-{user}")).claim("sid", session).sign();
            numbers.entry(user).or_default().insert(kit.get("/", &token).await.text().await.unwrap());
        }
    }
    numbers
}

#[tokio::test]
async fn a_user_stays_at_one_address_and_only_those_of_one_that_goes_move() {
    let upstreams = [numbered(0).await, numbered(1).await, numbered(2).await];
    let addresses = upstreams.each_ref().map(|upstream| upstream.address);
    let kit = gateway(&addresses, |config| config.proxy.upstreams[0].sticky = true).await;
    let before = numbers(&kit, 40).await;
    assert!(before.values().all(|numbers| numbers.len() == 1), "{before:?}");
    let used: BTreeSet<_> = before.values().flatten().cloned().collect();
    assert_eq!(used.len(), 3, "{before:?}");
    // Another gateway chooses alike.
    let other = gateway(&addresses, |config| config.proxy.upstreams[0].sticky = true).await;
    assert_eq!(numbers(&other, 40).await, before);
    other.stop().await;
    let [first, gone, _last] = upstreams;
    drop(gone);
    let after = numbers(&kit, 40).await;
    for (user, numbers) in before {
        if numbers.contains("1") {
            assert!(after[&user].len() == 1 && !after[&user].contains("1"), "user {user}: {:?}", after[&user]);
        } else {
            assert_eq!(after[&user], numbers, "user {user}");
        }
    }
    drop(first);
    kit.stop().await;
}

/// An upstream whose status can be changed.
async fn with_status(status: &Arc<AtomicU16>) -> Recorder {
    let status = Arc::clone(status);
    let answer = move |_: &Request| format!("HTTP/1.1 {} X\r\nContent-Length: 0\r\n\r\n", status.load(Ordering::Relaxed));
    Recorder::start(answer).await
}

#[tokio::test]
async fn five_failures_in_a_row_take_an_address_out_but_a_500_does_not() {
    let good = Recorder::start(|_| OK.to_owned()).await;
    let status = Arc::new(AtomicU16::new(500));
    let bad = with_status(&status).await;
    let kit = gateway(&[good.address, bad.address], |_| {}).await;
    let request = request(&kit, "POST", "alice");
    let failed = |statuses: &[u16], status| statuses.iter().filter(|one| **one == status).count();
    let all = statuses(&kit, &request, 100).await;
    assert!(failed(&all, 500) > 25, "{all:?}");
    for code in [502, 503, 504] {
        status.store(code, Ordering::Relaxed);
        let all = statuses(&kit, &request, 100).await;
        assert_eq!(failed(&all, code), if code == 502 { 5 } else { 0 }, "{code}: {all:?}");
    }
    // The last one stays, whatever it answers.
    let metrics = kit.admin("/metrics").await.text().await.unwrap();
    let line = |name: &str| metrics.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(line("syncgate_upstream_taken_out_total").ends_with(" 1"), "{metrics}");
    let out = format!("syncgate_upstream_address_serving{{address=\"{}\",upstream=\"default\"}} 0", bad.address);
    assert!(metrics.contains(&out), "{metrics}");
    let shown: serde_json::Value = kit.admin("/upstreams").await.json().await.unwrap();
    let addresses = shown["upstreams"][0]["addresses"].as_array().unwrap();
    let state = |address: SocketAddr| addresses.iter().find(|one| one["address"] == address.to_string()).unwrap()["state"].clone();
    assert_eq!((state(good.address), state(bad.address)), ("serving".into(), "out".into()));
    kit.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_takes_no_address_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap();
    let other = Recorder::start(|_| OK.to_owned()).await;
    let task = tokio::spawn(async move {
        let mut streams = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            streams.push(stream);
        }
    });
    let kit = gateway(&[silent, other.address], |_| {}).await;
    let request = request(&kit, "GET", "alice");
    for _ in 0..60 {
        let mut client = kit.connect().await;
        client.write(request.as_bytes()).await;
        let _ = tokio::time::timeout(Duration::from_millis(10), client.answer()).await;
    }
    kit.eventually(|| kit.metric("syncgate_requests_in_flight", &[]) == 0.0).await;
    let shown: serde_json::Value = kit.admin("/upstreams").await.json().await.unwrap();
    assert_eq!(shown["upstreams"][0]["taken_out"], 0, "{shown}");
    task.abort();
    kit.stop().await;
}

#[tokio::test]
async fn an_address_that_says_it_is_not_well_is_passed_by_until_it_is_again() {
    let status = Arc::new(AtomicU16::new(200));
    let seen = Arc::clone(&status);
    let checked = Recorder::start(move |request| match request.target() {
        "/_up?full" => format!("HTTP/1.1 {} X\r\nContent-Length: 0\r\n\r\n", seen.load(Ordering::Relaxed)),
        _ => OK.to_owned(),
    })
    .await;
    let other = Recorder::start(|_| OK.to_owned()).await;
    let kit = gateway(&[checked.address, other.address], |config| {
        let every = Duration::from_millis(20);
        config.proxy.upstreams[0].health = Some(HealthSettings { every, ..HealthSettings::new("/_up?full") });
    })
    .await;
    let state = async || {
        let shown: serde_json::Value = kit.admin("/upstreams").await.json().await.unwrap();
        let addresses = shown["upstreams"][0]["addresses"].as_array().unwrap().clone();
        addresses.iter().find(|one| one["address"] == checked.address.to_string()).unwrap()["state"].clone()
    };
    let becomes = async |expected: &str| {
        let waiting = async {
            while state().await != expected {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        kit.within(waiting).await;
    };
    let requests = |recorder: &Recorder| recorder.all().iter().filter(|request| request.target() == "/").count();
    status.store(404, Ordering::Relaxed);
    becomes("unwell").await;
    let before = requests(&checked);
    let request = request(&kit, "GET", "alice");
    assert_eq!(statuses(&kit, &request, 50).await, [200; 50]);
    assert_eq!((requests(&checked), requests(&other)), (before, 50));
    let check = checked.all().into_iter().find(|request| request.target() == "/_up?full").unwrap();
    assert_eq!((check.method(), check.header("user-agent")), ("GET", Some("syncgate-health")));
    assert_eq!(check.header("host"), Some(checked.address.to_string().as_str()));
    assert_eq!(check.header("authorization"), None);
    status.store(204, Ordering::Relaxed);
    becomes("serving").await;
    kit.stop().await;
}

/// Every kept connection breaks at once, as when a backend is restarted: no more than a few requests are sent again at a time.
#[tokio::test]
async fn an_outage_is_not_doubled_by_second_attempts() {
    const CLIENTS: usize = 30;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kit = gateway_before(listener.local_addr().unwrap(), |config| config.threads = 1).await;
    let request = request(&kit, "GET", "alice");
    let mut clients: Vec<Raw> = join_all((0..CLIENTS).map(|_| kit.connect())).await;
    let mut kept = Vec::new();
    for client in &mut clients {
        client.write(request.as_bytes()).await;
        let (mut stream, _) = kit.within(listener.accept()).await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        kept.push(stream);
    }
    for (client, stream) in clients.iter_mut().zip(&mut kept) {
        stream.write_all(OK.as_bytes()).await.unwrap();
        assert_eq!(kit.within(client.answer()).await.unwrap().status, 200);
    }
    for client in &mut clients {
        client.write(request.as_bytes()).await;
    }
    for stream in &mut kept {
        assert!(kit.within(stream.read(&mut [0; 4096])).await.unwrap() > 0);
    }
    drop(kept);
    let refused = || kit.metric("syncgate_upstream_errors_total", &[("kind", "broken")]);
    // A fifth of what is in flight, which gets less as requests fail, and three in any case.
    kit.eventually(|| (CLIENTS - 6..=CLIENTS - 3).contains(&(refused() as usize))).await;
    let again = CLIENTS - refused() as usize;
    for _ in 0..again {
        let (mut stream, _) = kit.within(listener.accept()).await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        stream.write_all(OK.as_bytes()).await.unwrap();
    }
    let answers = join_all(clients.iter_mut().map(|client| kit.within(client.answer()))).await;
    let served = answers.iter().flatten().filter(|answer| answer.status == 200).count();
    assert_eq!(served, again);
    kit.stop().await;
}
