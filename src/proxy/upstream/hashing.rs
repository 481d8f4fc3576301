//! Numbers that look like chance, and are the same in each process.

/// Mixes the bits of a number (splitmix64).
pub(super) const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Of texts in their order; the same in each process, so that several gateways choose alike (FNV-1a, mixed).
pub(in crate::proxy) fn hash(texts: &[&[u8]]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    // What ends a text is in no UTF-8.
    let text = |hash: u64, text: &&[u8]| step(text.iter().fold(hash, step), &0xff);
    mix(texts.iter().fold(0xcbf2_9ce4_8422_2325, text))
}
