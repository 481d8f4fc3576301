//! A passphrase and a key file, and the same as a file of authorities: a key that signs, or words that tell no secret, in bounded time.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Err(wrong) = syncgate::fuzzing::hold_key_file(input).and_then(|()| syncgate::fuzzing::hold_authorities(input)) {
        panic!("{wrong}");
    }
});
