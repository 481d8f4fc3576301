//! What users feel while keys change hands: 64 connections of valid traffic through a gateway, quiet, while the provider rotates, and
//! while somebody floods it with random `kid`s.
//!
//! Everything runs in one process on the same cores, so only the rows of one run compare. `cargo bench --bench keys`; with `-- --test`
//! a short round of each.

use std::{
    error::Error,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use syncgate::demo::{MetricsText, World, http_client, issuer::Endpoint, world::WorldOptions};

const CONNECTIONS: usize = 64;
/// The same for a test: without optimisation, more would starve the provider, which is in this process too.
const TEST_CONNECTIONS: usize = 8;

/// One round: what valid users felt, and what the provider was asked.
struct Round {
    times: Vec<Duration>,
    refused: u64,
    flooded: u64,
    fetches: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let (seconds, connections) = if is_test { (1, TEST_CONNECTIONS) } else { (20, CONNECTIONS) };
    let span = Duration::from_secs(seconds);
    println!("{:<28} {:>9} {:>9} {:>9} {:>8} {:>9} {:>8}", "", "requests", "p50", "p99", "refused", "flooded", "fetches");
    for (name, rotates, floods) in [("quiet", false, false), ("the provider rotates", true, false), ("random kids", false, true)] {
        let mut round = play(span, connections, rotates, floods).await?;
        round.times.sort();
        let at = |share: f64| round.times.get((round.times.len() as f64 * share) as usize).copied().unwrap_or_default();
        let millis = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1_000.0);
        println!(
            "{name:<28} {:>9} {:>9} {:>9} {:>8} {:>9} {:>8}",
            round.times.len(),
            millis(at(0.5)),
            millis(at(0.99)),
            round.refused,
            round.flooded,
            round.fetches
        );
        if round.refused > 0 || (floods && round.fetches > 2) {
            return Err(format!("{name}: {} valid requests refused, {} fetches", round.refused, round.fetches).into());
        }
    }
    Ok(())
}

async fn play(span: Duration, connections: usize, rotates: bool, floods: bool) -> Result<Round, Box<dyn Error>> {
    let options = WorldOptions::default().config(|config| {
        config.issuers[0].jwks.refresh = Duration::from_secs(3_600);
        config.log.requests = false;
    });
    let world = World::start(options).await?;
    while MetricsText::new(world.gateway.metrics().render()?).sum("syncgate_jwks_keys", &[]) == 0.0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let before = world.issuer.fetches(Endpoint::Keys);
    let (done, refused, flooded) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let users = join_all((0..connections).map(|number| user(&world, number, &done, &refused)));
    let flood = join_all((0..if floods { connections } else { 0 }).map(|number| attacker(&world, number, &done, &flooded)));
    let provider = async {
        // Without notice, so that the first users of each key have it fetched. The budget of two allows for as many.
        for _ in 0..3 {
            tokio::time::sleep(span / 3).await;
            if rotates && world.issuer.published_keys().len() < 3 {
                world.issuer.rotate().await?;
            }
        }
        done.store(true, Ordering::Relaxed);
        Ok::<(), std::io::Error>(())
    };
    let (times, _, provider) = tokio::join!(users, flood, provider);
    provider?;
    let round = Round {
        times: times.into_iter().flatten().collect(),
        refused: refused.into_inner(),
        flooded: flooded.into_inner(),
        fetches: world.issuer.fetches(Endpoint::Keys) - before,
    };
    world.stop().await;
    Ok(round)
}

/// A user with a known token, who gets a new one each tenth request.
async fn user(world: &World, number: usize, done: &AtomicBool, refused: &AtomicU64) -> Vec<Duration> {
    let Ok(client) = http_client() else { return Vec::new() };
    let name = format!("user-{number}");
    let (mut token, mut times) = (world.issuer.token(&name).sign(), Vec::new());
    for count in 1_u64.. {
        if done.load(Ordering::Relaxed) {
            break;
        }
        if count.is_multiple_of(10) {
            token = world.issuer.token(&name).claim("jti", count).sign();
        }
        let started = Instant::now();
        let answer = client.get(world.url("/echo")).bearer_auth(&token).send().await;
        times.push(started.elapsed());
        if !answer.is_ok_and(|answer| answer.status() == 200) {
            refused.fetch_add(1, Ordering::Relaxed);
        }
    }
    times
}

/// Tokens that would pass but for their `kid`.
async fn attacker(world: &World, number: usize, done: &AtomicBool, flooded: &AtomicU64) {
    let Ok(client) = http_client() else { return };
    let name = format!("attacker-{number}");
    for count in 0_u64.. {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let token = world.issuer.token(&name).header("kid", format!("{number}-{count}")).signature("forged").sign();
        let _ = client.get(world.url("/echo")).bearer_auth(&token).send().await;
        flooded.fetch_add(1, Ordering::Relaxed);
    }
}
