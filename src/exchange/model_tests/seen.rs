//! What the random lives have come across.

use std::collections::{BTreeMap, BTreeSet};

use crate::token::Rejection;

/// What becomes of a token that comes on a connection.
pub(super) const ON_CONNECTIONS: [&str; 8] = [
    "connection: another token",
    "connection: known",
    "connection: known, left the cache",
    "connection: the cache is asked",
    "connection: ended",
    "connection: of other settings",
    "connection: of a key that was purged",
    "connection: of a key that has ended",
];

/// What has been seen in all lives, to show that the test reaches what it is for.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) rejections: BTreeSet<Rejection>,
    pub(super) counts: BTreeMap<&'static str, usize>,
}

impl Seen {
    pub(super) fn note(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }
}
