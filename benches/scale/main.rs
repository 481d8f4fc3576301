//! How the cost of a request grows with cached users and with connections, what an idle socket takes, and whether people who log in slow
//! down those who work: at the gateway itself, or at a provider that asks for a token in the middle.
//!
//! The bench starts itself again as upstream and as gateways. In `users`, `connections`, `sockets` and `sign_ins` each gateway is one process
//! with one event loop, pinned to the last core; load and upstream share the first. In `cold` one gateway has two cores.
//!
//! `cargo bench --bench scale`; with `-- users` (or `connections`, `sockets`, `cold`, `sign_ins`) only that; with `-- --test` little of everything.
//! `-- cold --signing-threads=1` changes how many threads of the gateway sign.
//! Points go to `target/bench/scale.json`.

mod cold;
mod connections;
mod gateway;
#[path = "../harness/mod.rs"]
mod harness;
#[allow(dead_code, reason = "the load generator needs all of it")]
#[path = "../../examples/syncgate-load/load/mod.rs"]
mod load;
mod results;
mod rounds;
mod sign_ins;
mod sockets;
mod stage;
mod users;

use std::error::Error;

use harness::role::{self, Part};
use results::Results;
use stage::Stage;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(part) = Part::of_this_process()? {
        return role::play(part);
    }
    if let Some(settings) = gateway::Settings::of_this_process()? {
        return gateway::serve(settings);
    }
    if sockets::is_upstream() {
        return sockets::serve();
    }
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let is_test = arguments.iter().any(|argument| argument == "--test");
    let parts: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let wants = |part: &str| parts.is_empty() || parts.iter().any(|wanted| *wanted == part);

    let stage = Stage::set(is_test)?;
    let mut results = Results::default();
    if wants("cold") {
        let threads = arguments.iter().find_map(|argument| argument.strip_prefix("--signing-threads="));
        results.cold = Some(cold::measure(&stage, threads.map_or(Ok(0), str::parse)?)?);
    }
    // From here on this process keeps to one core.
    stage.keep_to_first_core()?;
    if wants("sign_ins") {
        results.sign_ins = Some(sign_ins::measure(&stage)?);
    }
    if wants("sockets") {
        results.sockets = sockets::measure(&stage)?;
        results.save(is_test)?;
    }
    if wants("connections") {
        results.connections = connections::measure(&stage)?;
        results.save(is_test)?;
    }
    if wants("users") {
        results.users = users::measure(&stage)?;
        results.save(is_test)?;
    }
    results.save(is_test)?;
    println!("{results}");
    if !is_test && results.sign_ins.as_ref().is_some_and(|outcome| !outcome.is_within_bounds()) {
        return Err("sign_ins: beyond a bound".into());
    }
    Ok(())
}
