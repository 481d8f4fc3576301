//! `syncgate demo` in a build without it.

use crate::cli::Failure;

/// Start issuer, gateway and backend in one process. Not in this build: the demo is not for production.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _any: Vec<String>,
}

impl DemoArgs {
    pub(super) fn execute(self) -> Result<(), Failure> {
        Err(Failure::Trouble(
            "this build has no demo; in a checkout of the sources, `make demo` builds and starts one (the cargo feature `demo`)"
                .to_owned(),
        ))
    }
}
