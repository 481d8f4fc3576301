//! What users who are connected feel of a flood of handshakes: the latency of their requests, quiet and beside 64 handshakes in flight.

use std::{
    error::Error,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustls::ClientConfig;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    harness::{issuer::Issuer, median},
    proxy::{CertificateKey, Kind, Proxy},
};

/// Connections of users, each with one request after another.
const USERS: usize = 10;
const REQUEST_INTERVAL: Duration = Duration::from_millis(29);
const HANDSHAKES: usize = 64;
/// How many times the quiet latency it may be.
const BOUND: f64 = 3.0;

pub fn compare(core: usize, upstream: SocketAddr, issuer: &Issuer, token: &str, is_test: bool) -> Result<(), Box<dyn Error>> {
    let (rounds, time) = if is_test { (1, Duration::from_millis(300)) } else { (7, Duration::from_secs(3)) };
    println!(
        "\nLatency of users during {HANDSHAKES} handshakes in flight: medians of {rounds} rounds, each quiet and flooded in turn\n"
    );
    println!("| certificate | p90 quiet, us | p90 flooded, us | ratio; bound {BOUND} | handshakes/s |");
    println!("|---|--:|--:|--:|--:|");
    for key in [CertificateKey::P256, CertificateKey::Rsa2048] {
        let proxy = Proxy::start_with(Kind::Syncgate, key, core, upstream, issuer)?;
        let config = proxy.client_config(b"http/1.1")?;
        let (mut quiet, mut flooded, mut ratios, mut rates) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let before = p90(proxy.address(), &config, token, time)?;
            let flood = Flood::start(proxy.address(), &config)?;
            let during = p90(proxy.address(), &config, token, time)?;
            rates.push(flood.stop()?);
            ratios.push(during / before);
            quiet.push(before);
            flooded.push(during);
        }
        let (quiet, flooded, ratio, rate) = (median(&quiet), median(&flooded), median(&ratios), median(&rates));
        println!("| {} | {quiet:.0} | {flooded:.0} | {ratio:.2} | {rate:.0} |", key.title());
    }
    Ok(())
}

/// Of the users' requests within this time, in microseconds.
fn p90(address: SocketAddr, config: &Arc<ClientConfig>, token: &str, time: Duration) -> Result<f64, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut latencies = runtime.block_on(async {
        let mut users = JoinSet::new();
        for number in 0..USERS {
            let (config, token) = (Arc::clone(config), token.to_owned());
            users.spawn(async move { user(address, config, &token, number, time).await });
        }
        let mut all = Vec::new();
        while let Some(one) = users.join_next().await {
            all.extend(one.map_err(io::Error::other)??);
        }
        io::Result::Ok(all)
    })?;
    latencies.sort_by(f64::total_cmp);
    latencies.get(latencies.len() * 9 / 10).copied().ok_or_else(|| "no request was answered".into())
}

async fn user(address: SocketAddr, config: Arc<ClientConfig>, token: &str, number: usize, time: Duration) -> io::Result<Vec<f64>> {
    let mut stream = connect(address, config).await?;
    let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    let offset = REQUEST_INTERVAL * u32::try_from(number).unwrap_or_default() / u32::try_from(USERS).unwrap_or(1);
    tokio::time::sleep(offset).await;
    let mut ticks = tokio::time::interval(REQUEST_INTERVAL);
    let end = Instant::now() + time;
    let (mut latencies, mut answer) = (Vec::new(), [0; 4_096]);
    while Instant::now() < end {
        // Counted from when it was due, so that one that waits for another is not left out.
        let due = ticks.tick().await;
        stream.write_all(request.as_bytes()).await?;
        if stream.read(&mut answer).await? == 0 || !answer.starts_with(b"HTTP/1.1 200") {
            return Err(io::Error::other("a user was not served"));
        }
        latencies.push(due.elapsed().as_secs_f64() * 1e6);
    }
    Ok(latencies)
}

async fn connect(address: SocketAddr, config: Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    let name = "localhost".try_into().map_err(io::Error::other)?;
    TlsConnector::from(config).connect(name, TcpStream::connect(address).await?).await
}

/// Handshakes, one after another on each of so many connections, on a thread with a low priority: what users feel is to be the server's doing.
struct Flood {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    began: Instant,
    thread: thread::JoinHandle<io::Result<()>>,
}

impl Flood {
    fn start(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut config = ClientConfig::clone(config);
        config.resumption = rustls::client::Resumption::disabled();
        let (config, is_stopped, count) = (Arc::new(config), Arc::clone(&stop), Arc::clone(&done));
        let thread = thread::Builder::new().spawn(move || {
            syncgate::priority::give_way();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut clients = JoinSet::new();
                for _ in 0..HANDSHAKES {
                    let (config, is_stopped, count) = (Arc::clone(&config), Arc::clone(&is_stopped), Arc::clone(&count));
                    clients.spawn(async move {
                        while !is_stopped.load(Ordering::Relaxed) {
                            connect(address, Arc::clone(&config)).await?;
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                        io::Result::Ok(())
                    });
                }
                while let Some(client) = clients.join_next().await {
                    client.map_err(io::Error::other)??;
                }
                Ok(())
            })
        })?;
        Ok(Self { stop, done, began: Instant::now(), thread })
    }

    /// Ends it. Handshakes a second.
    fn stop(self) -> Result<f64, Box<dyn Error>> {
        let rate = self.done.load(Ordering::Relaxed) as f64 / self.began.elapsed().as_secs_f64();
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the flood ended early")??;
        Ok(rate)
    }
}
