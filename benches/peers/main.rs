//! The gateway beside nginx, HAProxy and Envoy, all at the same work: the same upstream and answer, tokens of one shape.
//!
//! Each proxy has one worker and runs on the last core; load and upstream share the first. First each has to show that it does its
//! work. Then each is loaded as fast as it answers, which fills pools and caches; they take short turns of some hundred requests,
//! for the CPU time of one; and last comes latency at a fixed rate that all of them can bear. Where a process happens to lie in
//! memory decides on some per cent, so all are started several times. Results go to `target/bench/peers.json`, from which `make
//! bench-report` makes the tables and plots.
//!
//! `make bench-peers`; with `-- --test` one tiny round, or none where the peers are not installed. With `-- --profiled PROGRAM`, a gateway
//! that was optimised with a profile takes part: `make bench-peers-pgo`.

mod contender;
mod facts;
#[path = "../harness/mod.rs"]
mod harness;
mod load;
mod peer;
mod results;

use std::{error::Error, fs, net::SocketAddr, path::PathBuf};

use contender::Contender;
use harness::{
    closed_loop::{ClosedLoop, Question},
    issuer::{Issuer, issue},
    median,
    process::RoleProcess,
    program::missing,
    role::{self, Part, Role},
};
use peer::PEERS;
use results::{Case, Proxy, Results, Setting};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What this program plays itself.
const PLAYED: [(Case, Role); 2] = [(Case::Pingora, Role::Bare { log: true }), (Case::PingoraWithoutLog, Role::Bare { log: false })];

/// Latency is measured at this part of what the slowest proxy can do.
const LATENCY_LOAD: f64 = 0.3;

fn main() -> Result<(), Box<dyn Error>> {
    match Part::of_this_process()? {
        Some(part) => role::play(part),
        None => compare(std::env::args().any(|argument| argument == "--test")),
    }
}

fn compare(is_test: bool) -> Result<(), Box<dyn Error>> {
    let missing = missing(&["nginx", "haproxy", "envoy", "wrk"]);
    if !missing.is_empty() {
        let what = format!("{} not installed; `make bench-peers` installs them", missing.join(", "));
        if !is_test {
            return Err(what.into());
        }
        eprintln!("SKIPPED: the comparison with other proxies: {what}");
        return Ok(());
    }
    let mut setting = Setting {
        connections: 64,
        token_bytes: 0,
        starts: if is_test { 1 } else { 7 },
        cpu_rounds: if is_test { 1 } else { 40 },
        cpu_requests: 640,
        latency_rounds: if is_test { 1 } else { 3 },
        latency_seconds: if is_test { 1 } else { 5 },
        latency_rate: 0,
    };
    let machine = facts::machine();
    let cores = role::cores()?;
    let (Some(&own_core), Some(&proxy_core)) = (cores.first(), cores.last()) else { return Err("no core to run on".into()) };
    role::pin_to(own_core)?;
    let upstream = RoleProcess::start(&Part { role: Role::Upstream, core: own_core, upstream: None })?;
    let (token, issuer) = issue()?;
    setting.token_bytes = token.len();
    let measures_latency = !is_test || load::load_generator().is_ok();
    if !measures_latency {
        eprintln!("SKIPPED: latencies: the example syncgate-load is not built");
    }
    let mut proxies = Vec::new();
    for turn in 0..setting.starts {
        let contenders = start(upstream.address(), proxy_core, &token, &issuer)?;
        for contender in &contenders {
            contender.check()?;
        }
        eprintln!(
            "start {} of {}: all {} proxies pass their check: 200 with the token, 401 without or with a forged one from those that verify",
            turn + 1,
            setting.starts,
            contenders.len()
        );
        if proxies.is_empty() {
            proxies.extend(contenders.iter().map(|contender| unmeasured(contender.case)));
        }
        measure_rate(&contenders, &mut proxies, &setting)?;
        measure_cpu(&contenders, &mut proxies, &setting, turn)?;
        if measures_latency && turn < setting.latency_rounds {
            measure_latency(&contenders, &mut proxies, &mut setting)?;
        }
    }
    let results = Results { machine, versions: facts::versions(), setting, proxies };
    print(&results);
    if is_test { Ok(()) } else { store(&results) }
}

/// All proxies, in the order of the rounds.
fn start(upstream: SocketAddr, core: usize, token: &str, issuer: &Issuer) -> Result<Vec<Contender>, Box<dyn Error>> {
    let mut contenders = Vec::new();
    for case in PEERS {
        contenders.push(Contender::peer(case, peer::start(case, core, upstream, issuer)?, token));
    }
    if let Some(program) = profiled()? {
        let case = Case::SyncgateProfiled;
        contenders.push(Contender::peer(case, peer::start_of(program.as_ref(), case, core, upstream, issuer)?, token));
    }
    for (case, role) in PLAYED {
        let process = RoleProcess::start(&Part { role, core, upstream: Some(upstream) })?;
        contenders.push(Contender::played(case, process, token));
    }
    Ok(contenders)
}

/// The program of `--profiled`.
fn profiled() -> Result<Option<PathBuf>, Box<dyn Error>> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--profiled");
    match (arguments.next(), arguments.next().map(PathBuf::from)) {
        (None, _) => Ok(None),
        (Some(_), Some(program)) if program.is_file() => Ok(Some(program)),
        _ => Err("--profiled wants a program; `make release-pgo` builds it".into()),
    }
}

fn unmeasured(case: Case) -> Proxy {
    Proxy { case, cpu_us: Vec::new(), rate: Vec::new(), latency_us: Vec::new() }
}

/// As fast as each answers. Fills pools and caches, too.
fn measure_rate(contenders: &[Contender], proxies: &mut [Proxy], setting: &Setting) -> Result<(), Box<dyn Error>> {
    for (contender, proxy) in contenders.iter().zip(proxies) {
        proxy.rate.push(load::rate(contender, setting.connections)?);
        contender.empty_log()?;
    }
    Ok(())
}

/// Turns so short that what slows the machine down for a tenth of a second slows all proxies of a round. `first`: whose turn is first.
fn measure_cpu(contenders: &[Contender], proxies: &mut [Proxy], setting: &Setting, first: usize) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let connect = |contender: &Contender| {
        let question = Question::with_token(&contender.token);
        runtime.block_on(ClosedLoop::connect(contender.address(), setting.connections, question))
    };
    let mut loops = contenders.iter().map(connect).collect::<Result<Vec<_>, _>>()?;
    for round in 0..setting.cpu_rounds {
        for turn in 0..contenders.len() {
            let index = (first + turn + round) % contenders.len();
            let contender = &contenders[index];
            let before = contender.cpu_time()?;
            runtime.block_on(loops[index].run(setting.cpu_requests))?;
            let cpu = contender.cpu_time()?.saturating_sub(before);
            contender.empty_log()?;
            proxies[index].cpu_us.push(cpu.as_secs_f64() * 1e6 / setting.cpu_requests as f64);
        }
    }
    eprintln!("CPU time: {} rounds measured", setting.cpu_rounds);
    Ok(())
}

fn measure_latency(contenders: &[Contender], proxies: &mut [Proxy], setting: &mut Setting) -> Result<(), Box<dyn Error>> {
    if setting.latency_rate == 0 {
        let slowest = proxies.iter().map(|proxy| median(&proxy.rate)).fold(f64::INFINITY, f64::min);
        setting.latency_rate = (slowest * LATENCY_LOAD / 100.0).floor().max(1.0) as u64 * 100;
    }
    for (contender, proxy) in contenders.iter().zip(proxies) {
        let latency = load::open_loop(contender, setting.connections, setting.latency_rate, setting.latency_seconds)?;
        proxy.latency_us.push(latency);
        contender.empty_log()?;
    }
    eprintln!("latency at {} requests/s: measured", setting.latency_rate);
    Ok(())
}

fn print(results: &Results) {
    println!("{:<24} {:>14} {:>12} {:>10} {:>10}", "proxy", "CPU us/request", "requests/s", "p50 us", "p99 us");
    for proxy in &results.proxies {
        let latency = |percentile: fn(&results::Percentiles) -> f64| match &proxy.latency_us[..] {
            [] => "-".to_owned(),
            rounds => format!("{:.0}", median(&rounds.iter().map(percentile).collect::<Vec<_>>())),
        };
        let (cpu, rate) = (median(&proxy.cpu_us), median(&proxy.rate));
        let (p50, p99) = (latency(|latency| latency.p50), latency(|latency| latency.p99));
        println!("{:<24} {cpu:>14.1} {rate:>12.0} {p50:>10} {p99:>10}", proxy.case.title());
    }
}

fn store(results: &Results) -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    fs::create_dir_all(&folder)?;
    let file = folder.join("peers.json");
    fs::write(&file, serde_json::to_string_pretty(results)?)?;
    eprintln!("Written: {}", file.display());
    Ok(())
}
