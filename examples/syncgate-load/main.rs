//! `syncgate-load`: many users before a gateway, and how long each of them waits.
//!
//! ```text
//! args       the command line
//! users      whose requests they are: tokens from a file, or minted with a test issuer's key
//! run        a run from the first connection to the report
//! load       the load itself, which benches use too
//!   schedule   when each request is due
//!   client     how a connection is led through a run; http and websocket are two kinds
//!   tally      what came of the requests
//! ```
//!
//! In an open loop (`--rate`) requests are due at fixed times, whatever became of those before, and a latency counts from the time at
//! which the request was due. So a target that stops for a while shows with all the requests that it kept waiting, and not with the few
//! that were in progress (coordinated omission).

mod args;
mod demo;
mod load;
mod report;
mod run;
mod users;

use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How a run failed; the exit code tells which.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// It ran, and what came was not what `--expect-status` asks for.
    #[error("{0}")]
    Unexpected(String),
    /// It could not run, or the target could not be reached at all.
    #[error(transparent)]
    Trouble(#[from] load::Trouble),
}

fn main() -> ExitCode {
    syncgate::server::install_crypto();
    match run::run(args::Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("syncgate-load: {failure}");
            ExitCode::from(if matches!(failure, Failure::Unexpected(_)) { 1 } else { 2 })
        }
    }
}
