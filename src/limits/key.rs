//! [`Key`]: a client's address or a user, as a hash.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    net::IpAddr,
};

/// A hash of what is limited. Nobody knows its key, so nobody can make two that meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u64);

/// Makes keys. Each start has a hash of its own.
#[derive(Clone, Debug, Default)]
pub struct Keys(RandomState);

impl Keys {
    /// An address of IPv4; of IPv6 the /64, the least that one customer has.
    pub fn of_address(&self, address: IpAddr) -> Key {
        let mut hasher = self.0.build_hasher();
        match address.to_canonical() {
            IpAddr::V4(address) => hasher.write_u32(address.to_bits()),
            IpAddr::V6(address) => hasher.write_u64((address.to_bits() >> 64) as u64),
        }
        Key(hasher.finish())
    }

    /// A user of an issuer, however many tokens he has.
    pub fn of_user(&self, issuer: &str, user: &str) -> Key {
        let mut hasher = self.0.build_hasher();
        hasher.write(issuer.as_bytes());
        // No text has it.
        hasher.write_u8(0xff);
        hasher.write(user.as_bytes());
        Key(hasher.finish())
    }

    /// Any number, for benches.
    pub fn of_number(&self, number: u64) -> Key {
        Key(self.0.hash_one(number))
    }
}

/// Slots of a set. They fill one line of the processor's cache.
pub(super) const SLOTS: usize = 8;

impl Key {
    /// What is kept of it: never 0, which is nobody.
    pub(super) fn tag(self) -> u32 {
        ((self.0 >> 32) as u32).max(1)
    }

    /// Its set of so many, a power of two.
    pub(super) fn set(self, sets: usize) -> usize {
        self.0 as u32 as usize & (sets - 1)
    }
}

/// The sets for so many slots.
pub(super) fn sets(slots: usize) -> usize {
    slots.div_ceil(SLOTS).clamp(1, 1 << 30).next_power_of_two()
}
