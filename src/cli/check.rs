//! `syncgate check`.

use crate::cli::Failure;

/// Say everything that is wrong with a config file.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {}

impl CheckArgs {
    pub(super) fn execute(self) -> Result<(), Failure> {
        todo!()
    }
}
