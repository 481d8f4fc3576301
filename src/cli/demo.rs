//! `syncgate demo`.

use crate::cli::Failure;

/// Start a whole world in one process: issuer, gateway, backend.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {}

impl DemoArgs {
    pub(super) fn execute(self) -> Result<(), Failure> {
        todo!()
    }
}
