//! What a check of a limit costs, and what a key takes, with a hundred thousand and with a million keys.
//!
//! `cargo bench --bench limits`; with `-- --test` with few keys.

use std::{hint::black_box, time::Instant};

use syncgate::limits::{Keys, Rate, Rates};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bytes that a key may take.
const MAX_BYTES: usize = 24;

fn main() {
    let is_test = std::env::args().any(|argument| argument == "--test");
    for count in if is_test { [1_000, 10_000] } else { [100_000, 1_000_000] } {
        let rates = Rates::new(Rate::per_second(50, 200), 2 * usize::try_from(count).unwrap_or(usize::MAX));
        let bytes = rates.bytes().div_ceil(usize::try_from(count).unwrap_or(1));
        let (keys, now) = (Keys::default(), Instant::now());
        let take = |number: u64| {
            let _ = black_box(rates.take(keys.of_number(number), now));
        };
        let first = nanoseconds(count, take);
        // In an order that no cache foresees.
        let later = nanoseconds(4 * count, |number| take(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % count));
        println!("{count} keys: {first:.0} ns at first sight, {later:.0} ns later, {bytes} bytes a key");
        // Few keys leave more of a table empty.
        assert!(is_test || bytes <= MAX_BYTES, "a key takes {bytes} bytes");
    }
}

fn nanoseconds(count: u64, mut work: impl FnMut(u64)) -> f64 {
    let started = Instant::now();
    (0..count).for_each(&mut work);
    started.elapsed().as_secs_f64() * 1e9 / count as f64
}
