//! A token in its place, with anything around it: nothing else changes, and it is nowhere afterwards.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| if let Err(wrong) = syncgate::fuzzing::hold_place(input) {
    panic!("{wrong}");
});
