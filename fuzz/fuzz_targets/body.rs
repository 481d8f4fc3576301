//! A body that may be a login: nothing but the token in it changes.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| if let Err(wrong) = syncgate::fuzzing::hold_body(input) {
    panic!("{wrong}");
});
