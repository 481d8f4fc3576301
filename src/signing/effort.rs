//! [`Effort`]: limits the cost of opening a file.

use std::cell::Cell;

/// Rounds of key derivation for one file: some seconds. Files with 10,000,000 rounds are known.
pub(super) const MAX_ROUNDS: u64 = 40_000_000;

/// How many more rounds of key derivation are allowed. Otherwise a file could make us compute for hours.
#[derive(Debug)]
pub(super) struct Effort {
    most: u64,
    left: Cell<u64>,
}

/// More than may be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMuch {
    pub(super) most: u64,
}

impl Effort {
    pub(super) fn new(most: u64) -> Self {
        Self { most, left: Cell::new(most) }
    }

    /// Before so many rounds are done.
    pub(super) fn spend(&self, rounds: u64) -> Result<(), TooMuch> {
        let left = self.left.get().checked_sub(rounds).ok_or(TooMuch { most: self.most })?;
        self.left.set(left);
        Ok(())
    }
}
