//! Whole requests through the gateway, beside a bare Pingora proxy built alike.
//!
//! The bench starts itself again in other roles: the upstream, the gateway, the bare proxy. Each proxy is one process, pinned to the
//! last core; load and upstream share the first. The proxies take turns in short rounds, and what is compared is the CPU time of the
//! proxy's process for each request, which other work on the machine disturbs less than the clock.
//!
//! `cargo bench --bench requests`; with `-- --test` one short round each. With `-- --against NAME=PROGRAM`, which may be given often, the
//! gateways of other builds of this bench take part: that is how a change, a compiler's option or an allocator is measured.
//!
//! `cargo rustc --profile bench --bench requests -- --cfg 'knob="system_allocator"'` builds it with the system's allocator.

#[path = "../harness/mod.rs"]
mod harness;
mod load;
mod table;

use std::{error::Error, path::Path, time::Duration};

use harness::{
    process::RoleProcess,
    role::{self, Part, Role},
};
use load::Load;

#[cfg(not(knob = "system_allocator"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keep-alive connections to each proxy.
const CONNECTIONS: usize = 64;
const PROXIES: [Role; 4] =
    [Role::Bare { log: true }, Role::Bare { log: false }, Role::Gateway { log: true }, Role::Gateway { log: false }];

fn main() -> Result<(), Box<dyn Error>> {
    match Part::of_this_process()? {
        Some(part) => role::play(part),
        None => compare(std::env::args().any(|argument| argument == "--test")),
    }
}

fn compare(is_test: bool) -> Result<(), Box<dyn Error>> {
    // Short rounds, so that what slows the machine down for a second slows all cases of a round.
    let (rounds, requests) = if is_test { (1, 1_000) } else { (75, 6_000) };
    let cores = role::cores()?;
    let (Some(&own_core), Some(&proxy_core)) = (cores.first(), cores.last()) else { return Err("no core to run on".into()) };
    if own_core == proxy_core {
        eprintln!("One core only: proxy, load and upstream share it, and requests/s say little.");
    }
    role::pin_to(own_core)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;

    let upstream = RoleProcess::start(&Part { role: Role::Upstream, core: own_core, upstream: None })?;
    let part = |role| Part { role, core: proxy_core, upstream: Some(upstream.address()) };
    let (mut titles, mut proxies) = (Vec::new(), Vec::new());
    for role in PROXIES {
        titles.push(role.title().to_owned());
        proxies.push(RoleProcess::start(&part(role))?);
    }
    for (name, program) in &other_builds()? {
        for role in [Role::Bare { log: true }, Role::Gateway { log: true }] {
            titles.push(format!("{name}: {}", role.title()));
            proxies.push(RoleProcess::start_of(Path::new(program), &part(role))?);
        }
    }
    // The bare proxies get the gateway's token too: what they forward is as long as what it reads.
    let token = proxies.iter().map(RoleProcess::token).find(|token| !token.is_empty()).ok_or("no gateway gave a token")?.to_owned();
    eprintln!("A token of {} bytes, {CONNECTIONS} connections, {rounds} rounds of {requests} requests each.", token.len());

    let mut table = table::Table::new(titles);
    // The first rounds fill pools and caches and are not counted.
    let warm_up = usize::from(!is_test);
    for round in 0..rounds + warm_up {
        for turn in 0..proxies.len() {
            let index = (turn + round) % proxies.len();
            let proxy = &proxies[index];
            let own_token = if proxy.token().is_empty() { &token } else { proxy.token() };
            // Anew for each turn: on a busy machine the wait for the next one can outlast a keep-alive.
            let mut load = runtime.block_on(Load::connect(proxy.address(), CONNECTIONS, own_token))?;
            let before = proxy.cpu_time()?;
            let took: Duration = runtime.block_on(load.run(requests))?;
            let cpu = proxy.cpu_time()?.saturating_sub(before);
            proxy.empty_log()?;
            if round >= warm_up {
                table.add(index, cpu.as_secs_f64() / requests as f64, requests as f64 / took.as_secs_f64());
            }
        }
        if round % 5 == 0 || is_test {
            eprintln!("round {} of {}", round + 1, rounds + warm_up);
        }
    }
    println!("{table}");
    Ok(())
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
