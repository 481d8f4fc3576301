//! [`Counts`]: how many of something each key has at a time.
//!
//! A slot has 32 bits of the key's hash and the number. It belongs to its key while that is not 0, so no count is ever lost to another
//! key. The table has four slots for each thing that there can be; where a set is full all the same, the thing is not counted.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::key::{Key, SLOTS, sets};

/// Slots for each thing that there can be.
const SPARE: usize = 4;
/// Attempts to change a slot that others are changing. Whoever has none left is not counted.
const ATTEMPTS: usize = 16;

/// A number for each key.
#[derive(Debug)]
pub struct Counts {
    sets: Box<[[AtomicU64; SLOTS]]>,
}

/// One of the things that are counted. Dropping it gives its place back.
#[derive(Debug)]
pub struct Held(Option<(Arc<Counts>, usize, usize)>);

impl Counts {
    /// A table for so many things, whosever they are.
    pub fn new(things: usize) -> Self {
        let set = || [const { AtomicU64::new(0) }; SLOTS];
        Self { sets: std::iter::repeat_with(set).take(sets(things.saturating_mul(SPARE))).collect() }
    }

    /// Counts one more, unless the key has `most` already.
    pub fn hold(counts: &Arc<Self>, key: Key, most: u32) -> Option<Held> {
        let number = key.set(counts.sets.len());
        let set = counts.sets.get(number)?;
        for _ in 0..ATTEMPTS {
            let seen: [u64; SLOTS] = std::array::from_fn(|slot| set.get(slot).map_or(0, |slot| slot.load(Ordering::Relaxed)));
            let own = seen.iter().position(|seen| count(*seen) > 0 && tag(*seen) == key.tag());
            let Some(slot) = own.or_else(|| seen.iter().position(|seen| count(*seen) == 0)) else { return Some(Held(None)) };
            let before = seen.get(slot).copied().unwrap_or_default();
            if count(before) >= most {
                return None;
            }
            let next = u64::from(key.tag()) << 32 | u64::from(count(before) + 1);
            let is_changed = set
                .get(slot)
                .is_some_and(|slot| slot.compare_exchange_weak(before, next, Ordering::Relaxed, Ordering::Relaxed).is_ok());
            if is_changed {
                return Some(Held(Some((Arc::clone(counts), number, slot))));
            }
        }
        Some(Held(None))
    }

    /// Bytes that the table takes.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.sets)
    }

    /// How many there are in all.
    pub fn total(&self) -> u64 {
        self.sets.iter().flatten().map(|slot| u64::from(count(slot.load(Ordering::Relaxed)))).sum()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((counts, set, slot)) = &self.0
            && let Some(slot) = counts.sets.get(*set).and_then(|set| set.get(*slot))
        {
            // The number is in the lower half, and at least 1: this is one of it.
            slot.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn tag(slot: u64) -> u32 {
    (slot >> 32) as u32
}

fn count(slot: u64) -> u32 {
    slot as u32
}
