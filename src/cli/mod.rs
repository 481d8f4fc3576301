//! The command line: one file for each sub-command.

mod admin;
mod check;
mod completions;
mod config_file;
#[cfg(feature = "demo")]
mod demo;
#[cfg(not(feature = "demo"))]
#[path = "no_demo.rs"]
mod demo;
mod descriptors;
mod explain;
mod keys;
mod logging;
mod run;

use clap::{Parser, Subcommand};

/// An authentication gateway: exchanges Microsoft identity tokens for a JWT that a sync backend can verify with one pinned key.
#[derive(Debug, Parser)]
#[command(name = "syncgate", version, about, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Admin(admin::AdminArgs),
    Check(check::CheckArgs),
    Explain(explain::ExplainArgs),
    Keys(keys::KeysArgs),
    Demo(demo::DemoArgs),
    Completions(completions::CompletionsArgs),
}

/// How a command failed; `main` turns it into an exit code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It ran, and the result is negative: a config with mistakes, a failed demo. The text to print may be empty.
    #[error("{0}")]
    No(String),
    /// It could not run.
    #[error("{0}")]
    Trouble(String),
}

impl Cli {
    /// Runs the command.
    pub fn execute(self) -> Result<(), Failure> {
        match self.command {
            Command::Run(args) => args.execute(),
            Command::Admin(args) => args.execute(),
            Command::Check(args) => args.execute(),
            Command::Explain(args) => args.execute(),
            Command::Keys(args) => args.execute(),
            Command::Demo(args) => args.execute(),
            Command::Completions(args) => args.execute(),
        }
    }
}
