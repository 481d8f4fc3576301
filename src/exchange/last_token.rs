//! The last token of a connection. A client sends the same token repeatedly, and comparing it is cheaper than hashing it.

use std::{fmt, sync::Arc};

use super::Identity;

/// Longer tokens are not kept: they are rare, and connections are many.
const MAX_BYTES: usize = 4 * 1024;
/// Each so many times the cache is asked for the identity all the same, so that it knows that the user is there.
const ASK_THE_CACHE_EVERY: u8 = 8;

/// A token that was verified, and whom it named.
///
/// It is found by all of its bytes, so there is nothing that another token could be mistaken for. Whether its identity still holds is to be
/// asked each time.
#[derive(Default)]
pub struct LastToken(Option<Known>);

struct Known {
    token: Box<[u8]>,
    identity: Arc<Identity>,
    uses: u8,
}

/// Whom the last token named.
pub(super) struct Recalled {
    pub(super) identity: Arc<Identity>,
    /// Whether it is time to ask the cache for it.
    pub(super) is_cache_due: bool,
}

impl LastToken {
    /// Whom this token named, if it is the one.
    pub(super) fn recall(&mut self, token: &[u8]) -> Option<Recalled> {
        let known = self.0.as_mut().filter(|known| are_equal(&known.token, token))?;
        known.uses = (known.uses + 1) % ASK_THE_CACHE_EVERY;
        Some(Recalled { identity: Arc::clone(&known.identity), is_cache_due: known.uses == 0 })
    }

    pub(super) fn remember(&mut self, token: &[u8], identity: &Arc<Identity>) {
        let is_kept = token.len() <= MAX_BYTES;
        self.0 = is_kept.then(|| Known { token: token.into(), identity: Arc::clone(identity), uses: 0 });
    }

    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}

impl fmt::Debug for LastToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("LastToken").finish_non_exhaustive()
    }
}

/// Looks at all bytes, wherever they differ first: users may share a connection, by a proxy before the gateway.
fn are_equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |difference, (one, other)| difference | (one ^ other)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{Timestamp, testing::verified};

    fn identity() -> Arc<Identity> {
        Arc::new(Identity::new(
            verified("user", Timestamp::from_seconds(2_000_000_000)),
            Default::default(),
            0,
            0,
            1,
            Timestamp::MIN,
        ))
    }

    #[test]
    fn a_token_is_known_by_all_of_its_bytes() {
        let mut last = LastToken::default();
        assert!(last.recall(b"a.b.c").is_none());
        let alice = identity();
        last.remember(b"a.b.c", &alice);
        assert!(last.recall(b"a.b.c").is_some_and(|known| Arc::ptr_eq(&known.identity, &alice)));
        for other in [&b"a.b.c."[..], b"a.b.", b".b.c", b""] {
            assert!(last.recall(other).is_none(), "{other:?}");
        }
        for (place, bit) in (0..5).flat_map(|place| (0..8).map(move |bit| (place, bit))) {
            let mut other = *b"a.b.c";
            other[place] ^= 1 << bit;
            assert!(last.recall(&other).is_none(), "{other:?}");
        }
        let bob = identity();
        last.remember(b"b.b.c", &bob);
        assert!(last.recall(b"a.b.c").is_none());
        assert!(last.recall(b"b.b.c").is_some_and(|known| Arc::ptr_eq(&known.identity, &bob)));
    }

    #[test]
    fn a_long_token_is_not_kept_and_keeps_no_other() {
        let mut last = LastToken::default();
        let (longest, longer) = ([b'a'; MAX_BYTES], [b'a'; MAX_BYTES + 1]);
        last.remember(&longest, &identity());
        assert!(last.recall(&longest).is_some());
        last.remember(&longer, &identity());
        assert!(last.recall(&longer).is_none() && last.recall(&longest).is_none());
    }

    #[test]
    fn the_cache_is_asked_now_and_then() {
        let mut last = LastToken::default();
        last.remember(b"a.b.c", &identity());
        let uses = usize::from(ASK_THE_CACHE_EVERY) * 4;
        let asked = (0..uses).filter(|_| last.recall(b"a.b.c").is_some_and(|known| known.is_cache_due)).count();
        assert_eq!(asked, 4);
    }
}
