//! The command line of syncgate. The only place with exit codes.

use std::process::ExitCode;

use clap::Parser;
use syncgate::cli::{Cli, Failure};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let text = failure.to_string();
            if !text.is_empty() {
                eprintln!("{text}");
            }
            match failure {
                Failure::No(_) => ExitCode::from(1),
                Failure::Trouble(_) => ExitCode::from(2),
            }
        }
    }
}
