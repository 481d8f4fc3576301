//! The gateway with TLS, beside nginx and HAProxy with the same certificate, which verify nothing: CPU time of a whole request over
//! HTTP/1.1 and HTTP/2, what users feel of a flood of handshakes, and what an idle connection takes.
//!
//! Each proxy has one worker and runs on the last core; load (h2load) and upstream share the first. All are started several
//! times, and take short turns. `make bench-edge`; with `-- --test` one tiny round, or none where the peers are not installed.

mod flood;
#[path = "../harness/mod.rs"]
mod harness;
mod idle;
mod proxy;

use std::{error::Error, process::Command};

use harness::{
    issuer::issue,
    median,
    process::RoleProcess,
    program::missing,
    role::{self, Part, Role},
};
use proxy::{Kind, Proxy};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How requests come.
#[derive(Clone, Copy, Debug)]
struct Load {
    title: &'static str,
    /// Arguments of h2load.
    arguments: &'static [&'static str],
    /// What the gateway may cost at most, beside nginx.
    bound: f64,
}

const LOADS: [Load; 3] = [
    Load { title: "TLS, HTTP/1.1, 64 connections", arguments: &["--h1", "-c", "64"], bound: 0.90 },
    Load { title: "TLS, HTTP/2, 64 streams on 2 connections", arguments: &["-c", "2", "-m", "32"], bound: 0.75 },
    Load { title: "TLS, HTTP/2, 64 connections of one stream", arguments: &["-c", "64", "-m", "1"], bound: 0.90 },
];

/// What all are asked for.
const PATH: &str = "/docs/42?include=meta";

fn main() -> Result<(), Box<dyn Error>> {
    match Part::of_this_process()? {
        Some(part) => role::play(part),
        None => compare(std::env::args().any(|argument| argument == "--test")),
    }
}

fn compare(is_test: bool) -> Result<(), Box<dyn Error>> {
    let missing = missing(&["nginx", "haproxy", "h2load"]);
    if !missing.is_empty() {
        let what = format!("{} not installed; `make bench-edge` installs them", missing.join(", "));
        if !is_test {
            return Err(what.into());
        }
        eprintln!("SKIPPED: the comparison over TLS: {what}");
        return Ok(());
    }
    let (starts, rounds, requests) = if is_test { (1, 1, 320) } else { (5, 9, 12_800) };
    let cores = role::cores()?;
    let (Some(&own_core), Some(&proxy_core)) = (cores.first(), cores.last()) else { return Err("no core to run on".into()) };
    role::pin_to(own_core)?;
    let upstream = RoleProcess::start(&Part { role: Role::Upstream, core: own_core, upstream: None })?;
    let (token, issuer) = issue()?;
    let mut times = vec![vec![Vec::new(); Kind::ALL.len()]; LOADS.len()];
    for start in 0..starts {
        let start_of = |kind| Proxy::start(kind, proxy_core, upstream.address(), &issuer);
        let proxies = Kind::ALL.into_iter().map(start_of).collect::<Result<Vec<_>, _>>()?;
        for proxy in &proxies {
            LOADS.iter().try_for_each(|load| measure(proxy, *load, 640, &token).map(drop))?;
        }
        for _ in 0..rounds {
            for (load, times) in LOADS.iter().zip(&mut times) {
                for (proxy, times) in proxies.iter().zip(times) {
                    times.push(measure(proxy, *load, requests, &token)?);
                    proxy.empty_log()?;
                }
            }
        }
        eprintln!("start {} of {starts}", start + 1);
    }
    print(&times, is_test);
    flood::compare(proxy_core, upstream.address(), &issuer, &token, is_test)?;
    idle::compare(proxy_core, upstream.address(), &issuer, &token, if is_test { 10 } else { 1_000 })
}

/// CPU time of a request, in microseconds. Every request has to be answered with 200.
fn measure(proxy: &Proxy, load: Load, requests: usize, token: &str) -> Result<f64, Box<dyn Error>> {
    let before = proxy.cpu_time()?;
    let output = Command::new("h2load")
        .args(["-n", &requests.to_string(), "-t1", "-H", "accept: application/json"])
        .args(["-H", &format!("authorization: Bearer {token}")])
        .args(load.arguments)
        .arg(format!("https://{}{PATH}", proxy.address()))
        .output()?;
    let took = proxy.cpu_time()?.saturating_sub(before);
    let said = String::from_utf8_lossy(&output.stdout);
    if !said.contains(&format!("status codes: {requests} 2xx")) {
        return Err(format!("{:?} answers {}: {said}{}", proxy.kind(), load.title, String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(took.as_secs_f64() * 1e6 / f64::from(u32::try_from(requests)?))
}

fn print(times: &[Vec<Vec<f64>>], is_test: bool) {
    println!("\nCPU time of a request, us: median of the rounds; beside nginx: median of the rounds' ratios\n");
    println!("| | {} |", Kind::ALL.map(Kind::title).join(" | "));
    println!("|---|{}", "--:|".repeat(Kind::ALL.len()));
    for (load, times) in LOADS.iter().zip(times) {
        let [nginx, ..] = times.as_slice() else { continue };
        let cell = |own: &Vec<f64>| {
            let ratios: Vec<_> = own.iter().zip(nginx).map(|(own, nginx)| own / nginx).collect();
            format!("{:.1} ({:.2} x)", median(own), median(&ratios))
        };
        println!("| {} | {} |", load.title, times.iter().map(cell).collect::<Vec<_>>().join(" | "));
    }
    // One tiny round of an unoptimised build says nothing.
    for (load, times) in LOADS.iter().zip(times).filter(|_| !is_test) {
        let ratios: Vec<_> = times[2].iter().zip(&times[0]).map(|(own, nginx)| own / nginx).collect();
        let verdict = if median(&ratios) <= load.bound { "within" } else { "BEYOND" };
        println!("{}: {:.2} x nginx, {verdict} the bound of {:.2}", load.title, median(&ratios), load.bound);
    }
}
