//! `syncgate keys`.

use crate::cli::Failure;

/// Make a signing key, or print the public key to pin.
#[derive(Debug, clap::Args)]
pub(super) struct KeysArgs {}

impl KeysArgs {
    pub(super) fn execute(self) -> Result<(), Failure> {
        todo!()
    }
}
