//! The beginning of a request, cut anywhere: what is whole is given byte for byte, and never more is held than may be.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| if let Err(wrong) = syncgate::fuzzing::hold_intake(input) {
    panic!("{wrong}");
});
