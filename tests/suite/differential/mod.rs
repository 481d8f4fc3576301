//! How real servers read a request, and what reaches their handlers through the gateway: `make differential`.
//!
//! Servers of many makers stand behind a gateway, each with handlers that say who answered. A generator spells what is guarded in every way
//! that some server may read; each spelling goes to each server, and through the gateway in each shape of config. One thing must hold:
//! without the right token no guarded handler is reached.

mod connection;
mod fork;
mod model;
mod program;
mod request;
mod servers;
mod shape;
mod spellings;
mod trial;

use std::{sync::Arc, time::Instant};

use self::{
    program::{Program, Running, Setup},
    request::Handler,
    spellings::{OneIn, Spelling},
    trial::{Hit, Outcome},
};
use crate::installed;

/// Servers from npm and PyPI, and the spellings that tell most.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spelling_reaches_a_guarded_handler() {
    if !installed::DIFFERENTIAL.node().await || !installed::DIFFERENTIAL.python().await {
        return;
    }
    hold(servers::of_registries(), OneIn(19)).await;
}

/// All servers and all spellings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes and servers that Debian brings: make differential"]
async fn no_spelling_at_all_reaches_a_guarded_handler() {
    if !installed::DIFFERENTIAL.node().await || !installed::DIFFERENTIAL.python().await {
        return;
    }
    let (present, missing): (Vec<_>, Vec<_>) = servers::of_debian().into_iter().partition(Program::is_installed);
    for program in missing {
        assert!(std::env::var_os("SYNCGATE_NO_SKIP").is_none(), "must not be skipped: {} is missing", program.needs);
        eprintln!("SKIPPED: {}: {} is missing", program.setups.join(", "), program.needs);
    }
    let one_in = std::env::var("SYNCGATE_DIFFERENTIAL_ONE_IN").map_or(1, |many| many.parse().unwrap());
    hold(servers::of_registries().into_iter().chain(present).collect(), OneIn(one_in)).await;
}

async fn hold(programs: Vec<Program>, extent: OneIn) {
    let started = Instant::now();
    let running = futures_util::future::join_all(programs.iter().map(Program::start)).await;
    let setups: Vec<Setup> = running.iter().flat_map(|running: &Running| running.setups.iter().copied()).collect();
    let spellings = Arc::new(spellings::all(extent));
    println!("{} servers in {} setups, {} spellings", running.len(), setups.len(), spellings.len());
    let readings = trial::read(&setups, &spellings, |setup, seen| {
        let count = |handler| seen.iter().filter(|seen| seen.handler == handler).count();
        println!(
            "  {:<24} {:>6} at /admin, {:>6} below, {:>5} at /auth, {:>4} at the host, {:>6} refused  ({} s)",
            setup.name,
            count(Handler::Admin),
            count(Handler::Below),
            count(Handler::Auth),
            count(Handler::Host),
            count(Handler::Nobody),
            started.elapsed().as_secs()
        );
    })
    .await;

    for (running, program) in running.iter().zip(&programs) {
        running.await_handlers().await.unwrap_or_else(|why| panic!("{} did not survive the spellings: {why}", program.needs));
    }

    let unknown = model::compare(&setups, &spellings, &readings);
    std::fs::write(results("models.txt"), unknown.join("\n")).unwrap();

    // The kit sees a hole where there is one: with everything open, each server is reached in many spellings.
    let open = trial::run(&shape::open(), &setups, &spellings, &readings).await;
    for setup in &setups {
        let reached = open.hits.iter().filter(|hit| hit.setup == setup.name).count();
        assert!(reached > 10, "{} was reached by {reached} spellings through an open gateway", setup.name);
    }

    let mut total = Outcome::default();
    for shape in shape::all() {
        let outcome = trial::run(&shape, &setups, &spellings, &readings).await;
        println!(
            "  {:<32} {:>7} decisions, {:>7} forwarded, {:>7} asked of servers, {} hits  ({} s)",
            shape.name,
            outcome.decisions,
            outcome.forwarded,
            outcome.asked,
            outcome.hits.len(),
            started.elapsed().as_secs()
        );
        total.add(outcome);
    }
    report(&total, &setups, &spellings);
    assert!(unknown.is_empty(), "models do not know {} readings of their servers:\n{}", unknown.len(), some(&unknown));
}

/// Where what was found is written in full.
fn results(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("differential-{name}"))
}

/// A few lines from all parts of many.
fn some(lines: &[String]) -> String {
    lines.iter().step_by(lines.len().div_ceil(60).max(1)).map(|line| format!("{line}\n")).collect()
}

fn report(total: &Outcome, setups: &[Setup], spellings: &[Spelling]) {
    let shapes = shape::all().len();
    println!(
        "{} setups, {} spellings, {shapes} shapes: {} decisions, {} forwarded, {} guarded handlers reached",
        setups.len(),
        spellings.len(),
        total.decisions,
        total.forwarded,
        total.hits.len()
    );
    let mut hits: Vec<&Hit> = total.hits.iter().collect();
    hits.sort_by_key(|hit| (hit.request.bytes("").len(), hit.request.shown()));
    let line = |hit: &&Hit| format!("{} / {}: {} reaches {}\n", hit.shape, hit.setup, hit.request.shown(), hit.handler.name());
    let all: String = hits.iter().map(line).collect();
    let file = results("hits.txt");
    std::fs::write(&file, &all).unwrap();
    let shortest: String = hits.iter().take(20).map(line).collect();
    assert!(hits.is_empty(), "guarded handlers were reached, the shortest first; all in {}:\n{shortest}", file.display());
    assert!(total.changed.is_empty(), "targets did not arrive as they were sent: {}", total.changed[0].escape_ascii());
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.decisions += other.decisions;
        self.forwarded += other.forwarded;
        self.asked += other.asked;
        self.hits.extend(other.hits);
        self.changed.extend(other.changed);
    }
}
