//! An operator drains an address: new requests pass it by, its WebSockets are closed over a time.

use std::{
    net::SocketAddr,
    process::Command,
    time::{Duration, Instant},
};

use reqwest::header::AUTHORIZATION;
use serde_json::Value;
use syncgate::demo::http_client;
use tokio::sync::mpsc;

use super::addresses::{OK, gateway};
use crate::{
    kit::{Kit, Raw},
    recorder::{Recorder, switch},
};

const SOCKETS: usize = 20;
const SPREAD: Duration = Duration::from_secs(2);
/// The Close that clients get: 1001, and why.
const CLOSE: &[u8] = b"\x88\x18\x03\xe9the address is drained";

async fn post(kit: &Kit, path: &str, with_credential: bool) -> (u16, Value) {
    let mut request = http_client().unwrap().post(kit.admin_url(path));
    if with_credential {
        let credential = std::fs::read_to_string(kit.gateway.config().admin.credential_file.unwrap()).unwrap();
        request = request.header(AUTHORIZATION, format!("Bearer {}", credential.trim_end()));
    }
    let answer = kit.within(request.send()).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Takes sockets and requests.
async fn upstream() -> Recorder {
    Recorder::start(|request| if request.target() == "/live" { switch(&request.head, "") } else { OK.to_owned() }).await
}

async fn address(kit: &Kit, address: SocketAddr) -> Value {
    let shown: Value = kit.admin("/upstreams").await.json().await.unwrap();
    let addresses = shown["upstreams"][0]["addresses"].as_array().unwrap().clone();
    addresses.into_iter().find(|one| one["address"] == address.to_string()).unwrap()
}

/// Tells when the socket is closed, with what came.
fn watch(mut socket: Raw, closed: &mpsc::UnboundedSender<(Instant, Vec<u8>)>) {
    let closed = closed.clone();
    tokio::spawn(async move {
        let said = socket.read_to_end().await;
        // Those that outlive the test are of no interest.
        let _ = closed.send((Instant::now(), said));
    });
}

#[tokio::test]
async fn new_requests_pass_a_drained_address_by_and_its_sockets_are_closed_evenly() {
    let (drained, other) = (upstream().await, upstream().await);
    let kit = gateway(&[drained.address, other.address], |config| config.proxy.upstreams[0].drain_spread = SPREAD).await;
    let (closed, mut ends) = mpsc::unbounded_channel();
    for number in 0..SOCKETS {
        watch(kit.socket(&kit.issuer.token(&format!("user-{number}")).sign()).await, &closed);
    }
    // Sockets count as long as they last, so both have as many.
    let sockets = address(&kit, drained.address).await["websockets"].as_u64().unwrap();
    assert!((9..=11).contains(&sockets), "{sockets}");
    let requests = drained.count();

    let drain = format!("/upstreams/default/drain?address={}", drained.address);
    let started = Instant::now();
    let (status, body) = post(&kit, &drain, true).await;
    assert_eq!((status, body["name"].as_str()), (200, Some("default")), "{body}");
    assert_eq!(address(&kit, drained.address).await["draining"], true);
    let token = kit.issuer.token("alice").sign();
    for _ in 0..20 {
        assert_eq!(kit.get("/", &token).await.status(), 200);
    }
    assert_eq!(drained.count(), requests);
    watch(kit.socket(&token).await, &closed);
    assert_eq!(drained.count(), requests);

    let count = u32::try_from(sockets).unwrap();
    for number in 0..count {
        let (at, said) = kit.within(ends.recv()).await.unwrap();
        assert!(said.ends_with(CLOSE), "{}", said.escape_ascii());
        let due = SPREAD / count * number;
        let took = at - started;
        assert!(took + Duration::from_millis(50) > due, "socket {number}: {took:?}");
        assert!(took < due + SPREAD / 2, "socket {number}: {took:?}");
    }
    kit.assert_metric("syncgate_websockets_ended_total", &[("cause", "drained")], f64::from(count)).await;
    assert_eq!(address(&kit, drained.address).await["websockets"], 0);
    // The others stay.
    assert!(ends.try_recv().is_err());
    assert_eq!(address(&kit, other.address).await["websockets"].as_u64().unwrap(), 21 - sockets);

    // The last one cannot be drained; nor can what is not there.
    let (status, body) = post(&kit, &format!("/upstreams/default/drain?address={}", other.address), true).await;
    assert_eq!((status, body["error"].as_str()), (409, Some("last_address")), "{body}");
    for (path, error) in
        [("/upstreams/default/drain?address=127.0.0.1:1", "address"), ("/upstreams/couch/drain?address=127.0.0.1:1", "upstream")]
    {
        let (status, body) = post(&kit, path, true).await;
        assert_eq!((status, body["error"].as_str()), (404, Some(error)), "{body}");
    }
    assert_eq!(post(&kit, &drain, false).await.0, 401);

    // A reload keeps it, also where it changes the upstream.
    let mut config = kit.gateway.config();
    config.proxy.upstreams[0].read_timeout = Duration::from_secs(100);
    kit.gateway.reload(Ok(config)).unwrap();
    for _ in 0..20 {
        assert_eq!(kit.get("/", &token).await.status(), 200);
    }
    assert_eq!(drained.count(), requests);

    let (status, _) = post(&kit, &format!("/upstreams/default/undrain?address={}", drained.address), true).await;
    assert_eq!(status, 200);
    assert_eq!(address(&kit, drained.address).await["draining"], false);
    let returned = async {
        while drained.count() == requests {
            assert_eq!(kit.get("/", &token).await.status(), 200);
        }
    };
    kit.within(returned).await;
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_drains() {
    let (one, other) = (upstream().await, upstream().await);
    let kit = gateway(&[one.address, other.address], |_| {}).await;
    kit.assert_serves().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    let config = kit.gateway.config();
    let text = format!(
        "admin: {{ address: '{}', credential_file: {} }}\nsigning: {{ key_file: signing.pem }}\n\
         issuers: [{{ name: contoso, discovery: '{}', issuer: '{}', audiences: [api] }}]\n\
         upstream: {{ url: ['http://{}', 'http://{}'] }}\n",
        kit.gateway.admin_address(),
        config.admin.credential_file.unwrap().display(),
        kit.issuer.discovery_url(),
        kit.issuer.issuer(),
        one.address,
        other.address,
    );
    std::fs::write(&file, text).unwrap();
    let run = async |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncgate"));
        command.arg("admin").args(arguments).arg("--config").arg(&file);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let name = one.address.to_string();
    let line = |what: &str| format!("default {name}: {what}; 0 in progress, 0 of them WebSockets\n");
    let (code, shown, error) = run(&["upstreams"]).await;
    assert!(code == Some(0) && shown.contains(&line("serving")), "{shown}{error}");
    let (code, shown, error) = run(&["drain", "--address", &name]).await;
    assert!(code == Some(0) && shown.contains(&line("serving, draining")), "{shown}{error}");
    let (code, _, error) = run(&["drain", "--address", &other.address.to_string()]).await;
    assert!(code == Some(1) && error.contains("no other address of default would get requests"), "{error}");
    let (code, shown, error) = run(&["undrain", "--upstream", "default", "--address", &name]).await;
    assert!(code == Some(0) && shown.contains(&line("serving")), "{shown}{error}");
    kit.stop().await;
}
