//! `syncgate completions`.

use std::io::{self, Write as _};

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::{Cli, Failure};

/// Print a shell completion script.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example, for bash:\n  syncgate completions bash > /etc/bash_completion.d/syncgate")]
pub(super) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

impl CompletionsArgs {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "syncgate", &mut script);
        io::stdout().lock().write_all(&script).map_err(|error| Failure::Trouble(format!("cannot write the output: {error}")))
    }
}
