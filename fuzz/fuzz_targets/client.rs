//! `X-Forwarded-For` and `Forwarded`: what a client sends before what a trusted proxy appends counts for nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| if let Err(wrong) = syncgate::fuzzing::hold_client(input) {
    panic!("{wrong}");
});
