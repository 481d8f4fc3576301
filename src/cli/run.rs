//! `syncgate run`.

use crate::cli::Failure;

/// Run the gateway.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {}

impl RunArgs {
    pub(super) fn execute(self) -> Result<(), Failure> {
        todo!()
    }
}
