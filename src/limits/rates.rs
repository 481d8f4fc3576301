//! [`Rates`]: how often something may happen, for each key (the generic cell rate algorithm, ITU-T I.371).
//!
//! Of each key one point in time is kept: when all of its credit is there again. A slot has 32 bits of the key's hash and 32 bits of that
//! time, in 256ths of what one costs, so it is read and changed as a whole.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use super::key::{Key, SLOTS, sets};

/// How often, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How often in `per`: 1 to 1,000,000.
    pub count: u32,
    /// A second, a minute or an hour.
    pub per: Duration,
    /// How many may come at once after a pause: 1 to 1,000,000.
    pub burst: u32,
}

impl Rate {
    /// So many each second.
    pub const fn per_second(count: u32, burst: u32) -> Self {
        Self { count, per: Duration::from_secs(1), burst }
    }
}

/// What one costs, in the table's units of time.
const COST: u32 = 256;
/// Attempts to change a slot that others are changing. Whoever has none left is let through.
const ATTEMPTS: usize = 8;

/// A rate for each key.
#[derive(Debug)]
pub struct Rates {
    rate: Rate,
    began: Instant,
    /// Units of time in a second.
    units: f64,
    /// What a key may be ahead.
    most: u32,
    sets: Box<[[AtomicU64; SLOTS]]>,
}

impl Rates {
    /// A table for so many keys.
    pub fn new(rate: Rate, keys: usize) -> Self {
        let set = || [const { AtomicU64::new(0) }; SLOTS];
        Self {
            rate,
            began: Instant::now(),
            units: f64::from(rate.count) * f64::from(COST) / rate.per.as_secs_f64(),
            most: rate.burst.saturating_mul(COST).min(u32::MAX / 2),
            sets: std::iter::repeat_with(set).take(sets(keys)).collect(),
        }
    }

    /// The rate.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Bytes that the table takes.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.sets)
    }

    /// Takes one. If there is none: how long until there is.
    pub fn take(&self, key: Key, now: Instant) -> Result<(), Duration> {
        let now = self.units_at(now);
        let Some(set) = self.set(key) else { return Ok(()) };
        for _ in 0..ATTEMPTS {
            let (slot, seen, ahead) = self.find(set, key, now);
            let after = ahead.saturating_add(COST);
            if after > self.most {
                return Err(self.wait(after));
            }
            let next = u64::from(key.tag()) << 32 | u64::from(now.wrapping_add(after));
            if slot.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether one could be taken. If not: how long until it could.
    pub fn peek(&self, key: Key, now: Instant) -> Result<(), Duration> {
        let now = self.units_at(now);
        let Some(set) = self.set(key) else { return Ok(()) };
        let known = set.iter().map(|slot| slot.load(Ordering::Relaxed)).find(|seen| tag(*seen) == key.tag());
        match known.map(|seen| self.ahead(seen, now).saturating_add(COST)) {
            Some(after) if after > self.most => Err(self.wait(after)),
            _ => Ok(()),
        }
    }

    fn set(&self, key: Key) -> Option<&[AtomicU64; SLOTS]> {
        self.sets.get(key.set(self.sets.len()))
    }

    /// The slot of a key, what is in it, and how far that is ahead. If it has none: that of the one with the most credit, who loses it.
    fn find<'s>(&self, set: &'s [AtomicU64; SLOTS], key: Key, now: u32) -> (&'s AtomicU64, u64, u32) {
        let [first, ..] = set;
        let mut least = (first, first.load(Ordering::Relaxed), u32::MAX);
        for slot in set {
            let seen = slot.load(Ordering::Relaxed);
            let ahead = self.ahead(seen, now);
            if tag(seen) == key.tag() {
                return (slot, seen, ahead);
            }
            if ahead < least.2 {
                least = (slot, seen, ahead);
            }
        }
        (least.0, least.1, 0)
    }

    /// How far a slot's time is ahead. What is further than anybody can be is past: the clock of a slot goes round.
    fn ahead(&self, seen: u64, now: u32) -> u32 {
        let ahead = (seen as u32).wrapping_sub(now);
        if ahead > self.most { 0 } else { ahead }
    }

    fn units_at(&self, now: Instant) -> u32 {
        let elapsed = now.saturating_duration_since(self.began).as_secs_f64();
        // Only the last 32 bits count.
        (elapsed * self.units) as u64 as u32
    }

    fn wait(&self, after: u32) -> Duration {
        Duration::try_from_secs_f64(f64::from(after - self.most) / self.units).unwrap_or(Duration::MAX)
    }
}

fn tag(slot: u64) -> u32 {
    (slot >> 32) as u32
}
