//! A call of a sign-in in each dialect: the user who is found is the one that any reader of JSON finds.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| if let Err(wrong) = syncgate::fuzzing::hold_envelope(input) {
    panic!("{wrong}");
});
