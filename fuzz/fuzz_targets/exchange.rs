//! A body of a token exchange: what is accepted means the same to another reader of forms.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| if let Err(wrong) = syncgate::fuzzing::hold_exchange(input) {
    panic!("{wrong}");
});
