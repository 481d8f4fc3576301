//! `syncgate demo`, where the build has none.

use crate::cli::Failure;

/// Start a whole world in one process. This build has none: its parts are for no production.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _any: Vec<String>,
}

impl DemoArgs {
    pub(super) fn execute(self) -> Result<(), Failure> {
        Err(Failure::Trouble(
            "this build has no demo; in a copy of the sources, `make demo` builds and starts one (the cargo feature `demo`)"
                .to_owned(),
        ))
    }
}
