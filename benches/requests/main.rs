//! Whole requests through the gateway, beside a bare Pingora proxy built alike.
//!
//! The bench starts itself again in other roles: the upstream, the gateway, the bare proxy. Each proxy is one process, pinned to
//! the last core; load and upstream share the first. The proxies take turns in short rounds and are started again after some. What
//! is compared is the CPU time of the proxy's process for each request, which other work on the machine disturbs less than the
//! clock. The gateway takes part with a public route, too, which says what the token costs, and nginx where it is installed.
//!
//! `cargo bench --bench requests`; with `-- --test` one short round each. With `-- --against NAME=PROGRAM`, which may be given often, the
//! gateways of other builds of this bench take part: that is how a change, a compiler's option or an allocator is measured.
//!
//! `cargo rustc --profile bench --bench requests -- --cfg 'knob="system_allocator"'` builds it with the system's allocator.

#[path = "../harness/mod.rs"]
mod harness;
mod table;

use std::{error::Error, path::Path, time::Duration};

use harness::{
    closed_loop::{ClosedLoop, Question},
    process::RoleProcess,
    role::{self, Part, Role},
};

#[cfg(not(knob = "system_allocator"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keep-alive connections to each proxy.
const CONNECTIONS: usize = 64;
const PROXIES: [Role; 5] =
    [Role::Bare { log: true }, Role::Bare { log: false }, Role::Gateway { log: true }, Role::Gateway { log: false }, Role::Public];

fn main() -> Result<(), Box<dyn Error>> {
    match Part::of_this_process()? {
        Some(part) => role::play(part),
        None => compare(std::env::args().any(|argument| argument == "--test")),
    }
}

fn compare(is_test: bool) -> Result<(), Box<dyn Error>> {
    // Where a process happens to lie in memory is worth some per cent of its speed, for as long as it lives: so each is started often. The
    // rounds are short, so that what slows the machine down for a tenth of a second slows all cases of a round.
    let (starts, rounds, requests) = if is_test { (1, 1, 640) } else { (10, 100, 640) };
    let cores = role::cores()?;
    let (Some(&own_core), Some(&proxy_core)) = (cores.first(), cores.last()) else { return Err("no core to run on".into()) };
    if own_core == proxy_core {
        eprintln!("One core only: proxy, load and upstream share it, and requests/s say little.");
    }
    role::pin_to(own_core)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let upstream = RoleProcess::start(&Part { role: Role::Upstream, core: own_core, upstream: None })?;
    let contenders = contenders()?;

    let mut table = table::Table::new(contenders.iter().map(Contender::title).collect());
    eprintln!("{CONNECTIONS} connections; {starts} starts, {rounds} rounds each, {requests} requests a round.");
    for start in 0..starts {
        table.begin_start();
        let part = |role| Part { role, core: proxy_core, upstream: Some(upstream.address()) };
        let proxies = contenders.iter().map(|contender| contender.start(&part(contender.role)));
        let proxies = proxies.collect::<Result<Vec<_>, _>>()?;
        // The bare proxies get the gateway's token too: what they forward is as long as what it reads.
        let token = proxies.iter().map(RoleProcess::token).find(|token| !token.is_empty()).ok_or("no gateway gave a token")?;
        let connect = |proxy: &RoleProcess| {
            let own_token = if proxy.token().is_empty() { token } else { proxy.token() };
            runtime.block_on(ClosedLoop::connect(proxy.address(), CONNECTIONS, Question::with_token(own_token)))
        };
        let mut loads = proxies.iter().map(connect).collect::<Result<Vec<_>, _>>()?;
        // The first rounds fill pools and caches and are not counted.
        let warm_up = if is_test { 0 } else { 5 };
        for round in 0..rounds + warm_up {
            for turn in 0..proxies.len() {
                let index = (turn + round + start) % proxies.len();
                let (proxy, load) = (&proxies[index], &mut loads[index]);
                let before = proxy.cpu_time()?;
                let took: Duration = runtime.block_on(load.run(requests))?;
                let cpu = proxy.cpu_time()?.saturating_sub(before);
                proxy.empty_log()?;
                if round >= warm_up {
                    table.add(index, cpu.as_secs_f64() / requests as f64, requests as f64 / took.as_secs_f64());
                }
            }
        }
        eprintln!("start {} of {starts}, a token of {} bytes", start + 1, token.len());
    }
    println!("{table}");
    let place = |role| contenders.iter().position(|contender| contender.build.is_none() && contender.role == role);
    for yardstick in [Role::Bare { log: false }, Role::Public, Role::Nginx] {
        if let (Some(gateway), Some(other)) = (place(Role::Gateway { log: true }), place(yardstick)) {
            println!("gateway, log: {:.3} x {}", table.ratio(gateway, other), yardstick.title());
        }
    }
    Ok(())
}

/// One proxy that takes part.
struct Contender {
    role: Role,
    /// The name and the program of another build.
    build: Option<(String, String)>,
}

impl Contender {
    fn title(&self) -> String {
        match &self.build {
            Some((name, _)) => format!("{name}: {}", self.role.title()),
            None => self.role.title().to_owned(),
        }
    }

    fn start(&self, part: &Part) -> std::io::Result<RoleProcess> {
        match &self.build {
            Some((_, program)) => RoleProcess::start_of(Path::new(program), part),
            None => RoleProcess::start(part),
        }
    }
}

/// This build's proxies, the yardstick first, and those of `--against`.
fn contenders() -> Result<Vec<Contender>, Box<dyn Error>> {
    let nginx = harness::nginx::program().map(|_| Role::Nginx);
    if nginx.is_none() {
        eprintln!("SKIPPED: nginx, which is not installed");
    }
    let own = PROXIES.into_iter().chain(nginx).map(|role| Contender { role, build: None });
    let others = other_builds()?.into_iter().flat_map(|build| {
        [Role::Bare { log: true }, Role::Gateway { log: true }].map(|role| Contender { role, build: Some(build.clone()) })
    });
    Ok(own.chain(others).collect())
}

/// Names and programs of `--against NAME=PROGRAM`.
fn other_builds() -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut builds = Vec::new();
    let mut arguments = std::env::args();
    while arguments.by_ref().any(|argument| argument == "--against") {
        let build = arguments.next().and_then(|build| build.split_once('=').map(|(name, path)| (name.to_owned(), path.to_owned())));
        builds.push(build.ok_or("--against wants NAME=PROGRAM")?);
    }
    Ok(builds)
}
