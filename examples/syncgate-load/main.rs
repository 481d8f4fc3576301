//! `syncgate-load`: many users before a gateway, and how long each of them waits.
//!
//! ```text
//! args       the command line
//! tokens     whose requests they are: from a file, or minted (mint) with a test issuer's key
//! schedule   when each request is due
//! target     where it goes
//! client     what one connection does: http
//! tally      what came of it; report says so
//! ```
//!
//! In an open loop (`--rate`) requests are due at fixed times, whatever became of those before, and a latency counts from the time at
//! which the request was due. So a target that stops for a while shows with all the requests that it kept waiting, and not with the few
//! that were under way (coordinated omission).

mod args;
mod client;
mod http;
mod report;
mod run;
mod schedule;
mod tally;
mod target;
mod tokens;

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
    #[error("{0}")]
    Trouble(String),
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
